"""Embeddings that were computed before: real faces and controls are the same in every run, and judges are slow."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np

from ..assets.hashing import write_atomically
from .auditors import Auditor


class CachedAuditor:
    """An auditor that remembers, in `embeddings_<name>.npz` of a folder. Delete the file when a recogniser changes.

    The key is a hash of the pixels and the points, so that changed data is never answered from memory.
    """

    def __init__(self, auditor: Auditor, folder: Path) -> None:
        self._auditor, self.name, self.trained = auditor, auditor.name, auditor.trained
        self._path = folder / f"embeddings_{auditor.name}.npz"
        self._known: dict[str, np.ndarray] = {}
        self._new = False
        if self._path.exists():
            with np.load(self._path, allow_pickle=False) as stored:
                self._known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    def embed(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray:
        """As the auditor's own, float64 [D]."""
        digest = hashlib.sha256(np.ascontiguousarray(picture).tobytes())
        digest.update(repr(picture.shape).encode() + np.asarray(points, dtype=np.float32).tobytes())
        key = digest.hexdigest()
        if key not in self._known:
            self._known[key], self._new = self._auditor.embed(picture, points), True
        return self._known[key]

    def scores(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The auditor's."""
        return self._auditor.scores(a, b)

    def save(self) -> None:
        """Write what is new. Raises OSError."""
        if not self._new:
            return
        file = io.BytesIO()
        np.savez(file, keys=np.array(list(self._known)), vectors=np.stack(list(self._known.values())))
        write_atomically(self._path, file.getvalue())
        self._new = False
