"""Figures as Markdown: every share with its N and exact 95 % interval, the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..audit.statistics import exact_interval

ORDER = ("A1a another photo", "A1b same photo", "A1c raw new face", "strangers", "strangers alike", "genuine")


def markdown(figures: Mapping[str, Any]) -> str:
    """The whole report."""
    parts = ["# Figures", _preamble(figures)]
    if figures.get("gates"):
        parts.append(_gates(figures["gates"]))
    parts.append(_thresholds(figures["thresholds"]))
    for trained in (False, True):
        rows = [r for r in figures["privacy"] if r["trained"] is trained]
        if rows:
            parts.append(_privacy(rows, trained))
    if figures.get("identity_channel"):
        parts.append(_channel(figures["identity_channel"]))
    parts += [_utility(name, u) for name, u in figures.get("utility", {}).items()]
    if figures.get("groups"):
        parts.append(_groups(figures["groups"]))
    if figures.get("diversity"):
        lines = [
            f"- {d['auditor']}: {d['seeds']} seeds, mean {d['mean']:.3f}, largest {d['max']:.3f}"
            for d in figures["diversity"]
        ]
        parts.append("## Diversity: scores between the new faces of one picture\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _preamble(figures: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{name}: {n}" for name, n in figures["pictures"].items())
    states = "; ".join(
        f"{name}: " + ", ".join(f"{n} {s}" for s, n in sorted(counted.items()))
        for name, counted in figures["states"].items()
    )
    return (
        f"Pictures: {counts}. Preset {figures['preset']}, seed {figures['seed']}.\n"
        + (f"Outcome of the known faces: {states}.\n" if states else "")
        + "The face is read where it was in the source, so that none escapes by not being detected; a withheld picture "
        "or an undetected rendering counts as found. Pairs that share a picture are not independent: the intervals "
        "(exact binomial, 95 %) are then too narrow. These recognisers are small: not found by them is not unfindable."
    )


def _gates(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = ["## Worst cases", "| figure | limit | worst | where | met |", "|---|---|---|---|---|"]
    words = {True: "yes", False: "**no**", None: "-"}
    lines += [f"| {r['figure']} | {r['limit']} | {r['value']} | {r['where']} | {words[r['met']]} |" for r in rows]
    return "\n".join(lines)


def _channel(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "## Own identity put back: share found again at FAR 1e-2 (should be >= 50 %)",
        "| set | recogniser | raw new face | mean score | composed | mean score |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for r in sorted(rows, key=lambda r: r["raw"]["hits"] / max(r["raw"]["trials"], 1)):
        cells = [c for part in (r["raw"], r["composed"]) for c in (share(part), _score(part["mean"]))]
        name = r["auditor"] + (" (took part in training)" if r["trained"] else "")
        lines.append(f"| {r['set']} | {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _groups(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "## By group (labels of the data set; the groups overlap)",
        "| set | group | pictures | same photo, FAR 1e-3 | mean score | age within 8 years | age bias | sex kept | descent kept "
        "| gaze | blendshapes | skin |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for r in rows:
        shares = [share(r["a1b"]), _score(r["a1b"]["mean"])] if "a1b" in r else ["-", "-"]
        person = ["-"] * 4
        if "sex_kept" in r:
            person = [share(r["age_within_8"]), _number(r["age_bias_years"]), share(r["sex_kept"]), share(r["descent_kept"])]
        errors = [_score(r.get(key)) for key in ("gaze_degrees", "blendshapes", "skin_lab")]
        lines.append(f"| {r['set']} | {r['group']} | {r['n']} | {' | '.join(shares + person + errors)} |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _thresholds(rows: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "## Thresholds, fitted on real strangers",
        "| pool | recogniser | impostor pairs | mean | FAR 1e-3 | FAR 1e-2 |",
    ]
    lines.append("|---|---|---|---|---|---|")
    for r in rows:
        cells = (f"{r['scores'][f]:.3f}" if f in r["scores"] else "-" for f in ("0.001", "0.01"))
        lines.append(f"| {r['pool']} | {r['auditor']} | {r['impostors']:,} | {r['mean']:.3f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def share(cell: Mapping[str, Any]) -> str:
    """`3.0 % [0.6, 8.5] of 100` from hits and trials."""
    hits, trials = cell["hits"], cell["trials"]
    if not trials:
        return "-"
    low, high = exact_interval(hits, trials)
    return f"{100 * hits / trials:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {trials}"


def _privacy(rows: Sequence[Mapping[str, Any]], trained: bool) -> str:
    title = (
        "Recognisers that took part in training (they do not judge)"
        if trained
        else "Privacy (recognisers that trained nothing)"
    )
    lines = [f"## {title}", "Share scored as the same person.", ""]
    lines += [
        "| figure | method | set | recogniser | at FAR 1e-3 | mean score | at FAR 1e-2 |",
        "|---|---|---|---|---|---|---|",
    ]

    def key(row: Mapping[str, Any]) -> tuple[int, bool, str, float, float]:
        cell = row.get("far_0.001") or row["far_0.01"]
        rank = ORDER.index(row["figure"])
        return rank, row["method"] != "ours", row["method"], -cell["share"], -(cell["mean"] or 0.0)

    for row in sorted(rows, key=key):
        strict, loose = row.get("far_0.001"), row.get("far_0.01")
        cell = strict or loose
        mean = "-" if cell is None or cell["mean"] is None else f"{cell['mean']:.3f}"
        shares = [share(c) if c else "-" for c in (strict, loose)]
        lines.append(
            f"| {row['figure']} | {row['method']} | {row['set']} | {row['auditor']} "
            f"| {shares[0]} | {mean} | {shares[1]} |"
        )
    return "\n".join(lines)


def _utility(name: str, figures: Mapping[str, Any]) -> str:
    lines = [f"## Utility on {name} ({figures['n']} pictures)", "| figure | value |", "|---|---|"]
    for key, value in figures.items():
        if isinstance(value, Mapping):
            lines.append(f"| {key.replace('_', ' ')} | {_cell(value)} |")
    return "\n".join(lines)


def _cell(value: Mapping[str, Any]) -> str:
    if set(value) == {"hits", "trials"}:
        return share(value)
    parts = []
    for key, item in value.items():
        if item is None:
            continue
        if isinstance(item, Mapping) and set(item) != {"hits", "trials"}:
            shown = f"({_cell(item)})"
        else:
            shown = share(item) if isinstance(item, Mapping) else f"{item:.3g}" if isinstance(item, float) else str(item)
        parts.append(f"{key.replace('_', ' ')} {shown}")
    return "; ".join(parts)
