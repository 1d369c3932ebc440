"""One pair of files is read once: everything that the attacks need of it comes out as small arrays, the pictures go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from ..assets import model_folder, our_weights, require_folder
from ..attributes.extractor import AttributeExtractor
from ..attributes.geometry import normalised_points
from ..components import load_detector
from ..errors import FaceRejectedError, PictureError
from ..faces.alignment import arcface_matrix, invert, transform_points, warp
from ..faces.landmarks import FILES, MeshNetwork
from ..faces.tiling import TiledDetector
from ..faces.types import Face, FaceDetector
from ..perceptual import WINDOW, load_perceptual
from ..pictures import read_picture
from .contact_sheet import face_window
from .controls import CONTROLS, crop_side, grey_head, grey_oval, oval_mask
from .features import load_features
from .judges import Judge, load_judge
from .material import Pair, Source
from .metadata import rides_along, tokens
from .readings import sharpness
from .recognisers import Auditor

ORIGINAL, ANONYMIZED, RING, RENDERING = "original", "anonymized", "what was kept", "rendering"
HIDING = {name: control for name, control in CONTROLS.items() if name != "nothing"} | {"grey head": grey_head}
CROP, CROP_FACE = 80, 64  # of A5: ArcFace's square is the middle 64 px, so that judges find some border
PATCH = 1.1  # sides of ArcFace's crop that are kept around its middle; judges look at 0.9, diagonals included
LOOK = 320  # longest side in which a face is looked for at its known place
MIN_SIDE = 16.0  # pixels; below, no recogniser says anything


@dataclass(frozen=True)
class FaceRow:
    """One face of an original, and the same place afterwards. Nothing of it is shown by repr.

    vectors: {judge: {view: [D]}}; changed: mean difference inside the face, grey levels (None: no picture after);
    found: a face is detected at the place afterwards; attributes, mesh: before and after (None: not readable);
    crops: uint8 [80, 80, 3] before and after, for A5; background: mean difference and share of equal pixels away from faces;
    features: [D] before and after, for the Frechet distance; perceptual: LPIPS of before and after around the face, which
    is covered in both, and of all that the window shows.
    """

    pair: int
    face: int
    side: float = field(repr=False)
    points: np.ndarray = field(repr=False)
    vectors: dict[str, dict[str, np.ndarray]] = field(repr=False)
    changed: float | None = field(repr=False)
    found: bool = field(repr=False)
    attributes: tuple[np.ndarray | None, np.ndarray | None] = field(repr=False, default=(None, None))
    mesh: tuple[np.ndarray | None, np.ndarray | None] = field(repr=False, default=(None, None))
    sharpness: tuple[float, float] | None = field(repr=False, default=None)
    crops: tuple[np.ndarray, np.ndarray] | None = field(repr=False, default=None)
    background: tuple[float, float] | None = field(repr=False, default=None)
    features: tuple[np.ndarray, np.ndarray] | None = field(repr=False, default=None)
    perceptual: tuple[float, float] | None = field(repr=False, default=None)


@dataclass(frozen=True)
class Examined:
    """A pair's faces, or why it has none. state: "read", "no face", "missing" (nothing written), "unreadable"."""

    pair: int
    state: str
    reason: str
    faces: tuple[FaceRow, ...] = field(repr=False)
    small: int = 0  # faces below MIN_SIDE, not judged
    rides: tuple[str, ...] = ()  # kinds of metadata, name or hash of the original found in the anonymized file
    tokens: int = 0  # kinds that were searched


class Examiner:
    """The networks of one process. folder: of the third-party files, instead of `model_folder()`."""

    def __init__(
        self,
        judges: Sequence[Judge],
        detectors: tuple[str, ...] = ("centerface",),
        features: Path | None = None,
        perceptual: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        folder = folder or model_folder()
        self.features = None if features is None else load_features(features)
        self.perceptual = None if perceptual is None else load_perceptual(perceptual)
        self.auditors: list[Auditor] = [load_judge(judge) for judge in judges]
        self.near = load_detector(detectors, folder)  # where a face is known to have been
        self.detector: FaceDetector = TiledDetector(self.near)
        self.mesh = MeshNetwork.from_folder(require_folder("landmarks", FILES, folder))
        self.reader = AttributeExtractor.from_folder(our_weights("attributes"))

    def examine(self, index: int, pair: Pair, controls: bool, crops: bool) -> Examined:
        """Read a pair. controls: embed what blur, pixels and masks leave too; crops: keep small pictures for A5."""
        try:
            source = pair.original.read_bytes()
            before = read_picture(source)
        except (PictureError, OSError) as error:
            return Examined(index, "unreadable", f"original: {_why(error)}", ())
        after: np.ndarray | None = None
        rides: list[str] = []
        searched = tokens(source, Path(pair.name).name)
        if pair.anonymized is not None:
            try:
                data = pair.anonymized.read_bytes()
                after = _same_size(read_picture(data), before.shape)
            except (PictureError, OSError) as error:
                return Examined(index, "unreadable", f"anonymized: {_why(error)}", ())
            rides = rides_along(searched, data)
        faces = self.detector.detect(before)
        judged = [face for face in faces if _side(face) >= MIN_SIDE]
        rendering = None if pair.rendering is None else _read_or_none(pair.rendering)
        away = None if after is None else _background(before, after, faces)
        rows = tuple(
            replace(self._face(index, i, face, before, after, rendering if i == 0 else None, controls, crops), background=away)
            for i, face in enumerate(judged)
        )
        state = "missing" if after is None else "read" if rows else "no face"
        return Examined(index, state, "", rows, len(faces) - len(judged), tuple(rides), len(searched))

    def _face(
        self,
        index: int,
        number: int,
        face: Face,
        before: np.ndarray,
        after: np.ndarray | None,
        rendering: np.ndarray | None,
        controls: bool,
        crops: bool,
    ) -> FaceRow:
        points, (patch, at) = face.points, face_patch(before, face.points)
        views = {ORIGINAL: (patch, at)}
        if after is not None:
            views[ANONYMIZED] = face_patch(after, points)
        if controls:
            views |= {name: (hide(patch, at), at) for name, hide in HIDING.items()}
            if after is not None:
                views[RING] = grey_oval(*views[ANONYMIZED]), at
        new_faces = [] if rendering is None else self.detector.detect(rendering)
        if rendering is not None and new_faces:
            views[RENDERING] = (rendering, new_faces[0].points)
        vectors = {
            a.name: {name: a.embed(*view).astype(np.float32) for name, view in views.items()} for a in self.auditors
        }  # fmt: skip
        if after is None:
            return FaceRow(index, number, _side(face), points, vectors, None, False)
        place = self._place(after, points)
        read_before, read_after = self._read(before, points), self._read(after, points if place is None else place)
        kept = None
        if crops and self.features is not None:
            first, second = (self.features(face_window(p, points, 299)).astype(np.float32) for p in (before, after))
            kept = first, second
        now = views[ANONYMIZED][0]  # of the same size and place as `patch`
        inside = oval_mask(patch.shape, at)
        changed = float(np.abs(patch[inside].astype(np.int16) - now[inside]).mean()) if inside.any() else 0.0
        return FaceRow(
            index, number, _side(face), points, vectors, changed, place is not None,
            (read_before[0], read_after[0]), (read_before[1], read_after[1]),
            (sharpness(before, points), sharpness(after, points)),
            (_crop(before, points), _crop(after, points)) if crops else None, None, kept,
            self._difference(views[ORIGINAL], views[ANONYMIZED]),
        )  # fmt: skip

    def _difference(self, *views: tuple[np.ndarray, np.ndarray]) -> tuple[float, float] | None:
        if self.perceptual is None:
            return None
        covered = [face_window(grey_oval(*view), view[1], WINDOW) for view in views]
        whole = [face_window(*view, WINDOW) for view in views]
        return self.perceptual.distance(*covered), self.perceptual.distance(*whole)

    def _place(self, picture: np.ndarray, points: np.ndarray) -> np.ndarray | None:
        """Points of the face that is detected where one was, within an eye distance; looked for in the surroundings only."""
        patch, at = face_patch(picture, points)
        scale = min(1.0, LOOK / max(patch.shape[:2]))
        if scale < 1:
            size = (max(1, round(patch.shape[1] * scale)), max(1, round(patch.shape[0] * scale)))
            patch = np.asarray(Image.fromarray(patch).resize(size, Image.Resampling.BILINEAR))
        found = _nearest(self.near.detect(patch), at * scale)
        return None if found is None else (found / scale + (points - at)).astype(np.float32)

    def _read(self, picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        try:
            mesh = self.mesh.fit(picture, points)
            return self.reader.read(picture, points, mesh)[0], normalised_points(mesh.points, mesh.irises)
        except FaceRejectedError:
            return None, None


def strangers(examiner: Examiner, paths: Sequence[Path]) -> Iterator[dict[str, np.ndarray]]:
    """{judge: [D]} of the largest face of each readable picture, for thresholds and for training people."""
    for path in paths:
        picture = _read_or_none(path)
        faces = [] if picture is None else examiner.detector.detect(picture)
        if picture is not None and faces and _side(faces[0]) >= MIN_SIDE:
            yield {a.name: a.embed(picture, faces[0].points).astype(np.float32) for a in examiner.auditors}


def face_patch(picture: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The surroundings of a face, all that any judge looks at, and its points there."""
    side = crop_side(points)
    centre = transform_points(np.array([55.5, 55.5]), invert(arcface_matrix(points)))
    low = np.maximum(np.floor(centre - PATCH * side), 0).astype(int)
    high = np.minimum(np.ceil(centre + PATCH * side) + 1, (picture.shape[1], picture.shape[0])).astype(int)
    if (high - low < 2).any():
        return picture, points
    return np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]]), points - low.astype(points.dtype)


def _nearest(faces: Sequence[Face], points: np.ndarray) -> np.ndarray | None:
    """Points of the face that is detected where one was, within an eye distance."""
    reach, middle = float(np.linalg.norm(points[1] - points[0])), points.mean(axis=0)
    near = [(float(np.linalg.norm(f.points.mean(axis=0) - middle)), f.points) for f in faces]
    near = [item for item in near if item[0] < reach]
    return min(near, key=lambda item: item[0])[1] if near else None


def _read_or_none(source: Source) -> np.ndarray | None:
    try:
        return read_picture(source.read_bytes())
    except (PictureError, OSError):
        return None


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, PictureError) else getattr(error, "strerror", None) or type(error).__name__


def _same_size(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The anonymized picture at the original's size. Raises PictureError when it has another shape altogether."""
    height, width = shape[:2]
    if picture.shape[:2] == (height, width):
        return picture
    stretch = picture.shape[1] / width / (picture.shape[0] / height)
    if abs(stretch - 1) > 0.02:
        raise PictureError(f"has {picture.shape[1]} x {picture.shape[0]} pixels, the original {width} x {height}")
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def _side(face: Face) -> float:
    return float(min(face.box[2] - face.box[0], face.box[3] - face.box[1]))


def _crop(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    matrix = arcface_matrix(points, CROP_FACE)
    matrix[:, 2] += (CROP - CROP_FACE) / 2
    return warp(picture, matrix, CROP)


def _background(before: np.ndarray, after: np.ndarray, faces: Sequence[Face]) -> tuple[float, float] | None:
    """Mean difference and share of equal pixels, half a face's width and more away from every face; None: nothing is."""
    away = np.ones(before.shape[:2], dtype=bool)
    for face in faces:
        reach = 0.5 * float(max(face.box[2] - face.box[0], face.box[3] - face.box[1]))
        x0, y0, x1, y1 = (int(v) for v in (face.box[0] - reach, face.box[1] - reach, face.box[2] + reach, face.box[3] + reach))
        away[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = False
    if not away.any():
        return None
    a, b = before[away].astype(np.int16), after[away].astype(np.int16)
    return float(np.abs(a - b).mean()), float((a == b).all(axis=-1).mean())
