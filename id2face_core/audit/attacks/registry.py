"""The attacks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..evidence import Evidence
from ..findings import Finding
from . import (
    adaptive,
    identification,
    keys,
    memorisation,
    parrot,
    pseudonyms,
    reconstruction,
    regression,
    traces,
    verification,
)
from .networks import Pulse, no_pulse


@dataclass(frozen=True)
class Settings:
    """rng: of this attack; minutes, pulse: for each that trains a network; key: secret, for A7 only."""

    rng: np.random.Generator = field(repr=False)
    minutes: float = 1.0
    key: bytes | None = field(default=None, repr=False)
    pulse: Pulse = field(default=no_pulse, repr=False)


Attack = Callable[[Evidence, Settings], list[Finding]]


ATTACKS: dict[str, Attack] = {
    "A1": lambda evidence, settings: verification.verify(evidence),
    "A2": lambda evidence, settings: identification.rank(evidence),
    "A3": lambda evidence, settings: identification.sort(evidence, settings.rng),
    "A4": lambda evidence, settings: parrot.parrot(evidence, settings.rng, settings.minutes, settings.pulse),
    "A5": lambda evidence, settings: reconstruction.invert(evidence, settings.rng, settings.minutes, settings.pulse),
    "A6": lambda evidence, settings: regression.regress(evidence, settings.rng),
    "A7": lambda evidence, settings: keys.guess(evidence, settings.key, settings.rng),
    "A8": lambda evidence, settings: pseudonyms.link(evidence),
    "A9": lambda evidence, settings: memorisation.remember(evidence),
    "A10": lambda evidence, settings: pseudonyms.stable(evidence),
    "A11": lambda evidence, settings: pseudonyms.shared(evidence),
    "A12": lambda evidence, settings: traces.metadata(evidence),
    "A13": lambda evidence, settings: traces.missed(evidence),
    "A14": lambda evidence, settings: pseudonyms.diverse(evidence),
    "Adaptive": lambda evidence, settings: adaptive.adapt(evidence, settings.rng),
}
