"""Number formats of training, and the probe that chooses one, and the batch, by timing the task itself.

bfloat16 is a gift on GPUs and on CPUs with AMX, and 15 to 100 times slower than float32 on a CPU with AVX2 only, so nothing is
assumed: a step is timed in each format. `autocast` keeps float32 weights; `bfloat16` has the weights of convolutions and linear
maps in bfloat16 too (CPUs with AMX want that: casting weights costs more than multiplying by them) and steps float32 masters.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..devices import MIN_GAIN, probe
from ..errors import ConfigError

FORMATS = ("float32", "autocast", "bfloat16")
MIN_BATCH_GAIN = 1.15  # a doubled batch must give so many times the samples a second
SHORT_STEP = 0.1  # seconds; a longer step fills the device already
_HALVED = (nn.Linear, nn.modules.conv._ConvNd)


class Task(Protocol):
    """A network in training. model: all that is trained; losses: weighted terms of one batch, drawn by `rng` alone."""

    name: str

    @property
    def model(self) -> nn.Module: ...

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]: ...


@dataclass(frozen=True)
class Choice:
    """What the probe found. flops: of one sample, forwards and backwards; peak: FLOP/s of a large matrix product here."""

    precision: str
    batch: int
    flops: float
    peak: float


@contextmanager
def computing(precision: str, device: torch.device) -> Iterator[None]:
    """The context in which losses are computed. Raises ConfigError for an unknown format."""
    if precision not in FORMATS:
        raise ConfigError(f"precision {precision!r} is unknown; choose auto, {', '.join(FORMATS)}")
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision != "float32"):
        yield


def _layout(precision: str) -> torch.memory_format:
    """bfloat16 convolutions want their channels last; float32 ones on a CPU are two to three times slower that way."""
    return torch.contiguous_format if precision == "float32" else torch.channels_last


class Weights:
    """The parameters that are stepped: the network's own, or float32 masters of those that compute in bfloat16."""

    def __init__(self, model: nn.Module, precision: str) -> None:
        self.working = [p for p in model.parameters() if p.requires_grad]
        halved = {id(p) for m in model.modules() if isinstance(m, _HALVED) for p in m.parameters(recurse=False)}
        if precision != "bfloat16":
            halved = set()
        self._model = model.to(memory_format=_layout(precision))  # type: ignore[call-overload]
        self.masters: list[Tensor] = []
        for parameter in self.working:
            if id(parameter) in halved:
                self.masters.append(nn.Parameter(parameter.detach().float().clone()))
                parameter.data = parameter.data.bfloat16()
            else:
                self.masters.append(parameter)

    def gradients(self) -> list[Tensor]:
        """Gradients of the masters, after a backward pass; zeros where a term was off."""
        for master, parameter in zip(self.masters, self.working, strict=True):
            gradient = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
            master.grad = gradient.to(master.dtype)
        return [m.grad for m in self.masters if m.grad is not None]

    @torch.no_grad()
    def publish(self) -> None:
        """Masters into the working weights; gradients are forgotten."""
        for master, parameter in zip(self.masters, self.working, strict=True):
            parameter.grad = master.grad = None
            if master is not parameter:
                parameter.copy_(master)

    def restore(self) -> None:
        """The network in float32 again, with the masters' values."""
        self.publish()
        for master, parameter in zip(self.masters, self.working, strict=True):
            parameter.data = master.data
        self._model.to(memory_format=torch.contiguous_format)


def choose(task: Task, device: torch.device, batch: int, precision: str, growth: int) -> Choice:
    """Time steps of the task in each format that the device may have, then larger batches; seconds, not minutes.

    The network is as before afterwards. precision: `auto` or one of FORMATS; growth: see `LoopConfig.max_batch_growth`.
    """
    state = {name: value.clone() for name, value in task.model.state_dict().items()}
    with torch.random.fork_rng(_cuda(device)):
        flops = _flops(task, device)
        names = ("float32", *_halves(device)) if precision == "auto" else (precision,)
        if len(names) > 1:
            speeds = {name: _speed(task, device, max(2, batch // 8), name) for name in names}
            names = (max(names, key=lambda name: speeds[name] * (MIN_GAIN if name == "float32" else 1.0)),)
        chosen = _grown(task, device, batch, names[0], growth) if growth > 1 else batch
    task.model.load_state_dict(state)
    return Choice(names[0], chosen, flops, peak_flops(device, names[0]))


def _grown(task: Task, device: torch.device, batch: int, precision: str, growth: int) -> int:
    """The batch, doubled as long as samples a second gain by it and steps stay short."""
    speed, chosen = _speed(task, device, batch, precision), batch
    while chosen < batch * growth and chosen / speed < SHORT_STEP:
        larger = _speed_or_none(task, device, 2 * chosen, precision)
        if larger is None or larger < MIN_BATCH_GAIN * speed:
            break
        speed, chosen = larger, 2 * chosen
    return chosen


def _halves(device: torch.device) -> tuple[str, ...]:
    """Formats besides float32 that are worth a try: where a few small layers in bfloat16 are emulated, none is."""
    if device.type not in ("cpu", "cuda", "xpu") or probe(str(device)).dtype != torch.bfloat16:
        return ()
    return ("autocast", "bfloat16") if device.type == "cpu" else ("autocast",)


def _cuda(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []


def _step(task: Task, device: torch.device, batch: int, precision: str, seed: int = 0) -> None:
    with computing(precision, device):
        terms = task.losses(batch, Generator(device).manual_seed(seed))
    torch.stack([t.float() for t in terms.values()]).sum().backward()
    _synchronise(device)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _speed(task: Task, device: torch.device, batch: int, precision: str, rounds: int = 2) -> float:
    """Samples a second, the best of some rounds after one to warm up."""
    weights, best = Weights(task.model, precision), float("inf")
    try:
        for _ in range(rounds + 1):
            start = time.perf_counter()
            _step(task, device, batch, precision)
            weights.publish()
            best = min(best, time.perf_counter() - start)
    finally:
        weights.restore()
    return batch / best


def _speed_or_none(task: Task, device: torch.device, batch: int, precision: str) -> float | None:
    try:
        return _speed(task, device, batch, precision)
    except torch.OutOfMemoryError:
        return None


def _flops(task: Task, device: torch.device, rows: int = 2, draws: int = 4) -> float:
    """FLOPs of a sample by torch's counter (linear maps and convolutions, both directions), mean of some draws."""
    counter: Any = FlopCounterMode(display=False)
    with counter:
        for seed in range(draws):
            _step(task, device, rows, "float32", seed)
    task.model.zero_grad(set_to_none=True)
    return counter.get_total_flops() / (rows * draws)


def peak_flops(device: torch.device, precision: str) -> float:
    """What a large matrix product reaches here, FLOP/s: the yardstick of utilisation (MFU, arXiv 2204.02311)."""
    size = 4096 if device.type == "cuda" else 768
    dtype = torch.float32 if precision == "float32" else torch.bfloat16
    a, best = torch.randn(size, size, device=device, dtype=dtype, generator=Generator(device).manual_seed(0)), float("inf")
    for _ in range(4):
        _synchronise(device)
        start = time.perf_counter()
        a @ a
        _synchronise(device)
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
