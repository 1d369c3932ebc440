"""What a network's training did, and one line that says how it goes: rewritten on a terminal, else a new one now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

QUIET_SECONDS = 30.0  # between lines where there is no terminal


@dataclass(frozen=True)
class Fit:
    """What a run of the loop did. seconds: those of earlier runs too; loss: the mean of the last logged rows."""

    steps: int
    seconds: float
    samples_per_second: float
    utilisation: float
    precision: str
    batch: int
    loss: float

    def __str__(self) -> str:
        return (
            f"{self.steps:,} steps of {self.batch} in {self.seconds / 60:.1f} min, {self.samples_per_second:,.0f} samples/s, "
            f"MFU {self.utilisation:.0%}, {self.precision}, loss {self.loss:.4f}"
        )


class Progress:
    """Shows time or steps of the budget, losses, speed and utilisation on stderr."""

    def __init__(self, name: str, seconds: float, steps: int, speaks: bool) -> None:
        self._name, self._seconds, self._steps, self._speaks = name, seconds, steps, speaks
        self._terminal = sys.stderr.isatty()
        self._shown = 0.0 if self._terminal else time.monotonic()
        self._open = False

    def show(self, done: Fit, terms: Mapping[str, float], rate: float) -> None:
        """Print, unless that was done a moment ago. terms: the last losses; rate: of learning."""
        now = time.monotonic()
        if not self._speaks or now - self._shown < (0.2 if self._terminal else QUIET_SECONDS):
            return
        self._shown = now
        budget = f" of {self._seconds / 60:.1f}" if self._seconds > 0 else ""
        steps = f"{done.steps:,} of {self._steps:,}" if self._steps else f"{done.steps:,}"
        parts = ", ".join(f"{name} {value:.3f}" for name, value in terms.items() if value)
        text = (
            f"{self._name}  {done.seconds / 60:.1f}{budget} min  step {steps}  loss {done.loss:.4f} ({parts})  "
            f"{done.samples_per_second:,.0f} samples/s  MFU {done.utilisation:.0%}  lr {rate:.1e}"
        )
        self._open = self._terminal
        print(("\r\033[K" if self._terminal else "") + text, end="" if self._terminal else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line."""
        if self._open:
            print(file=sys.stderr, flush=True)
