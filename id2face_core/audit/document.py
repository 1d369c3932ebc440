"""An audit as one JSON document, and its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import numpy as np

from ..assets import weights_digest
from .evidence import Evidence
from .findings import Finding
from .runner import Audited, Plan
from .utility import fairness, utility
from .wording import LIMITS, STATES, VERDICTS

SCHEMA = "id2face-audit/1"
PACKAGES = ("id2face", "numpy", "scipy", "torch", "onnxruntime", "pillow", "dlib-bin", "insightface")
HELD, MISSED = "held", "missed"


def verdict(findings: Sequence[Finding], asked: Sequence[str] = ()) -> tuple[str, list[str]]:
    """("held" or "missed", why not). Every gate that was measured must hold, one at least must have been.

    An attack whose control did not fire proves nothing, and one that was asked for by name must run: both are a miss.
    """
    faults = []
    for finding in findings:
        if finding.state == "invalid":
            faults.append(f"{finding.attack} is invalid: {finding.reason}")
        elif finding.state == "not run" and finding.attack.rstrip("abc-") in asked and _alone(finding, findings):
            faults.append(f"{finding.attack} was asked for and could not run: {finding.reason}")
        elif finding.gate is not None and not finding.gate.met:
            faults.append(f"{finding.attack}: {finding.gate.value}; the limit is {finding.gate.limit}")
    if not any(finding.gate is not None and finding.state == "run" for finding in findings):
        faults.append("no gate could be measured")
    return (MISSED if faults else HELD), faults


def _alone(finding: Finding, findings: Sequence[Finding]) -> bool:
    """Whether nothing of the attack ran: A1 is asked for, and of A1a, A1b, A1c one may be impossible."""
    base = finding.attack.rstrip("abc-")
    return not any(f.attack.rstrip("abc-") == base and f.state != "not run" for f in findings)


def document(audited: Audited, plan: Plan) -> dict[str, Any]:
    """The whole audit for audit.json. It names files, so it is to be treated as the originals are."""
    evidence, found = audited.evidence, verdict(audited.findings, plan.attacks)
    return {
        "schema": SCHEMA, "verdict": found[0], "faults": found[1],
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "not_measured": [f"{f.attack}: {f.reason}" for f in audited.findings if f.state == "not run"],
        "software": _software(), "model": {"name": "id2face", "weights_sha256": weights_digest()},
        "material": _material(evidence, plan), "judges": _judges(evidence),
        "findings": [finding.as_dict() for finding in audited.findings],
        "utility": utility(evidence, plan.features, plan.perceptual), "fairness": fairness(evidence),
        "images": _images(evidence),
    }  # fmt: skip


def summary(found: Mapping[str, Any]) -> str:
    """A document in a few lines of words, without names of pictures and without figures of single faces."""
    material = found["material"]
    lines = [
        VERDICTS[found["verdict"]],
        f"{material['pairs']} pairs of pictures, {material['faces']} faces; judged by "
        + (", ".join(judge["name"] for judge in found["judges"]) or "nobody"),
    ]
    for finding in found["findings"]:
        name, gate = f"{finding['attack'].rstrip('-')} {finding['title']}", finding["gate"]
        if finding["state"] != "run":
            lines.append(f"{STATES[finding['state']][0]}: {name}: {finding['reason']}")
        elif gate is not None:
            lines.append(f"{'holds' if gate['met'] else 'MISSED'}: {name}: {gate['value']}; the limit is {gate['limit']}")
    return "\n".join([*lines, LIMITS])


def _software() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _material(evidence: Evidence, plan: Plan) -> dict[str, Any]:
    named = evidence.persons[evidence.named].astype(str)
    return {
        "pairs": len(evidence.pairs), "states": dict(Counter(e.state for e in evidence.examined)),
        "faces": len(evidence.rows), "too_small": sum(e.small for e in evidence.examined),
        "people": len(set(named)), "named_faces": len(named), "keys": sorted({str(k) for k in evidence.keys if k}),
        "detectors": list(plan.detectors), "seed": plan.seed, "minutes": plan.minutes,
    }  # fmt: skip


def _judges(evidence: Evidence) -> list[dict[str, Any]]:
    rows = []
    for judge in evidence.judges:
        fixed = evidence.thresholds.get(judge.name)
        rows.append({
            "name": judge.name, "sha256": judge.sha256,
            "thresholds": None if fixed is None else {f"{far:g}": score for far, score in fixed.scores.items()},
            "impostor_pairs": None if fixed is None else fixed.impostor_pairs,
            "source": "none" if fixed is None else fixed.source,
        })  # fmt: skip
    return rows


def _images(evidence: Evidence) -> list[dict[str, Any]]:
    rows = []
    for pair, examined in zip(evidence.pairs, evidence.examined, strict=True):
        faces = [
            {"face": r.face, "side": round(r.side, 1), "changed": None if r.changed is None else round(r.changed, 2),
             "found": r.found, "closeness": _closeness(evidence, r.vectors)}
            for r in examined.faces
        ]  # fmt: skip
        rows.append({
            "original": pair.name, "state": examined.state, "reason": examined.reason, "too_small": examined.small,
            "rides_along": list(examined.rides), "faces": faces,
        })  # fmt: skip
    return rows


def _closeness(evidence: Evidence, vectors: dict[str, dict[str, np.ndarray]]) -> dict[str, float]:
    """Score of each judge with the same face before."""
    return {
        name: round(float(evidence.auditors[name].scores(views["anonymized"], views["original"])), 4)
        for name, views in vectors.items() if "anonymized" in views
    }  # fmt: skip
