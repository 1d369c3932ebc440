"""Orthogonality, norms, undo, determinism and unlinkability of the identity mapping."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from id2face_core.errors import ConfigError, ShapeError
from id2face_core.identity.orthogonal import REACH, KeyedOrthogonal, derive, exact, keyed, keyed_back, one_sided, outside

SEEDS = st.integers(0, 2**31)


def _pair(seed: int, dim: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(5, dim, generator=generator), torch.randn(5, dim, generator=generator)


@settings(deadline=None, max_examples=25)
@given(SEEDS)
def test_exact_is_orthogonal_and_keeps_norms(seed):
    v, u = _pair(seed)
    mapped = exact(v, u)
    assert F.cosine_similarity(mapped, u).abs().max() < 1e-5
    torch.testing.assert_close(mapped.norm(dim=1), v.norm(dim=1))


def test_exact_refuses_a_parallel_latent():
    with pytest.raises(ShapeError):
        exact(torch.ones(1, 8), torch.full((1, 8), 3.0))


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.floats(-0.5, 0.5))
def test_one_sided_limits_only_what_is_too_near(seed, margin):
    v, u = _pair(seed)
    before, mapped = F.cosine_similarity(v, u), one_sided(v, u, margin)
    after = F.cosine_similarity(mapped, u)
    torch.testing.assert_close(after, before.clamp(max=margin), atol=1e-5, rtol=0)
    torch.testing.assert_close(mapped.norm(dim=1), v.norm(dim=1))
    assert torch.equal(mapped[before <= margin], v[before <= margin])


def test_one_sided_refuses_an_impossible_margin():
    with pytest.raises(ConfigError):
        one_sided(*_pair(0), margin=1.0)


@settings(deadline=None, max_examples=15)
@given(st.binary(min_size=32, max_size=48), st.binary(max_size=20), SEEDS)
def test_keyed_is_orthogonal_norm_keeping_and_undone(key, nonce, seed):
    v, _ = _pair(seed)
    mapping = KeyedOrthogonal(key, nonce, 64)
    mapped = mapping.apply(v)
    assert F.cosine_similarity(mapped, v).abs().max() < 1e-5
    torch.testing.assert_close(mapped.norm(dim=1), v.norm(dim=1))
    torch.testing.assert_close(mapping.undo(mapped), v, atol=1e-5, rtol=1e-5)
    assert torch.equal(KeyedOrthogonal(key, nonce, 64).apply(v), mapped)


def test_other_keys_and_nonces_are_unlinkable():
    v, _ = _pair(1)
    keys = [bytes([i]) * 32 for i in range(20)]
    by_key = torch.stack([KeyedOrthogonal(k, b"n", 64).apply(v)[0] for k in keys])
    by_nonce = torch.stack([KeyedOrthogonal(keys[0], bytes([i]), 64).apply(v)[0] for i in range(20)])
    for mapped in (by_key, by_nonce):
        cosines = F.normalize(mapped, dim=1) @ F.normalize(mapped, dim=1).T
        others = cosines[~torch.eye(20, dtype=torch.bool)]
        assert abs(float(others.mean())) < 0.05 and float(others.abs().max()) < 0.65  # independent: sd 1/8


def test_a_wrong_key_does_not_undo():
    v, _ = _pair(2)
    mapped = KeyedOrthogonal(b"a" * 32, b"", 64).apply(v)
    assert F.cosine_similarity(KeyedOrthogonal(b"b" * 32, b"", 64).undo(mapped), v).max() < 0.7


def test_odd_dimension_and_short_key_are_refused_and_the_key_stays_secret():
    with pytest.raises(ShapeError):
        KeyedOrthogonal(b"a" * 32, b"", 63)
    with pytest.raises(ConfigError) as caught:
        derive(b"topsecret", b"x")
    assert "topsecret" not in str(caught.value)
    assert "kkkk" not in repr(KeyedOrthogonal(b"k" * 32, b"", 8))
    assert derive(b"k" * 32, b"x") != derive(b"k" * 32, b"y")


def _kept(seed: int, count: int = 8, dim: int = 64) -> torch.Tensor:
    return torch.linalg.qr(torch.randn(dim, count, generator=torch.Generator().manual_seed(seed)))[0]


@settings(deadline=None, max_examples=25)
@given(SEEDS, st.floats(-0.4, 0.4))
@example(2968, -0.375)
def test_what_is_kept_stays_and_the_rest_makes_up_for_it(seed, margin):
    v, u = _pair(seed)
    kept = _kept(seed)
    v = v + (u - v) @ kept @ kept.T  # alike in what is kept, as `IdentityTraits.carry` makes them
    mapped = one_sided(v, u, margin, kept)
    torch.testing.assert_close(mapped @ kept, u @ kept, atol=1e-4, rtol=0)
    torch.testing.assert_close(mapped.norm(dim=1), v.norm(dim=1))
    rest, away = (x - x @ kept @ kept.T for x in (v, u))  # what is kept may leave less room than the margin asks for
    least = (((v - rest) * (u - away)).sum(dim=1) - REACH * rest.norm(dim=1) * away.norm(dim=1)) / (v.norm(dim=1) * u.norm(dim=1))
    assert (F.cosine_similarity(mapped, u) - least.clamp_min(margin)).max() < 1e-4
    assert (F.cosine_similarity(exact(v, u, kept), u) - least.clamp_min(0)).abs().max() < 1e-4


def test_a_source_that_is_all_trait_is_left_as_far_as_the_rest_allows():
    kept = torch.eye(8)[:, :2]
    u = torch.tensor([[3.0, 3.0, 0.1, 0, 0, 0, 0, 0]])
    v = torch.tensor([[3.0, 3.0, 0.0, 0, 1.0, 0, 0, 0]])
    mapped = exact(v, u, kept)
    assert torch.equal(mapped[:, :2], u[:, :2]) and 0.9 < F.cosine_similarity(mapped, u).item() < 1
    assert mapped[0, 2] < -0.9  # as far as it goes


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_a_key_turns_all_but_the_traits_and_turns_it_back(seed):
    u, kept = _pair(seed)[1], _kept(seed)
    new = keyed(u, u, bytes(range(32)), b"n", kept)
    torch.testing.assert_close(new @ kept, u @ kept, atol=1e-4, rtol=0)
    rest = outside(64, kept)
    assert ((new @ rest) * (u @ rest)).sum(dim=1).abs().max() < 1e-3
    torch.testing.assert_close(keyed_back(new, bytes(range(32)), b"n", kept), u, atol=1e-4, rtol=0)
    wrong = keyed_back(new, bytes(range(1, 33)), b"n", kept)
    assert F.cosine_similarity(wrong @ rest, u @ rest).max() < 0.7
    torch.testing.assert_close(wrong @ kept, u @ kept, atol=1e-4, rtol=0)  # no key hides what is kept on purpose


def test_outside_of_nothing_is_everything():
    assert torch.equal(outside(6, None), torch.eye(6)) and torch.equal(outside(6, torch.zeros(6, 0)), torch.eye(6))
