"""The steps of anonymization, each a plain function over the loaded `Components`.

read_face -> sample_identity -> map_identity -> draw_candidates -> render_candidate -> paste. `pipeline.Anonymizer` chains
them and fails closed; whoever chains them otherwise has to: a `FaceRejectedError` of any step means that the face must be
covered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Generator, Tensor

from .attributes.vector import group_slice
from .components import Components, window_origin
from .diffusion.groomer import look
from .diffusion.ranking import misfit
from .diffusion.recomposer import Guidance
from .diffusion.style_space import expand
from .errors import ConfigError
from .faces.types import Face, Mesh, SoftMask
from .generator.protocol import pixels
from .generator.window import Window
from .identity.orthogonal import exact, keyed, one_sided
from .looks import NO_RIMS, POSE, SHAVED, cover_limits, looks_between
from .photograph.compose import ComposeOptions, Composite, compose
from .photograph.coverage import BEARD, GLASSES
from .photograph.mask import Neighbour
from .reading import Reading, SourceFace

PERSON_NONCE = b"person"
STAY = 3  # attempts with the face that a person has had before, before another candidate's turn


@dataclass(frozen=True)
class NewFace:
    """A rendered face of nobody.

    rendering: uint8 [S, S', 3]; mesh, person: in its pixels; latent: [L]; codes: [G, 512]; gates: [depth, G] or None.
    wish: [52], the blendshapes that it shall show once it is pasted, see `wished_expression`; None: whatever it shows.
    """

    rendering: np.ndarray = field(repr=False)
    mesh: Mesh = field(repr=False)
    person: SoftMask = field(repr=False)
    latent: Tensor = field(repr=False)
    codes: Tensor = field(repr=False)
    gates: Tensor | None = field(repr=False)
    wish: Tensor | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Candidates:
    """Recompositions of one face, not rendered yet. K rows each; order: positions, best fit first.

    attributes: [K, A], what was asked for; residuals: [K, G, 512], the sampled noise, see `Recomposition`; avoid: unit embedding
    [E] of the face that they replace, or None; guidance: theirs; cover: [2, Z], see `wished_cover`, or None.
    """

    latents: Tensor = field(repr=False)
    attributes: Tensor = field(repr=False)
    residuals: Tensor = field(repr=False)
    styles: Tensor = field(repr=False)
    codes: Tensor = field(repr=False)
    gates: Tensor | None = field(repr=False)
    order: tuple[int, ...] = field(repr=False)
    avoid: Tensor | None = field(default=None, repr=False)
    guidance: Guidance | None = field(default=None, repr=False)
    cover: Tensor | None = field(default=None, repr=False)

    def first(self, position: int | None) -> Candidates:
        """With the candidate of a position before the others: what a person became in an earlier picture. None: as it is.

        It comes `STAY` times, since attempts go down the order: another candidate would be a slightly other face.
        """
        if position is None or position not in self.order:
            return self
        return replace(self, order=(position,) * STAY + tuple(i for i in self.order if i != position))


def wished_expression(source: SourceFace, wanted: Tensor) -> Tensor:
    """Blendshapes [52] that a new face shall show: the source's, and what the wanted attributes [A] change of them."""
    change = (wanted - source.attributes)[group_slice("blendshapes")]
    return (source.expression + change).clamp(0, 1)


def wished_cover(source: SourceFace, wanted: Tensor, head: bool = False) -> Tensor:
    """Least and most [2, Z] that the zones of a new face shall show beside skin, see `photograph.coverage`.

    No more than the source's, and nothing on the forehead, where the source's own hair stays; a man's beard as full as the
    source's; glasses as wanted. wanted: [A]; head: the hair is replaced too, so that it may hang wherever it likes.
    """
    return cover_limits(source.cover, source.attributes, wanted, head)


def plainer(candidates: Candidates) -> Candidates:
    """Without the glasses and the beard that the source wears, which bring some of its likeness back."""
    if candidates.cover is None:
        return candidates
    most = candidates.cover[1].clone()
    most[BEARD], most[GLASSES] = most[BEARD].minimum(most.new_tensor(SHAVED)), NO_RIMS
    return replace(candidates, cover=torch.stack((torch.zeros_like(most), most)))


@torch.inference_mode()
def identity_latent(parts: Components, embedding: Tensor) -> Tensor:
    """The Identity VAE's latent of a unit embedding [E] -> [L]."""
    return parts.vae.encode(embedding[None])[0]


@torch.inference_mode()
def sample_identity(
    parts: Components,
    attributes: Tensor,
    generator: Generator,
    *,
    source: SourceFace | None = None,
    count: int = 1,
    kept: Tensor | None = None,
    temperature: float = 1.0,
) -> Tensor:
    """Draw random identities whose own age, sex and skin agree with the attributes.

    Args:
        attributes: [A], the wish; kept: which traits have to agree, bool [T], see `attributes.edit.kept_traits` (None: all).
        source: who is replaced: the traits are carried over from there and changed as the wish changes them. None: they are
            what the attributes say.
        temperature: scales the prior's spread.

    Returns:
        Latents [count, L].
    """
    free = parts.vae.sample(count, generator, temperature)
    if source is None:
        return parts.traits.condition(free, attributes[None], kept)
    own = identity_latent(parts, source.embedding)[None]
    return parts.traits.carry(free, own, kept, (attributes - source.attributes)[None], parts.recomposer.traits_shown)


@torch.inference_mode()
def map_identity(
    parts: Components,
    latents: Tensor,
    source: Tensor,
    mode: str,
    *,
    kept: Tensor | None = None,
    margin: float = 0.0,
    key: bytes | None = None,
    nonce: bytes = PERSON_NONCE,
) -> Tensor:
    """Orthogonal identity mapping of sampled latents [K, L] against the source's embedding [E] -> [K, L].

    Args:
        mode: `exact` (orthogonal to the source's latent), `one_sided` (rotated only where the cosine exceeds `margin`), or
            `keyed` (the source's own latent turned by a secret matrix, `key` is needed; `latents` give the traits and the
            length; then as `one_sided`, since traits and what surrounds the face still point at the source).
        kept: traits that the latents have from the source, bool [T], see `sample_identity`: they stay, the rest makes up for
            them. None: nothing stays.

    Raises:
        ConfigError: unknown mode, or no key for `keyed`.
    """
    own, basis = identity_latent(parts, source)[None], None if kept is None else parts.traits.basis(kept)
    if mode == "keyed":
        if key is None:
            raise ConfigError("mode 'keyed' needs a key")
        # as wide as the sampled latents are, so that what is kept weighs no more than it does there
        latents = keyed(latents, own * (_length(latents, basis) / _length(own, basis)), key, nonce, basis)
    if mode == "exact":
        return exact(latents, own, basis)
    if mode in ("one_sided", "keyed"):
        return one_sided(latents, own, margin, basis)
    raise ConfigError(f"mode is {mode!r}; choose one_sided, exact or keyed")


def _length(latents: Tensor, kept: Tensor | None) -> Tensor:
    """Norm [B, 1] of latents [B, L] outside of an orthonormal [L, K]."""
    rest = latents if kept is None else latents - latents @ kept @ kept.mT
    return rest.norm(dim=-1, keepdim=True)


@torch.inference_mode()
def draw_candidates(
    parts: Components,
    latents: Tensor,
    attributes: Tensor,
    generator: Generator,
    *,
    forbidden: Tensor | None = None,
    margin: float = 1.0,
    steps: int = 4,
    guidance: float = 1.0,
    cover: Tensor | None = None,
    scheduler: str = "dpmpp_2m",
    callback: Callable[[int, Tensor], None] | None = None,
) -> Candidates:
    """Identities [K, L] and attributes -> style codes by one pass of conditional diffusion, best fit first.

    Args:
        attributes: [A], or [K, A] where they differ, see `IdentityTraits.release`.
        forbidden: unit embedding [E] of the face that is replaced: the refiner makes up for what the picture around it tells of
            it, and codes that the surrogate puts above the cosine `margin` to it come last. None: whoever is asked for stays.
        guidance: how much the new faces stand out from an average face of the same traits that replaces this one, see
            `style_space.guide`; 1, or nobody replaced: as they are drawn.
        cover: [2, Z], see `wished_cover`; None: nothing is taken off the new faces.
        callback: called with (step, noisy residual) after each step; may raise to interrupt.

    Raises:
        ConfigError: steps or scheduler.
    """
    attributes = attributes.expand(len(latents), -1)
    guided = None
    if forbidden is not None and guidance != 1:
        guided = Guidance(guidance, parts.traits.settled(latents, identity_latent(parts, forbidden)[None]))
    made = parts.recomposer(
        latents, attributes, [generator], steps=steps, spread=parts.spread, scheduler=scheduler, callback=callback,
        avoid=forbidden, guidance=guided, limits=looks_between(attributes, cover),
    )  # fmt: skip
    cost = misfit(parts.surrogate, made.codes, parts.surrogate.standardise(attributes), forbidden, margin)
    order = tuple(cost.argsort(stable=True).tolist())
    return Candidates(latents, attributes, made.residuals, made.styles, made.codes, made.gates, order, forbidden, guided, cover)


@torch.inference_mode()
def ask_again(
    parts: Components, candidates: Candidates, rank: int, attributes: Tensor, hidden: Tensor | None = None
) -> Candidates:
    """The candidate of a rank with other attributes [A]: the same identity and the same noise, no new diffusion. One row.

    hidden: [R], what the last rendering showed beyond what was read of its code, see `misread`.
    """
    i = candidates.order[rank]
    latent, residual, values = candidates.latents[i : i + 1], candidates.residuals[i : i + 1], attributes[None]
    guidance = None if candidates.guidance is None else candidates.guidance.of(slice(i, i + 1))
    limits = looks_between(candidates.attributes[i : i + 1], candidates.cover)  # not what is asked for to get there
    codes = parts.recomposer.complete(residual, latent, values, candidates.avoid, guidance, limits, hidden)
    gates = None if candidates.gates is None else candidates.gates[:, i : i + 1]
    return Candidates(latent, values, residual, expand(codes), codes, gates, (0,), candidates.avoid, guidance, candidates.cover)


@torch.inference_mode()
def misread(parts: Components, candidates: Candidates, reading: Reading) -> Tensor | None:
    """By how much more [R] the rendering of the first in order shows than its code said; None where nothing reads codes."""
    groomer, i = parts.recomposer.groomer, candidates.order[0]
    shown = look(reading.attributes[POSE], reading.cover)
    return None if groomer is None else groomer.misread(candidates.codes[i : i + 1], shown[None])[0]


def render_candidate(parts: Components, candidates: Candidates, rank: int = 0, window: Window | None = None) -> NewFace:
    """Render the candidate of a rank (0: the best fit).

    Args:
        window: what of the face is rendered, None: the components' own; region `head` wants `FULL_WINDOW`.

    Raises:
        FaceRejectedError: "no_mesh" when it shows no face.
    """
    i = candidates.order[rank]
    rendering, mesh = render(parts, candidates.styles[i : i + 1], window)
    gates = None if candidates.gates is None else candidates.gates[:, i]
    person = parts.person.read(rendering, mesh)
    return NewFace(rendering, mesh, person, candidates.latents[i], candidates.codes[i], gates)


@torch.inference_mode()
def render(parts: Components, styles: Tensor, window: Window | None = None) -> tuple[np.ndarray, Mesh]:
    """Style inputs [1, 23, 512] -> the window around the face, uint8 [S, S', 3], and its mesh. Raises FaceRejectedError."""
    window = window or parts.window
    picture = _window_picture(parts, styles, window)
    return picture, parts.mesh.fit(picture, parts.nominal_points - window_origin(window))


@torch.inference_mode()
def unfinished(parts: Components, latent: Tensor, attributes: Tensor, residual: Tensor) -> np.ndarray:
    """What a noisy residual [1, G, D] of `draw_candidates`' callback looks like, uint8 [S, S', 3]: for previews."""
    mean = parts.recomposer.mean
    standard = mean.standardise(torch.cat((latent, attributes))[None])
    return _window_picture(parts, expand(mean.unwhiten(parts.spread * residual, standard)), parts.window)


def _window_picture(parts: Components, styles: Tensor, window: Window) -> np.ndarray:
    picture: np.ndarray = pixels(parts.generator.synthesize(styles.to(parts.device, parts.dtype), window, False))[0]
    return picture


def paste(
    parts: Components,
    picture: np.ndarray,
    source: SourceFace,
    new: NewFace,
    options: ComposeOptions,
    rng: np.random.Generator,
    neighbours: Sequence[Face] = (),
    bend: np.ndarray | None = None,
) -> Composite:
    """Put the new face into a copy of the picture; see `photograph.compose.compose`. Raises FaceRejectedError.

    neighbours: the other faces in the picture, whose heads stay as they are.

    A face with a wish is bent to it twice: by what its rendering shows, then by what the picture still lacks. No gradient, no
    search: a linear map of the difference. bend: that of an earlier paste, which is taken as it is.
    """
    if new.wish is None or bend is not None:
        return _compose(picture, source, new, options, rng, neighbours, bend)
    shown = parts.extractor.expression(new.mesh)
    bend = parts.extractor.bend(new.mesh, new.wish.numpy() - shown)
    rough = replace(options, rough=True)  # its mesh is all that is looked at
    first = _compose(picture, source, new, rough, deepcopy(rng), neighbours, bend)
    shown = parts.extractor.expression(parts.mesh.fit(first.picture, source.face.points))
    bend = bend + parts.extractor.bend(new.mesh, new.wish.numpy() - shown)
    return replace(_compose(picture, source, new, options, rng, neighbours, bend), bend=bend)


def _compose(
    picture: np.ndarray, source: SourceFace, new: NewFace, options: ComposeOptions, rng: np.random.Generator,
    neighbours: Sequence[Face], bend: np.ndarray | None = None,
) -> Composite:  # fmt: skip
    others = [Neighbour(face.box, face.score > source.face.score) for face in neighbours if face is not source.face]
    return compose(
        picture, source.mesh, new.rendering, new.mesh, options, rng, occluder=source.occluder, person=source.person,
        rendering_person=new.person, hair=source.hair, bend=bend, neighbours=others,
    )  # fmt: skip
