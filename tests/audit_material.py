"""Synthetic people for tests of the audit: embeddings drawn as a recogniser would give them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from id2face_core.attributes.vector import ATTRIBUTES
from id2face_core.audit.evidence import Evidence
from id2face_core.audit.examine import ANONYMIZED, HIDING, ORIGINAL, RING, Examined, FaceRow
from id2face_core.audit.judges import Judge
from id2face_core.audit.material import Pair
from id2face_core.audit.recognisers import cosine_scores
from id2face_core.audit.thresholds import Threshold
from id2face_core.faces.alignment import ARCFACE_POINTS

DIM = 32
Hide = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]  # photo [D], person [D], rng -> [D]


class Fake:
    """Scores by the cosine; pictures are not looked at."""

    name, trained = "fake", False

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        flat = picture[::8, ::8].astype(np.float64).reshape(-1)[:DIM] - 128
        unit: np.ndarray = flat / max(float(np.linalg.norm(flat)), 1e-9)
        return unit

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return cosine_scores(a, b)


def unit(vector: np.ndarray) -> np.ndarray:
    """Of length one."""
    scaled: np.ndarray = vector / np.linalg.norm(vector)
    return scaled


def stranger(photo: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A perfect anonymizer: somebody drawn at random."""
    return rng.normal(size=DIM)


def evidence(hide: Hide, people: int = 20, photos: int = 5, named: bool = True, key: str = "", seed: int = 0) -> Evidence:
    """`photos` photographs of each of `people`, anonymized by `hide`."""
    rng = np.random.default_rng(seed)
    pairs, examined = [], []
    for p in range(people):
        person = unit(rng.normal(size=DIM))
        for k in range(photos):
            name = f"{p}-{k}.jpg"
            group = {"group": "ab"[p % 2]}
            photo = unit(person + 0.08 * rng.normal(size=DIM))
            new = unit(hide(photo, person, rng))
            noise = {view: unit(rng.normal(size=DIM)) for view in (RING, *HIDING)}
            noise["grey oval"] = unit(photo + 0.3 * rng.normal(size=DIM))
            noise["blur"] = unit(photo + 0.15 * rng.normal(size=DIM))
            vectors = {"fake": {n: v.astype(np.float32) for n, v in {ORIGINAL: photo, ANONYMIZED: new, **noise}.items()}}
            crops = tuple(np.full((80, 80, 3), colour, dtype=np.uint8) for colour in rng.integers(0, 256, 2))
            attributes = (rng.random(len(ATTRIBUTES)), rng.random(len(ATTRIBUTES)))
            mesh = (rng.random(292), rng.random(292))
            row = FaceRow(len(pairs), 0, 40.0 + k, ARCFACE_POINTS, vectors, 50.0, True, attributes, mesh, (1.0, 1.0),
                          (crops[0], crops[1]), (0.0, 1.0))  # fmt: skip
            pairs.append(Pair(name, Path(name), Path(name), f"person {p}" if named else "", key, None, group))
            examined.append(Examined(len(examined), "read", "", (row,)))
    thresholds = {"fake": Threshold({1e-2: 0.45, 1e-3: 0.55, 1e-4: 0.65}, 100_000, 100, "a table")}
    return Evidence(pairs, examined, [Judge("fake", "fake", "0" * 64, None)], {"fake": Fake()}, thresholds)
