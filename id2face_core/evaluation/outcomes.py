"""Runs the product on a set and finds, in each result, the face whose person is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ..options import AnonymizeOptions, PictureResult
from .sets import Sample

MISSED = "missed"


class Product(Protocol):
    """What is judged: see `pipeline.Anonymizer.anonymize`."""

    def anonymize(self, pictures: Sequence[np.ndarray], options: AnonymizeOptions) -> list[PictureResult]: ...


@dataclass(frozen=True)
class Outcome:
    """picture: None when withheld whole. status: of the known face, "missed" when the product did not find it."""

    sample: Sample
    status: str
    reason: str
    picture: np.ndarray | None = field(repr=False)
    mask: np.ndarray = field(repr=False)
    rendering: np.ndarray | None = field(repr=False)


def run_product(
    product: Product,
    samples: Sequence[Sample],
    options: AnonymizeOptions,
    tell: Callable[[int, int], None] | None = None,
) -> list[Outcome]:
    """One call a picture: no picture can help another."""
    outcomes = []
    for i, sample in enumerate(samples):
        result = product.anonymize([sample.picture], options)[0]
        outcomes.append(_outcome(sample, result))
        if tell is not None:
            tell(i + 1, len(samples))
    return outcomes


def _outcome(sample: Sample, result: PictureResult) -> Outcome:
    record = nearest_record(result.faces, sample.points)
    if record is None:
        return Outcome(sample, MISSED, "", result.picture, result.mask, None)
    return Outcome(sample, record.status, record.reason, result.picture, result.mask, record.rendering)


def nearest_record(records: Sequence[Any], points: np.ndarray) -> Any | None:
    """The record of the face at five points: centres nearer than one eye distance."""
    reach = float(np.linalg.norm(points[1] - points[0]))
    best, least = None, reach
    for record in records:
        if record.points is None:
            box = np.asarray(record.box, dtype=float)
            centre = (box[:2] + box[2:]) / 2
        else:
            centre = np.asarray(record.points).mean(axis=0)
        distance = float(np.linalg.norm(centre - points.mean(axis=0)))
        if distance < least:
            best, least = record, distance
    return best
