"""The schema of the attribute vector. Face-shape ratios are identity and are not in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

BLENDSHAPES: tuple[str, ...] = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)  # fmt: skip
# Where each blendshape is found in a mirrored face.
MIRRORED = tuple(BLENDSHAPES.index(n.replace("Left", "#").replace("Right", "Left").replace("#", "Right")) for n in BLENDSHAPES)
PATCHES = ("forehead", "left_cheek", "right_cheek", "chin")
GROUPS: dict[str, tuple[str, ...]] = {
    "pose": ("yaw", "pitch"),  # degrees
    "gaze": ("gaze_x", "gaze_y"),  # iris offset over the width of the eye; right and down positive
    "blendshapes": BLENDSHAPES,  # 0..1
    "person": ("age", "sex", "glasses"),  # years; 0 female .. 1 male; 0..1
    "skin": tuple(f"{patch}_{axis}" for patch in PATCHES for axis in ("L", "a", "b")),  # CIE Lab
}
ATTRIBUTES: tuple[str, ...] = tuple(name for names in GROUPS.values() for name in names)
GROUP_SIZES: tuple[int, ...] = tuple(len(names) for names in GROUPS.values())


def index(name: str) -> int:
    """Position of an attribute. Raises ConfigError."""
    try:
        return ATTRIBUTES.index(name)
    except ValueError:
        raise ConfigError(f"attribute {name!r} is unknown; see id2face_core.attributes.vector.ATTRIBUTES") from None


def with_groups(vector: Tensor, other: Tensor, *groups: str) -> Tensor:
    """A vector [..., A] with some of its groups taken from another one."""
    out = vector.clone()
    for group in groups:
        out[..., group_slice(group)] = other[..., group_slice(group)]
    return out


def group_slice(group: str) -> slice:
    """Where a group lies in the vector."""
    start = sum(len(names) for name, names in GROUPS.items() if list(GROUPS).index(name) < list(GROUPS).index(group))
    return slice(start, start + len(GROUPS[group]))
