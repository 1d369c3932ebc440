"""What a caller may ask for and what comes back. Light: nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from .errors import ConfigError

Mode = Literal["one_sided", "exact", "keyed"]
Policy = Literal["fill", "blur", "withhold"]
MODES: tuple[Mode, ...] = ("one_sided", "exact", "keyed")
POLICIES: tuple[Policy, ...] = ("fill", "blur", "withhold")


@dataclass(frozen=True)
class Preset:
    """One row of `PRESETS`.

    region: what is replaced, see `photograph.compose.ComposeOptions`. margin: greatest cosine of the new identity's latent
    with the source's. temperature: how far new identities spread, in standard deviations of the prior. guidance: how much a
    new face stands out from an average one of its kind, see `diffusion.style_space.guide`. candidates: recompositions that
    are drawn for a face; the best fits are rendered until nothing is wrong, `attempts` in all. limit: greatest cosine of the
    finished picture with the source by our own encoder; above it the face is withheld.
    """

    steps: int
    region: str
    margin: float
    candidates: int
    attempts: int
    temperature: float = 1.75
    guidance: float = 2.0
    limit: float = 0.45


# The margin makes up for what is kept around the face and for the traits that are kept. The temperature takes weight off both,
# so that two draws are less alike; beyond 2 the VAE leaves its range. Guidance does the same for what the recomposer makes of
# them. The limit is a little above our encoder's threshold at FAR 1e-3 (.39 there).
PRESETS: dict[str, Preset] = {
    "fast": Preset(steps=4, region="face", margin=-0.55, candidates=8, attempts=1),
    "balanced": Preset(steps=4, region="face", margin=-0.55, candidates=16, attempts=6),
    "strict": Preset(steps=4, region="head", margin=-0.1, candidates=16, attempts=6),
}


@dataclass(frozen=True)
class AnonymizeOptions:
    """Options of one run.

    Args:
        seed: repeatable result; None draws from the operating system. Not a secret: use a key for that.
        key: secret bytes; the same person and key give the same new face. Never shown by repr.
        consistent: one new face for each person in all pictures of the run, as frames of a clip need it; always so with a key.
        person_ids: with a key, names of the persons in the order in which they are met (else person-0, person-1, ...).
        mode: how the new identity is kept away from the source.
        steps: network calls of the diffusion; None takes the preset's.
        policy: what happens to a face that cannot be anonymized.
        faces: which are anonymized: all, the largest, or positions in the order of detection (largest first).
        keep: names of person attributes that stay (age, sex, skin: its tone and descent); None keeps all.
        set: attributes to change, for instance {"age": "+10", "smile": 0.8}.
    """

    seed: int | None = None
    key: bytes | None = field(default=None, repr=False)
    consistent: bool = False
    person_ids: tuple[str, ...] | None = field(default=None, repr=False)
    mode: Mode = "one_sided"
    steps: int | None = None
    preset: str = "balanced"
    policy: Policy = "fill"
    faces: Literal["all", "largest"] | tuple[int, ...] = "all"
    keep: tuple[str, ...] | None = None
    set: Mapping[str, float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("mode", self.mode, MODES), ("policy", self.policy, POLICIES), ("preset", self.preset, tuple(PRESETS)),
        ):  # fmt: skip
            if value not in choices:
                raise ConfigError(f"{name} is {value!r}; choose one of {', '.join(choices)}")
        if self.mode == "keyed" and self.key is None:
            raise ConfigError("mode 'keyed' needs a key; give --key-file (or key=...)")
        if self.steps is not None and not 1 <= self.steps <= 100:
            raise ConfigError(f"steps is {self.steps}; choose 1 to 100")


@dataclass(frozen=True)
class FaceRecord:
    """What happened to one face. `rendering` is the new face alone (uint8 RGB), for audits; None unless anonymized."""

    box: list[float]
    status: Literal["anonymized", "withheld", "skipped"]
    reason: str = ""
    points: np.ndarray | None = field(default=None, repr=False)
    rendering: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True)
class PictureResult:
    """One picture's result. picture: uint8 [H, W, 3], or None when the whole picture is withheld."""

    picture: np.ndarray | None = field(repr=False)
    mask: np.ndarray = field(repr=False)
    status: Literal["anonymized", "withheld", "no_face", "skipped"]
    faces: list[FaceRecord]
