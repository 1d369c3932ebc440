"""Attacks that learn: parrot, reconstruction, wrong keys, memorisation, everything together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from id2face_core.audit.attacks import adaptive, keys, memorisation, parrot, reconstruction
from id2face_core.audit.evidence import Evidence
from id2face_core.audit.examine import ORIGINAL
from id2face_core.audit.findings import Finding

from .audit_material import DIM, Fake, evidence, stranger, unit

SHORT = 0.02  # minutes


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pseudonym(photo: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.roll(person, 7) + 0.05 * rng.normal(size=DIM)


def met(findings: list[Finding]) -> bool:
    (found,) = findings
    assert found.state == "run" and found.gate is not None, found.reason
    return found.gate.met


def test_a_parrot_learns_pseudonyms_and_not_strangers() -> None:
    assert not met(parrot.parrot(evidence(pseudonym), rng(), SHORT))
    assert met(parrot.parrot(evidence(stranger), rng(), SHORT))


def with_keys(material: Evidence, names: list[str]) -> Evidence:
    pairs = [replace(p, key=names[i % len(names)]) for i, p in enumerate(material.pairs)]
    return Evidence(pairs, material.examined, material.judges, material.auditors, material.thresholds)


def test_a_parrot_is_asked_about_a_key_that_it_has_not_seen() -> None:
    one = parrot.split(with_keys(evidence(stranger), ["a"]))
    assert isinstance(one, str) and "another key" in one
    both = parrot.split(with_keys(evidence(stranger, photos=6), ["a", "b"]))
    assert not isinstance(both, str)
    learn, ask = both
    assert (learn % 2 == 0).all() and (ask % 2 == 1).all()


def with_pictures(negative: bool, people: int = 24) -> Evidence:
    """Faces of coarse grey patterns; `after` is the negative, or somebody else."""
    material = evidence(stranger, people=people, photos=2)
    patterns, draw = {}, np.random.default_rng(3)
    examined = []
    for i, e in enumerate(material.examined):
        person = material.pairs[i].person
        patterns.setdefault(person, draw.integers(30, 226, (10, 10, 1)))
        pattern = patterns[person] + draw.normal(0, 6, (10, 10, 1))
        before = np.repeat(np.repeat(pattern, 8, 0), 8, 1).repeat(3, 2).clip(0, 255).astype(np.uint8)
        other = np.repeat(np.repeat(draw.integers(0, 256, (10, 10, 1)), 8, 0), 8, 1).repeat(3, 2).astype(np.uint8)
        row = e.faces[0]
        vectors = {"fake": {**row.vectors["fake"], ORIGINAL: Fake().embed(before, row.points).astype(np.float32)}}
        examined.append(replace(e, faces=(replace(row, vectors=vectors, crops=(before, 255 - before if negative else other)),)))
    thresholds = {"fake": replace(material.thresholds["fake"], scores={1e-3: 0.8, 1e-2: 0.7})}
    return Evidence(material.pairs, examined, material.judges, material.auditors, thresholds)


def test_a_negative_is_undone_and_other_faces_are_not() -> None:
    assert not met(reconstruction.invert(with_pictures(True), rng(), SHORT))
    assert met(reconstruction.invert(with_pictures(False), rng(), SHORT))


def test_reconstruction_never_trains_on_who_is_tested() -> None:
    (found,) = reconstruction.invert(with_pictures(False), rng(), SHORT)
    assert "Learned from 32 pairs" in found.note and found.rows[0]["trials"] == 16


def test_the_colour_map_is_the_least_squares_one() -> None:
    x = torch.rand(2, 3, 80, 80) * 2 - 1
    solved = reconstruction.colour_map(x, -x.flip(1))
    expected = -torch.eye(3).flip(0)
    assert torch.allclose(solved["weight"][..., 0, 0], expected, atol=1e-4) and float(solved["bias"].abs().max()) < 1e-4


def test_without_the_key_or_the_pictures_keys_are_not_tried() -> None:
    (without,) = keys.guess(evidence(stranger), None, rng())
    (few,) = keys.guess(evidence(stranger, people=2), bytes(range(32)), rng())
    assert without.state == few.state == "not run"


def test_wrong_keys_are_wrong_and_one_bit_apart() -> None:
    key = bytes(range(32))
    tried = keys._keys(key, rng())
    assert all(len(wrong) == 100 and key not in wrong and len(set(wrong)) == 100 for wrong in tried.values())
    for wrong in tried["one bit off"]:
        assert sum((a ^ b).bit_count() for a, b in zip(key, wrong, strict=True)) == 1


def test_the_true_key_must_work_before_wrong_ones_mean_anything() -> None:
    (found,) = keys.guess(with_pictures(False), bytes(range(32)), rng())
    assert found.state == "invalid" and "true key" in found.reason


@pytest.mark.parametrize("leak", [True, False])
def test_remembered_training_people_are_found(leak: bool) -> None:
    known = np.stack([unit(v) for v in np.random.default_rng(5).normal(size=(300, DIM))]).astype(np.float32)
    material = evidence((lambda photo, person, rng: known[rng.integers(300)]) if leak else stranger)
    assert memorisation.remember(material)[0].state == "not run"
    material.training = {"fake": known}
    assert met(memorisation.remember(material)) is not leak


def test_the_adaptive_attacker_adds_up_what_is_left() -> None:
    def weak(photo: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return photo + 1.4 * unit(rng.normal(size=DIM))

    (found,) = adaptive.adapt(evidence(weak, people=30), rng())
    shares = {row["what"]: row["share"] for row in found.rows}
    assert found.state == "run" and found.gate is None
    assert shares["new face and what was kept, FAR 0.01"] > 0.3
    assert shares["what was kept around the face, FAR 0.01"] < 0.1
    assert adaptive.adapt(evidence(weak, named=False), rng())[0].state == "not run"


def test_logistic_weights_follow_the_informative_column() -> None:
    draw = np.random.default_rng(0)
    good, bad = draw.normal((2, 0), 1, (400, 2)), draw.normal((0, 0), 1, (4000, 2))
    weights = adaptive.logistic(good, bad)
    assert weights[0] > 1 and abs(weights[1]) < 0.2


def test_training_can_be_stopped_between_steps() -> None:
    class Stopped(Exception):
        pass

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        parrot.parrot(evidence(pseudonym), rng(), SHORT, stop)
    with pytest.raises(Stopped):
        reconstruction.invert(with_pictures(True), rng(), SHORT, stop)


def test_a_faint_trace_that_only_the_true_key_brings_back_is_noticed() -> None:
    from id2face_core.identity.orthogonal import KeyedOrthogonal
    from id2face_core.stages import PERSON_NONCE

    class Plain:
        def decode(self, latents: torch.Tensor) -> torch.Tensor:
            return latents

        encode = decode

    draw = torch.Generator().manual_seed(0)
    people = torch.nn.functional.normalize(torch.randn(12, DIM, generator=draw), dim=1)
    photos = torch.nn.functional.normalize(people.repeat(4, 1) + 0.08 * torch.randn(48, DIM, generator=draw), dim=1)
    key, other = bytes(range(32)), bytes(range(1, 33))
    turned = torch.stack([KeyedOrthogonal(key, PERSON_NONCE, DIM).apply(v) for v in photos])
    faint = 0.5 * turned + torch.nn.functional.normalize(torch.randn(48, DIM, generator=draw), dim=1)
    originals = keys.Originals(photos, np.array([f"p{i % 12}" for i in range(48)]), 0.9)
    everyone = np.arange(48)[None]
    setting: Any = (Plain(), torch.zeros(DIM, 0), faint, originals)
    true, wrong = (keys._turned(*setting, [k], everyone, "it") for k in (key, other))
    assert true["hits"] == 0 and true["nearer_than"] > 0.75 and true["p"] < 0.001
    assert wrong["p"] > 0.01 and abs(wrong["nearer_than"] - 0.5) < 0.15
