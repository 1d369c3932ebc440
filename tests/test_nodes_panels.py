"""What the page gets from the nodes: no picture of the source unless it is asked for, and the gallery of identities."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from id2face_core.errors import ConfigError, Id2FaceError, KeyFileError


def room(name: str) -> ModuleType:
    return import_module(f"id2face_pack.nodes.{name}")


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_the_shelf_shows_coarse_pictures_and_forgets_the_oldest(pack: ModuleType) -> None:
    shelf = room("shelf").Shelf(limit=3 * 96 * 96 * 3)
    names = [shelf.put([noise(96, 96, i)], public=False) for i in range(4)]
    assert shelf.get(names[0], 0, clear=True) is None and len(set(names)) == 4
    coarse, clear = shelf.get(names[3], 0, clear=False), shelf.get(names[3], 0, clear=True)
    assert np.array_equal(clear, noise(96, 96, 3))
    assert np.abs(np.diff(coarse.astype(int), axis=0)).max() < 12 < np.abs(np.diff(clear.astype(int), axis=0)).max()
    assert shelf.get(names[3], 1, clear=True) is None and shelf.get("x", 0, clear=True) is None
    public = shelf.put([noise(8, 8)], public=True)
    assert np.array_equal(shelf.get(public, 0, clear=False), noise(8, 8)) and "array" not in repr(shelf)


def test_panels_are_json_without_pictures(pack: ModuleType) -> None:
    panels, types = room("panels"), room("types")
    from id2face_core.faces.types import Face

    image = torch.from_numpy(noise(64, 96))[None].repeat(2, 1, 1, 1).float() / 255
    inside = Face(np.array([10, 10, 40, 40], np.float32), np.zeros((5, 2), np.float32), 0.9)
    nowhere = Face(np.zeros(4, np.float32), np.zeros((5, 2), np.float32), 0.0)
    faces = types.Faces([[types.Found(inside, "chosen")], [types.Found(nowhere, "rejected", "error:RuntimeError")]], (64, 96), [])
    (shown,) = panels.faces_panel(image, faces)["id2face_faces"]
    assert [row["picture"] for row in shown["faces"]] == [0, None] and shown["frames"] == 2
    thumbnail = room("shelf").SHELF.get(shown["pictures"], 0, clear=True)
    assert thumbnail.shape == (96, 96, 3)
    scored = [{"box": [0, 0, 1, 1], "score": 0.1, "passed": True}, {"box": [], "score": 0.4, "passed": False}]
    rows = [{"frame": 0, "faces": scored}]
    result = {"recogniser": "a", "threshold": 0.253, "passed": False, "images": rows}
    (check,) = panels.check_panel(result, image, image, True)["id2face_check"]
    assert check["recognisers"] == [{"name": "a", "threshold": 0.253, "worst": 0.4, "faces": 2, "failed": 1}]
    several = {"passed": False, "recognisers": [result, result | {"recogniser": "b", "images": []}]}
    (check,) = panels.check_panel(several, image, image, True)["id2face_check"]
    assert [row["worst"] for row in check["recognisers"]] == [0.4, None]
    covered = [{"status": "withheld", "reason": "x"}] * 2
    (report,) = panels.report_panel([{"status": "withheld", "faces": covered}])["id2face_report"]
    assert report["faces"] == [{"status": "withheld", "reason": "x", "count": 2}]
    assert len(json.dumps([shown, check, report])) < 1500


def test_a_long_clip_gets_so_many_thumbnails_and_no_more(pack: ModuleType) -> None:
    panels, types = room("panels"), room("types")
    from id2face_core.faces.types import Face

    face = Face(np.array([1, 1, 7, 7], np.float32), np.zeros((5, 2), np.float32), 0.9)
    frames = panels.MOST_FACES + 20
    faces = types.Faces([[types.Found(face, "chosen")]] * frames, (8, 8), [])
    (shown,) = panels.faces_panel(torch.zeros(1, 8, 8, 3).expand(frames, -1, -1, -1), faces)["id2face_faces"]
    pictures = [row["picture"] for row in shown["faces"]]
    assert pictures[: panels.MOST_FACES] == list(range(panels.MOST_FACES)) and pictures[panels.MOST_FACES :] == [None] * 20


@pytest.fixture
def folder(pack: ModuleType) -> Iterator[Path]:
    store, place = room("identity_store"), room("folders").identity_folder()
    for name, key in (("anna", None), ("sealed", bytes(32))):
        store.write_identity(place, name, torch.randn(64, generator=torch.Generator().manual_seed(len(name))), key)
    yield place
    for path in place.iterdir():
        path.chmod(0o600)
        path.unlink()


def test_the_gallery_lists_and_changes_files_and_nothing_else(folder: Path) -> None:
    gallery = room("gallery")
    (folder / "broken_00001.safetensors").write_bytes(b"x")
    rows = {row["file"]: row for row in gallery.listing()}
    assert [row["sealed"] for row in rows.values()] == [False, True, True]
    assert gallery.perform("rename", {"file": "anna_00001.safetensors", "name": "berta"}) == "berta_00001.safetensors"
    gallery.perform("lock", {"file": "berta_00001.safetensors", "locked": True})
    for action in ("rename", "delete"):
        with pytest.raises(ConfigError, match="locked"):
            gallery.perform(action, {"file": "berta_00001.safetensors", "name": "x"})
    gallery.perform("lock", {"file": "berta_00001.safetensors", "locked": False})
    for wish in ({"file": "../secret", "name": "x"}, {"file": "berta_00001.safetensors", "name": "../x"}, {"file": "nobody"}, {}):
        with pytest.raises(Id2FaceError):
            gallery.perform("rename", wish)
    with pytest.raises(KeyFileError):
        gallery.perform("blend", {"a": "sealed_00001.safetensors", "b": "berta_00001.safetensors", "ratio": 0.5, "name": "x"})
    with pytest.raises(KeyFileError):
        gallery.portrait("sealed_00001.safetensors")
    for wish in ({"ratio": 2}, {"ratio": float("nan")}, {"ratio": "x"}):
        with pytest.raises(ConfigError):
            gallery.perform("blend", {"a": "berta_00001.safetensors", "b": "berta_00001.safetensors", "name": "x"} | wish)
    with pytest.raises(ConfigError):
        gallery.perform("format", {})
    gallery.perform("delete", {"file": "berta_00001.safetensors"})
    assert not (folder / "berta_00001.safetensors").exists()


def test_a_portrait_is_a_face_of_nobody_and_rendered_once(folder: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery, calls = room("gallery"), []
    render, parts = gallery.render, room("model").model_or_default(None).ready()
    with pytest.raises(ConfigError, match="another model"):
        gallery.portrait("anna_00001.safetensors")
    latent = parts.vae.sample(1, torch.Generator().manual_seed(1), 1.0)[0]
    file = room("identity_store").write_identity(folder, "berta", latent, None).name
    monkeypatch.setattr(gallery, "render", lambda latent: (calls.append(1), render(latent))[1])
    pictures = [gallery.portrait(file) for _ in range(2)]
    assert calls == [1] and np.array_equal(*pictures)
    assert len(parts.detector.detect(pictures[0])) == 1


def test_routes_want_json_and_hide_what_is_behind_errors(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiohttp")
    from aiohttp import ClientSession, web

    def broken(file: str) -> None:
        raise RuntimeError("/home/alice")

    name = room("shelf").SHELF.put([noise(32, 32)], public=False)
    monkeypatch.setattr(room("gallery"), "portrait", broken)

    async def ask() -> list[tuple[int, Any]]:
        table = web.RouteTableDef()
        room("routes").add_routes(table)
        app = web.Application()
        app.add_routes(table)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base, answers = f"http://127.0.0.1:{runner.addresses[0][1]}/id2face", []
        wishes = [
            ("GET", "/sharing", {}), ("GET", f"/pictures/{name}/0", {}),
            ("POST", f"/pictures/{name}/0", {"json": {"clear": True}}),
            ("POST", f"/pictures/{name}/0", {"data": '{"clear": true}'}), ("GET", f"/pictures/{name}/7", {}),
            ("GET", f"/pictures/{name}/x", {}), ("GET", "/identities", {}), ("GET", "/portrait?file=anna", {}),
            ("POST", "/identities/delete", {"json": {"file": "../x"}}), ("POST", "/identities/delete", {"json": [1]}),
        ]  # fmt: skip
        async with ClientSession() as session:
            for method, path, more in wishes:
                async with session.request(method, base + path, **more) as answer:
                    answers.append((answer.status, await answer.read(), answer.headers.get("Cache-Control")))
        await runner.cleanup()
        return answers

    answers = asyncio.run(ask())
    assert [status for status, *_ in answers] == [200, 200, 200, 415, 404, 404, 200, 500, 400, 400]
    assert answers[1][1] != answers[2][1] and answers[1][2] == answers[2][2] == "no-store"
    assert answers[7][1] == b'{"error": "RuntimeError"}'
