"""Editing attributes by friendly names: older, smiling, looking left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from .vector import ATTRIBUTES, group_slice, index

_SMILE = ("mouthSmileLeft", "mouthSmileRight")
ALIASES: dict[str, tuple[str, ...]] = {
    "smile": _SMILE,
    "mouth_open": ("jawOpen",),
    "eyes_closed": ("eyeBlinkLeft", "eyeBlinkRight"),
    "brows_up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "skin_L": tuple(name for name in ATTRIBUTES if name.endswith("_L")),
}
WORDS: dict[str, dict[str, float]] = {
    "sex": {"female": 0.0, "male": 1.0},
    "glasses": {"off": 0.0, "no": 0.0, "on": 1.0, "yes": 1.0},
}
RANGES: dict[str, tuple[float, float]] = {"age": (5, 90), "yaw": (-45, 45), "pitch": (-30, 30), "skin_L": (15, 95)}
PERSON_TRAITS: dict[str, tuple[str, ...]] = {
    "age": ("age",),
    "sex": ("sex",),
    "skin": tuple(f"{patch}_{axis}" for patch in ("left_cheek", "right_cheek") for axis in ("L", "a", "b")),
}


def _targets(name: str) -> tuple[str, ...]:
    if name in ALIASES:
        return ALIASES[name]
    if name in ATTRIBUTES:
        return (name,)
    raise ConfigError(f"attribute {name!r} is unknown; choose one of {', '.join((*ALIASES, *ATTRIBUTES))}")


def _relative(value: float | str, low: float) -> bool:
    """"+10" changes a value; so does "-10" where no negative value exists."""
    return isinstance(value, str) and (value.startswith("+") or (value.startswith("-") and low >= 0))


def _number(name: str, value: float | str) -> float:
    """A number or a word as a finite number. Raises ConfigError."""
    words = WORDS.get(name, {})
    if isinstance(value, str) and value in words:
        return words[value]
    choices = f"a number{' or ' + ', '.join(words) if words else ''}"
    try:
        number = float(value)
    except ValueError:
        raise ConfigError(f"{name}={value!r} is not understood; give {choices}") from None
    if not np.isfinite(number):
        raise ConfigError(f"{name}={value!r} is not finite; give {choices}")
    return number


def edit_attributes(values: np.ndarray, changes: Mapping[str, float | str]) -> np.ndarray:
    """A copy of an attribute vector [71] with changes applied. Raises ConfigError for names, words and ranges."""
    out = np.array(values, dtype=np.float32)
    for name, value in changes.items():
        targets = _targets(name)
        unit = targets[0] in ATTRIBUTES[group_slice("blendshapes")] or name in WORDS
        low, high = RANGES.get(name, (0.0, 1.0) if unit else (-np.inf, np.inf))
        number, relative = _number(name, value), _relative(value, low)
        if not relative and not low <= number <= high:
            raise ConfigError(f"{name}={value} is out of range; choose {low:g} to {high:g}")
        for i in map(index, targets):
            out[i] = np.clip(out[i] + number if relative else number, low, high)
    return out


def kept_traits(keep: Sequence[str] | None, indices: Sequence[int]) -> Tensor:
    """Which of the traits at `indices` of the vector are kept: bool [T]. None keeps all. Raises ConfigError."""
    if keep is None:
        return torch.ones(len(indices), dtype=torch.bool)
    unknown = set(keep) - set(PERSON_TRAITS)
    if unknown:
        raise ConfigError(f"cannot keep {', '.join(sorted(unknown))}; choose among {', '.join(PERSON_TRAITS)}")
    kept = {index(name) for trait in keep for name in PERSON_TRAITS[trait]}
    return torch.tensor([i in kept for i in indices])
