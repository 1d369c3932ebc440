"""The limits that a release has to keep, each with its worst case over sets and recognisers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .report import share

Figures = Mapping[str, Any]
Gate = dict[str, Any]
FAR = "far_0.001"
SHARES = (  # (key of the utility figures, words, least share)
    ("detected_scrfd", "detector finds the new face", 0.99),
    ("background_untouched", "background untouched, bit for bit", 1.0),
    ("open_mouth_kept", "open mouth stays open", 0.95),
    ("closed_eyes_kept", "closed eyes stay closed", 0.95),
)
ERRORS = (("pose_degrees", "pose error, degrees", 4.0), ("gaze_degrees", "gaze error, degrees", 10.0))


def gates(figures: Figures) -> list[Gate]:
    """Rows {figure, limit, value, where, met}; met is None where nothing was measured. Trained recognisers do not count."""
    limit_a1b = 0.01 if figures["preset"] == "strict" else 0.10
    rows = [
        _privacy(figures, "A1a another photo", 0.01),
        _privacy(figures, "A1b same photo", limit_a1b),
        _below_grey(figures),
        _privacy(figures, "A1c raw new face", 0.003),
        _channel(figures),
    ]
    sets = figures["utility"]
    for key, words, least in SHARES:
        rows.append(_least(words, least, {name: u[key] for name, u in sets.items() if key in u}))
    for key, words in (("age_within_8", "age kept within 8 years"), ("sex_kept", "sex kept")):
        cells = {name: u["person"][key] for name, u in sets.items() if "person" in u}
        rows.append(_least(f"{words} (own reader, optimistic)", 0.95, cells))
        cells = {name: u["person_independent"][key] for name, u in sets.items() if "person_independent" in u}
        rows.append(_least(f"{words} (independent reader)", 0.95, cells))
    for key, words, most in ERRORS:
        found = {name: u[key]["error"] for name, u in sets.items() if key in u}
        rows.append(_most(words, most, found))
    found = {name: u["blendshapes"]["error"] / max(u["blendshapes"]["random_pair"], 1e-9) for name, u in sets.items()
             if "blendshapes" in u}  # fmt: skip
    rows.append(_most("blendshape error over that of random pairs", 1 / 3, found))
    for key in ("skin_lab", "skin_ita_degrees"):
        found = {name: u[key]["error"] / u[key]["two_photos"] for name, u in sets.items()
                 if u.get(key, {}).get("two_photos")}  # fmt: skip
        rows.append(_most(f"{key.replace('_', ' ')} error over that between two photos of one person", 1.0, found))
    cosines = {d["auditor"]: d["mean"] for d in figures["diversity"] if d["mean"] is not None and d["auditor"] != "dlib"}
    rows.append(_most("mean cosine of the new faces of many seeds", 0.3, cosines))
    return rows


def _gate(figure: str, limit: str, value: str = "not measured", where: str = "-", met: bool | None = None) -> Gate:
    return {"figure": figure, "limit": limit, "value": value, "where": where, "met": met}


def _judging(figures: Figures, figure: str, method: str) -> list[Mapping[str, Any]]:
    return [
        r for r in figures["privacy"]
        if r["figure"] == figure and r["method"] == method and not r["trained"] and FAR in r
    ]  # fmt: skip


def _privacy(figures: Figures, figure: str, most: float) -> Gate:
    words, limit = f"{figure}, FAR 1e-3", f"<= {100 * most:g} %"
    rows = _judging(figures, figure, "ours")
    if not rows:
        return _gate(words, limit)
    worst = max(rows, key=lambda r: (r[FAR]["share"], r[FAR]["high"]))
    return _gate(words, limit, share(worst[FAR]), f"{worst['set']}, {worst['auditor']}", worst[FAR]["share"] <= most)


def _below_grey(figures: Figures) -> Gate:
    words, limit = "A1b: ours minus the grey oval", "< 0 points"
    grey = {(r["set"], r["auditor"]): r[FAR]["share"] for r in _judging(figures, "A1b same photo", "grey oval")}
    rows = [r for r in _judging(figures, "A1b same photo", "ours") if (r["set"], r["auditor"]) in grey]
    if not rows:
        return _gate(words, limit)
    excess = {(r["set"], r["auditor"]): r[FAR]["share"] - grey[r["set"], r["auditor"]] for r in rows}
    worst = max(excess, key=lambda key: excess[key])
    # where the grey oval already is at zero nothing can be below it
    met = all(value < 0 or value == grey[key] == 0 for key, value in excess.items())
    return _gate(words, limit, f"{100 * excess[worst]:+.1f} points", ", ".join(worst), met)


def _channel(figures: Figures) -> Gate:
    words = "own identity put back is found, raw, FAR 1e-2"
    cells = {f"{r['set']}, {r['auditor']}": r["raw"] for r in figures["identity_channel"] if not r["trained"]}
    return _least(words, 0.5, cells)


def _least(words: str, least: float, cells: Mapping[str, Mapping[str, Any]]) -> Gate:
    limit = f">= {100 * least:g} %"
    cells = {where: c for where, c in cells.items() if c["trials"]}
    if not cells:
        return _gate(words, limit)
    where = min(cells, key=lambda name: cells[name]["hits"] / cells[name]["trials"])
    cell = cells[where]
    return _gate(words, limit, share(cell), where, cell["hits"] >= least * cell["trials"])


def _most(words: str, most: float, found: Mapping[str, float]) -> Gate:
    limit = f"<= {most:.3g}"
    if not found:
        return _gate(words, limit)
    where = max(found, key=lambda name: found[name])
    return _gate(words, limit, f"{found[where]:.3g}", where, found[where] <= most)


