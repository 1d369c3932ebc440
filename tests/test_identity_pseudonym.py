"""Pseudonyms are stable for a person and key and differ otherwise."""

import torch

from id2face_core.identity.pseudonym import PersonRegister, generator_for, generator_from_key, group_persons


def _first(generator: torch.Generator) -> float:
    return float(torch.randn(1, generator=generator))


def test_the_same_key_and_person_give_the_same_numbers_and_others_do_not():
    key, other = b"k" * 32, b"o" * 32
    assert _first(generator_from_key(key, "p")) == _first(generator_from_key(key, "p"))
    draws = [generator_from_key(key, "p"), generator_from_key(key, "q"), generator_from_key(other, "p")]
    assert len({_first(g) for g in draws}) == 3


def test_unkeyed_generators_depend_on_secret_and_face():
    assert _first(generator_for(b"s", b"1")) == _first(generator_for(b"s", b"1"))
    assert len({_first(generator_for(s, f)) for s in (b"s", b"t") for f in (b"1", b"2")}) == 4


def test_the_secret_and_the_face_do_not_run_into_each_other():
    assert _first(generator_for(b"ab", b"c")) != _first(generator_for(b"a", b"bc"))


def test_grouping_takes_the_nearest_person_over_the_threshold():
    known = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])]
    assert group_persons(torch.tensor([0.6, 0.8]), known) == 1
    assert group_persons(torch.tensor([-0.8, -0.6]), known) is None
    assert group_persons(torch.tensor([1.0, 0.0]), []) is None


def test_a_register_follows_a_face_that_turns_and_tells_others_apart():
    def turned(degrees: float) -> torch.Tensor:
        angle = torch.tensor(degrees).deg2rad()
        return torch.stack([angle.cos(), angle.sin()])

    register = PersonRegister()
    assert [register.position(turned(a)) for a in (0, 40, 80, 120)] == [0, 0, 0, 0]  # frame by frame
    assert register.position(turned(60)) == 0 and register.position(turned(-90)) == 1  # like the first; like none
    assert PersonRegister().position(turned(120)) == 0
