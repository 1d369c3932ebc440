"""The node pack without its networks: schemas, types, files. Runs on the stand-in, and on a real ComfyUI ($COMFYUI_PATH)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from id2face_core.errors import AssetCorruptError, ConfigError, KeyFileError, ShapeError

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "comfy_stub" / "object_info.json"
FILE_CHOICES = ("key_file", "file", "detector", "recogniser")  # depend on which files there are
KEY = bytes(range(32))


def room(name: str) -> ModuleType:
    return import_module(f"id2face_pack.nodes.{name}")


def nodes(pack: ModuleType) -> list:
    return asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())


def comparable(info: dict, keys: list[str]) -> dict:
    info = json.loads(json.dumps({key: info[key] for key in keys}))
    for kind in info["input"].values():
        for name, value in kind.items():
            if name in FILE_CHOICES:
                value[1].pop("options", None)
    return info


def test_schemas_are_those_that_a_real_comfyui_published(pack: ModuleType) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["nodes"]
    ours = {node.define_schema().node_id: node.GET_NODE_INFO_V1() for node in nodes(pack)}
    assert sorted(ours) == sorted(golden)
    for name, info in golden.items():
        assert comparable(ours[name], list(info)) == comparable(info, list(info))


def test_every_node_and_input_explains_itself(pack: ModuleType) -> None:
    for node in nodes(pack):
        schema = node.define_schema()
        info = node.GET_NODE_INFO_V1()
        assert schema.node_id.startswith("ID2Face") and schema.description and schema.search_aliases
        for kind in ("required", "optional"):
            for name, (_, more) in info["input"].get(kind, {}).items():
                assert more.get("tooltip"), (schema.node_id, name)
        assert all(o.display_name and o.tooltip for o in schema.outputs)


def test_importing_the_pack_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
import sys, torch, time, importlib.util
sys.path.insert(0, {str(ROOT / "tests" / "comfy_stub")!r})
start = time.perf_counter()
spec = importlib.util.spec_from_file_location("pack", {str(ROOT / "__init__.py")!r}, submodule_search_locations=[{str(ROOT)!r}])
pack = importlib.util.module_from_spec(spec); sys.modules["pack"] = pack; spec.loader.exec_module(pack)
import asyncio
asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())
assert time.perf_counter() - start < 5
heavy = ("diffusers", "onnxruntime", "ai_edge_litert", "dlib")
print([m for m in heavy if m in sys.modules], sys.modules["id2face_core"].__file__)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert run.stdout.startswith("[]") and str(ROOT) in run.stdout, run.stdout + run.stderr


def test_the_pack_loads_without_a_package_and_says_what_to_install(tmp_path: Path) -> None:
    code = f"""
import asyncio, sys, importlib.util
sys.path.insert(0, {str(ROOT / "tests" / "comfy_stub")!r})
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("diffusers", "onnxruntime"):
            raise ModuleNotFoundError(name)
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in ("diffusers", "onnxruntime") else find(name, package)
sys.meta_path.insert(0, Gone())
spec = importlib.util.spec_from_file_location("pack", {str(ROOT / "__init__.py")!r}, submodule_search_locations=[{str(ROOT)!r}])
pack = importlib.util.module_from_spec(spec); sys.modules["pack"] = pack; spec.loader.exec_module(pack)
print(len(asyncio.run(asyncio.run(pack.comfy_entrypoint()).get_node_list())))
from pack.nodes.model import SharedModel
try:
    SharedModel().ready()
except Exception as error:
    print(type(error).__name__, error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    count, _, error = run.stdout.partition("\n")
    assert int(count) == len(json.loads(GOLDEN.read_text(encoding="utf-8"))["nodes"]), run.stderr
    assert error.startswith("Id2FaceError ID²Face needs diffusers, onnxruntime; run: ") and "requirements.txt" in error
    assert "ID²Face needs diffusers, onnxruntime" in run.stderr


def test_nothing_about_the_source_is_in_a_repr(pack: ModuleType) -> None:
    types = room("types")
    secret = torch.full((8,), 0.123456)
    values = [
        types.SourceIdentities([[types.SourceIdentity(secret, secret)]], "a"), types.SourceIdentity(secret, secret),
        types.Identities([[types.Identity(secret[None], secret)]], "a"), types.Pseudonyms([["alice"]], "a", KEY),
        types.AttributeVectors([[secret]], "a"), types.Identity(secret[None], secret, secret),
    ]  # fmt: skip
    for text in [*map(repr, values), *map(str, values)]:
        assert "0.1234" not in text and "alice" not in text and repr(KEY)[2:8] not in text


def test_wires_between_different_faces_are_an_error(pack: ModuleType) -> None:
    types = room("types")
    faces = types.Faces([[]], (8, 8), [b""])
    with pytest.raises(ShapeError, match="same Detect & Align Faces"):
        faces.check("identity", types.Identities([[]], "other"))
    paste = room("paste")
    with pytest.raises(ShapeError, match="connect the image"):
        paste.check_same(torch.zeros(2, 8, 8, 3), faces)
    with pytest.raises(ShapeError, match="frame 0"):
        paste.check_same(torch.ones(1, 8, 8, 3), types.Faces([[]], (8, 8), [room("detect").mark(np.zeros((8, 8, 3), np.uint8))]))


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (1, 0, 8, 3), (1, 8, 8, 2), (8, 8, 3)])
def test_what_is_no_image_is_an_error_in_words(pack: ModuleType, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=rf"image is \({shape[0]}, .*connect an"):
        room("anonymize").AnonymizeFaces.execute(torch.zeros(shape), *[None] * 12)


def test_a_failing_frame_is_withheld_and_the_others_go_on(pack: ModuleType) -> None:
    def work(i: int, picture: np.ndarray) -> tuple:
        if i == 1:
            raise RuntimeError("boom")
        return picture, np.zeros((8, 8), np.float32), {"status": "no_face", "faces": []}

    image, mask, rows = room("paste").over_frames(torch.full((3, 8, 8, 3), 0.5), work)
    assert [r["status"] for r in rows] == ["no_face", "withheld", "no_face"]
    assert image[1].max() == 0 and mask[1].min() == 1 and torch.equal(image[2], torch.full((8, 8, 3), 0.5))


def test_an_interrupt_stops_a_loop_and_is_no_failure_of_a_face(pack: ModuleType) -> None:
    import comfy.model_management as management

    management.interrupt_current_processing(True)
    with pytest.raises(management.InterruptProcessingException):
        room("types").guarded(room("session").stop_if_interrupted)
    management.interrupt_current_processing(False)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_saved_files_hold_no_metadata_but_the_allowed_note(pack: ModuleType, tmp_path: Path, kind: str) -> None:
    save = room("save")
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    plain, noted = (tmp_path / f"{n}{save.FORMATS[kind]}" for n in ("plain", "noted"))
    save.write_clean(picture, plain, 95, False)
    save.write_clean(picture, noted, 95, True)
    assert not dict(Image.open(plain).getexif()) and not {"exif", "prompt", "workflow"} & set(Image.open(plain).info)
    assert dict(Image.open(noted).getexif()) == save.NOTES


@pytest.mark.skipif("COMFYUI_PATH" in os.environ, reason="the stand-in tells how it was called; real files: test_nodes_comfyui")
def test_a_video_is_saved_without_metadata_and_with_even_sides(pack: ModuleType, tmp_path: Path) -> None:
    save, frames = room("save"), torch.zeros(3, 7, 9, 4)
    for codec, audio in (("h264", None), ("av1", {"waveform": torch.zeros(1, 1, 8), "sample_rate": 8})):
        path = tmp_path / f"clip{save.CONTAINERS[codec]}"
        save.write_video(frames, path, 29.97, audio, codec)
        assert json.loads(path.read_text()) == {
            "shape": [3, 6, 8, 3], "rate": "2997/100", "audio": audio is not None, "format": path.suffix[1:], "codec": codec,
            "metadata": None,
        }  # fmt: skip
    with pytest.raises(ShapeError, match="1x1"):
        save.SaveAnonymizedVideo.execute(torch.zeros(1, 1, 1, 3), 24.0, "x", "h264")


def test_identities_are_files_and_keyed_ones_only_sealed(pack: ModuleType, tmp_path: Path) -> None:
    store, files, types = room("identity_store"), room("identity_files"), room("types")
    latent = torch.randn(64, generator=torch.Generator().manual_seed(1))
    open_file = store.write_identity(tmp_path, "nobody", latent, None)
    assert open_file.name == "nobody_00001.safetensors"
    assert torch.equal(store.read_identity(open_file, None)[0], latent)
    sealed = store.write_identity(tmp_path, "nobody", latent, KEY)
    assert latent.numpy().tobytes()[:16] not in sealed.read_bytes()
    assert torch.equal(store.read_identity(sealed, KEY)[0], latent)
    for key in (None, bytes(range(1, 33))):
        with pytest.raises(KeyFileError):
            store.read_identity(sealed, key)
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(AssetCorruptError):
        store.read_identity(tmp_path / "bad.safetensors", None)
    with pytest.raises(ConfigError):
        store.write_identity(tmp_path, "../out", latent, None)
    keyed = types.Identities([], "", types.Identity(latent[None], None, keyed=True))
    with pytest.raises(ConfigError, match="seal"):
        files.SaveIdentity.execute(keyed, "x", 0, 0, "none")
    several = types.Identities([], "", types.Identity(torch.randn(3, 64), None))
    with pytest.raises(ConfigError, match="3 candidates"):
        files.SaveIdentity.execute(several, "x", 0, 0, "none")
    assert files.blend(several, several, 0.5).everyone.latents.allclose(several.everyone.latents)
    with pytest.raises(ConfigError, match="not blended"):
        files.blend(keyed, keyed, 0.5)


def test_hints_of_core_nodes_become_faces(pack: ModuleType) -> None:
    hints = room("hints")
    box = {"x": 1, "y": 2, "width": 3, "height": 4}
    for given in (box, [box], [[box], [box]]):
        assert [len(row) for row in hints.boxes_by_frame(given, 2)] == [1, 1]
    with pytest.raises(ShapeError):
        hints.boxes_by_frame([[box]] * 3, 2)
    assert hints.masks_by_frame(torch.zeros(1, 64, 64), 2, (8, 8)) is None
    points = np.zeros((478, 2), np.float32)
    points[468], points[473], points[1], points[61], points[291] = (2, 2), (6, 2), (4, 4), (3, 6), (5, 6)
    row = {"landmarks_xy": points, "bbox_xyxy": np.array([0, 0, 8, 8.0]), "score": 0.9}
    ((face,),) = hints.landmark_faces({"frames": [[row]], "image_size": (8, 8)}, 1, (8, 8))
    assert face.points.tolist() == [[2, 2], [6, 2], [4, 4], [3, 6], [5, 6]]
    lost = hints.claimed([face], [np.array([100, 100, 120, 120.0])])
    assert not lost[0] and len(lost[1]) == 1


def test_the_overlay_shows_no_original(pack: ModuleType) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    hidden, shown = (room("overlay").overlay(noise, [], show) for show in (False, True))
    assert np.array_equal(shown, noise) and np.abs(np.diff(hidden.astype(int), axis=0)).max() < 12


def test_requirements_are_those_of_the_project(pack: ModuleType) -> None:
    wanted = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])
    listed = set((ROOT / "requirements.txt").read_text().split())
    assert listed <= wanted and not {"torch", "numpy", "pillow", "opencv"} & {r.split(">")[0] for r in listed}
    for package in room("own_core").PACKAGES.values():
        assert any(r.startswith(package) for r in listed), package


@pytest.mark.parametrize("path", sorted((ROOT / "docs/images").glob("comfyui_*.jpg")), ids=lambda path: path.stem)
def test_a_picture_of_the_page_is_small_and_shown(path: Path) -> None:
    assert path.stat().st_size <= 150_000
    assert any(f"images/{path.name}" in (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/nodes.md"))


def test_the_pictures_of_the_registry_are_there_and_of_its_sizes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    raw = project["project"]["urls"]["Repository"].replace("github.com", "raw.githubusercontent.com") + "/main/"
    for name, size in (("Icon", (400, 400)), ("Banner", (1680, 720))):
        address = project["tool"]["comfy"][name]
        assert address.startswith(raw)
        with Image.open(ROOT / address.removeprefix(raw)) as picture:
            assert picture.size == size and picture.format == "PNG"
