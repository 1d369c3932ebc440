"""Statistics of verification."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from id2face_core.audit.statistics import exact_interval, pairs, rate, threshold_at_far
from id2face_core.errors import ConfigError


def test_interval_known_values() -> None:
    assert exact_interval(0, 100) == pytest.approx((0.0, 0.036217), abs=1e-5)
    assert exact_interval(100, 100) == pytest.approx((0.963783, 1.0), abs=1e-5)
    assert exact_interval(5, 50) == pytest.approx((0.033275, 0.218135), abs=1e-5)
    assert exact_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_is_the_binomial_test_turned_round(case: tuple[int, int]) -> None:
    hits, trials = case
    low, high = exact_interval(hits, trials)
    assert low <= hits / trials <= high
    if hits:
        assert binom.sf(hits - 1, trials, low) == pytest.approx(0.025, abs=1e-6)
    if hits < trials:
        assert binom.cdf(hits, trials, high) == pytest.approx(0.025, abs=1e-6)


def test_interval_refuses_the_impossible() -> None:
    with pytest.raises(ConfigError):
        exact_interval(3, 2)


@given(st.integers(1000, 5000), st.sampled_from([1e-3, 1e-2]), st.integers(0, 99))
def test_threshold_keeps_the_far_and_no_lower_one_does(count: int, far: float, seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=count)
    threshold = threshold_at_far(scores, far)
    assert (scores > threshold).mean() <= far
    lower = np.max(scores[scores < threshold])
    assert (scores > lower).mean() > far


def test_threshold_needs_enough_impostors() -> None:
    with pytest.raises(ConfigError, match="999 impostor"):
        threshold_at_far(np.zeros(999), 1e-3)


def test_pairs_partition() -> None:
    people = ["a", "b", "a", "c", "b", "a"]
    same, other = pairs(people, True), pairs(people, False)
    assert set(zip(*same, strict=True)) == {(0, 2), (0, 5), (2, 5), (1, 4)}
    assert len(same[0]) + len(other[0]) == 15
    assert all(people[i] != people[j] for i, j in zip(*other, strict=True))


def test_failures_count_as_hits() -> None:
    found = rate(np.array([0.1, 0.5]), 0.3, failures=2)
    assert (found.hits, found.trials, found.share) == (3, 4, 0.75)
    assert found.mean == pytest.approx(0.3)
    assert rate(np.array([]), 0.3).mean is None
