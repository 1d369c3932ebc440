"""Which device and number format to run on: asked of the machine, and measured where only a measurement tells."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from .errors import ConfigError

MIN_GAIN = 1.2  # bfloat16 must be this much faster than float32 to be worth its rounding
PROBED = 0.05  # seconds of each format; some systems count a thread's time in steps of .016


@dataclass(frozen=True)
class DeviceChoice:
    """Where to run and how, with the reason in words."""

    device: torch.device
    dtype: torch.dtype
    memory_format: torch.memory_format
    reason: str


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def _has_xpu() -> bool:
    return hasattr(torch, "xpu") and torch.xpu.is_available()


def available() -> list[str]:
    """Kinds of device on this machine, the fastest first; "cpu" is always last."""
    checks = {"cuda": torch.cuda.is_available, "xpu": _has_xpu, "mps": _has_mps}
    return [name for name, check in checks.items() if check()] + ["cpu"]


@lru_cache(maxsize=8)
def probe(device: str = "auto") -> DeviceChoice:
    """Choose a device ("auto" takes the fastest kind) and the dtype that is fast on it; cached per process.

    Raises:
        ConfigError: no such device here.
    """
    kinds = available()
    name = kinds[0] if device == "auto" else device
    try:
        chosen = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"device {name!r} is not known; give auto or one of: {', '.join(kinds)}") from error
    if chosen.type not in kinds or not _index_exists(chosen):
        raise ConfigError(f"device {name!r} is not on this machine; give auto or one of: {', '.join(kinds)}")
    dtype, reason = _dtype_for(chosen)
    return DeviceChoice(chosen, dtype, torch.channels_last, reason)


def _index_exists(device: torch.device) -> bool:
    counts = {"cuda": torch.cuda.device_count, "xpu": lambda: torch.xpu.device_count(), "mps": lambda: 1}
    return device.index is None or device.index < counts.get(device.type, lambda: 1)()


def _dtype_for(device: torch.device) -> tuple[torch.dtype, str]:
    if device.type == "cuda":
        if torch.cuda.get_device_capability(device) >= (8, 0):
            return torch.bfloat16, "GPU with native bfloat16"
        return torch.float16, "GPU without native bfloat16"
    if device.type == "xpu":
        return torch.bfloat16, "XPU"
    if device.type == "mps":
        return torch.float16, "Apple GPU"
    single, half = _seconds(torch.float32), _seconds(torch.bfloat16)
    reason = f"CPU: bfloat16 measured {single / half:.1f} times as fast as float32"
    return (torch.bfloat16 if half * MIN_GAIN < single else torch.float32), reason


@torch.inference_mode()
def _seconds(dtype: torch.dtype) -> float:
    """Processor time of a small stack like those of our networks: a depthwise and a pointwise convolution, a linear map.

    Processor time of one thread, since the format must not hang on what else runs: measured by the clock, with both processors
    of a machine taken, bfloat16 was .9 to 200 times as fast where it is 2.1 times, so that a seed did not give its face again.
    """
    convolution = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, groups=64), nn.Conv2d(64, 64, 1))
    convolution = convolution.to(dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    linear = nn.Linear(256, 256).to(dtype)
    picture = torch.zeros(1, 64, 48, 48, dtype=dtype).to(memory_format=torch.channels_last)
    tokens = torch.zeros(64, 256, dtype=dtype)

    def work() -> None:
        convolution(picture)
        linear(tokens)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        work()  # warms up
        start, rounds = time.thread_time(), 0
        while rounds == 0 or time.thread_time() - start < PROBED:
            work()
            rounds += 1
        return (time.thread_time() - start) / rounds
    finally:
        torch.set_num_threads(threads)


def share_processors(processes: int) -> None:
    """Torch's threads in one of several processes that work side by side: together no more than the machine has processors.

    Each would take as many threads as there are processors, which wait for each other busily: with two on two, an audit's
    reading took 159 s instead of 58.
    """
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
