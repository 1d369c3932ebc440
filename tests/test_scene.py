"""A large face is judged in a small copy of its surroundings, and leaves only after a look at the photograph itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from id2face_core import pipeline
from id2face_core.errors import FaceRejectedError
from id2face_core.faces.landmarks import OVAL
from id2face_core.faces.types import Face, Mesh, SoftMask
from id2face_core.options import AnonymizeOptions
from id2face_core.photograph.warp import face_width
from id2face_core.pictures import read_picture
from id2face_core.pipeline import Anonymizer
from id2face_core.reading import SourceFace
from id2face_core.scene import WIDTH, WORTH, scene_of

SHAPE = (1500, 2000)
CENTRE = np.array([1300.0, 620.0])


def _source(width: float) -> SourceFace:
    """A face whose oval is a circle around CENTRE."""
    rng = np.random.default_rng(0)
    points = CENTRE + 0.3 * width * rng.uniform(-1, 1, (468, 2))
    angle = np.linspace(0, 2 * np.pi, len(OVAL) + 1)[:-1]
    points[OVAL] = CENTRE + 0.5 * width * np.stack((np.sin(angle), -np.cos(angle)), axis=1)
    mesh = Mesh(np.hstack((points, 7 * np.ones((468, 1)))).astype(np.float32), points[:10].reshape(2, 5, 2), 1.0, points[:468])
    face = Face(np.array([*(CENTRE - width / 2), *(CENTRE + width / 2)], dtype=np.float32), points[:5].astype(np.float32), 0.9)
    hand = SoftMask(1000, 300, np.ones((400, 150), dtype=np.float32))
    nothing = torch.zeros(4)
    everybody, hair = SoftMask(0, 0, np.ones(SHAPE, dtype=np.float32)), SoftMask(900, 100, np.ones((80, 300), dtype=np.float32))
    return SourceFace(face, mesh, nothing, nothing, nothing, hand, everybody, hair, b"", nothing, nothing)


def _slopes() -> np.ndarray:
    """A picture whose colours tell where a pixel is."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.stack((255 * x / SHAPE[1], 255 * y / SHAPE[0], 0 * x), axis=-1).round().astype(np.uint8)


def test_a_face_that_is_small_already_is_looked_at_where_it_is() -> None:
    picture, source = _slopes(), _source(WORTH * WIDTH / 1.2)
    scene = scene_of(picture, source, [source.face])
    assert scene.picture is picture and scene.source is source and not scene.reduced


def test_everything_lies_where_it_lay() -> None:
    picture, source = _slopes(), _source(900.0)
    other = Face(np.array([100, 100, 300, 300], dtype=np.float32), np.full((5, 2), 200, dtype=np.float32), 0.5)
    scene = scene_of(picture, source, [source.face, other])
    assert scene.reduced and scene.picture.shape[0] < SHAPE[0] / 2.5
    assert face_width(scene.source.mesh.points) == pytest.approx(WIDTH, rel=0.01)
    assert [face is scene.source.face for face in scene.others] == [True, False]
    mesh, close = scene.source.mesh, scene.source.mesh.close
    assert close is not None
    pairs = [
        (source.face.points, scene.source.face.points), (source.mesh.points[:, :2], mesh.points[:, :2]),
        (source.mesh.close, close),
        (source.mesh.irises.reshape(-1, 2), mesh.irises.reshape(-1, 2)),
    ]  # fmt: skip
    for before, after in pairs:
        for (x, y), (u, v) in zip(before, after, strict=True):
            here = picture[round(float(y)), round(float(x))].astype(int)
            assert np.abs(scene.picture[round(float(v)), round(float(u))] - here).max() <= 1
    scale = WIDTH / face_width(source.mesh.points)
    assert float(mesh.points[0, 2]) == pytest.approx(7 * scale, rel=0.02)
    size = scene.source.face.box.reshape(2, 2)
    assert np.diff(size, axis=0)[0] == pytest.approx(900 * scale, rel=0.02)
    share = scene.source.occluder.window(0, 0, *scene.picture.shape[1::-1])
    assert float(share.sum()) == pytest.approx(400 * 150 * scale**2, rel=0.03), "no more and no less lies in front of the face"
    seen = scene.picture[share > 0.99].astype(float).mean(axis=0)
    hair = scene.source.hair.window(0, 0, *scene.picture.shape[1::-1])
    assert float(hair.sum()) == pytest.approx(80 * 300 * scale**2, rel=0.05)
    assert seen[:2] == pytest.approx(picture[300:700, 1000:1150].reshape(-1, 3).mean(axis=0)[:2], abs=1)


@pytest.fixture(scope="module")
def large() -> np.ndarray:
    photo = Image.fromarray(read_picture(Path(pipeline.__file__).parent / "demo/astronaut.jpg")).crop((100, 0, 350, 250))
    return np.asarray(photo.resize((1250, 1250), Image.Resampling.BICUBIC))


def test_a_large_face_becomes_the_new_face_that_was_judged(anonymizer: Anonymizer, large: np.ndarray) -> None:
    result = anonymizer.anonymize([large], AnonymizeOptions(seed=1, preset="fast"))[0]
    assert result.status == "anonymized" and result.picture is not None and result.picture.shape == large.shape
    replaced = result.mask > 0.99
    assert replaced.sum() > 100_000 and np.abs(result.picture[replaced].astype(int) - large[replaced]).mean() > 8
    assert np.array_equal(result.picture[result.mask == 0], large[result.mask == 0])


def test_what_is_like_the_source_in_the_photograph_itself_is_withheld(
    anonymizer: Anonymizer, large: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []

    def too_like(parts: object, source: object, new: object, picture: np.ndarray, limit: float) -> None:
        seen.append(picture.shape)
        raise FaceRejectedError("too_similar", "as the test wants it")

    monkeypatch.setattr(pipeline, "keep_unlike", too_like)
    result = anonymizer.anonymize([large], AnonymizeOptions(seed=1, preset="fast"))[0]
    assert seen == [large.shape]
    assert result.status == "withheld" and result.faces[0].reason == "too_similar"
