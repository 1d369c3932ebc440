"""Pictures that the page may ask for, in memory only: never in a file, in the history, or in what all browsers get."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

LIMIT = 128 * 2**20  # bytes; the oldest go first


class Shelf:
    """Lists of pictures uint8 [H, W, 3] under names that cannot be guessed."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit, self._lock = limit, threading.Lock()
        self._rows: OrderedDict[str, tuple[list[np.ndarray], bool]] = OrderedDict()

    def put(self, pictures: Sequence[np.ndarray], *, public: bool) -> str:
        """Keep pictures and return their name. public: they show nobody, so they need no hiding."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._rows[name] = (list(pictures), public)
            while len(self._rows) > 1 and sum(p.nbytes for row, _ in self._rows.values() for p in row) > self._limit:
                self._rows.popitem(last=False)
        return name

    def get(self, name: str, i: int, *, clear: bool) -> np.ndarray | None:
        """Picture i, coarse beyond recognition unless it is public or `clear`; None when it is gone."""
        from id2face_core.photograph.redact import redact

        with self._lock:
            pictures, public = self._rows.get(name, ([], False))
        if not 0 <= i < len(pictures):
            return None
        return pictures[i] if public or clear else redact(pictures[i], np.zeros(4), "blur")[0]

    def __repr__(self) -> str:
        return f"Shelf({len(self._rows)} lists)"


SHELF = Shelf()
