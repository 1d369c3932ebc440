"""Two processes on one machine: gradients are averaged, so both take the very step that one process takes on both batches."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Generator, Tensor, nn

from id2face_core.training.config import LoopConfig, Optimisation
from id2face_core.training.loop import Loop, seeded, step_seed
from id2face_core.training.world import World

ROOT = Path(__file__).resolve().parents[1]
STEPS = 6
CONFIG = LoopConfig(warmup_steps=2, precision="float32", max_batch_growth=1, ema=0.5)


class Line:
    """y = 3 x, by a linear map."""

    name = "line"

    def __init__(self) -> None:
        with seeded(0):
            self.model = nn.Linear(4, 2)

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        x = torch.randn(batch, 4, generator=rng)
        return {"error": (self.model(x) - 3 * x[:, :2]).square().mean()}


class BothBatches(Line):
    """What two processes see together, in one."""

    step = 0

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        seeds = [step_seed(0, self.name, self.step, rank) for rank in (0, 1)]
        parts = [super(BothBatches, self).losses(batch, Generator().manual_seed(seed))["error"] for seed in seeds]
        return {"error": torch.stack(parts).mean()}


CHILD = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
import torch
from safetensors.torch import save_file
from test_training_world import CONFIG, STEPS, Line
from id2face_core.training.config import Optimisation
from id2face_core.training.loop import Loop
from id2face_core.training.world import World

world = World.join("cpu")
assert world.size == 2 and world.device.type == "cpu", world
mine = [torch.full((3,), float(world.rank)), torch.full((2, 2), 10.0 * world.rank)]
world.average(mine)
assert mine[0].tolist() == [0.5] * 3 and mine[1].tolist() == [[5.0, 5.0]] * 2, mine
assert world.agree(7.0 + world.rank) == 7.0
task = Line()
Loop(task, Optimisation(1.0, 8, 1e-2, 0.01, steps=STEPS), CONFIG, folder=Path({folder!r}), world=world).run(0)
save_file(task.model.state_dict(), {folder!r} + f"/rank{{world.rank}}.safetensors")
world.wait()
"""


def test_gradients_of_two_processes_are_averaged(tmp_path: Path) -> None:
    if importlib.util.find_spec("accelerate") is None or not torch.distributed.is_gloo_available():
        pytest.skip("needs accelerate and gloo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path / "child.py"
    script.write_text(CHILD.format(paths=[str(ROOT), str(ROOT / "tests")], folder=str(tmp_path)))
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    children = [
        subprocess.Popen(
            [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in (0, 1)
    ]  # fmt: skip
    try:
        output = [child.communicate(timeout=180)[0] for child in children]
    finally:
        for child in children:
            child.kill()
    if any("Connection refused" in text or "Operation not permitted" in text for text in output):
        pytest.skip("processes cannot reach each other on this machine")
    assert [child.returncode for child in children] == [0, 0], "\n".join(output)
    first, second = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in (0, 1))
    task = BothBatches()
    loop = Loop(task, Optimisation(1.0, 8, 1e-2, 0.01, steps=STEPS), CONFIG)
    count = type(loop)._one_step

    def counted(*arguments):  # noqa: ANN002, ANN202
        task.step = loop.step
        return count(loop, *arguments)

    loop._one_step = counted  # type: ignore[method-assign]
    loop.run(0)
    for name, value in task.model.state_dict().items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], value, rtol=1e-5, atol=1e-6)
    assert (tmp_path / "losses.csv").is_file() and (tmp_path / "state/state.json").is_file()


def test_one_process_needs_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = World.join("cpu")
    tensor = torch.arange(3.0)
    world.average([tensor])
    world.wait()
    assert (world.rank, world.size, world.main, world.agree(2.5)) == (0, 1, True, 2.5)
    assert tensor.tolist() == [0.0, 1.0, 2.0]
