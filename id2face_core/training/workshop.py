"""What a stage works with: folders, configuration, processes, and what is left of its budget."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers.models.modeling_utils import ModelMixin

from ..devices import probe
from ..generator.protocol import FaceGenerator
from .checkpoint import has_state, load_meta
from .config import Optimisation, TrainConfig
from .loop import Fit, Loop
from .precision import Task
from .table import RealTable, Table
from .world import World

Figures = dict[str, object]
RENDER_BATCH = 64


@dataclass
class Workshop:
    """One stage at work.

    Args:
        output: everything that is made; data: real faces and teachers, or None; weights: where `export` writes, or None.
        seconds: the stage's budget in all; used: what earlier runs spent of it.
        resume: whether networks go on from their states.
    """

    output: Path
    data: Path | None
    weights: Path | None
    config: TrainConfig
    world: World
    seconds: float
    used: float = 0.0
    resume: bool = False
    started: float = field(default_factory=time.monotonic)
    fits: dict[str, str] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        return self.world.device

    @property
    def in_batches(self) -> bool:
        """Whether faces are rendered and measured at once, without files between."""
        how = self.config.synthesize.measure
        return self.device.type != "cpu" if how == "auto" else how == "batches"

    @property
    def render_batch(self) -> int:
        """Faces rendered at once; on a CPU one at a time is as fast."""
        return self.config.synthesize.render_batch or (1 if self.device.type == "cpu" else RENDER_BATCH)

    def load_generator(self) -> FaceGenerator:
        """The packaged generator on the device of the run, in the format that is fast there. Raises AssetMissingError."""
        from ..generator.loader import load_generator

        return load_generator(None, self.device, probe(str(self.device)).dtype)

    @property
    def table(self) -> Path:
        return self.output / "table"

    def elapsed(self) -> float:
        """Seconds of the stage, earlier runs included."""
        return self.used + time.monotonic() - self.started

    def remaining(self) -> float:
        """Seconds of the stage's budget that are left."""
        return max(0.0, self.seconds - self.elapsed())

    def seconds_for(self, share: float) -> float:
        """A share of the stage's budget, as far as it is there."""
        return min(share * self.seconds, self.remaining())

    def fit(self, task: Task, how: Optimisation) -> Fit:
        """Train a network for its share of the stage."""
        budget = min(how.share * self.seconds, max(1.0, self.remaining()) + self._spent(task.name))
        loop = Loop(
            task, how, self.config.loop, folder=self.output / "train" / task.name, world=self.world, seed=self.config.seed
        )
        fit = loop.run(budget, self.resume)
        task.model.cpu()
        self.fits[task.name] = str(fit)
        if self.world.main:
            print(f"  {task.name}: {fit}", flush=True)
        return fit

    def _spent(self, name: str) -> float:
        """Seconds that earlier runs gave to a network, by its state."""
        folder = self.output / "train" / name / "state"
        return float(load_meta(folder)["elapsed"]) if self.resume and has_state(folder) else 0.0

    def save(self, model: ModelMixin, name: str) -> None:
        """Write a network below the output folder, by the first process."""
        if self.world.main:
            model.save_pretrained(self.output / name)

    def load_table(self) -> Table:
        """Rows of generated faces. Raises AssetMissingError."""
        return Table.load(self.table)

    def load_real(self) -> RealTable | None:
        """Rows of real faces, or None."""
        return RealTable.load(self.output / "table_real")
