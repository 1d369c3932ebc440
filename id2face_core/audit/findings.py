"""What an attack hands back: figures, its positive control, its gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from .statistics import exact_interval, rate

State = Literal["run", "not run", "invalid"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Control:
    """The attack on something that must fall to it. fired: it did, so the attack can be believed."""

    name: str
    value: str
    fired: bool


@dataclass(frozen=True)
class Gate:
    """limit, value: in words. met: by the figure; proven: by the whole 95 % interval too; lead: the stricter aim."""

    limit: str
    value: str
    met: bool
    proven: bool | None = None
    lead: bool | None = None


@dataclass(frozen=True)
class Finding:
    """One attack on one material. rows: figures for JSON and report, worst first; curves: for charts."""

    attack: str
    title: str
    reference: str
    state: State = "run"
    reason: str = ""
    rows: tuple[Row, ...] = ()
    control: Control | None = None
    gate: Gate | None = None
    note: str = ""
    curves: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "attack": self.attack, "title": self.title, "reference": self.reference, "state": self.state,
            "reason": self.reason, "note": self.note, "rows": list(self.rows), "curves": dict(self.curves),
            "control": None if self.control is None else vars(self.control),
            "gate": None if self.gate is None else vars(self.gate),
        }  # fmt: skip


def not_run(attack: str, title: str, reference: str, reason: str) -> Finding:
    """The material does not allow the attack: that is never a pass."""
    return Finding(attack, title, reference, "not run", reason)


def checked(finding: Finding) -> Finding:
    """A finding whose control did not fire proves nothing: it becomes invalid."""
    if finding.state != "run" or finding.control is None or finding.control.fired:
        return finding
    failed = f"{finding.control.name}: {finding.control.value}"
    reason = f"the positive control did not fire ({failed}); too little material, or a fault"
    return replace(finding, state="invalid", reason=reason)


def share_row(judge: str, what: str, scores: np.ndarray, threshold: float, failures: int = 0) -> Row:
    """Share of scores above a threshold, with its exact interval; failures (no picture, no face) count as hits."""
    return {"judge": judge, "what": what, **rate(scores, threshold, failures).as_dict()}


def count_row(judge: str, what: str, hits: int, trials: int, **more: Any) -> Row:
    """Share of trials, with its exact interval."""
    low, high = exact_interval(hits, trials)
    share = hits / trials if trials else 0.0
    return {"judge": judge, "what": what, "hits": hits, "trials": trials, "low": low, "high": high, "share": share, **more}


def percent(value: float) -> str:
    """`3.1 %`, with two decimals below one percent."""
    return f"{100 * value:.2f} %" if 0 < value < 0.01 else f"{100 * value:.1f} %"


def in_words(row: Mapping[str, Any]) -> str:
    """`3.0 % [0.6, 8.5] of 100`; zero hits as the upper bound that they prove."""
    if not row["trials"]:
        return "-"
    if not row["hits"]:
        return f"0 of {row['trials']} (below {percent(row['high'])})"
    return f"{percent(row['share'])} [{100 * row['low']:.1f}, {100 * row['high']:.1f}] of {row['trials']}"


def worst_share(rows: Sequence[Row]) -> Row:
    """The row with the greatest share, and of equal ones the least certain."""
    return max(rows, key=lambda row: (row["share"], row["high"]))


def share_gate(rows: Sequence[Row], most: float, lead: float | None = None) -> Gate:
    """Worst share at most `most`. `proven` when its upper bound is too."""
    worst = worst_share(rows)
    reached = None if lead is None else worst["share"] <= lead
    words = f"{in_words(worst)}, {worst['judge']}"
    return Gate(f"≤ {percent(most)}", words, worst["share"] <= most, worst["high"] <= most, reached)


def sorted_rows(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Worst first."""
    return tuple(sorted(rows, key=lambda row: (-row["share"], -row["high"])))
