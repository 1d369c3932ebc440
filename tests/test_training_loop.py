"""The loop: a broken run equals an unbroken one bit for bit, a budget is kept, a larger one goes on before the decay."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from id2face_core.errors import ConfigError
from id2face_core.training.checkpoint import load_meta
from id2face_core.training.config import LoopConfig, Optimisation
from id2face_core.training.curves import read_losses
from id2face_core.training.loop import DivergedError, Loop, learning_rate, seeded
from id2face_core.training.precision import Weights, choose, computing

CONFIG = LoopConfig(warmup_steps=4, log_every=2, precision="float32", max_batch_growth=1, checkpoint_seconds=1e9)


class Regression:
    """y = x @ slope, with everything that carries state: batch norm, dropout, parameters of several kinds."""

    name = "regression"

    def __init__(self) -> None:
        with seeded(0):
            self.model = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        x = torch.randn(batch, 4, generator=rng)
        return {"error": (self.model(x) - x[:, :2] * 3).square().mean()}


class Steps(Loop):
    """A loop that is killed before a step."""

    kill_at = 10**9

    def _one_step(self, *args):  # noqa: ANN002, ANN202
        if self.step == self.kill_at:
            raise KeyboardInterrupt
        return super()._one_step(*args)


def run(folder: Path | None, steps: int, resume: bool = False, kill_at: int = 10**9, config: LoopConfig = CONFIG) -> Regression:
    task = Regression()
    loop = Steps(task, Optimisation(1.0, 8, 1e-2, 0.01, steps=steps), config, folder=folder)
    loop.kill_at = kill_at
    try:
        loop.run(0, resume)
    except KeyboardInterrupt:
        pass
    return task


def tensors(task: Regression) -> list[Tensor]:
    return list(task.model.state_dict().values())


@pytest.mark.parametrize("kill_at", [7, 18])  # in the stable part, and in the decay
def test_resumed_run_equals_unbroken_one_bit_for_bit(tmp_path: Path, kill_at: int) -> None:
    whole = run(tmp_path / "whole", 20)
    every_step = LoopConfig(**{**vars(CONFIG), "checkpoint_seconds": -1.0})
    run(tmp_path / "broken", 20, kill_at=kill_at, config=every_step)
    assert load_meta(tmp_path / "broken/state")["step"] == kill_at
    resumed = run(tmp_path / "broken", 20, resume=True)
    for a, b in zip(tensors(whole), tensors(resumed), strict=True):
        assert torch.equal(a, b)
    logs = [read_losses(tmp_path / name / "losses.csv") for name in ("whole", "broken")]
    assert logs[0]["step"].tolist() == logs[1]["step"].tolist()
    assert logs[0]["loss"].tolist() == logs[1]["loss"].tolist()


def test_global_randomness_is_left_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run(None, 5)
    assert torch.equal(before, torch.get_rng_state())


def test_larger_budget_goes_on_from_before_the_decay(tmp_path: Path) -> None:
    run(tmp_path, 20)
    assert load_meta(tmp_path / "stable")["step"] == 16
    longer = run(tmp_path, 40, resume=True)
    unbroken = run(None, 40)
    for a, b in zip(tensors(longer), tensors(unbroken), strict=True):
        assert torch.equal(a, b)


def test_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = run(tmp_path, 20)
    again = run(tmp_path, 20, resume=True, kill_at=0)
    for a, b in zip(tensors(first), tensors(again), strict=True):
        assert torch.equal(a, b)


def test_seconds_before_a_resumption_count(tmp_path: Path) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.01
        return now[0]

    Loop(Regression(), Optimisation(1.0, 8), CONFIG, folder=tmp_path, clock=clock).run(5.0)
    assert 4.9 < load_meta(tmp_path / "state")["elapsed"] < 5.2
    now[0] = 1000.0
    fit = Loop(Regression(), Optimisation(1.0, 8), CONFIG, folder=tmp_path, clock=clock).run(6.0, resume=True)
    assert now[0] - 1000.0 < 3.0, "a budget of 6 seconds of which the state before the decay has used 4"
    assert fit.seconds == pytest.approx(6.0, abs=0.2)


def test_schedule_warms_up_stays_and_falls() -> None:
    config = LoopConfig(warmup_steps=10, decay_share=0.2)
    rates = [
        learning_rate(step, progress, config) for step, progress in ((0, 0.0), (9, 0.1), (500, 0.79), (900, 0.9), (999, 1.0))
    ]
    assert rates[0] == pytest.approx(0.1)
    assert rates[1] == rates[2] == 1.0
    assert rates[3] == pytest.approx(1 - 0.5**0.5)
    assert rates[4] == 0.01


def test_loss_that_is_not_finite_stops_the_run() -> None:
    task = Regression()
    task.losses = lambda batch, rng: {"error": task.model(torch.full((4, 4), torch.nan)).mean()}  # type: ignore[method-assign]
    with pytest.raises(DivergedError, match="learning_rate"):
        Loop(task, Optimisation(steps=10), CONFIG).run(0)


def test_state_of_another_configuration_is_refused(tmp_path: Path) -> None:
    run(tmp_path, 4)
    task = Regression()
    task.model[4] = nn.Linear(16, 3)
    with pytest.raises(ConfigError, match="--restart"):
        Loop(task, Optimisation(steps=10), CONFIG, folder=tmp_path).run(0, resume=True)


def test_no_budget_is_an_error() -> None:
    with pytest.raises(ConfigError, match="budget"):
        Loop(Regression(), Optimisation(), CONFIG).run(0)


def test_bfloat16_weights_step_float32_masters() -> None:
    task = Regression()
    weights = Weights(task.model, "bfloat16")
    kinds = {parameter.dtype for parameter in task.model[0].parameters()} | {task.model[4].weight.dtype}
    assert kinds == {torch.bfloat16} and task.model[1].weight.dtype == torch.float32
    optimiser = torch.optim.SGD(weights.masters, lr=1e-4)
    before = weights.masters[0].detach().clone()
    with computing("bfloat16", torch.device("cpu")):
        terms = task.losses(8, Generator().manual_seed(0))
    terms["error"].backward()
    weights.gradients()
    optimiser.step()
    weights.publish()
    step = (weights.masters[0] - before).abs()
    assert 0 < float(step.max()) < 0.01, "a step far below bfloat16's rounding is kept by the masters"
    weights.restore()
    assert {p.dtype for p in task.model.parameters()} == {torch.float32}


def test_training_in_bfloat16_learns_and_ends_in_float32() -> None:
    task = Regression()
    config = LoopConfig(**{**vars(CONFIG), "precision": "bfloat16"})
    fit = Loop(task, Optimisation(1.0, 32, 1e-2, 0.0, steps=150), config).run(0)
    assert fit.precision == "bfloat16" and fit.loss < 4.0  # 9 for a network that says nothing
    assert {p.dtype for p in task.model.parameters()} == {torch.float32}


def test_probe_leaves_the_network_as_it_was_and_counts_flops() -> None:
    task = Regression()
    before = [t.clone() for t in tensors(task)]
    found = choose(task, torch.device("cpu"), 16, "auto", 4)
    for a, b in zip(before, tensors(task), strict=True):
        assert torch.equal(a, b)
    forward = 2 * (4 * 16 + 16 * 2)
    assert 2 * forward <= found.flops <= 3 * forward
    assert found.precision in ("float32", "autocast", "bfloat16") and found.batch in (16, 32, 64)
    assert found.peak > 1e8
