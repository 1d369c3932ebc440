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
PERSON_TRAITS: dict[str, tuple[str, ...]] = {"age": ("age",), "sex": ("sex",), "skin": ("forehead_L", "forehead_a", "forehead_b")}


def _targets(name: str) -> tuple[str, ...]:
    if name in ALIASES:
        return ALIASES[name]
    if name in ATTRIBUTES:
        return (name,)
    raise ConfigError(f"attribute {name!r} is unknown; choose one of {', '.join((*ALIASES, *ATTRIBUTES))}")


def _number(name: str, value: float | str, old: float) -> float:
    """An absolute value, a word, or a change when it begins with + or - and stands in quotes ("+10")."""
    if isinstance(value, str):
        words = WORDS.get(name, {})
        if value in words:
            return words[value]
        try:
            number = float(value)
        except ValueError:
            choices = f"a number{' or ' + ', '.join(words) if words else ''}"
            raise ConfigError(f"{name}={value!r} is not understood; give {choices}") from None
        return old + number if value.startswith("+") else number
    return float(value)


def edit_attributes(values: np.ndarray, changes: Mapping[str, float | str]) -> np.ndarray:
    """A copy of an attribute vector [71] with changes applied. Raises ConfigError for names, words and ranges."""
    out = np.array(values, dtype=np.float32)
    for name, value in changes.items():
        targets = _targets(name)
        unit = targets[0] in ATTRIBUTES[group_slice("blendshapes")] or name in WORDS
        low, high = RANGES.get(name, (0.0, 1.0) if unit else (-np.inf, np.inf))
        for target in targets:
            i = index(target)
            number = _number(name, value, float(out[i]))
            if not isinstance(value, str) or not value.startswith("+"):
                if not low <= number <= high:
                    raise ConfigError(f"{name}={value} is out of range; choose {low:g} to {high:g}")
            out[i] = np.clip(number, low, high)
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
