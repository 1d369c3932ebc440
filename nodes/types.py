"""What passes between our nodes: lists over the frames of a batch and the faces of a frame.

Everything about the source has a repr that tells numbers of frames and faces and nothing else: ComfyUI prints inputs of
failed nodes into its history and to every connected browser.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from comfy_api.latest import io

from id2face_core.errors import ShapeError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from id2face_core.faces.types import Face
    from id2face_core.reading import SourceFace
    from id2face_core.stages import NewFace

    from .model import SharedModel

ModelType = io.Custom("ID2FACE_MODEL")
FacesType = io.Custom("ID2FACE_FACES")
SourceIdentityType = io.Custom("ID2FACE_SOURCE_IDENTITY")
IdentityType = io.Custom("ID2FACE_IDENTITY")
PseudonymType = io.Custom("ID2FACE_PSEUDONYM")
AttributesType = io.Custom("ID2FACE_ATTRIBUTES")
NewFacesType = io.Custom("ID2FACE_NEW_FACES")
LandmarksType = io.Custom("FACE_LANDMARKS")

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Rejected:
    """In place of whatever a step would have made for this face; Paste covers it by the policy."""

    reason: str


@dataclass(frozen=True)
class Found:
    """A face of a frame. skipped: the user does not want it replaced. rejected: it must be covered."""

    face: Face = field(repr=False)
    status: Literal["chosen", "skipped", "rejected"]
    reason: str = ""
    source: SourceFace | None = field(default=None, repr=False)


@dataclass(frozen=True, repr=False)
class PerFace(Generic[T]):
    """One value or `Rejected` for each face. `origin` tells which detection the faces are of."""

    frames: list[list[T | Rejected]]
    origin: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.frames)} frames, {sum(map(len, self.frames))} faces)"


@dataclass(frozen=True, repr=False)
class Faces:
    """All faces of a batch. size: (height, width); marks: what each frame looked like, by a hash with a secret key."""

    frames: list[list[Found]]
    size: tuple[int, int]
    marks: list[bytes]
    origin: str = field(default_factory=lambda: secrets.token_hex(8))

    def __repr__(self) -> str:
        return f"Faces({len(self.frames)} frames, {sum(map(len, self.frames))} faces)"

    def each(self, make: Callable[[SourceFace], U]) -> list[list[U | Rejected]]:
        """`make` for every chosen face; a failure rejects that face alone. See `guarded`."""
        return [
            [guarded(make, f.source) if f.source is not None else Rejected(f.reason or f.status) for f in frame]
            for frame in self.frames
        ]

    def check(self, name: str, values: PerFace) -> None:
        """Raise ShapeError when the values are of other faces: a wire goes to the wrong place."""
        if values.origin != self.origin:
            raise ShapeError(
                f"{name} ({values!r}) belongs to other faces than `faces` ({self!r}); "
                "connect both to the same Detect & Align Faces"
            )


@dataclass(frozen=True)
class SourceIdentity:
    """embedding: [E], unit norm; latent: [L], the Identity VAE's."""

    embedding: Tensor = field(repr=False)
    latent: Tensor = field(repr=False)


@dataclass(frozen=True)
class Identity:
    """A new identity, or candidates for it.

    latents: [K, L]; state: of the face's random generator from here on; kept: which traits of the attributes it agrees with,
    bool [T] (None: all); keyed: made from the source's own identity with a secret key, so that whoever has the key gets the
    person back; person: whose new face it is in all frames (None: every face is for itself).
    """

    latents: Tensor = field(repr=False)
    state: Tensor | None = field(repr=False)
    kept: Tensor | None = field(default=None, repr=False)
    keyed: bool = False
    person: str | None = field(default=None, repr=False)


@dataclass(frozen=True, repr=False)
class Identities(PerFace[Identity]):
    """New identities of faces; or `everyone`, one for all (from a file or a blend)."""

    everyone: Identity | None = None

    def __repr__(self) -> str:
        return "Identities(one for all)" if self.everyone is not None else super().__repr__()


@dataclass(frozen=True, repr=False)
class SourceIdentities(PerFace[SourceIdentity]):
    """Who the faces of the source are."""


@dataclass(frozen=True, repr=False)
class Pseudonyms(PerFace[str]):
    """A person's name for each face, and the secret key (None: the seed decides)."""

    key: bytes | None = None


@dataclass(frozen=True, repr=False)
class AttributeVectors(PerFace["Tensor"]):
    """Attributes [A] of faces, see `id2face_core.attributes.vector`. edited: traits that a new person has to have."""

    edited: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Recomposed:
    """A new face with the seed of its grain, and the candidates that it was chosen from."""

    new: NewFace = field(repr=False)
    grain_seed: int = field(repr=False)
    identity: Identity = field(repr=False)


@dataclass(frozen=True, repr=False)
class NewFaces(PerFace[Recomposed]):
    """Rendered faces of nobody. model: what made them (None: the default)."""

    model: SharedModel | None = None

    def renderings(self) -> list[np.ndarray]:
        """All of them, uint8 [S, S', 3]."""
        return [face.new.rendering for frame in self.frames for face in frame if isinstance(face, Recomposed)]


def guarded(make: Callable[..., U], *values: object) -> U | Rejected:
    """make(*values), or why this face was rejected. A rejected value is passed on; a wrong option is the caller's error."""
    from id2face_core.errors import ConfigError, FaceRejectedError, Interrupted

    for value in values:
        if isinstance(value, Rejected):
            return value
    try:
        return make(*values)
    except FaceRejectedError as error:
        return Rejected(error.reason)
    except (ConfigError, Interrupted):
        raise
    except Exception as error:  # fail closed: this face is covered, the others go on
        return Rejected(f"error:{type(error).__name__}")
