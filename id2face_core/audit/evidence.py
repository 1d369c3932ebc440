"""All that the attacks look at: embeddings, labels and readings of every judged face, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .examine import ORIGINAL, Examined, FaceRow
from .judges import Judge
from .material import Pair
from .recognisers import Auditor
from .thresholds import Threshold


@dataclass
class Evidence:
    """One row a face, in the order of the pairs.

    auditors, thresholds: by judge. training: {judge: [T, D]} of people who trained the model, where they were given.
    """

    pairs: Sequence[Pair] = field(repr=False)
    examined: Sequence[Examined] = field(repr=False)
    judges: Sequence[Judge]
    auditors: Mapping[str, Auditor] = field(repr=False)
    thresholds: Mapping[str, Threshold] = field(repr=False, default_factory=dict)
    training: Mapping[str, np.ndarray] = field(repr=False, default_factory=dict)
    _stacked: dict[tuple[str, str], np.ndarray] = field(repr=False, default_factory=dict)

    @cached_property
    def rows(self) -> list[FaceRow]:
        return [row for examined in self.examined for row in examined.faces]

    @cached_property
    def persons(self) -> np.ndarray:
        """Label of each face [N]. The table's person is the largest face of a picture; all others are people of their own."""
        labels = []
        for row in self.rows:
            pair = self.pairs[row.pair]
            labels.append(pair.person if pair.person and row.face == 0 else f"\0{pair.name}\0{row.face}")
        return np.array(labels, dtype=object)

    @cached_property
    def named(self) -> np.ndarray:
        """Whether the table names the person, bool [N]."""
        return np.array([bool(self.pairs[r.pair].person) and r.face == 0 for r in self.rows], dtype=bool)

    @cached_property
    def keys(self) -> np.ndarray:
        """Name of the key of each face [N]; "" for independent draws."""
        return np.array([self.pairs[r.pair].key for r in self.rows], dtype=object)

    @cached_property
    def sources(self) -> np.ndarray:
        """Number of the original face [N]: rows that show one face of one file share it (many draws of one face)."""
        names = [(self.pairs[r.pair].name, r.face) for r in self.rows]
        known: dict[tuple[str, int], int] = {}
        return np.array([known.setdefault(name, len(known)) for name in names], dtype=int)

    @cached_property
    def there(self) -> np.ndarray:
        """Whether a picture exists afterwards, bool [N]."""
        return np.array([row.changed is not None for row in self.rows], dtype=bool)

    def vectors(self, judge: str, view: str) -> np.ndarray:
        """Embeddings [N, D]; rows of NaN where a face has no such view."""
        key = judge, view
        if key not in self._stacked:
            dim = next((len(row.vectors[judge][ORIGINAL]) for row in self.rows), 0)
            empty = np.full(dim, np.nan, dtype=np.float32)
            made = [row.vectors[judge].get(view, empty) for row in self.rows]
            self._stacked[key] = np.stack(made) if made else np.zeros((0, 0), dtype=np.float32)
        return self._stacked[key]

    def has(self, judge: str, view: str) -> np.ndarray:
        """Which faces have a view, bool [N]."""
        there: np.ndarray = ~np.isnan(self.vectors(judge, view)).any(axis=1)
        return there

    def attributes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Attributes before [N, A] and after [N, A] and which faces have both, bool [N]."""
        both = np.array([all(part is not None for part in row.attributes) for row in self.rows], dtype=bool)
        dim = next((len(row.attributes[0]) for row in self.rows if row.attributes[0] is not None), 0)
        before, after = np.zeros((len(both), dim)), np.zeros((len(both), dim))
        for i in np.flatnonzero(both):
            before[i], after[i] = self.rows[i].attributes  # type: ignore[assignment]
        return before, after, both

    @cached_property
    def photographs(self) -> np.ndarray:
        """Rows [P] that stand for an original: the first of its draws."""
        return np.unique(self.sources, return_index=True)[1] if len(self.rows) else np.zeros(0, dtype=int)

    def genuine(self) -> tuple[np.ndarray, np.ndarray]:
        """Ordered pairs (probe, photo): one named person on two different originals."""
        probes, photos = [np.zeros(0, dtype=int)], [np.zeros(0, dtype=int)]
        first = np.zeros(len(self.rows), dtype=bool)
        first[self.photographs] = True
        for rows in self._rows_of_people():
            pictures = rows[first[rows]]
            i, j = np.meshgrid(rows, pictures, indexing="ij")
            other = self.sources[i] != self.sources[j]
            probes.append(i[other])
            photos.append(j[other])
        return np.concatenate(probes), np.concatenate(photos)

    def strangers(self, most: int = 500_000) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of photographs of two named people: all, or `most` of them at random (always the same)."""
        rows = self.photographs[self.named[self.photographs]]
        labels = np.unique(self.persons[rows].astype(str), return_inverse=True)[1] if len(rows) else rows
        if len(rows) * (len(rows) - 1) // 2 <= most:
            i, j = np.triu_indices(len(rows), 1)
        else:
            i, j = np.random.default_rng(0).integers(0, len(rows), (2, most))
        keep = labels[i] != labels[j]
        return rows[i[keep]], rows[j[keep]]

    def _rows_of_people(self) -> list[np.ndarray]:
        named = np.flatnonzero(self.named)
        people: dict[str, list[int]] = {}
        for row in named:
            people.setdefault(str(self.persons[row]), []).append(int(row))
        return [np.array(rows) for rows in people.values()]

    def scores(self, judge: str, view: str, probe: np.ndarray, photo: np.ndarray, photo_view: str = ORIGINAL) -> np.ndarray:
        """Scores of a view of the probes with another view (the originals) of the photos [K]."""
        auditor, a, b = self.auditors[judge], self.vectors(judge, view), self.vectors(judge, photo_view)
        parts = [auditor.scores(a[probe[k : k + 4096]], b[photo[k : k + 4096]]) for k in range(0, len(probe), 4096)]
        return np.concatenate(parts) if parts else np.zeros(0)
