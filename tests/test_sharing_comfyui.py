"""Shared templates on a second, empty ComfyUI: COMFYUI_PATH=/path/to/ComfyUI python -m pytest -m comfyui"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from id2face_core.sharing import share_workflow

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
CANARIES = [f"canary{i:02}x{secrets.token_hex(4)}" for i in range(11)] + [str(secrets.randbelow(10**12) + 10**12)]


@pytest.fixture(scope="module")
def build(script: Callable[[Path], ModuleType]) -> ModuleType:
    return script(ROOT / "workflows/build.py")


@pytest.fixture(scope="module")
def empty(
    tmp_path_factory: pytest.TempPathFactory, model_dir: Path, run_comfyui: Callable[[Path], AbstractContextManager[str]]
) -> Iterator[tuple[str, Path]]:
    """(address, base folder) of a ComfyUI with nothing but the picture that every fresh one has."""
    base = tmp_path_factory.mktemp("second")
    (base / "input").mkdir()
    shutil.copy(Path(os.environ["COMFYUI_PATH"]) / "input/example.png", base / "input")
    with run_comfyui(base) as host:
        yield host, base


def planted(prompt: dict[str, Any]) -> dict[str, Any]:
    """A prompt with canaries where a user leaves traces: files, uploads, keys, texts, titles, notes, seeds, histories."""
    for node in prompt.values():
        inputs = node["inputs"]
        node |= {"_meta": {"title": CANARIES[0]}, "is_changed": [CANARIES[1]], "preview": CANARIES[2]}
        inputs |= {"history": [CANARIES[3]], "embedded": f"data:image/png;base64,{CANARIES[4]}"}
        for name, value in {
            "image": f"{CANARIES[5]}/photo.png [input]", "filename_prefix": f"/home/{CANARIES[6]}/out", "seed": int(CANARIES[11]),
            "key_file": f"{CANARIES[7]}.key", "changes": f"note={CANARIES[8]}", "faces": CANARIES[9], "include": CANARIES[9],
            "more": f"# {CANARIES[8]}",
        }.items():  # fmt: skip
            if not isinstance(inputs.get(name, []), list):
                inputs[name] = value
    prompt["99"] = {"class_type": "Note", "inputs": {"text": CANARIES[10]}}
    return prompt


@pytest.mark.parametrize("name", NAMES)
def test_a_shared_template_has_no_canary(name: str, build: ModuleType) -> None:
    prompt = planted(build.TEMPLATES[name]())
    found = [canary for canary in CANARIES if canary in json.dumps(prompt)]
    assert len(found) >= 9
    assert [canary for canary in CANARIES if canary in json.dumps(share_workflow(prompt).workflow)] == []


@pytest.mark.comfyui
@pytest.mark.parametrize("name", NAMES)
def test_a_shared_template_runs_on_a_second_empty_comfyui(name: str, build: ModuleType, empty: tuple[str, Path]) -> None:
    host, base = empty
    shared = share_workflow(planted(build.TEMPLATES[name]()))
    own = {"key_file": "own.key", "file": "clip.gif"}  # keys and videos are never shared: the receiver has to choose his own
    lacking = [(node, name) for node, kind, name in shared.choose if kind in ("ID2FacePseudonym", "LoadVideo")]
    if lacking:
        with pytest.raises((urllib.error.HTTPError, RuntimeError)):
            build.run(shared.workflow, host)
        (base / "models/id2face_keys/own.key").write_text(secrets.token_hex(32))
        frames = [Image.new("RGB", (64, 64), (90 * i, 80, 120)) for i in range(3)]
        frames[0].save(base / "input/clip.gif", save_all=True, append_images=frames[1:], duration=100)
        for node, name in lacking:
            shared.workflow[node]["inputs"][name] = own[name]
    assert build.run(shared.workflow, host)["status"]["status_str"] == "success"
