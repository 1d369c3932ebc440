"""The loop that trains every network: budget, schedule, average, checkpoints, log.

- Warm-up, stable, decay (WSD, arXiv 2404.06395) by budget: the learning rate is constant until the last fifth and then falls as
  1 - sqrt (arXiv 2405.18392). The state at the beginning of the decay is kept, and a run that is resumed with a larger budget
  goes on from there.
- Every step draws from generators seeded by (seed, network, step, process), so a resumed run takes the very steps that an
  unbroken one takes, bit for bit as long as the schedule is the same (it follows the clock, unless the budget is in steps).
- The result is an exponential moving average of the weights.
"""

from __future__ import annotations

import copy
import csv
import hashlib
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ..errors import ConfigError, Id2FaceError
from .checkpoint import has_state, load_state, save_state
from .config import LoopConfig, Optimisation
from .precision import Choice, Task, Weights, choose, computing
from .progress import Fit, Progress
from .world import World

SETTLED = 20  # steps over which the average forgets the initial weights


class DivergedError(Id2FaceError):
    """A loss is not finite."""


def learning_rate(step: int, progress: float, config: LoopConfig) -> float:
    """Share of the peak learning rate at a step of a run that is `progress` (0..1) through its budget."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    left = (1 - progress) / config.decay_share if config.decay_share else 1.0
    return warm * max(0.01, 1 - math.sqrt(max(0.0, 1 - left)))


def step_seed(seed: int, name: str, step: int, rank: int) -> int:
    """Seed of one step: equal in a run that was stopped and one that was not."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}/{step}/{rank}".encode()).digest()[:7], "big")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Initial weights come from torch's global generator: seed it, and give it back as it was."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        yield


class Loop:
    """Trains `task.model` in place. folder: of states and losses.csv; None keeps nothing (for scripts and tests)."""

    def __init__(
        self, task: Task, how: Optimisation, config: LoopConfig | None = None, *, folder: Path | None = None,
        world: World | None = None, seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.task, self.how, self.config, self.folder = task, how, config or LoopConfig(), folder
        self.world, self.seed, self._clock = world or World(), seed, clock
        self.step, self._before, self._start = 0, 0.0, 0.0

    def run(self, seconds: float, resume: bool = False) -> Fit:
        """Train until the budget is spent: `seconds` in all (those before a resumption too), or `how.steps`.

        The network ends with its averaged weights, in evaluation mode and frozen.

        Raises:
            ConfigError: neither seconds nor steps. DivergedError. AssetCorruptError: damaged state.
        """
        if seconds <= 0 and not self.how.steps:
            raise ConfigError(f"the budget of {self.task.name} is {seconds:g} seconds; give more, or steps")
        self._start = self._clock()
        model = self.task.model.to(self.world.device).requires_grad_(True).train()
        self._average = copy.deepcopy(model).requires_grad_(False)
        if not resume and self.folder is not None and self.world.main:
            shutil.rmtree(self.folder, ignore_errors=True)
        state = self._find_state(seconds) if resume else None
        choice = self._choose() if state is None else Choice(**state[1]["choice"])
        if state is not None:  # before the weights are halved: the state is in float32
            self._load_model(model, state[0])
        weights = Weights(model, choice.precision)
        optimiser = torch.optim.AdamW(weights.masters, lr=self._peak(choice), weight_decay=self.how.weight_decay)
        if state is not None:
            self._restore(state, optimiser)
        with torch.random.fork_rng([] if self.world.device.type != "cuda" else [self.world.device.index or 0]):
            fit = self._train(seconds, choice, weights, optimiser)
        weights.restore()
        model.load_state_dict(self._average.state_dict())
        model.eval().requires_grad_(False)
        return fit

    def _load_model(self, model: nn.Module, tensors: dict[str, Tensor]) -> None:
        try:
            model.load_state_dict(_part(tensors, "model/"))
        except RuntimeError as error:
            raise ConfigError(f"the state of {self.task.name} has other sizes; give its configuration, or --restart") from error

    def _peak(self, choice: Choice) -> float:
        """Adam's learning rate grows with the square root of the batch (arXiv 2205.10287)."""
        return self.how.learning_rate * math.sqrt(choice.batch / self.how.batch)

    def _choose(self) -> Choice:
        """One process measures; the others take its choice."""
        config, world = self.config, self.world
        found = choose(self.task, world.device, self.how.batch, config.precision, config.max_batch_growth)
        formats = ("float32", "autocast", "bfloat16")
        precision = formats[int(world.agree(formats.index(found.precision)))]
        return Choice(precision, int(world.agree(found.batch)), found.flops, found.peak)

    def _progress(self, seconds: float) -> float:
        by_time = self._elapsed() / seconds if seconds > 0 else 0.0
        by_steps = self.step / self.how.steps if self.how.steps else 0.0
        return self.world.agree(max(by_time, by_steps))

    def _decaying(self, seconds: float) -> bool:
        """Whether a resumed run is in its decay already, so that the state before it is kept."""
        kept = self.step > 0 and self.folder is not None and has_state(self.folder / "stable")
        return kept and self._progress(seconds) >= 1 - self.config.decay_share

    def _elapsed(self) -> float:
        return self._before + self._clock() - self._start

    def _train(self, seconds: float, choice: Choice, weights: Weights, optimiser: torch.optim.Optimizer) -> Fit:
        saved, first, began = self._clock(), self.step, self._elapsed()
        log = _Log(self.folder if self.world.main else None, self.step)
        line = Progress(self.task.name, seconds, self.how.steps, self.world.main)
        stable, terms = self._decaying(seconds), dict[str, Tensor]()
        while (progress := self._progress(seconds)) < 1:
            if not stable and progress >= 1 - self.config.decay_share:
                stable = True
                self._save("stable", weights, optimiser, choice)
            rate = self._peak(choice) * learning_rate(self.step, progress, self.config)
            optimiser.param_groups[0]["lr"] = rate
            terms = self._one_step(choice, weights, optimiser)
            self.step += 1
            if self.step % self.config.log_every == 0:
                row = self._finite(terms)
                log.write(self.step, self._elapsed(), row)
                line.show(self._report(choice, first, began, sum(row.values())), row, rate)
            if self._clock() - saved > self.config.checkpoint_seconds:
                saved = self._clock()
                self._save("state", weights, optimiser, choice)
        line.close()
        self._save("state", weights, optimiser, choice)
        return self._report(choice, first, began, log.recent if log.rows else sum(self._finite(terms).values()))

    def _report(self, choice: Choice, first: int, began: float, loss: float) -> Fit:
        """What this run did since step `first`, at which `began` seconds were spent."""
        elapsed = self._elapsed()
        speed = (self.step - first) * choice.batch / max(elapsed - began, 1e-9)
        return Fit(self.step, elapsed, speed, speed * choice.flops / choice.peak, choice.precision, choice.batch, loss)

    def _finite(self, terms: dict[str, Tensor]) -> dict[str, float]:
        row = {name: float(value.detach()) for name, value in terms.items()}
        if not all(map(math.isfinite, row.values())):
            raise DivergedError(f"{self.task.name}: a loss is not finite at step {self.step}; lower its learning_rate")
        return row

    def _one_step(self, choice: Choice, weights: Weights, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
        seed = step_seed(self.seed, self.task.name, self.step, self.world.rank)
        torch.manual_seed(seed)  # dropout; the caller's state comes back after the run
        with computing(choice.precision, self.world.device):
            terms = self.task.losses(choice.batch, Generator(self.world.device).manual_seed(seed))
        torch.stack([t.float() for t in terms.values()]).sum().backward()
        self.world.average(weights.gradients())
        nn.utils.clip_grad_norm_(weights.masters, self.config.clip)
        optimiser.step()
        weights.publish()
        self._update_average(weights)
        return terms

    @torch.no_grad()
    def _update_average(self, weights: Weights) -> None:
        keep = min(self.config.ema, (self.step + 1) / (self.step + 1 + SETTLED))
        both = zip(self._average.parameters(), self.task.model.parameters(), strict=True)
        trained: list[Tensor] = [p for p, q in both if q.requires_grad]
        torch._foreach_lerp_(trained, [m.detach() for m in weights.masters], 1 - keep)
        for mine, theirs in zip(self._average.buffers(), self.task.model.buffers(), strict=True):
            if mine.is_floating_point():
                mine.lerp_(theirs.to(mine.dtype), 1 - keep)
            else:
                mine.copy_(theirs)

    def _save(self, name: str, weights: Weights, optimiser: torch.optim.Optimizer, choice: Choice) -> None:
        if self.folder is None or not self.world.main:
            return
        model = self.task.model.state_dict()
        masters = dict(zip(map(id, weights.working), weights.masters, strict=True))
        model |= {n: masters[id(p)].detach() for n, p in self.task.model.named_parameters() if id(p) in masters}
        tensors = {f"model/{n}": t for n, t in model.items()}
        tensors |= {f"ema/{n}": t for n, t in self._average.state_dict().items()}
        for i, values in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{i}/{key}": torch.as_tensor(value) for key, value in values.items()}
        meta = {"network": self.task.name, "step": self.step, "elapsed": self._elapsed(), "choice": vars(choice)}
        save_state(self.folder / name, tensors, meta)

    def _find_state(self, seconds: float) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last state; the one before the decay if the budget has grown beyond it."""
        if self.folder is None or not has_state(self.folder / "state"):
            return None
        found = load_state(self.folder / "state")
        if has_state(self.folder / "stable"):
            early = load_state(self.folder / "stable")
            done = max(early[1]["elapsed"] / seconds if seconds > 0 else 0, early[1]["step"] / (self.how.steps or math.inf))
            if done < 0.95 * (1 - self.config.decay_share):
                return early
        return found

    def _restore(self, state: tuple[dict[str, Tensor], dict[str, Any]], optimiser: torch.optim.Optimizer) -> None:
        tensors, meta = state
        self.step, self._before = int(meta["step"]), float(meta["elapsed"])
        self._average.load_state_dict(_part(tensors, "ema/"))
        values: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _part(tensors, "optimiser/").items():
            number, _, key = name.partition("/")
            values.setdefault(int(number), {})[key] = tensor
        optimiser.load_state_dict({"state": values, "param_groups": optimiser.state_dict()["param_groups"]})


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class _Log:
    """losses.csv: step, seconds, loss, terms. Rows after the step of a resumed state are cut off."""

    def __init__(self, folder: Path | None, step: int) -> None:
        self._path = None if folder is None else folder / "losses.csv"
        self._last: list[float] = []
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            rows = self._path.read_text().splitlines() if step and self._path.is_file() else []
            kept = rows[:1] + [row for row in rows[1:] if int(row.partition(",")[0]) <= step]
            self._path.write_text("".join(row + "\n" for row in kept))

    def write(self, step: int, seconds: float, terms: dict[str, float]) -> None:
        total = sum(terms.values())
        self._last = [*self._last[-9:], total]
        if self._path is None:
            return
        new = not self._path.stat().st_size
        with self._path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if new:
                writer.writerow(["step", "seconds", "loss", *terms])
            writer.writerow([step, f"{seconds:.1f}", f"{total:.5f}", *(f"{v:.5f}" for v in terms.values())])

    @property
    def recent(self) -> float:
        """Mean of the last rows of this run; not a number before the first."""
        return sum(self._last) / len(self._last) if self._last else math.nan

    @property
    def rows(self) -> int:
        """Rows of this run, at most ten."""
        return len(self._last)
