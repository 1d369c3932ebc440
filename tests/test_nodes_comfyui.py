"""The pack in a real, running ComfyUI: COMFYUI_PATH=/path/to/ComfyUI python -m pytest -m comfyui

Its Python is $COMFYUI_PYTHON, or the one that runs the tests; see `conftest.run_comfyui`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image, PngImagePlugin

ROOT = Path(__file__).resolve().parents[1]
LISTENER = """
import aiohttp, asyncio, sys
async def listen():
    async with aiohttp.ClientSession() as session, session.ws_connect(sys.argv[1] + "/ws?clientId=build") as socket:
        with open(sys.argv[2], "wb", buffering=0) as out:
            async for message in socket:
                out.write(message.data if isinstance(message.data, bytes) else message.data.encode())
asyncio.run(listen())
"""
CLIP = """
import av, sys
from PIL import Image
picture = Image.open(sys.argv[1]).convert("RGB")
with av.open(sys.argv[2], "w") as out:
    out.metadata["title"] = sys.argv[3]
    stream = out.add_stream("h264", rate=8)
    stream.width, stream.height, stream.pix_fmt = *picture.size, "yuv420p"
    for _ in range(3):
        out.mux(stream.encode(av.VideoFrame.from_image(picture)))
    out.mux(stream.encode())
"""
PYTHON = os.environ.get("COMFYUI_PYTHON", sys.executable)
CANARIES = [f"canary{i:02}x{secrets.token_hex(4)}" for i in range(12)]
pytestmark = pytest.mark.comfyui


def plant(path: Path) -> None:
    """The demo photograph with canaries in EXIF (7 tags and GPS), PNG texts and XMP."""
    image = Image.open(ROOT / "id2face_core/demo/astronaut.jpg")
    exif = Image.Exif()
    for tag, text in zip((0x010E, 0x010F, 0x0110, 0x0131, 0x013B, 0x8298, 0x9C9B), CANARIES, strict=False):
        exif[tag] = text
    exif.get_ifd(0x8825)[1] = CANARIES[7]
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", CANARIES[8])
    texts.add_text("workflow", json.dumps({"note": CANARIES[9]}))
    texts.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{CANARIES[10]}</x:xmpmeta>")
    image.save(path, exif=exif, pnginfo=texts)


@contextmanager
def websocket(host: str, file: Path) -> Iterator[None]:
    """Write all events that a page of the server would get to a file."""
    with subprocess.Popen([PYTHON, "-c", LISTENER, host, str(file)]) as process:
        try:
            for _ in range(100):
                if file.exists() and file.stat().st_size:
                    break
                time.sleep(0.1)
            yield
            time.sleep(0.5)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def build(script: Callable[[Path], ModuleType]) -> ModuleType:
    return script(ROOT / "workflows/build.py")


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, model_dir: Path, run_comfyui: Callable[[Path], AbstractContextManager[str]]
) -> Iterator[tuple[str, Path]]:
    """(address, base folder) of a server with the pack, beside a pack with modules `nodes` and `utils` of its own."""
    base = tmp_path_factory.mktemp("comfyui")
    for folder in ("custom_nodes/neighbour", "input", "models/id2face_keys"):
        (base / folder).mkdir(parents=True)
    neighbour = base / "custom_nodes/neighbour"
    (neighbour / "utils.py").write_text("VALUE = 1\n")
    (neighbour / "nodes.py").write_text("from .utils import VALUE\nMAPPINGS = {}\n")
    (neighbour / "__init__.py").write_text(
        "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\nfrom .nodes import MAPPINGS as NODE_CLASS_MAPPINGS\n"
    )
    plant(base / "input/photo.png")
    photo = base / "input/photo.jpg"
    shutil.copy(ROOT / "id2face_core/demo/astronaut.jpg", photo)
    subprocess.run([PYTHON, "-c", CLIP, str(photo), str(base / "input/clip.mp4"), CANARIES[0]], check=True)
    (base / "models/id2face_keys/example.key").write_text(CANARIES[11] + secrets.token_hex(32))
    with run_comfyui(base) as host:
        yield host, base


def test_the_templates_are_those_of_the_script_and_run(server: tuple[str, Path], build: ModuleType) -> None:
    host, base = server
    for name, make in build.TEMPLATES.items():
        stored = json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
        assert stored == build.as_workflow(make())
        assert build.run(make(), host)["status"]["status_str"] == "success", name


def test_no_canary_comes_out(server: tuple[str, Path], build: ModuleType) -> None:
    host, base = server
    events = base / "events.bin"
    with websocket(host, events):
        run_with_canaries(host, build)
    places = [p for folder in ("output", "temp") for p in (base / folder).rglob("*") if p.is_file()]
    texts = {str(p): p.read_bytes() for p in [*places, base / "log.txt", events]}
    with urllib.request.urlopen(f"{host}/history") as answer:
        texts["history"] = answer.read()
    assert len(places) >= 10 and b"execution_error" in texts[str(events)] and b"JFIF" in texts[str(events)]
    for where, content in texts.items():
        for canary in CANARIES:
            assert canary.encode() not in content, (where, canary)
    assert CANARIES[0].encode() in (base / "input/clip.mp4").read_bytes() and any(path.suffix == ".mp4" for path in places)
    for path in (path for path in places if path.suffix != ".mp4"):
        assert not Image.open(path).info.keys() & {"prompt", "workflow", "exif", "Comment", "xmp"}


def run_with_canaries(host: str, build: ModuleType) -> None:
    """Graphs on clip and photograph with canaries: four that succeed, with step previews, and a mis-wired one."""
    build.run(build.video(), host)
    for make in (build.simple, build.keyed_pseudonym, build.privacy_check):
        prompt = make()
        prompt["1"]["inputs"]["image"] = "photo.png"
        if "8" in prompt:
            prompt["8"]["inputs"]["step_previews"] = True
        build.run(prompt, host)
    prompt = build.keyed_pseudonym()
    prompt["2x"] = prompt["1"] | {"inputs": {"image": "photo.png"}}
    prompt["9"]["inputs"]["image"] = ["2x", 0]
    prompt["6"]["inputs"]["seed"] = 99
    prompt["3"]["inputs"]["max_faces"] = 1
    prompt["2x"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 0], "amount": 2}}
    with pytest.raises(RuntimeError, match="connect the image"):
        build.run(prompt, host)


def test_both_packs_load_and_a_wrong_wish_is_refused_in_words(server: tuple[str, Path], build: ModuleType) -> None:
    host, base = server
    assert "IMPORT FAILED" not in (base / "log.txt").read_text()
    prompt = build.simple()
    prompt["2"]["inputs"]["mode"] = "keyed"
    with pytest.raises(urllib.error.HTTPError) as caught:
        build.run(prompt, host)
    assert "needs a key_file" in caught.value.read().decode()
