"""The node `Anonymity Audit` in a real, running ComfyUI ($COMFYUI_PATH): what is written, and what is sent to pages."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import pytest

from .test_audit_run import write_recogniser
from .test_nodes_comfyui import plant, websocket

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.comfyui


def graph() -> dict:
    """A photograph, anonymized and audited; the verdict is shown by a node of ComfyUI."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
        "2": {"class_type": "ID2FaceRedact", "inputs": {"image": ["1", 0], "policy": "fill"}},
        "3": {"class_type": "ID2FaceAudit", "inputs": {
            "image": ["2", 0], "original": ["1", 0], "recogniser": "id2face/recognition/colours.onnx", "people": "0",
            "attacks": "A1, A13", "minutes": 0.02, "filename_prefix": "reports/audit"}},
        "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
    }  # fmt: skip


def test_a_graph_is_audited_and_only_words_leave(
    tmp_path: Path, model_dir: Path, run_comfyui: Callable[[Path], AbstractContextManager[str]],
    script: Callable[[Path], ModuleType],
) -> None:  # fmt: skip
    build, base = script(ROOT / "workflows/build.py"), tmp_path
    (base / "input").mkdir()
    (base / "models/id2face/recognition").mkdir(parents=True)
    plant(base / "input/photo.png")
    write_recogniser(base / "models/id2face/recognition")
    with run_comfyui(base) as host:
        with websocket(host, base / "events.bin"):
            done = build.run(graph(), host)
        assert done["status"]["status_str"] == "success"
        (said,) = done["outputs"]["4"]["text"]
        assert "3" not in done["outputs"], "the node tells pages nothing"
        with urllib.request.urlopen(f"{host}/history") as answer:
            history = answer.read().decode()
    assert said.startswith("Every limit") and said.endswith("reports/audit_00001_.html")
    document = json.loads((base / "output/reports/audit_00001_.json").read_text())
    assert document["verdict"] == "held" and document["material"]["faces"] == 1
    score = str(document["images"][0]["faces"][0]["closeness"]["colours"])
    page = (base / "output/reports/audit_00001_.html").read_bytes()
    log, events = (base / "log.txt").read_text(), (base / "events.bin").read_bytes().decode("utf-8", "replace")
    for place in (history, log, events):
        assert score not in place and "closeness" not in place
    assert b"canary" not in page + json.dumps(document).encode()
    assert not [p for p in (base / "temp").rglob("*") if p.is_file()]
