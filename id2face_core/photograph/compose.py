"""Paste a rendered face into a photograph so that an onlooker sees one photograph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import minimum_filter

from ..errors import ConfigError, FaceRejectedError
from ..faces.types import Mesh, SoftMask
from ..resampling import enlarge
from .blend import join, spread
from .colour import calm_brows, match_irises, match_lips, relight
from .grain import match_grain, match_sharpness
from .hair import around, fine_enough, hair_share, without_hair
from .head import clear_head, head_mask, read_hair, rounded, tone_hair
from .mask import (
    EYEBROWS,
    Neighbour,
    brow_mask,
    core_mask,
    features_mask,
    irises_mask,
    lips_mask,
    mouth_mask,
    neighbours_mask,
    soft_mask,
)
from .texture import match_texture
from .warp import AROUND_FACE, BackwardMap, Box, backward_map, face_width, window_around

REGIONS = ("oval", "face", "head")
AROUND_HEAD = 0.95  # what of the surroundings is looked at for region `head`, in face widths beyond the mesh
MAX_COVERED = 0.25  # a face whose features are hidden further than this is not replaced
FEATURES = [159, 145, 386, 374, 1, 13, 14]  # lids of both eyes, nose tip, lips: none may be hidden
BROW, BESIDE = (0.02, 0.03), (0.06, 0.01)  # how far a brow is grown, and its edge, in face widths; and the skin around it
SEEN = 0.9  # share of a face from which the network that looks for people has seen who it is of
MIXED = 0.012  # face widths from the person's edge within which strands and blur mix its colours with the background's
CERTAIN = 0.9  # share of the person from which a pixel's colour has nothing of the background in it


@dataclass(frozen=True)
class ComposeOptions:
    """region: `oval` (the mesh's hull), `face` (with forehead and jaw line), `head` (hair and ears too).

    erode, feather: in face widths. move_gaze: turn the new eyes to where the source's look. grain, colour: match them.
    keep_fringe: hair over the forehead stays the source's, and the rendering's own is not pasted. rough: only where things lie
    counts, so that tones, grain and the rendering's own hair are left as they are.
    """

    region: str = "face"
    erode: float = 0.0
    feather: float = 0.1
    move_gaze: bool = True
    colour: bool = True
    grain: bool = True
    keep_fringe: bool = True
    rough: bool = False

    def __post_init__(self) -> None:
        if self.region not in REGIONS:
            raise ConfigError(f"region is {self.region!r}; choose one of {', '.join(REGIONS)}")


@dataclass(frozen=True)
class Composite:
    """picture: uint8 [H, W, 3]; mask: float32 [H, W], what was replaced (0 = untouched, bit for bit).

    drawn: share of it where skin had to be drawn over the new face's own hair, 0..1. bend: that of `stages.paste`, None: of
    `compose` alone.
    """

    picture: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    drawn: float = 0.0
    bend: np.ndarray | None = field(default=None, repr=False)


def compose(
    picture: np.ndarray,
    source_mesh: Mesh,
    rendering: np.ndarray,
    rendering_mesh: Mesh,
    options: ComposeOptions,
    rng: np.random.Generator,
    *,
    occluder: SoftMask | None = None,
    person: SoftMask | None = None,
    rendering_person: SoftMask | None = None,
    hair: SoftMask | None = None,
    bend: np.ndarray | None = None,
    neighbours: Sequence[Neighbour] = (),
) -> Composite:
    """Replace one face.

    Args:
        picture: uint8 [H, W, 3]; it is not changed. source_mesh: of the face in it.
        rendering: uint8 [S, S', 3], the new face; rendering_mesh: its mesh.
        rng: for the grain.
        occluder: what is in front of the face and stays; see `faces.occlusion`.
        person: the people in the picture; rendering_person: the person in the rendering, so that nothing of its
            background gets in. See `faces.person`. Region `head` is an ellipse unless it has both.
        hair: where the source shows hair instead of skin, see `hair.hair_share`; None: it is looked for.
        bend: [468, 2], how the rendering's mesh moves in its own pixels, see `attributes.extractor.AttributeExtractor.bend`.
        neighbours: the other faces in the picture, whose heads stay as they are.

    Raises:
        FaceRejectedError: "outside" when the face has no pixels in the picture; "occluded" when the occluder covers an
            eye, the nose or the mouth, or a quarter of them in all.
    """
    points, width = source_mesh.points[:, :2].astype(np.float64), face_width(source_mesh.points)
    box = window_around(points, picture.shape, AROUND_HEAD if options.region == "head" else AROUND_FACE)
    cut = slice(box.y0, box.y1), slice(box.x0, box.x1)
    source = picture[cut].astype(np.float32)
    where = backward_map(rendering_mesh, source_mesh, box, options.move_gaze, bend)
    new, body = _warped(where, rendering, rendering_mesh, rendering_person)
    drawn = np.zeros(box.shape, dtype=np.float32)
    if options.keep_fringe and options.region != "head" and not options.rough:
        new, drawn = without_hair(new, points, box)
    skin, fringe = soft_mask(points, box, "oval", 0.05, 0.05), np.zeros(box.shape, dtype=np.float32)
    if options.keep_fringe:
        fringe = hair_share(source, points, box) if hair is None else hair.window(*box.corners)
    if options.colour and not options.rough:
        planes = irises_mask(rendering_mesh, Box(0, 0, *rendering.shape[1::-1]))[..., None]
        irises = irises_mask(source_mesh, box), where.sample(planes, "zeros")[..., 0]
        new = _toned(source, new, skin if body is None else skin * body, irises, points, box)
    if options.grain and not options.rough:
        new = match_sharpness(source, new, skin, where.scale)
        new = _smoothed(source, new, skin * (1 - fringe), points, box)
        new = match_grain(source, new, skin, rng)
    core = core_mask(points, box)
    canvas, cleared = source, np.zeros(box.shape, dtype=np.float32)
    if options.region != "head":
        mask = soft_mask(points, box, options.region, options.erode, options.feather)
        if body is not None:
            mask = mask * body
        if person is not None:
            front = _silhouette(person, points, box)
            mask, core = mask * front, core * front
        mask = mask * (1 - fringe)
    elif body is None or person is None:
        mask = soft_mask(points, box, "head", 0.0, 0.15)
    else:
        mask, new, canvas, cleared = _headed(source, new, body, person.window(*box.corners), points, box, rng)
    mask = np.maximum(mask, core)
    # where skin was drawn over the new face's hair, the source's forehead gives the light
    blended = join(canvas, new, mask, np.maximum(mask * (1 - drawn), core), width)
    replaced = np.maximum(mask, cleared)
    hidden = None if occluder is None else occluder.window(*box.corners)
    stays = neighbours_mask(neighbours, points, box)
    if hidden is not None and hidden.any():
        stays = np.maximum(stays, _in_front(hidden, core, points, box))
    if stays.any():
        blended = blended + stays[..., None] * (source - blended)
        replaced = replaced * (1 - stays)
    share = float((drawn * replaced).sum() / max(float(replaced.sum()), 1.0))
    return _written(picture, box, blended, replaced, share)


def _warped(
    where: BackwardMap, rendering: np.ndarray, mesh: Mesh, person: SoftMask | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """The rendering in the source's place, float [h, w, 3], and its person [h, w], beyond whom the colours just go on."""
    new = where.sample(rendering).clip(0, 255)
    if person is None:
        return new, None
    whole = rounded(person.window(0, 0, *rendering.shape[1::-1]))
    sure = minimum_filter(whole, 1 + 2 * round(MIXED * face_width(mesh.points)))
    body, inner = np.moveaxis(where.sample(np.stack((whole, sure), axis=-1), "zeros"), 2, 0).clip(0, 1)
    return spread(new, np.clip((inner - CERTAIN + 0.1) / 0.1, 0, 1)), body


def _headed(
    source: np.ndarray, new: np.ndarray, body: np.ndarray, people: np.ndarray, points: np.ndarray, box: Box,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """For region `head`: mask, new head with its hair toned, the source without its own, and where that was taken away."""
    own, old = read_hair(new, points, box, body), read_hair(source, points, box, people)
    mask, toned = head_mask(points, box, body, own), tone_hair(new, points, box, own, old)
    return mask, toned, *clear_head(source, points, box, people, old, own, rng)


def _toned(
    source: np.ndarray, new: np.ndarray, skin: np.ndarray, irises: tuple[np.ndarray, np.ndarray], points: np.ndarray, box: Box
) -> np.ndarray:
    """The warped rendering [h, w, 3] in the source's tones. Of a large face worked out at a size that is fine enough for them.

    irises: [h, w], of the source and of the rendering.
    """
    factor, near, inside, (own, small, planes) = fine_enough(points, box, source, new, np.stack((skin, *irises), axis=-1))
    tone, before, after = np.moveaxis(planes, 2, 0)
    lit = relight(own, small, tone, face_width(near))
    toned = match_lips(own, lit, mouth_mask(near, inside), lips_mask(near, inside), tone)
    toned = match_irises(own, toned, before, after, tone)
    for side, brow in enumerate(EYEBROWS):
        window, part = around(near[brow], 0.1 * face_width(near), inside)
        mask, beside = brow_mask(near, window, side, *BROW), brow_mask(near, window, side, *BESIDE)
        toned[part] = calm_brows(own[part], toned[part], mask, beside * (mask == 0))
    return toned if factor == 1 else new + enlarge(toned - small, factor, box.shape)


def _smoothed(source: np.ndarray, new: np.ndarray, bare: np.ndarray, points: np.ndarray, box: Box) -> np.ndarray:
    """The warped rendering [h, w, 3] with no rougher skin than the source's, which is bare where [h, w] says so."""
    factor, near, inside, (own, small, bare) = fine_enough(points, box, source, new, bare[..., None])
    skin = bare[..., 0] * (1 - core_mask(near, inside))
    where = soft_mask(near, inside, "face", 0.0, 0.1) * (1 - features_mask(near, inside, nose=False))
    calmer = match_texture(own, small, skin, where, face_width(near))
    return calmer if factor == 1 else new + enlarge(calmer - small, factor, box.shape)


def _silhouette(person: SoftMask, points: np.ndarray, box: Box) -> np.ndarray:
    """1 on the person and on the oval of the mesh, 0 on what is behind, float32 [h, w]; 1 everywhere if the person is not seen.

    On the far side of a turned head brows and regions reach beyond the face. What is surely background there stays.
    """
    share, oval = np.clip(2 * person.window(*box.corners), 0, 1), soft_mask(points, box, "oval", 0.0, 0.02)
    seen = float((share * oval).sum()) >= SEEN * float(oval.sum())
    return np.maximum(share, oval) if seen else np.ones(box.shape, dtype=np.float32)


def _in_front(occluder: np.ndarray, core: np.ndarray, points: np.ndarray, box: Box) -> np.ndarray:
    """What stays of an occluder [h, w] in front of the face, 0..1. Raises FaceRejectedError("occluded")."""
    stays = np.clip(occluder, 0, 1).astype(np.float32)
    features = np.clip(np.rint(points[FEATURES] - box.origin), 0, np.array(box.shape[::-1]) - 1).astype(int)
    covered = float((stays * core).sum() / max(float(core.sum()), 1.0))
    if covered > MAX_COVERED or float(stays[features[:, 1], features[:, 0]].max()) > 0.5:
        raise FaceRejectedError("occluded", f"{100 * covered:.0f} % of eyes, nose and mouth lie behind something")
    # no mixed pixels of the source's own features at the edge
    return stays * (1 - core) + np.clip(2 * stays - 1, 0, 1) * core


def _written(picture: np.ndarray, box: Box, blended: np.ndarray, replaced: np.ndarray, drawn: float) -> Composite:
    out, full = picture.copy(), np.zeros(picture.shape[:2], dtype=np.float32)
    touched = replaced > 1 / 512
    window = out[box.y0 : box.y1, box.x0 : box.x1]
    window[touched] = np.clip(np.rint(blended[touched]), 0, 255).astype(np.uint8)
    full[box.y0 : box.y1, box.x0 : box.x1] = np.where(touched, replaced, 0)
    return Composite(out, full, drawn)
