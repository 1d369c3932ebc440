"""`Anonymizer`: pictures in, pictures with a status for each face out. It fails closed.

Detect -> mesh and attributes -> new identity, kept away from the source -> recompose a style code -> render -> paste.
Whatever goes wrong with one face ends in a fill or blur of that face, never in the original.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .assets.weights import WEIGHTS
from .attributes.edit import PERSON_TRAITS, edit_attributes, kept_traits
from .attributes.vector import ATTRIBUTES, with_groups
from .components import FULL_WINDOW, Components
from .errors import ConfigError, FaceRejectedError, Id2FaceError, Interrupted, ShapeError
from .faces.types import Face
from .faults import fault, keep_unlike, least_faulty
from .identity.pseudonym import PersonRegister, generator_for, generator_from_key
from .options import PRESETS, AnonymizeOptions, FaceRecord, PictureResult, Preset
from .photograph.compose import ComposeOptions, Composite
from .photograph.redact import redact_all
from .photograph.stains import BareSkin
from .reading import Reading, SourceFace, read_face, read_rendering, read_result
from .scene import scene_of
from .stages import (
    Candidates,
    NewFace,
    draw_candidates,
    map_identity,
    paste,
    render_candidate,
    sample_identity,
    wished_cover,
    wished_expression,
)

log = logging.getLogger("id2face")


@dataclass
class _Person:
    """Somebody met in a run that keeps persons apart; what is drawn for his first picture holds for the others.

    latent: the new identity [L]; state: of his generator behind it; choice: which of the candidates he became.
    """

    label: str = field(repr=False)
    latent: Tensor | None = field(default=None, repr=False)
    state: Tensor | None = field(default=None, repr=False)
    choice: int | None = field(default=None, repr=False)


class _Persons:
    """Everybody met in a run."""

    def __init__(self, options: AnonymizeOptions) -> None:
        self._wanted, self._names = options.consistent or options.key is not None, options.person_ids or ()
        self._register, self._met = PersonRegister(), list[_Person]()

    def of(self, source: SourceFace) -> _Person | None:
        """Whose face it is; None when every face is for itself."""
        if not self._wanted:
            return None
        position = self._register.position(source.embedding)
        if position == len(self._met):
            self._met.append(_Person(self._names[position] if position < len(self._names) else f"person-{position}"))
        return self._met[position]


class Anonymizer:
    """See `from_pretrained` and `anonymize`. Not thread-safe."""

    def __init__(self, components: Components) -> None:
        self.parts = components

    @classmethod
    def from_pretrained(
        cls,
        model_dir: Path | None = None,
        *,
        device: str = "auto",
        detectors: Sequence[str] = ("centerface",),
        weights: Path = WEIGHTS,
    ) -> Anonymizer:
        """Load every network once: `weights` are the bundled ones, or a folder that `id2face train` exported.

        Raises AssetMissingError (with the command to run) and AssetCorruptError.
        """
        return cls(Components.load(model_dir, device, tuple(detectors), weights))

    def anonymize(
        self,
        pictures: Sequence[np.ndarray],
        options: AnonymizeOptions | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
        interrupted: Callable[[], bool] | None = None,
    ) -> list[PictureResult]:
        """Anonymize pictures.

        Args:
            pictures: uint8 [H, W, 3] RGB each; they are not changed.
            progress: called with (pictures done, pictures).
            interrupted: asked before each face and diffusion step; True raises `Interrupted` and nothing is returned.

        Returns:
            One result a picture, in order.
        """
        results = []
        for result in self.stream(pictures, options, interrupted=interrupted):
            results.append(result)
            if progress is not None:
                progress(len(results), len(pictures))
        return results

    def stream(
        self,
        pictures: Iterable[np.ndarray],
        options: AnonymizeOptions | None = None,
        *,
        interrupted: Callable[[], bool] | None = None,
    ) -> Iterator[PictureResult]:
        """As `anonymize`, one result after the other: memory does not grow with the number of pictures."""
        options = options or AnonymizeOptions()
        # a wrong wish is the caller's error, not a reason to withhold a face: found out before any face is looked at
        edit_attributes(np.zeros(len(ATTRIBUTES), dtype=np.float32), options.set)
        kept_traits(options.keep, self.parts.traits.indices)
        _select([], options.faces)
        secret = os.urandom(32) if options.seed is None else str(options.seed).encode()
        persons = _Persons(options)
        for picture in pictures:
            _check_picture(picture)
            try:
                result = self._one(picture, options, secret, persons, interrupted)
            except Id2FaceError:
                raise
            except Exception as error:  # no detection, no picture: nothing is known about where its faces are
                log.warning("a picture was withheld (error:%s)", type(error).__name__)
                result = PictureResult(None, np.ones(picture.shape[:2], dtype=np.float32), "withheld", [])
            yield result

    def _one(
        self,
        picture: np.ndarray,
        options: AnonymizeOptions,
        secret: bytes,
        persons: _Persons,
        interrupted: Callable[[], bool] | None,
    ) -> PictureResult:
        faces = self.parts.detector.detect(picture)
        chosen = _select(faces, options.faces)
        output, mask = picture.copy(), np.zeros(picture.shape[:2], dtype=np.float32)
        records: list[FaceRecord | None] = [None] * len(faces)
        withheld: list[int] = []
        for i, face in enumerate(faces):
            _stop_if(interrupted)
            box = [round(float(v), 1) for v in face.box]
            if i not in chosen:
                records[i] = FaceRecord(box, "skipped", "not selected", face.points)
                continue
            try:
                output, face_mask, rendering = self._replace(picture, output, i, faces, options, secret, persons, interrupted)
            except Interrupted:
                raise
            except Exception as error:  # fail closed: no kind of failure may leave the original face
                reason = error.reason if isinstance(error, FaceRejectedError) else f"error:{type(error).__name__}"
                log.debug("a face was withheld (%s)", reason)
                records[i] = FaceRecord(box, "withheld", reason, face.points)
                withheld.append(i)
                continue
            mask = np.maximum(mask, face_mask)
            records[i] = FaceRecord(box, "anonymized", "", face.points, rendering)
        output, mask = redact_all(output, mask, faces, [faces[i] for i in withheld], options.policy)
        return _result(output, mask, [r for r in records if r is not None], options)

    def _replace(
        self,
        original: np.ndarray,
        output: np.ndarray,
        position: int,
        faces: list[Face],
        options: AnonymizeOptions,
        secret: bytes,
        persons: _Persons,
        interrupted: Callable[[], bool] | None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The face at a position of `faces`: (picture, mask, rendering). Raises FaceRejectedError."""
        source = read_face(self.parts, original, faces[position])
        preset = PRESETS[options.preset]
        wanted = torch.from_numpy(np.asarray(edit_attributes(source.attributes.numpy(), options.set), dtype=np.float32))
        person = persons.of(source)
        generator = _generator(source, options, secret, person)
        latents = self._identities(source, wanted, options, preset, generator, person)
        released = self.parts.traits.release(latents, wanted, self._kept(options))
        candidates = draw_candidates(
            self.parts, latents, released, generator, forbidden=source.embedding, margin=preset.limit, guidance=preset.guidance,
            cover=wished_cover(source, wanted, preset.region == "head"), steps=options.steps or preset.steps,
            callback=lambda step, x: _stop_if(interrupted),
        ).first(None if person is None else person.choice)  # fmt: skip
        seed, scene = int(torch.randint(2**31, (1,), generator=generator)), scene_of(output, source, faces)
        how = ComposeOptions(region=preset.region)
        skin = BareSkin.of(scene.picture, scene.source.mesh.points, scene.source.hair)
        window, wish = FULL_WINDOW if preset.region == "head" else None, wished_expression(source, wanted)

        def attempt(one: Candidates) -> tuple[float, Reading, tuple[Composite, NewFace]]:
            _stop_if(interrupted)
            new = replace(render_candidate(self.parts, one, window=window), wish=wish)
            _stop_if(interrupted)
            alone, rng = read_rendering(self.parts, new), np.random.default_rng(seed)
            composite = paste(self.parts, scene.picture, scene.source, new, how, rng, scene.others)
            _stop_if(interrupted)
            seen = read_result(self.parts, scene.source, composite.picture)
            wrong = fault(
                self.parts, source, wanted, alone, limit=preset.limit, kept=self._kept(options), pasted=seen,
                drawn=composite.drawn, stained=skin.stained(composite.picture),
            )  # fmt: skip
            # hair and light around a face make it older or younger: that is asked for
            shown = with_groups(alone.attributes, seen.attributes, "person")
            return wrong, replace(alone, attributes=shown, embedding=seen.embedding), (composite, new)

        (composite, new), choice = least_faulty(self.parts, candidates, attempt, preset.attempts)
        if scene.reduced:
            rng = np.random.default_rng(seed)
            composite = paste(self.parts, output, source, new, how, rng, faces, composite.bend)
            keep_unlike(self.parts, source, new, composite.picture, preset.limit)
        if person is not None and person.choice is None:
            person.choice = choice
        return composite.picture, composite.mask, new.rendering

    def _kept(self, options: AnonymizeOptions) -> Tensor:
        """Which traits stay as they are or are set, bool [T]."""
        keep = None if options.keep is None else (*options.keep, *(PERSON_TRAITS.keys() & options.set.keys()))
        return kept_traits(keep, self.parts.traits.indices)

    def _identities(
        self,
        source: SourceFace,
        wanted: Tensor,
        options: AnonymizeOptions,
        preset: Preset,
        generator: torch.Generator,
        person: _Person | None,
    ) -> Tensor:
        """New identity latents [candidates, L]; all of them the person's one where persons are kept apart."""
        if person is not None and person.latent is not None and person.state is not None:
            generator.set_state(person.state)
            return person.latent.expand(preset.candidates, -1)
        count = preset.candidates if person is None else 1
        kept = self._kept(options)
        latents = sample_identity(
            self.parts, wanted, generator, source=source, count=count, kept=kept, temperature=preset.temperature
        )
        latents = map_identity(
            self.parts, latents, source.embedding, options.mode, kept=kept, margin=preset.margin, key=options.key
        )
        if person is not None:
            person.latent, person.state = latents[0], generator.get_state()
        return latents.expand(preset.candidates, -1)


def _generator(source: SourceFace, options: AnonymizeOptions, secret: bytes, person: _Person | None) -> torch.Generator:
    """From the key and the person, or the seed and the person; else from the seed and this very face, in whatever batch."""
    if person is None:
        return generator_for(secret, source.digest)
    if options.key is None:
        return generator_for(secret, person.label.encode())
    return generator_from_key(options.key, person.label)


def _stop_if(interrupted: Callable[[], bool] | None) -> None:
    if interrupted is not None and interrupted():
        raise Interrupted("stopped on request; no picture of this call was finished")


def _check_picture(picture: np.ndarray) -> None:
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        shape = getattr(picture, "shape", None)
        raise ShapeError(f"a picture is uint8 [H, W, 3] RGB; got {getattr(picture, 'dtype', type(picture))} {shape}")


def _select(faces: list[Face], wish: str | tuple[int, ...]) -> set[int]:
    """Positions of the faces to anonymize. A position that does not exist selects nothing."""
    if wish == "all":
        return set(range(len(faces)))
    if wish == "largest":
        areas = [float((f.box[2] - f.box[0]) * (f.box[3] - f.box[1])) for f in faces]
        return {int(np.argmax(areas))} if areas else set()
    if isinstance(wish, str):
        raise ConfigError(f"faces is {wish!r}; choose all, largest or positions such as 0,2")
    return set(wish)


def _result(
    output: np.ndarray, mask: np.ndarray, records: list[FaceRecord], options: AnonymizeOptions
) -> PictureResult:
    states = {r.status for r in records}
    if "withheld" in states:
        return PictureResult(None if options.policy == "withhold" else output, mask, "withheld", records)
    if "anonymized" in states:
        return PictureResult(output, mask, "anonymized", records)
    return PictureResult(output, mask, "skipped" if records else "no_face", records)
