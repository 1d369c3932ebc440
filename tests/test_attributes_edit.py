"""Edits by friendly names."""

from __future__ import annotations

import numpy as np
import pytest

from id2face_core.attributes.edit import ALIASES, edit_attributes, kept_traits
from id2face_core.attributes.vector import ATTRIBUTES, GROUPS, group_slice, index
from id2face_core.errors import ConfigError


@pytest.fixture
def values() -> np.ndarray:
    vector = np.full(len(ATTRIBUTES), 0.25, dtype=np.float32)
    vector[index("age")] = 40
    return vector


def test_schema_has_71_different_names_and_slices_cover_it() -> None:
    assert len(ATTRIBUTES) == len(set(ATTRIBUTES)) == 71
    assert [name for group in GROUPS for name in ATTRIBUTES[group_slice(group)]] == list(ATTRIBUTES)
    assert len(GROUPS["blendshapes"]) == 52
    with pytest.raises(ConfigError, match="nose_length"):
        index("nose_length")


def test_edit_changes_a_copy_and_nothing_else(values: np.ndarray) -> None:
    before = values.copy()
    out = edit_attributes(values, {"smile": 0.9})
    changed = {ATTRIBUTES[i] for i in np.flatnonzero(out != before)}
    assert changed == set(ALIASES["smile"])
    np.testing.assert_array_equal(values, before)


def test_relative_words_and_limits(values: np.ndarray) -> None:
    assert edit_attributes(values, {"age": "+10"})[index("age")] == 50
    assert edit_attributes(values, {"age": "+100"})[index("age")] == 90
    assert edit_attributes(values, {"sex": "male"})[index("sex")] == 1
    assert edit_attributes(values, {"sex": "female"})[index("sex")] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"age": 200}, "5 to 90"), ({"smile": 1.5}, "0 to 1"),
        ({"sex": "other"}, "female, male"), ({"noses": 2}, "'noses'.*choose"),
    ],  # fmt: skip
)
def test_what_cannot_be_set_is_named(values: np.ndarray, changes: dict[str, float | str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        edit_attributes(values, changes)


def test_keep_selects_traits_and_names_choices() -> None:
    indices = [index(name) for name in ("age", "sex", "forehead_L")]
    assert kept_traits(None, indices).tolist() == [True, True, True]
    assert kept_traits(("age",), indices).tolist() == [True, False, False]
    assert kept_traits((), indices).tolist() == [False, False, False]
    with pytest.raises(ConfigError, match="hair.*age, sex, skin"):
        kept_traits(("hair",), indices)


@pytest.mark.parametrize("value", ["nan", float("nan")])
def test_a_number_that_is_none_is_refused(values: np.ndarray, value: float | str) -> None:
    with pytest.raises(ConfigError):
        edit_attributes(values, {"yaw": value})
    with pytest.raises(ConfigError):
        edit_attributes(values, {"gaze_x": value})
