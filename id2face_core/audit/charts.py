"""Charts as inline SVG: no script, no font, no file from elsewhere. Colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 220, 44, 34, 12


def histogram(data: Mapping[str, Any], label: str) -> str:
    """Histograms over common bins: {"edges", "shares": {name: [bins]}, "n": {name: N}, "threshold"}."""
    edges, shares = data["edges"], data["shares"]
    top = max((max(s) for s in shares.values() if s), default=0) or 1.0
    low, high = edges[0], edges[-1]

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - 8) * (value - low) / max(high - low, 1e-9)

    parts = []
    for number, (name, bars) in enumerate(shares.items()):
        points = [(x(edges[0]), _y(0.0))]
        for i, bar in enumerate(bars):
            points += [(x(edges[i]), _y(bar / top)), (x(edges[i + 1]), _y(bar / top))]
        points.append((x(edges[-1]), _y(0.0)))
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polygon class="s{number}" points="{path}"><title>{escape(name)}</title></polygon>')
    if data.get("threshold") is not None:
        at = x(data["threshold"])
        if LEFT <= at <= WIDTH:
            parts.append(f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{_y(0):.1f}"/>')
            parts.append(f'<text x="{at + 4:.1f}" y="{TOP + 10}">threshold {data["threshold"]:.2f}</text>')
    ticks = [low + (high - low) * k / 5 for k in range(6)]
    axis = "".join(f'<text class="mid" x="{min(x(t), WIDTH - 16):.1f}" y="{HEIGHT - 16}">{t:.2f}</text>' for t in ticks)
    names = [f"{name} (N = {data['n'][name]:,})" for name in shares]
    return _svg(f"{label}: similarity score", [*parts, axis, _baseline(), _axis_label("similarity score")]) + legend(names)


def curves(data: Mapping[str, Sequence[float]], chance: bool, label: str, most: int = 50) -> str:
    """Cumulative rank curves {name: share found up to rank 1, 2, ...}, with the diagonal of chance."""
    size = max(len(c) for c in data.values())
    shown = min(size, most)

    def x(rank: float) -> float:
        return LEFT + (WIDTH - LEFT - 8) * (rank - 1) / max(shown - 1, 1)

    parts = []
    for number, curve in enumerate(data.values()):
        points = " ".join(f"{x(r + 1):.1f},{_y(v):.1f}" for r, v in enumerate(curve[:shown]))
        parts.append(f'<polyline class="c{number}" points="{points}"/>')
    if chance:
        ends = f'x1="{x(1):.1f}" y1="{_y(1 / size):.1f}" x2="{x(shown):.1f}" y2="{_y(shown / size):.1f}"'
        parts.append(f'<line class="limit" {ends}/>')
    step = max(1, shown // 8)
    ranks = range(1, shown + 1, step)
    axis = "".join(f'<text class="mid" x="{x(r):.1f}" y="{HEIGHT - 16}">{r}</text>' for r in ranks)
    axis += "".join(f'<text class="end" x="{LEFT - 6}" y="{_y(v) + 4:.1f}">{100 * v:.0f} %</text>' for v in (0, 0.5, 1))
    return _svg(label, [*parts, axis, _baseline(), _axis_label("rank")]) + legend([*data], "chance" if chance else "")


def intervals(rows: Sequence[Mapping[str, Any]], limit: float | None, label: str) -> str:
    """Shares with their 95 % intervals, one line a row, and a dashed limit. Rows: what, judge, share, low, high."""
    names = [f"{row['what']}, {row['judge']}" for row in rows]
    left, line = min(380, 16 + 6.4 * max(map(len, names), default=0)), 20
    height = line * len(rows) + 40

    def x(share: float) -> float:
        return left + (WIDTH - left - 28) * share

    parts = []
    for i, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = 14 + line * i
        parts.append(f'<text class="end" x="{left - 10:.0f}" y="{y + 4}">{escape(name)}</text>')
        parts.append(f'<line class="bar" x1="{x(row["low"]):.1f}" x2="{x(row["high"]):.1f}" y1="{y}" y2="{y}"/>')
        parts.append(f'<circle class="dot" cx="{x(row["share"]):.1f}" cy="{y}" r="4"/>')
    if limit is not None:
        parts.append(f'<line class="limit" x1="{x(limit):.1f}" x2="{x(limit):.1f}" y1="2" y2="{height - 26}"/>')
    parts += [f'<text class="mid" x="{x(v):.1f}" y="{height - 8}">{100 * v:.0f} %</text>' for v in (0, 0.25, 0.5, 0.75, 1)]
    return _svg(label, parts, height)


def legend(names: Sequence[str], dashed: str = "") -> str:
    """Names beside the colours of a chart; dashed: what the dashed line is."""
    items = "".join(f'<li><i class="k{i}"></i>{escape(name)}</li>' for i, name in enumerate(names))
    items += f'<li><i class="dash"></i>{escape(dashed)}</li>' if dashed else ""
    return f'<ul class="legend">{items}</ul>'


def _y(share: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - share)


def _baseline() -> str:
    return f'<line class="axis" x1="{LEFT}" x2="{WIDTH - 8}" y1="{_y(0):.1f}" y2="{_y(0):.1f}"/>'


def _axis_label(text: str) -> str:
    return f'<text class="mid" x="{(LEFT + WIDTH) / 2:.0f}" y="{HEIGHT - 3}">{escape(text)}</text>'


def _svg(label: str, parts: Sequence[str], height: int = HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">' + "".join(parts) + "</svg>"
    )  # fmt: skip
