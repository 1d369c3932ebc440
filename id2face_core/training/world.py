"""One process or several: who this one is, and how gradients become the same in all of them.

Hugging Face accelerate connects the processes that torchrun starts (see docs/training.md). Gradients are
averaged by one all-reduce of a flat vector: the losses call several methods of a network many times a step, which
DistributedDataParallel's wrapper does not know, and a few million parameters gain nothing by overlapping.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from ..devices import probe
from ..errors import ConfigError


@dataclass(frozen=True)
class World:
    """rank of size processes; `device` is this one's."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")

    @classmethod
    def join(cls, device: str = "auto") -> World:
        """The world that the launcher describes in the environment, or this process alone. Raises ConfigError."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls(device=probe(device).device)
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise ConfigError("several processes need accelerate: pip install 'id2face[train]'") from error
        state = PartialState(cpu=device == "cpu" or not torch.cuda.is_available(), timeout=timedelta(hours=12))
        atexit.register(state.destroy_process_group)  # its threads, still running at the end, abort the process now and then
        return cls(state.process_index, state.num_processes, state.device)

    @property
    def main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Mean over processes of each tensor, in place."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([t.detach().flatten().float() for t in tensors])
        dist.all_reduce(flat)
        for tensor, mean in zip(tensors, (flat / self.size).split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def agree(self, value: float) -> float:
        """The first process's value, in all of them."""
        if self.size == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(box, src=0)
        return float(box)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()
