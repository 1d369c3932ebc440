"""Start an unmodified ComfyUI with this pack, on a CPU: for the tests of tier C and for benchmarks/bench_comfyui.py."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A torch without CUDA beside a torchvision with it lacks two operator schemas.
LAUNCHER = """
import runpy, sys, torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
root = sys.argv.pop(1)
sys.path.insert(0, root)
sys.argv[0] = root + "/main.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Address(str):
    """Where a server answers. pid: its process."""

    pid: int


@contextmanager
def running(comfyui: Path, base: Path) -> Iterator[Address]:
    """A server on a base folder (models, input, output); its Python is $COMFYUI_PYTHON or ours; its log `log.txt`."""
    for folder in ("custom_nodes", "input", "output", "temp", "user", "models/id2face_keys"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    pack = base / "custom_nodes/id2face"
    if not pack.is_symlink():
        pack.symlink_to(ROOT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    python = os.environ.get("COMFYUI_PYTHON", sys.executable)
    command = [python, "-c", LAUNCHER, str(comfyui), "--cpu", "--disable-api-nodes", "--base-directory", str(base),
               "--port", str(port), "--database-url", "sqlite:///:memory:"]  # fmt: skip
    host = Address(f"http://127.0.0.1:{port}")
    with (base / "log.txt").open("w") as log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        host.pid = process.pid
        try:
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{host}/system_stats").close()
                    break
                except OSError:
                    assert process.poll() is None, (base / "log.txt").read_text()[-2000:]
                    time.sleep(0.5)
            yield host
        finally:
            process.terminate()
