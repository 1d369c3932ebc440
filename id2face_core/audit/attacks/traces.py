"""A12: does anything of the source file ride along? A13: which faces were left as they were?"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ..canaries import PLANTS, plant
from ..evidence import Evidence
from ..findings import Control, Finding, Gate, Row, checked, count_row, in_words, not_run, share_gate
from ..metadata import rides_along, tokens

CANARIES = (
    "A12", "metadata, name or hash of the source in the anonymized file",
    "Carlini et al., USENIX Security 2019 (arXiv 1802.08232): canaries",
)  # fmt: skip
MISSED = "A13", "faces that were left as they were", "Yang et al., WIDER FACE 2016: misses by size of the face"
UNTOUCHED = 4.0  # mean difference in grey levels: above what JPEG does to a face, far below any anonymization
SIZES = (16, 32, 64, 128, 10**6)  # px between the sides of a box


def metadata(evidence: Evidence) -> list[Finding]:
    """A12."""
    read = [e for e in evidence.examined if e.state in ("read", "no face")]
    if not read:
        return [not_run(*CANARIES, "there is no anonymized picture")]
    if not all(isinstance(evidence.pairs[e.pair].original, Path) for e in read):
        return [not_run(*CANARIES, "the pictures are no files; audit the folder to which they are saved")]
    hits = [e for e in read if e.rides]
    kinds = sorted({kind for e in hits for kind in e.rides})
    rows: list[Row] = [count_row("files", "anything of the source", len(hits), len(read))]
    rows += [count_row("files", kind, sum(kind in e.rides for e in hits), len(read)) for kind in kinds]
    planted = plant(Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)))
    found = [PLANTS[name][0] in rides_along(tokens(data), data) for name, data in planted.items()]
    cleaned = [bool(rides_along(tokens(data), _clean(data))) for data in planted.values()]
    works = f"{sum(found)} of {len(found)} planted canaries found, {sum(cleaned)} in clean copies"
    return [checked(Finding(
        *CANARIES, rows=tuple(rows), gate=Gate("0 files", in_words(rows[0]), not hits, None, not hits),
        control=Control("canaries in copies", works, all(found) and not any(cleaned)),
        note="Searched: texts, places, thumbnails, profiles and tails of the source, its name and its hashes, in every byte.",
    ))]  # fmt: skip


def _clean(data: bytes) -> bytes:
    out = io.BytesIO()
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))  # Pillow itself would copy the colour profile
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def missed(evidence: Evidence) -> list[Finding]:
    """A13, by size of the face."""
    rows = [(row.side, row.changed) for row in evidence.rows if row.changed is not None]
    if not rows:
        return [not_run(*MISSED, "no face of an original has a picture afterwards")]
    sides, changed = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    untouched = changed < UNTOUCHED
    bins: list[Row] = []
    for low, high in zip(SIZES, SIZES[1:], strict=False):
        inside = (sides >= low) & (sides < high)
        if inside.any():
            words = f"{low} to {high} px" if high < SIZES[-1] else f"{low} px and more"
            bins.append(count_row("detector", words, int((untouched & inside).sum()), int(inside.sum())))
    large = sides >= 32
    judged = count_row("detector", "more than 32 px", int((untouched & large).sum()), int(large.sum()))
    if not judged["trials"]:
        return [not_run(*MISSED, "no face of an original is larger than 32 px")]
    names = [
        f"{evidence.pairs[r.pair].name}#{r.face}" for r in evidence.rows if r.changed is not None and r.changed < UNTOUCHED
    ]
    copies = [_copied(row.crops[0]) for row in evidence.rows if row.crops is not None][:100]
    noticed = count_row("detector", "copies", sum(change < UNTOUCHED for change in copies), len(copies))
    return [checked(Finding(
        *MISSED, rows=(judged, *bins), gate=share_gate([judged], 0.02, 0.01),
        control=Control("copies saved again as JPEG are noticed", in_words(noticed), noticed["share"] >= 0.9),
        note="Misses: " + (", ".join(names) if names else "none") + ". Faces that no detector finds are unknown.",
    ))]  # fmt: skip


def _copied(crop: np.ndarray) -> float:
    """Mean difference that saving as JPEG makes."""
    out = io.BytesIO()
    Image.fromarray(crop).save(out, "JPEG", quality=85)
    again = np.asarray(Image.open(out)).astype(np.int16)
    return float(np.abs(again - crop).mean())
