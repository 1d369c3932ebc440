"""What stayed of the moment, and whether some groups are served worse. Privacy without utility is a black box."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..attributes.vector import group_slice, index
from ..errors import PictureError
from ..perceptual import WINDOW, PerceptualDistance, jpeg, load_perceptual, perceptual_name
from ..pictures import read_picture
from .attacks.traces import UNTOUCHED
from .attacks.verification import limits
from .contact_sheet import face_window
from .controls import grey_oval
from .evidence import Evidence
from .examine import ANONYMIZED, ORIGINAL, face_patch
from .features import load_features
from .findings import Row, count_row, share_row, worst_share
from .frechet import distance_with_floor
from .statistics import bootstrap_mean

READER = "MediaPipe's mesh and the package's own attribute network, which took part in training: optimistic"
YARDSTICKS = 50  # originals that are read again for LPIPS of other people and of a JPEG
SMALL_GROUP = 10  # faces; smaller groups are named and not compared

Error = Callable[[np.ndarray, np.ndarray], np.ndarray]  # attributes before, after [N, A] -> [N]


def _mean_error(columns: slice) -> Error:
    return lambda a, b: np.abs(a[:, columns] - b[:, columns]).mean(axis=1)


def _skin(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    difference = (a - b)[:, group_slice("skin")].reshape(len(a), -1, 3)
    distance: np.ndarray = np.linalg.norm(difference, axis=-1).mean(axis=1)
    return distance


ERRORS: dict[str, tuple[str, Error]] = {
    "head pose": ("degrees", _mean_error(group_slice("pose"))),
    "gaze": ("eye widths", _mean_error(group_slice("gaze"))),
    "blendshapes": ("0 to 1", _mean_error(group_slice("blendshapes"))),
    "age": ("years", _mean_error(slice(index("age"), index("age") + 1))),
    "skin tone": ("CIE Lab distance", _skin),
}


def derangement(n: int, rng: np.random.Generator) -> np.ndarray:
    """Another index for each of n (n >= 2): a random cycle."""
    order = rng.permutation(n)
    other = np.empty(n, dtype=int)
    other[order] = np.roll(order, 1)
    return other


def utility(evidence: Evidence, features: Path | None = None, perceptual: Path | None = None) -> dict[str, Any]:
    """Errors with bootstrap intervals beside those of random pairs, and shares with exact ones.

    features, perceptual: files of the networks of the Frechet distance and of LPIPS, which are reported only where given.
    """
    there = [row for row in evidence.rows if row.changed is not None]
    shares = [count_row("detector", "a face is found where one was", sum(row.found for row in there), len(there))]
    before, after, both = evidence.attributes()
    a, b = before[both], after[both]
    errors = [_error_row(name, unit, error, a, b) for name, (unit, error) in ERRORS.items()] if len(a) > 1 else []
    meshes = [row.mesh for row in evidence.rows if row.mesh[0] is not None and row.mesh[1] is not None]
    if len(meshes) > 1:
        m, n = (np.stack([np.asarray(pair[k]).reshape(-1, 2) for pair in meshes]) for k in (0, 1))
        scale = float(np.linalg.norm(m[:, EYES[0]] - m[:, EYES[1]], axis=-1).mean())
        errors.append(_error_row("landmarks (place, size and roll removed)", "% of the eye distance", _landmarks(scale), m, n))
    if len(a):
        kept = (a[:, index("sex")] > 0.5) == (b[:, index("sex")] > 0.5)
        shares.append(count_row("own reader", "sex stays", int(kept.sum()), len(kept)))
        near = np.abs(a[:, index("age")] - b[:, index("age")]) <= 8
        shares.append(count_row("own reader", "age stays within 8 years", int(near.sum()), len(near)))
    away = [row.background for row in there if row.background is not None and row.face == 0]
    exact = count_row("pixels", "nothing changes half a face's width away from faces", sum(w[1] == 1 for w in away), len(away))
    sharp = [row.sharpness[1] / max(row.sharpness[0], 1e-6) for row in there if row.sharpness is not None]
    return {
        "reader": READER, "shares": [*shares, exact], "errors": errors,
        "background_difference": float(np.mean([w[0] for w in away])) if away else None,
        "sharpness_ratio": float(np.median(sharp)) if sharp else None,
        "frechet": None if features is None else _frechet(evidence, load_features(features).name),
        "lpips": None if perceptual is None else _perceptual(evidence, perceptual),
    }  # fmt: skip


def _frechet(evidence: Evidence, name: str) -> dict[str, Any]:
    both = [row.features for row in evidence.rows if row.features is not None]
    real, new = [pair[0] for pair in both], [pair[1] for pair in both]
    return distance_with_floor(real, new, np.random.default_rng(0), name)


SEEN = ("around the face, which is covered in both", "the face and what is around it")


def _perceptual(evidence: Evidence, path: Path) -> dict[str, Any]:
    """LPIPS of before and after, beside that of two people and of a JPEG."""
    measured = np.array([row.perceptual for row in evidence.rows if row.perceptual is not None]).reshape(-1, len(SEEN))
    network, windows = load_perceptual(path), _windows(evidence, np.random.default_rng(0))
    rows = [_perceptual_row(network, what, measured[:, k], windows[k]) for k, what in enumerate(SEEN) if len(measured)]
    return {"network": perceptual_name(path), "rows": rows}


def _perceptual_row(network: PerceptualDistance, what: str, measured: np.ndarray, windows: Sequence[np.ndarray]) -> Row:
    mean, low, high = bootstrap_mean(measured)
    other = derangement(len(windows), np.random.default_rng(0)) if len(windows) > 1 else np.zeros(0, dtype=int)
    strangers = [network.distance(window, windows[j]) for window, j in zip(windows, other, strict=False)]
    losses = [network.distance(window, jpeg(window)) for window in windows]
    return {
        "what": what, "mean": mean, "low": low, "high": high, "trials": len(measured), "yardsticks": len(windows),
        "random_pair": float(np.mean(strangers)) if strangers else None,
        "jpeg_50": float(np.mean(losses)) if losses else None,
    }  # fmt: skip


def _windows(evidence: Evidence, rng: np.random.Generator) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Some originals read again: their windows with the face covered, and as they are."""
    covered: list[np.ndarray] = []
    whole: list[np.ndarray] = []
    for i in rng.permutation(evidence.photographs)[:YARDSTICKS]:
        row = evidence.rows[i]
        try:
            view = face_patch(read_picture(evidence.pairs[row.pair].original.read_bytes()), row.points)
        except (PictureError, OSError):
            continue  # gone since it was read
        covered.append(face_window(grey_oval(*view), view[1], WINDOW))
        whole.append(face_window(*view, WINDOW))
    return covered, whole


EYES = (12, 77)  # outer eye corners (33, 263 of the mesh) among the 146 points of `geometry.normalised_points`


def _landmarks(scale: float) -> Error:
    return lambda a, b: 100 * np.linalg.norm(a - b, axis=-1).mean(axis=1) / scale


def _error_row(name: str, unit: str, error: Error, before: np.ndarray, after: np.ndarray) -> Row:
    mean, low, high = bootstrap_mean(error(before, after))
    other = derangement(len(before), np.random.default_rng(0))
    random_pair = float(error(before, before[other]).mean())
    return {"what": name, "unit": unit, "mean": mean, "low": low, "high": high, "random_pair": random_pair, "trials": len(before)}


def fairness(evidence: Evidence) -> list[dict[str, Any]]:
    """For each column of groups: recognition on the same photograph by the worst judge, another photograph, misses."""
    columns = sorted({column for pair in evidence.pairs for column in pair.groups})
    return [table for column in columns if (table := _by_group(evidence, column))]


def _by_group(evidence: Evidence, column: str) -> dict[str, Any] | None:
    labels = np.array([
        evidence.pairs[r.pair].groups.get(column, "") if r.face == 0 else "" for r in evidence.rows
    ], dtype=object)  # fmt: skip
    values = sorted({str(v) for v in labels if v})
    if not values or len(values) > 40:
        return None
    groups = [_group(evidence, labels == value, value) for value in values]
    everyone = _group(evidence, labels != "", "all")
    compared = [g for g in groups if g["faces"] >= SMALL_GROUP]
    spread = None
    if len(compared) > 1 and everyone["same_photograph"] is not None:
        shares = {g["group"]: g["same_photograph"]["share"] for g in compared}
        worst = max(shares, key=lambda name: shares[name])
        spread = {"worst": worst, "share": shares[worst], "mean": float(np.mean(list(shares.values())))}
    return {"column": column, "groups": [everyone, *groups], "spread": spread}


def _group(evidence: Evidence, inside: np.ndarray, name: str) -> dict[str, Any]:
    seen = inside & evidence.there
    which, lost = np.flatnonzero(seen), int((inside & ~evidence.there).sum())
    probe, photo = evidence.genuine()
    probe, photo = probe[seen[probe]], photo[seen[probe]]
    same, another = [], []
    for judge, limit in limits(evidence).items():
        same.append(share_row(judge, name, evidence.scores(judge, ANONYMIZED, which, which), limit, lost))
        if len(probe):
            another.append(share_row(judge, name, evidence.scores(judge, ANONYMIZED, probe, photo, ORIGINAL), limit))
    changed = [evidence.rows[i].changed for i in which]
    return {
        "group": name, "faces": int(inside.sum()),
        "same_photograph": worst_share(same) if same and len(which) + lost else None,
        "another_photograph": worst_share(another) if another else None,
        "missed": count_row("detector", name, sum(c is not None and c < UNTOUCHED for c in changed), len(changed)),
    }  # fmt: skip
