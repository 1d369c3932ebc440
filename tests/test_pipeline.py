"""The pipeline on the bundled photograph, with the real networks (after `id2face setup`)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from id2face_core import pipeline, reading, stages
from id2face_core.attributes.edit import kept_traits
from id2face_core.attributes.vector import index
from id2face_core.errors import ConfigError, FaceRejectedError, Interrupted, ShapeError
from id2face_core.identity.orthogonal import keyed_back, outside
from id2face_core.looks import BEARDED
from id2face_core.options import AnonymizeOptions
from id2face_core.photograph.coverage import BEARD, CHIN_HAIR, ZONES
from id2face_core.pictures import read_picture
from id2face_core.pipeline import Anonymizer

PHOTO = Path(pipeline.__file__).parent / "demo/astronaut.jpg"


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read_picture(PHOTO)


def test_the_face_is_replaced_and_the_rest_untouched(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    before = photo.copy()
    result = anonymizer.anonymize([photo], AnonymizeOptions(seed=1))[0]
    assert result.status == "anonymized" and [f.status for f in result.faces] == ["anonymized"]
    assert result.picture is not None and np.array_equal(photo, before)
    assert np.array_equal(result.picture[result.mask == 0], photo[result.mask == 0])
    x, y = result.faces[0].points[2].astype(int)
    nose = np.s_[y - 20 : y + 20, x - 20 : x + 20]
    assert np.abs(result.picture[nose].astype(int) - photo[nose]).mean() > 3


def test_a_result_does_not_depend_on_batch_or_order(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    blank = np.full((64, 64, 3), 127, dtype=np.uint8)
    options = AnonymizeOptions(seed=3, preset="fast")
    alone = anonymizer.anonymize([photo], options)[0].picture
    among = anonymizer.anonymize([blank, photo, blank], options)
    assert [r.status for r in among] == ["no_face", "anonymized", "no_face"]
    assert alone is not None and np.array_equal(alone, among[1].picture)


@torch.inference_mode()
def test_keyed_identities_keep_the_margin_and_turn_back_with_their_key_only(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    parts = anonymizer.parts
    source = reading.read_face(parts, photo, parts.detector.detect(photo)[0])
    own, kept = stages.identity_latent(parts, source.embedding), kept_traits(None, parts.traits.indices)
    drawn = stages.sample_identity(parts, source.attributes, torch.Generator().manual_seed(0), source=source, kept=kept)
    key, other = bytes(range(32)), bytes(range(1, 33))
    basis = parts.traits.basis(kept)
    rest = outside(len(own), basis)

    def cosine(latents: torch.Tensor, part: torch.Tensor) -> float:
        return float(torch.cosine_similarity(latents[0] @ part, own @ part, dim=0))

    everything = torch.eye(len(own))
    free = stages.map_identity(parts, drawn, source.embedding, "keyed", kept=kept, margin=0.99, key=key)
    new = stages.map_identity(parts, drawn, source.embedding, "keyed", kept=kept, margin=-0.3, key=key)
    assert abs(cosine(free, rest)) < 1e-4 and cosine(new, everything) <= -0.3 + 1e-3 < cosine(free, everything)
    back, wrong = (keyed_back(new, k, stages.PERSON_NONCE, basis) for k in (key, other))
    assert cosine(back, rest) > 0.5 > abs(cosine(wrong, rest)) + 0.1


def test_a_mesh_that_does_not_sit_where_the_detector_sees_a_face_is_refused(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    """A head half behind another one: the mesh settles on hair and shoulder, and a face pasted there would float in the air."""
    parts = anonymizer.parts
    face = parts.detector.detect(photo)[0]
    assert reading.apart(reading.read_face(parts, photo, face).mesh, face.points, photo.shape) < 0.1
    x0, y0, x1, y1 = face.box
    lower = replace(face, points=face.points + np.array([0, 0.25 * (y1 - y0)], np.float32))
    mesh = parts.mesh.fit(photo, lower.points)
    assert reading.apart(mesh, lower.points, photo.shape) > reading.MISPLACED
    with pytest.raises(FaceRejectedError) as caught:
        reading.read_face(parts, photo, lower)
    assert caught.value.reason == "no_mesh"
    # what lies outside of the picture says nothing: detectors squeeze it in
    cut = photo[:, : int(mesh.points[:, 0].min()) - 1]
    assert reading.apart(mesh, lower.points, cut.shape) == float("inf")


def test_a_frontal_mesh_half_of_which_lies_in_the_air_is_refused(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    """A profile that the border cuts: a whole face would be painted over it and over the background in front of it."""
    parts = anonymizer.parts
    face = parts.detector.detect(photo)[0]
    source = reading.read_face(parts, photo, face)
    assert reading.half_off(source.mesh, source.person, photo.shape) < 0.05
    nobody = replace(source.person, share=np.zeros_like(source.person.share))
    assert reading.half_off(source.mesh, nobody, photo.shape) == 0, "a person that is not seen at all says nothing"
    half = photo.copy()
    half[:, round(float(source.mesh.points[1, 0])) :] = photo[5, 5]  # from the tip of the nose on
    with pytest.raises(FaceRejectedError) as caught:
        reading.read_face(parts, half, face)
    assert caught.value.reason == "profile"


@torch.inference_mode()
def test_a_candidate_that_is_asked_for_again_is_the_same_face(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    parts = anonymizer.parts
    source = reading.read_face(parts, photo, parts.detector.detect(photo)[0])
    latents = stages.sample_identity(parts, source.attributes, torch.Generator().manual_seed(0), source=source, count=2)

    def drawn(guidance: float) -> stages.Candidates:
        noise = torch.Generator().manual_seed(1)
        return stages.draw_candidates(
            parts, latents, source.attributes, noise, forbidden=source.embedding, steps=2, guidance=guidance
        )

    guided = drawn(1.7)
    assert not torch.allclose(guided.codes, drawn(1.0).codes, atol=1e-2)
    for rank in range(2):
        again = stages.ask_again(parts, guided, rank, source.attributes)
        torch.testing.assert_close(again.codes[0], guided.codes[guided.order[rank]], atol=1e-4, rtol=1e-4)


@torch.inference_mode()
def test_what_is_asked_to_be_bare_is_barer_once_rendered_and_the_same_person(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    parts, rows = anonymizer.parts, 3
    source = reading.read_face(parts, photo, parts.detector.detect(photo)[0])
    latents = stages.sample_identity(parts, source.attributes, torch.Generator().manual_seed(0), source=source, count=rows)

    def rendered(cover: torch.Tensor | None) -> tuple[stages.Candidates, list[reading.Reading]]:
        noise = torch.Generator().manual_seed(1)
        drawn = stages.draw_candidates(parts, latents, source.attributes, noise, forbidden=source.embedding, steps=2, cover=cover)
        inverse = [drawn.order.index(i) for i in range(rows)]
        return drawn, [reading.read_rendering(parts, stages.render_candidate(parts, drawn, rank)) for rank in inverse]

    bare = torch.zeros(2, len(ZONES))
    (_, before), (drawn, after) = rendered(None), rendered(bare)
    forehead = ZONES.index("forehead")
    shown = torch.stack([torch.stack([r.cover for r in readings]).mean(dim=0) for readings in (before, after)])
    assert shown[1, forehead] < 0.6 * shown[0, forehead] and shown[1].sum() < shown[0].sum()
    assert min(float(a.embedding @ b.embedding) for a, b in zip(before, after, strict=True)) > 0.75
    # what a rendering still shows is told to the next, which therefore shows less
    first = drawn.order[0]
    hidden = stages.misread(parts, drawn, after[first])
    assert hidden is not None
    again = stages.ask_again(parts, drawn, 0, source.attributes, hidden)
    told = parts.recomposer.groomer(again.codes)[0] - parts.recomposer.groomer(drawn.codes[first][None])[0]
    assert bool((told[hidden > 0.02] < 0).all())


def test_a_beard_is_kept_but_not_by_whoever_becomes_a_woman(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    face = reading.read_face(anonymizer.parts, photo, anonymizer.parts.detector.detect(photo)[0])
    assert face.cover[CHIN_HAIR] < BEARDED, "she has none"
    assert stages.wished_cover(face, face.attributes)[0].max() == 0
    man, woman = face.attributes.clone(), face.attributes.clone()
    man[index("sex")], woman[index("sex")] = 1.0, 0.0
    cover = torch.full_like(face.cover, 0.3)
    cover[BEARD] = torch.tensor([1.4, 1.9])
    bearded = replace(face, attributes=man, cover=cover)
    least, most = stages.wished_cover(bearded, man)
    assert torch.equal(least[BEARD], cover[BEARD]) and torch.equal(most[BEARD], cover[BEARD])
    assert most[ZONES.index("forehead")] == 0 and most[ZONES.index("cheeks")] == cover[0]
    least, most = stages.wished_cover(bearded, woman)
    assert least.max() == 0 and most[BEARD].max() == 0
    assert stages.wished_cover(bearded, man, head=True)[1, ZONES.index("forehead")] == 1


@pytest.mark.parametrize("policy", ["fill", "blur", "withhold"])
@pytest.mark.parametrize("error", [FaceRejectedError("profile"), RuntimeError("boom"), MemoryError()])
def test_any_failure_covers_the_face(
    anonymizer: Anonymizer, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, policy: str, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(pipeline, "render_candidate", fail)
    result = anonymizer.anonymize([photo], AnonymizeOptions(seed=1, policy=policy))[0]  # type: ignore[arg-type]
    assert result.status == "withheld" and result.faces[0].status == "withheld" and result.faces[0].reason
    if policy == "withhold":
        assert result.picture is None
        return
    x0, y0, x1, y1 = (int(v) for v in result.faces[0].box)
    assert result.picture is not None and (result.mask[y0:y1, x0:x1] == 1).all()
    face = result.picture[y0:y1, x0:x1].astype(float)
    assert np.abs(np.diff(face, axis=1)).mean() < 0.5 * np.abs(np.diff(photo[y0:y1, x0:x1].astype(float), axis=1)).mean()


def test_faces_can_be_skipped_by_wish(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    result = anonymizer.anonymize([photo], AnonymizeOptions(faces=(5,)))[0]
    assert result.status == "skipped" and np.array_equal(result.picture, photo)


def test_wrong_wishes_are_errors_and_not_withheld_faces(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    for options in ({"set": {"nose": 1.0}}, {"set": {"age": "old"}}, {"keep": ("hat",)}):
        with pytest.raises(ConfigError):
            anonymizer.anonymize([photo], AnonymizeOptions(**options))  # type: ignore[arg-type]
    for wrong in ({"mode": "negate"}, {"mode": "keyed"}, {"preset": "best"}, {"steps": 0}, {"policy": "keep"}):
        with pytest.raises(ConfigError):
            AnonymizeOptions(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ShapeError):
        anonymizer.anonymize([photo[..., 0]])


def test_an_interrupt_returns_nothing(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    with pytest.raises(Interrupted):
        anonymizer.anonymize([photo], interrupted=lambda: True)


def test_an_interrupt_is_answered_within_one_diffusion_step(anonymizer: Anonymizer, photo: np.ndarray) -> None:
    asked: list[int] = []

    def interrupted() -> bool:
        asked.append(1)
        return len(asked) == 4

    with pytest.raises(Interrupted):
        anonymizer.anonymize([photo], AnonymizeOptions(seed=1), interrupted=interrupted)
    assert len(asked) == 4


def test_a_failing_detection_withholds_that_picture_alone(
    anonymizer: Anonymizer, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    detect = anonymizer.parts.detector.detect

    def fails_on_small(picture: np.ndarray) -> list:
        if picture.shape[0] == 64:
            raise RuntimeError("boom")
        return detect(picture)

    monkeypatch.setattr(anonymizer.parts.detector, "detect", fails_on_small)
    small = np.full((64, 64, 3), 127, dtype=np.uint8)
    first, second = anonymizer.stream(iter([small, photo]), AnonymizeOptions(seed=1, preset="fast"))
    assert first.picture is None and first.status == "withheld" and first.mask.all()
    assert second.status == "anonymized"


def test_tiny_and_empty_pictures(anonymizer: Anonymizer) -> None:
    for shape in ((1, 1, 3), (3, 200, 3), (40, 40, 3)):
        result = anonymizer.anonymize([np.zeros(shape, dtype=np.uint8)])[0]
        assert result.status == "no_face" and result.picture is not None and result.picture.shape == shape


def test_a_key_never_shows() -> None:
    assert "secret" not in repr(AnonymizeOptions(key=b"secret" * 8))
