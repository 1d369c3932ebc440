"""An audit as one HTML page that stands alone: no script, no link to anywhere, light and dark, and it prints."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np
from PIL import Image

from ..pictures import read_picture
from . import charts
from .contact_sheet import contact_sheet, face_window
from .findings import Finding, in_words
from .runner import Audited
from .wording import LIMITS, MEANING, QUESTIONS, STATES, TERMS, VERDICTS

WORST_CASES = 16
Document = Mapping[str, Any]


def page(document: Document, audited: Audited, show_originals: bool = False) -> str:
    """The whole page. show_originals: the originals stand beside the worst cases; else only what was published."""
    css = (resources.files(__package__) / "report.css").read_text(encoding="utf-8")
    parts = [
        _head(document), _gates(document), _worst(audited, show_originals),
        *(_finding(finding) for finding in audited.findings if finding.state != "not run"),
        _not_measured(document), _utility(document["utility"]), _fairness(document["fairness"]), _material(document),
        _terms(),
    ]  # fmt: skip
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Anonymity audit: {document['verdict']}</title><style>{css}</style></head><body>\n"
        + "\n".join(part for part in parts if part) + "\n</body></html>\n"
    )  # fmt: skip


def _head(document: Document) -> str:
    material, verdict = document["material"], document["verdict"]
    people = f", {material['people']} named people" if material["people"] else ", nobody named"
    titles = {f["attack"]: f["title"] for f in document["findings"]}
    faults = "".join(f"<li>{escape(_plain(fault, titles))}</li>" for fault in document["faults"])
    made = document["made"].replace("T", " ").replace("+00:00", " UTC")
    return (
        f"<header><h1>Anonymity audit</h1><p class=soft>{escape(made)} · {material['pairs']:,} pairs of pictures, "
        f"{material['faces']:,} faces{people}</p></header>"
        f'<div class="verdict {verdict}"><strong>{escape(VERDICTS[verdict])}</strong>'
        + (f"<ul>{faults}</ul>" if faults else "") + f"<p class=soft>{escape(LIMITS)}</p></div>"
    )  # fmt: skip


def _plain(fault: str, titles: Mapping[str, str]) -> str:
    """A fault with the attack's title beside its number."""
    attack, _, rest = fault.partition(": ")
    return f"{attack.rstrip('-')} {titles[attack]}: {rest}" if attack in titles else fault


def _gates(document: Document) -> str:
    rank = {"no": 0, "invalid": 1, "yes": 2, "not run": 3}
    rows = []
    for finding in document["findings"]:
        gate = finding["gate"]
        word = finding["state"] if finding["state"] != "run" else "yes" if gate and gate["met"] else "no" if gate else ""
        if word:
            rows.append((rank[word], word, finding, gate))
    body = "".join(_gate_row(word, finding, gate) for _, word, finding, gate in sorted(rows, key=lambda row: row[0]))
    return (
        "<section><h2>The limits, worst first</h2><div class=wide><table><thead><tr><th>Attack</th><th>Limit</th>"
        f"<th>Worst figure [95 % interval] of N</th><th>Holds</th></tr></thead><tbody>{body}</tbody></table></div>"
        "<p class=note>“Holds” is about the figure; “proven” means that the whole 95 % interval lies within the limit too. "
        "“Aim” is the stricter figure that the project strives for.</p></section>"
    )


def _gate_row(word: str, finding: Mapping[str, Any], gate: Mapping[str, Any] | None) -> str:
    name = f"<b>{escape(finding['attack'].rstrip('-'))}</b> {escape(finding['title'])}"
    if gate is None or word in ("invalid", "not run"):
        value = f"<td colspan=2>{escape(finding['reason'])}</td>"
    else:
        value = f"<td>{escape(gate['limit'])}</td><td>{escape(gate['value'])}</td>"
    extra = ""
    if word == "yes" and gate is not None:
        extra = {True: ", proven", False: ", not proven", None: ""}[gate["proven"]] + (", aim reached" if gate["lead"] else "")
    return f"<tr><td>{name}</td>{value}<td class={STATES[word][1]}>{STATES[word][0]}{extra}</td></tr>"


def _finding(finding: Finding) -> str:
    question, meaning = QUESTIONS.get(finding.attack, ""), MEANING.get(finding.attack, "")
    parts = [f"<section><h3>{escape(finding.attack.rstrip('-'))}: {escape(finding.title)}</h3>", f"<p>{escape(question)}</p>"]
    if finding.state == "invalid":
        parts.append(f"<p class=no>Not valid: {escape(finding.reason)}</p>")
    parts += [_charts(finding), _rows(finding.rows)]
    if finding.control is not None:
        fired = "it fired" if finding.control.fired else "it did not fire"
        control = f"Positive control: {finding.control.name}: {finding.control.value}; {fired}."
        parts.append(f"<p class=note>{escape(control)}</p>")
    notes = " ".join(n for n in (meaning, finding.note) if n)
    parts.append(f"<p class=note>{escape(notes)}</p><p class=note>Reference: {escape(finding.reference)}</p></section>")
    return "".join(parts)


def _charts(finding: Finding) -> str:
    drawn = []
    if finding.attack in ("A1a", "A1b"):
        shown = [row for row in finding.rows if row["trials"]]
        limit = 0.01 if finding.attack == "A1a" else 0.1
        drawn.append(("Share recognised, with 95 % intervals; dashed: the limit for “anonymized”",
                      charts.intervals(shown, limit, finding.title)))  # fmt: skip
        drawn += [(f"Scores of {judge}", charts.histogram(data, judge)) for judge, data in finding.curves.items()]
    elif finding.attack == "A2" and finding.curves:
        drawn.append(("Share of people found among the first ranks", charts.curves(finding.curves, True, finding.title)))
    return "".join(f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>" for caption, svg in drawn)


HIDDEN = {"judge", "what", "hits", "trials", "low", "high", "share", "informative", "failures"}


def _rows(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    more = [key for key in dict.fromkeys(k for row in rows for k in row) if key not in HIDDEN]
    head = "<th>What</th><th>Judge</th>" + ("<th>Share [95 %] of N</th>" if "share" in rows[0] else "<th>N</th>")
    head += "".join(f"<th>{escape(key.replace('_', ' '))}</th>" for key in more)
    body = []
    for row in rows:
        figure = in_words(row) if "share" in row else f"{row['trials']:,}"
        cells = "".join(f"<td class=number>{_number(row.get(key))}</td>" for key in more)
        names = f"<td>{escape(row['what'])}</td><td>{escape(row['judge'])}</td>"
        body.append(f"<tr>{names}<td class=number>{figure}</td>{cells}</tr>")
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else escape(str(value))


def _worst(audited: Audited, show_originals: bool) -> str:
    evidence = audited.evidence
    limits = {name: t.scores.get(1e-3) for name, t in evidence.thresholds.items()}
    cases = []
    for row in evidence.rows:
        gaps = [
            float(evidence.auditors[name].scores(views["anonymized"], views["original"])) - float(limit)
            for name, views in row.vectors.items() if "anonymized" in views and (limit := limits.get(name)) is not None
        ]  # fmt: skip
        if gaps:
            cases.append((max(gaps), row))
    cells = []
    for gap, row in sorted(cases, key=lambda case: -case[0])[:WORST_CASES]:
        pair = evidence.pairs[row.pair]
        assert pair.anonymized is not None
        after, before = read_picture(pair.anonymized.read_bytes()), read_picture(pair.original.read_bytes())
        scale = np.array([after.shape[1] / before.shape[1], after.shape[0] / before.shape[0]])
        shown = [face_window(after, row.points * scale, 128)]
        cells.append((f"{gap:+.2f}", [face_window(before, row.points, 128), *shown] if show_originals else shown))
    if not cells:
        return ""
    out = io.BytesIO()
    Image.fromarray(contact_sheet(cells, 4 if show_originals else 8)).save(out, "JPEG", quality=85)
    data = base64.b64encode(out.getvalue()).decode()
    sides = "before and after" if show_originals else "anonymized side only"
    return (
        f"<section><h2>The most recognisable faces</h2><figure><img class=sheet alt='' src='data:image/jpeg;base64,{data}'>"
        f"<figcaption>{sides}; the number is the score above (+) or below (-) the threshold of the judge that is nearest to "
        "recognising the same photograph.</figcaption></figure></section>"
    )  # fmt: skip


def _not_measured(document: Document) -> str:
    if not document["not_measured"]:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in document["not_measured"])
    return f"<section><h2>Not measured</h2><p>An attack that could not run is no pass.</p><ul>{items}</ul></section>"


def _utility(figures: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(e['what'])}</td><td>{escape(e['unit'])}</td>"
        f"<td class=number>{e['mean']:.3g} [{e['low']:.3g}, {e['high']:.3g}] of {e['trials']}</td>"
        f"<td class=number>{e['random_pair']:.3g}</td></tr>" for e in figures["errors"]
    )  # fmt: skip
    frechet = figures.get("frechet")
    lines = []
    if figures["sharpness_ratio"] is not None:
        lines.append(f"Sharpness of the new faces over the old: {figures['sharpness_ratio']:.2f} (median).")
    if figures["background_difference"] is not None:
        lines.append(f"Mean difference away from faces: {figures['background_difference']:.2f} grey levels.")
    if frechet and frechet["distance"] is not None:
        lines.append(f"Frechet distance, {frechet['features']}: {frechet['distance']:.1f}; real against real "
                     f"{frechet['floor']:.1f} (N = {frechet['n']} each).")  # fmt: skip
    return (
        "<section><h2>What stayed of the moment</h2><div class=wide><table><thead><tr><th>Error of</th><th>Unit</th>"
        f"<th>Mean [95 %] of N</th><th>Two random people</th></tr></thead><tbody>{rows}</tbody></table></div>"
        f"{_perceptual(figures.get('lpips'))}{_rows(figures['shares'])}<p>{escape(' '.join(lines))}</p>"
        f"<p class=note>Read by {escape(figures['reader'])}.</p></section>"
    )


def _perceptual(found: Mapping[str, Any] | None) -> str:
    if not found or not found["rows"]:
        return ""
    body = "".join(
        f"<tr><td>{escape(r['what'])}</td>"
        f"<td class=number>{r['mean']:.3f} [{r['low']:.3f}, {r['high']:.3f}] of {r['trials']}</td>"
        f"<td class=number>{_number(r['random_pair'])}</td><td class=number>{_number(r['jpeg_50'])}</td></tr>"
        for r in found["rows"]
    )  # fmt: skip
    return (
        "<div class=wide><table><thead><tr><th>How different it looks</th><th>Mean [95 %] of N</th><th>Two random people</th>"
        f"<th>A JPEG of quality 50</th></tr></thead><tbody>{body}</tbody></table></div>"
        f"<p class=note>{escape(found['network'])}.</p>"
    )


def _fairness(tables: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for table in tables:
        body = "".join(
            f"<tr><td>{escape(g['group'])}</td><td class=number>{g['faces']}</td>"
            + "".join(f"<td>{_share(g[k])}</td>" for k in ("same_photograph", "another_photograph", "missed"))
            + "</tr>"
            for g in table["groups"]
        )  # fmt: skip
        parts.append(
            f"<h3>By {escape(table['column'])}</h3><div class=wide><table><thead><tr><th>Group</th><th>Faces</th>"
            "<th>Recognised, same photograph</th><th>Recognised, another</th><th>Left as they were</th></tr></thead>"
            f"<tbody>{body}</tbody></table></div>"
        )
        if table["spread"]:
            s = table["spread"]
            parts.append(f"<p>Worst group: {escape(s['worst'])}, {100 * s['share']:.1f} % against {100 * s['mean']:.1f} % "
                         "in the mean of groups of ten faces and more.</p>")  # fmt: skip
    return f"<section><h2>By group</h2>{''.join(parts)}</section>" if parts else ""


def _terms() -> str:
    body = "".join(f"<dt>{escape(term)}</dt><dd>{escape(meaning)}</dd>" for term, meaning in TERMS.items())
    return f"<section><h2>Words</h2><dl>{body}</dl></section>"


def _share(row: Mapping[str, Any] | None) -> str:
    return "–" if row is None else in_words(row) + (f", {escape(row['judge'])}" if row["judge"] != "detector" else "")


def _material(document: Document) -> str:
    judges = "".join(
        f"<tr><td>{escape(j['name'])}</td><td class=number>{_thresholds(j)}</td><td>{escape(j['source'])}"
        f" ({j['impostor_pairs'] or 0:,} pairs)</td><td><code>{j['sha256'][:16]}…</code></td></tr>" for j in document["judges"]
    )  # fmt: skip
    states = ", ".join(f"{count} {state}" for state, count in sorted(document["material"]["states"].items()))
    versions = ", ".join(f"{name} {version}" for name, version in document["software"].items())
    return (
        "<section><h2>Judges and material</h2><div class=wide><table><thead><tr><th>Recogniser</th>"
        f"<th>Threshold at FAR 0.001</th><th>Fixed on</th><th>SHA-256</th></tr></thead><tbody>{judges}</tbody></table></div>"
        f"<p>Pictures: {escape(states)}; {document['material']['too_small']} faces below 16 px were not judged. "
        f"Detectors: {escape(', '.join(document['material']['detectors']))}. Seed {document['material']['seed']}.</p>"
        f"<p class=note>{escape(versions)}. Weights of this installation: "
        f"<code>{escape(document['model']['weights_sha256'])}</code></p>"
        "</section>"
    )


def _thresholds(judge: Mapping[str, Any]) -> str:
    scores = judge["thresholds"] or {}
    return f"{scores['0.001']:.3f}" if "0.001" in scores else "–"
