"""Pseudonyms: the same person and key give the same new face, another key an unlinkable one."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from .orthogonal import derive

SAME_PERSON = 0.40  # cosine of our encoder above which two faces of one run are one person (FAR 1e-3 on lfw10)
NEXT_FRAME = 0.60  # and above which a face is a person's next frame, though it turned away from his first one


def _seeded(digest: bytes) -> Generator:
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def generator_from_key(key: bytes, person: str) -> Generator:
    """Generator of a person's pseudonym: HMAC-SHA256(HKDF(key), person). The same on every machine."""
    return _seeded(hmac.digest(derive(key, b"pseudonym"), person.encode(), "sha256"))


def generator_for(secret: bytes, face: bytes) -> Generator:
    """Generator of one face in a run without a key, from the run's secret (or seed) and the face itself."""
    return _seeded(hmac.digest(b"id2face/1/seed" + secret, face, "sha256"))


def group_persons(embedding: Tensor, known: Sequence[Tensor], threshold: float = SAME_PERSON) -> int | None:
    """Position of the known person [E] this unit embedding [E] belongs to, or None for a new one."""
    if not known:
        return None
    cosines = torch.stack(list(known)) @ embedding
    best = int(cosines.argmax())
    return best if float(cosines[best]) > threshold else None


class PersonRegister:
    """Who was met in a run. A face is somebody's if it is like his first one, or much like his last (a clip)."""

    def __init__(self) -> None:
        self._first: list[Tensor] = []
        self._last: list[Tensor] = []

    def position(self, embedding: Tensor) -> int:
        """Number of the person whose unit embedding [E] this is, in the order in which persons are met."""
        known = group_persons(embedding, self._last, NEXT_FRAME)
        if known is None:
            known = group_persons(embedding, self._first)
        if known is None:
            self._first.append(embedding)
            self._last.append(embedding)
            return len(self._first) - 1
        self._last[known] = embedding
        return known
