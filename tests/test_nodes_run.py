"""Nodes with the real networks on the bundled photograph."""

from __future__ import annotations

import json
import weakref
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from id2face_core import pipeline
from id2face_core.errors import ConfigError
from id2face_core.options import PRESETS
from id2face_core.pictures import read_picture

PHOTO = Path(pipeline.__file__).parent / "demo/astronaut.jpg"
FAST = PRESETS["fast"]
KEEP = {"keep_age": True, "keep_sex": True, "keep_skin": True}


def room(name: str) -> ModuleType:
    return import_module(f"id2face_pack.nodes.{name}")


@pytest.fixture(scope="module")
def photo(pack: ModuleType, model_dir: Path) -> torch.Tensor:
    return torch.from_numpy(read_picture(PHOTO))[None].float() / 255


def simple(image: torch.Tensor, **changes: Any) -> Any:
    values = {
        "seed": 1, "preset": "fast", "mode": "one_sided", "policy": "fill", "faces": "all",
        "consistent": False, "key_file": "none", "steps": 0,
        "changes": "", **KEEP,
    } | changes  # fmt: skip
    return room("anonymize").AnonymizeFaces.execute(image, **values).args


def detect(image: torch.Tensor, **changes: Any) -> Any:
    values = {
        "include": "all", "exclude": "", "order": "largest", "max_faces": 0, "threshold": 0.35, "min_size": 16,
        "show_originals": False,
    } | changes  # fmt: skip
    return room("detect").DetectFaces.execute(image, **values).args[0]


def paste(image: torch.Tensor, faces: Any, new: Any, policy: str = "fill", region: str = "oval") -> Any:
    return room("paste").PasteFaces.execute(image, faces, new, region, policy, 0.1, 0.0, True, True, True, True).args


def test_a_batch_comes_back_whole_whatever_is_in_it(photo: torch.Tensor) -> None:
    blank = torch.full_like(photo, 0.5)
    batch = torch.cat([blank, photo, blank])
    image, mask, text = simple(batch)
    report = json.loads(text)
    assert image.shape == batch.shape and [r["status"] for r in report["images"]] == ["no_face", "anonymized", "no_face"]
    assert torch.equal(image[mask == 0], batch[mask == 0]) and mask[1].max() > 0.9
    assert "seed" not in text


def test_steps_one_by_one_make_the_same_picture_as_the_simple_node(photo: torch.Tensor) -> None:
    faces = detect(photo)
    attributes = room("attributes").ExtractAttributes.execute(faces).args[0]
    own = room("identity").EncodeIdentity.execute(faces).args[0]
    sampled = room("identity").SampleIdentity.execute(faces, 1, FAST.temperature, 8, **KEEP, attributes=attributes).args[0]
    identity = room("identity").OrthogonalMapping.execute(sampled, own, "one_sided", FAST.margin).args[0]
    run = room("harmonize").HarmonizedDiffusion.execute
    new, rendering, gates, who = run(faces, identity, 4, "dpmpp_2m", "face", FAST.guidance, True, 1, attributes=attributes).args
    assert rendering.shape[0] == 1 and gates.shape[0] == 1
    assert who.frames[0][0].latents.tolist()[0] in identity.frames[0][0].latents.tolist()
    assert torch.equal(paste(photo, faces, new, region="face")[0], simple(photo)[0])


@pytest.mark.parametrize("key", [None, bytes(range(32))])
def test_a_person_gets_one_new_face_by_key_or_by_seed(photo: torch.Tensor, key: bytes | None) -> None:
    faces = detect(torch.cat([photo, photo.flip(2)]))
    identity, types = room("identity"), room("types")
    names = types.Pseudonyms([["person-0"], ["person-0"]], faces.origin, key)
    first = identity.SampleIdentity.execute(faces, 1, 1.0, 8, **KEEP, pseudonym=names).args[0]
    second = identity.SampleIdentity.execute(faces, 2, 1.0, 8, **KEEP, pseudonym=names).args[0]
    assert first.frames[0][0] is first.frames[1][0]
    assert torch.equal(first.frames[0][0].latents, second.frames[1][0].latents) == (key is not None)
    own = identity.EncodeIdentity.execute(faces).args[0]
    for mode in ("one_sided", "keyed") if key else ("one_sided",):
        mapped = identity.OrthogonalMapping.execute(first, own, mode, 0.0, pseudonym=names).args[0]
        assert torch.equal(mapped.frames[0][0].latents, mapped.frames[1][0].latents)
    if key is None:
        with pytest.raises(ConfigError, match="key_file"):
            identity.OrthogonalMapping.execute(first, own, "keyed", 0.0, pseudonym=names)


def test_steps_for_a_clip_make_the_same_frames_as_the_simple_node(photo: torch.Tensor) -> None:
    clip = torch.cat([photo, photo.roll(3, 2)])
    faces, identity = detect(clip), room("identity")
    names = identity.Pseudonym.execute(faces, "none", "by resemblance").args[0]
    sampled = identity.SampleIdentity.execute(faces, 1, FAST.temperature, 8, **KEEP, pseudonym=names).args[0]
    own = identity.EncodeIdentity.execute(faces).args[0]
    mapped = identity.OrthogonalMapping.execute(sampled, own, "one_sided", FAST.margin).args[0]
    new = room("harmonize").HarmonizedDiffusion.execute(faces, mapped, 4, "dpmpp_2m", "face", FAST.guidance, False, 1).args[0]
    assert names.frames == [["person-0"], ["person-0"]]
    assert torch.equal(new.frames[0][0].identity.latents, new.frames[1][0].identity.latents)
    by_steps, by_one = paste(clip, faces, new, region="face")[0], simple(clip, consistent=True)[0]
    assert (by_steps - by_one).abs().mean() < 0.01
    assert not torch.equal(by_one, simple(clip)[0])


def test_a_saved_identity_and_free_traits_are_rendered(photo: torch.Tensor) -> None:
    faces, run = detect(photo), room("harmonize").HarmonizedDiffusion.execute
    free = dict.fromkeys(KEEP, False)
    # nothing turns this identity away from the source, so that the seed has to be of one that is not like it (that of 1 is)
    sampled = room("identity").SampleIdentity.execute(faces, 2, 1.0, 8, **free).args[0]
    new, _, _, who = run(faces, sampled, 2, "dpmpp_2m", "face", 1.0, False, 1).args
    one = room("types").Identities([], "", who.frames[0][0])
    again = run(faces, one, 2, "dpmpp_2m", "face", 1.0, False, 1).args[3]
    assert torch.equal(again.frames[0][0].latents, who.frames[0][0].latents)
    assert json.loads(paste(photo, faces, new)[2])["images"][0]["faces"][0]["status"] == "anonymized"


@pytest.mark.parametrize("policy", ["fill", "blur", "withhold"])
def test_a_face_without_a_new_one_is_covered(photo: torch.Tensor, policy: str) -> None:
    faces, types = detect(photo), room("types")
    new = types.NewFaces([[types.Rejected("boom")]], faces.origin)
    image, mask, text = paste(photo, faces, new, policy)
    x, y = faces.frames[0][0].face.points[2].astype(int)
    nose = np.s_[0, y - 20 : y + 20, x - 20 : x + 20]
    assert (image[nose] - photo[nose]).abs().mean() > 0.02 and mask[nose].min() == 1
    assert json.loads(text)["images"][0]["faces"][0]["reason"] == "boom"


def test_a_frame_whose_detection_fails_is_covered_whole(photo: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = room("model").SharedModel().ready()
    detect_faces, calls = parts.detector.detect, []

    def failing(picture: np.ndarray) -> list:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("boom")
        return detect_faces(picture)

    monkeypatch.setattr(parts.detector, "detect", failing)
    batch = torch.cat([photo.flip(2), photo, torch.zeros_like(photo)])
    faces = detect(batch)
    assert [[f.reason for f in frame] for frame in faces.frames] == [[""], ["error:RuntimeError"], []]
    new = room("types").NewFaces([[room("types").Rejected("none")], [room("types").Rejected("none")], []], faces.origin)
    image, mask, _ = paste(batch, faces, new)
    assert mask[1].min() == 1 and image[1].flatten(0, 1).unique(dim=0).shape[0] == 1
    assert mask[0].min() == 0 and mask[2].max() == 0 and len(image) == 3


def test_a_new_face_like_the_original_is_covered(photo: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    from id2face_core.stages import NewFace

    monkeypatch.setattr(room("paste"), "LIMIT", 0.95)
    faces, types = detect(photo), room("types")
    source = faces.frames[0][0].source
    picture = (photo[0] * 255).round().byte().numpy()
    own = NewFace(picture, source.mesh, source.person, torch.zeros(64), torch.zeros(1, 512), None)
    made = types.Recomposed(own, 0, types.Identity(torch.zeros(1, 64), None))
    _, _, text = paste(photo, faces, types.NewFaces([[made]], faces.origin))
    assert json.loads(text)["images"][0]["faces"][0] == {"box": pytest.approx(faces.frames[0][0].face.box, abs=0.1),
                                                         "status": "withheld", "reason": "too_similar"}  # fmt: skip


def test_the_steps_choose_a_rendering_as_the_simple_node_does(photo: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    from id2face_core import faults

    faces, run = detect(photo), room("harmonize").HarmonizedDiffusion.execute
    sampled = room("identity").SampleIdentity.execute(faces, 1, 1.0, 4, **KEEP).args[0]
    verdicts = iter([3.0, 0.5, faults.TOO_SIMILAR, float("inf")])
    monkeypatch.setattr(faults, "fault", lambda *_, **__: next(verdicts))
    new = run(faces, sampled, 2, "dpmpp_2m", "face", 1.0, False, 3).args[0]
    assert next(verdicts) == faults.TOO_SIMILAR and isinstance(new.frames[0][0], room("types").Recomposed)
    new = run(faces, sampled, 2, "dpmpp_2m", "face", 1.0, False, 1).args[0]
    assert new.frames == [[room("types").Rejected("too_similar")]]


@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 1), (40, 30, 4)])
def test_small_grey_and_transparent_pictures_come_back(photo: torch.Tensor, shape: tuple[int, ...]) -> None:
    image = torch.full((2, *shape), 0.25)
    out, mask, text = simple(image)
    assert torch.equal(out, image[..., :3].expand(2, *shape[:2], 3)) and mask.max() == 0
    assert [r["status"] for r in json.loads(text)["images"]] == ["no_face"] * 2


def test_half_precision_alpha_and_grey_photographs_are_anonymized(photo: torch.Tensor) -> None:
    alpha = torch.cat([photo, photo[..., :1]], 3).half()
    out, mask, _ = simple(alpha)
    assert torch.equal(out[mask == 0], alpha[..., :3].float()[mask == 0]) and mask.max() > 0.9
    grey = photo.mean(3, keepdim=True)
    out, mask, text = simple(grey)
    assert out.shape == photo.shape and mask.max() > 0.9 and json.loads(text)["images"][0]["status"] == "anonymized"


def test_an_edited_trait_is_kept_whatever_is_free(photo: torch.Tensor) -> None:
    faces, attributes = detect(photo), room("attributes")
    values = attributes.ExtractAttributes.execute(faces).args[0]
    edited = attributes.EditAttributes.execute(values, 10, "keep", 0, 0, 0, "all", "")
    free = dict.fromkeys(KEEP, False)
    (sampled,) = room("identity").SampleIdentity.execute(faces, 1, 1.0, 2, **free, attributes=edited.args[0]).args
    indices = room("model").SharedModel().ready().traits.indices
    from id2face_core.attributes.vector import ATTRIBUTES

    assert [ATTRIBUTES[i] for i, stays in zip(indices, sampled.frames[0][0].kept, strict=True) if stays] == ["age"]


def test_faces_can_be_left_out_and_too_small_ones_are_covered(photo: torch.Tensor) -> None:
    assert [f.status for f in detect(photo, exclude="0").frames[0]] == ["skipped"]
    assert [f.reason for f in detect(photo, min_size=400).frames[0]] == ["too_small"]


def test_an_interrupt_ends_the_diffusion_within_a_step(photo: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    import comfy.model_management as management

    from id2face_core.diffusion import sampler

    steps, make = [], sampler.make_scheduler

    def interrupting(name: str) -> Any:
        solver = make(name)
        step = solver.step

        def counted(*args: Any, **rest: Any) -> Any:
            steps.append(1)
            if len(steps) == 2:
                management.interrupt_current_processing(True)
            return step(*args, **rest)

        solver.step = counted
        return solver

    monkeypatch.setattr(sampler, "make_scheduler", interrupting)
    with pytest.raises(management.InterruptProcessingException):
        simple(photo, steps=12)
    assert len(steps) == 2


def test_weights_are_loaded_once_and_freed_on_request(photo: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    model, loads = room("model"), list[str]()
    load = model._load
    model.release()
    monkeypatch.setattr(model, "_load", lambda detector, place: (loads.append(detector), load(detector, place))[1])
    handle = room("loader").LoadModel.execute("centerface", "automatic").args[0]
    for given in (None, handle, model.SharedModel()):
        faces = room("detect").DetectFaces.execute(photo, "all", "", "largest", 0, 0.35, 16, False, model=given).args[0]
        room("identity").EncodeIdentity.execute(faces, model=given)
    assert loads == ["centerface"]
    (generator,) = (weakref.ref(loaded.parts.generator) for loaded in model._loaded.values())
    assert room("loader").UnloadModel.execute(faces).args == (faces,)
    assert generator() is None and not model._loaded
    room("identity").EncodeIdentity.execute(faces, model=handle)
    assert loads == ["centerface"] * 2


def test_the_check_passes_new_faces_and_fails_the_original(photo: torch.Tensor) -> None:
    pytest.importorskip("dlib")
    check = room("check").PrivacyCheck.execute
    assert check(simple(photo)[0], photo, "dlib", "report", 0.0).args[1] is True
    image, passed, text = check(photo, photo, "dlib", "block", 0.0).args
    assert passed is False and type(image).__name__ == "ExecutionBlocker" and json.loads(text)["threshold"] == -0.557
    assert check(torch.zeros_like(photo), torch.zeros_like(photo), "dlib", "report", 0.0).args[1] is False
