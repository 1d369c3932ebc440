"""One line that says how a network's training goes: rewritten on a terminal, now and then a new one elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

QUIET_SECONDS = 30.0  # between lines where there is no terminal


class Progress:
    """Shows time or steps of the budget, losses, speed and utilisation on stderr."""

    def __init__(self, name: str, seconds: float, steps: int, speaks: bool) -> None:
        self._name, self._seconds, self._steps, self._speaks = name, seconds, steps, speaks
        self._terminal = sys.stderr.isatty()
        self._shown = time.monotonic() if not self._terminal else 0.0
        self._open = False

    def show(self, elapsed: float, step: int, terms: Mapping[str, float], speed: float, utilisation: float, rate: float) -> None:
        """Print, unless that was done a moment ago."""
        now = time.monotonic()
        if not self._speaks or now - self._shown < (0.2 if self._terminal else QUIET_SECONDS):
            return
        self._shown = now
        budget = f" of {self._seconds / 60:.1f}" if self._seconds > 0 else ""
        steps = f"{step:,} of {self._steps:,}" if self._steps else f"{step:,}"
        parts = ", ".join(f"{name} {value:.3f}" for name, value in terms.items() if value)
        text = (
            f"{self._name}  {elapsed / 60:.1f}{budget} min  step {steps}  loss {sum(terms.values()):.4f} ({parts})  "
            f"{speed:,.0f} samples/s  MFU {utilisation:.0%}  lr {rate:.1e}"
        )
        self._open = self._terminal
        print(("\r\033[K" if self._terminal else "") + text, end="" if self._terminal else "\n", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the line."""
        if self._open:
            print(file=sys.stderr, flush=True)
