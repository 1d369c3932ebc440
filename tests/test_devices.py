"""The device probe: what is there is chosen, bfloat16 only where it was faster, wrong names are refused."""

from __future__ import annotations

import time

import pytest
import torch

from id2face_core import devices
from id2face_core.errors import ConfigError


@pytest.fixture(autouse=True)
def fresh() -> None:
    devices.probe.cache_clear()


@pytest.mark.parametrize(("half", "dtype"), [(0.5, torch.bfloat16), (1.0, torch.float32), (15.0, torch.float32)])
def test_bfloat16_on_a_cpu_only_when_it_is_faster(
    monkeypatch: pytest.MonkeyPatch, half: float, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(devices, "_seconds", lambda d: 1.0 if d == torch.float32 else half)
    choice = devices.probe("cpu")
    assert choice.device.type == "cpu" and choice.dtype == dtype and "measured" in choice.reason


def test_the_measurement_is_short_and_cached() -> None:
    start = time.perf_counter()
    first = devices.probe("cpu")
    assert time.perf_counter() - start < 3
    assert devices.probe("cpu") is first


def test_auto_takes_the_first_that_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "available", lambda: ["mps", "cpu"])
    assert devices.probe("auto").device.type == "mps"
    assert devices.probe("auto").dtype == torch.float16


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "cpu cpu"])
def test_unknown_devices_are_refused_with_the_choice(name: str) -> None:
    with pytest.raises(ConfigError, match="auto or one of: .*cpu"):
        devices.probe(name)


def test_processes_share_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    for processes in (1, 3, 8, 20):
        devices.share_processors(processes)
    assert asked == [8, 2, 1, 1]


def test_waiting_for_other_programs_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the format, and with it the face of a seed, would hang on what else the machine does."""
    forward = torch.nn.Linear.forward

    def interrupted(self: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02)
        return forward(self, x)

    monkeypatch.setattr(torch.nn.Linear, "forward", interrupted)
    threads = torch.get_num_threads()
    assert devices._seconds(torch.float32) < 0.015
    assert torch.get_num_threads() == threads
