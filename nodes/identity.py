"""`Encode Identity`, `Sample Identity`, `Orthogonal Identity Mapping`, `Pseudonym`."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from comfy_api.latest import io

from id2face_core.errors import ConfigError
from id2face_core.options import MODES, PRESETS

from .folders import KEYS, file_stamp, key_files, read_key
from .model import SharedModel, model_or_default
from .options import keep_inputs, kept, key_input, seed_input
from .session import Progress
from .types import (
    AttributesType,
    AttributeVectors,
    Faces,
    FacesType,
    Identities,
    Identity,
    IdentityType,
    ModelType,
    Pseudonyms,
    PseudonymType,
    Rejected,
    SourceIdentities,
    SourceIdentity,
    SourceIdentityType,
    guarded,
)  # fmt: skip

if TYPE_CHECKING:
    from torch import Tensor

GROUPINGS = ("by resemblance", "one person", "every face another")
MODEL_TOOLTIP = "From Load ID²Face Model; not needed with its defaults."
FACES_TOOLTIP = "From Detect & Align Faces."


def encode(model: SharedModel, faces: Faces) -> SourceIdentities:
    """The source's identities: embeddings and the Identity VAE's latents."""
    from id2face_core.stages import identity_latent

    parts = model.ready()
    each = faces.each(lambda s: SourceIdentity(s.embedding, identity_latent(parts, s.embedding)))
    return SourceIdentities(each, faces.origin)


def name_persons(faces: Faces, key: bytes | None, grouping: str) -> Pseudonyms:
    """Names as the pipeline gives them, person-0, person-1, ... in the order in which persons are met, over all frames."""
    from id2face_core.identity.pseudonym import PersonRegister

    register, counter = PersonRegister(), itertools.count()

    def name(embedding: Tensor) -> str:
        if grouping == GROUPINGS[0]:
            return f"person-{register.position(embedding)}"
        return "person-0" if grouping == GROUPINGS[1] else f"person-{next(counter)}"

    return Pseudonyms(faces.each(lambda s: name(s.embedding)), faces.origin, key)


def sample(
    model: SharedModel, faces: Faces, attributes: AttributeVectors | None, pseudonyms: Pseudonyms | None, *,
    seed: int, temperature: float, candidates: int, keep: tuple[str, ...],
) -> Identities:  # fmt: skip
    """Candidates for each face from a generator of its own, by seed and face; or one for each person, by key or seed."""
    from id2face_core.attributes.edit import kept_traits
    from id2face_core.identity.pseudonym import generator_for, generator_from_key
    from id2face_core.reading import SourceFace
    from id2face_core.stages import sample_identity

    parts, progress = model.ready(), Progress(sum(map(len, faces.frames)))
    stays, persons = kept_traits(keep, parts.traits.indices), dict[str, Identity]()

    def one(source: SourceFace, wish: Tensor | None, name: str | None) -> Identity:
        if name in persons:  # as in the pipeline: the first picture decides who a person becomes
            return persons[name]
        if pseudonyms is not None and pseudonyms.key is not None and name is not None:
            generator = generator_from_key(pseudonyms.key, name)
        else:
            generator = generator_for(str(seed).encode(), source.digest if name is None else name.encode())
        values, count = source.attributes if wish is None else wish, candidates if name is None else 1
        latents = sample_identity(
            parts, values, generator, source=source, count=count, kept=stays, temperature=temperature
        )
        new = Identity(latents, generator.get_state(), stays, person=name)
        return new if name is None else persons.setdefault(name, new)

    rows: list[list[Identity | Rejected]] = []
    for i, frame in enumerate(faces.frames):
        rows.append([])
        for j, found in enumerate(frame):
            source = found.source or Rejected(found.reason or found.status)
            wish = attributes.frames[i][j] if attributes is not None else None
            name = pseudonyms.frames[i][j] if pseudonyms is not None else None
            rows[-1].append(guarded(one, source, wish, name))
            progress.step()
    return Identities(rows, faces.origin)


def map_away(
    model: SharedModel, new: Identities, source: SourceIdentities, pseudonyms: Pseudonyms | None, mode: str, margin: float
) -> Identities:
    """New identities kept away from those of the source. `keyed` derives them from the source's own with the key.

    Where persons are kept apart, the first picture of a person decides for all of his faces.
    """
    from id2face_core.stages import map_identity

    parts = model.ready()
    key = None if pseudonyms is None else pseudonyms.key
    persons: dict[str, Tensor] = {}

    def one(own: SourceIdentity, identity: Identity, name: str | None) -> Identity:
        person = identity.person if name is None else name
        mapped = persons.get(person) if person is not None else None
        if mapped is None:
            latents = identity.latents[:1] if mode == "keyed" else identity.latents
            mapped = map_identity(parts, latents, own.embedding, mode, kept=identity.kept, margin=margin, key=key)
        if person is not None:
            persons[person] = mapped
        return replace(identity, latents=mapped, keyed=identity.keyed or mode == "keyed", person=person)

    rows = []
    for i, frame in enumerate(source.frames):
        row = []
        for j, own in enumerate(frame):
            name = pseudonyms.frames[i][j] if pseudonyms is not None else None
            row.append(guarded(one, own, new.everyone or new.frames[i][j], name))
        rows.append(row)
    return Identities(rows, source.origin)


class EncodeIdentity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceEncodeIdentity", display_name="Encode Identity", category="ID²Face/steps",
            description="Who the source's faces are: embeddings and latents of the Identity VAE. They serve only to keep new "
            "identities away, and cannot be saved or rendered.",
            search_aliases=["face embedding", "identity vae", "face recognition"],
            inputs=[
                FacesType.Input("faces", tooltip=FACES_TOOLTIP),
                ModelType.Input("model", optional=True, tooltip=MODEL_TOOLTIP),
            ],
            outputs=[SourceIdentityType.Output(display_name="source_identity", tooltip="For Orthogonal Identity Mapping.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, faces: Faces, model: SharedModel | None = None) -> io.NodeOutput:
        return io.NodeOutput(encode(model_or_default(model), faces))


class SampleIdentity(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceSampleIdentity", display_name="Sample Identity", category="ID²Face/steps",
            description="Random identities for each face from the Identity VAE's prior, of like age, sex and skin.",
            search_aliases=["random face", "random identity", "new identity"],
            inputs=[
                FacesType.Input("faces", tooltip=FACES_TOOLTIP),
                seed_input(),
                AttributesType.Input(
                    "attributes", optional=True, tooltip="Age, sex and skin of the new person (else the source's).",
                ),
                PseudonymType.Input(
                    "pseudonym", optional=True, tooltip="From Pseudonym: one identity for each person, drawn with its key.",
                ),
                ModelType.Input("model", optional=True, tooltip=MODEL_TOOLTIP),
                io.Float.Input(
                    "temperature", default=1.75, min=0.1, max=3.0, step=0.05, advanced=True,
                    tooltip="How far identities spread: 1 is as real people do; above it new faces differ more from each other.",
                ),
                io.Int.Input(
                    "candidates", default=16, min=1, max=64, advanced=True,
                    tooltip="Drawn for each face; Harmonized Diffusion renders the one that fits best. With a pseudonym it is 1.",
                ),
                *keep_inputs(),
            ],
            outputs=[IdentityType.Output(display_name="identity", tooltip="New identities for each face.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, faces: Faces, seed: int, temperature: float, candidates: int, keep_age: bool, keep_sex: bool, keep_skin: bool,
        attributes: AttributeVectors | None = None, pseudonym: Pseudonyms | None = None, model: SharedModel | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        for name, values in (("attributes", attributes), ("pseudonym", pseudonym)):
            if values is not None:
                faces.check(name, values)
        edited = frozenset() if attributes is None else attributes.edited
        keep = (*kept(keep_age=keep_age, keep_sex=keep_sex, keep_skin=keep_skin), *edited)
        return io.NodeOutput(sample(
            model_or_default(model), faces, attributes, pseudonym, seed=seed, temperature=temperature, candidates=candidates,
            keep=keep,
        ))  # fmt: skip


class OrthogonalMapping(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FaceOrthogonalMapping", display_name="Orthogonal Identity Mapping", category="ID²Face/steps",
            description="Turns new identities away from the original's in the space of the Identity VAE.",
            search_aliases=["orthogonal", "identity distance", "keyed pseudonym"],
            inputs=[
                IdentityType.Input("identity", tooltip="New identities from Sample, Load or Blend Identity."),
                SourceIdentityType.Input("source_identity", tooltip="From Encode Identity, of the same faces."),
                io.Combo.Input(
                    "mode", options=list(MODES), default="one_sided",
                    tooltip="one_sided: turned only where the cosine exceeds the margin; exact: cosine 0 (one person should not "
                    "get many such); keyed: the original's own identity turned with the key of the pseudonym.",
                ),
                PseudonymType.Input("pseudonym", optional=True, tooltip="From Pseudonym, with a key; for mode keyed."),
                ModelType.Input("model", optional=True, tooltip=MODEL_TOOLTIP),
                io.Float.Input(
                    "margin", default=PRESETS["balanced"].margin, min=-0.8, max=0.9, step=0.05, advanced=True,
                    tooltip="Greatest cosine with the original, for one_sided and keyed.",
                ),
            ],
            outputs=[IdentityType.Output(display_name="identity", tooltip="Identities away from the original's.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, identity: Identities, source_identity: SourceIdentities, mode: str, margin: float,
        pseudonym: Pseudonyms | None = None, model: SharedModel | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        if mode == "keyed" and (pseudonym is None or pseudonym.key is None):
            raise ConfigError("mode keyed needs a key: connect a Pseudonym whose key_file is chosen")
        same_faces(source_identity, identity=identity, pseudonym=pseudonym)
        return io.NodeOutput(map_away(model_or_default(model), identity, source_identity, pseudonym, mode, margin))


def same_faces(source: SourceIdentities, identity: Identities, pseudonym: Pseudonyms | None) -> None:
    """Raise ShapeError when they are not of the same faces."""
    from id2face_core.errors import ShapeError

    for name, values in (("identity", identity), ("pseudonym", pseudonym)):
        if values is None or (isinstance(values, Identities) and values.everyone is not None):
            continue
        if values.origin != source.origin:
            raise ShapeError(f"{name} ({values!r}) and source_identity ({source!r}) belong to different faces; connect both to "
                             "the same Detect & Align Faces")  # fmt: skip


class Pseudonym(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ID2FacePseudonym", display_name="Pseudonym", category="ID²Face/steps",
            description="One new face for each person, the same in all frames; with a key the same in every run and on every "
            "machine that has the key.",
            search_aliases=["consistent face", "same face", "video", "key", "person grouping"],
            inputs=[
                FacesType.Input("faces", tooltip=FACES_TOOLTIP),
                key_input(
                    key_files(), "Secret key from models/id2face_keys; only its name is in the workflow. none: the seed of "
                    "Sample Identity decides, which is no secret.",
                ),
                io.Combo.Input(
                    "grouping", options=list(GROUPINGS), default=GROUPINGS[0],
                    tooltip="Who is one person: faces that resemble each other; all of them; or nobody.",
                ),
            ],
            outputs=[PseudonymType.Output(display_name="pseudonym", tooltip="For Sample Identity and Orthogonal Mapping.")],
        )  # fmt: skip

    @classmethod
    def fingerprint_inputs(cls, key_file: str, **_: object) -> str:
        return file_stamp(KEYS, key_file)

    @classmethod
    def execute(cls, faces: Faces, key_file: str, grouping: str) -> io.NodeOutput:
        return io.NodeOutput(name_persons(faces, read_key(key_file), grouping))
