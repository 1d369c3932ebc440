"""A run: stages in order, each within its share of the budget, remembered in run.json so that it can be taken up again."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..assets.hashing import write_atomically
from ..errors import AssetCorruptError, ConfigError
from .config import STAGES, TrainConfig
from .world import World

RUN_FILE = "run.json"
SCHEMA = "id2face-training/1"
NETWORKS_OF = {
    "attributes": ("blendshapes", "person"), "identity": ("encoder", "vae"), "prior": ("surrogate",), "recomposer": ("denoiser",),
}  # fmt: skip


ENOUGH = 1.1  # a stage that is done runs on when it is given so many times the time it was asked to take


@dataclass(frozen=True)
class _Allotment:
    """Seconds of a stage: asked for by share of the budget, and given, those of earlier runs included (0: it is done)."""

    asked: float
    seconds: float


@dataclass(frozen=True)
class Order:
    """What was asked for. seconds: of all the stages together."""

    stages: tuple[str, ...]
    seconds: float
    output: Path
    data: Path | None = None
    weights: Path | None = None
    resume: bool = False
    restart: bool = False


def run(order: Order, config: TrainConfig) -> dict[str, Any]:
    """Run the stages; returns their figures by name, also written to figures/<stage>.json.

    Raises:
        ConfigError: a stage was run already and neither `resume` nor `restart` says what to do about it.
    """
    world = World.join(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    record = _Record(order.output, world.main)
    fresh = [] if order.resume or order.restart else [stage for stage in order.stages if stage in record.stages]
    if fresh:
        held = f"{order.output} holds stage {fresh[0]!r} of an earlier run"
        raise ConfigError(f"{held}; give --resume, --restart or another --output")
    if order.restart:
        for stage in order.stages:
            _forget(order.output, stage, record, world)
    record.config = asdict(config)
    _say(
        world,
        f"{order.output}: {order.seconds / 60:g} min on {world.device}" + (f", {world.size} processes" if world.size > 1 else ""),
    )
    results: dict[str, Any] = {}
    for stage, seconds in _allotments(order, config, record):
        results[stage] = _run_stage(stage, seconds, order, config, world, record)
    return results


def _allotments(order: Order, config: TrainConfig, record: _Record) -> Iterator[tuple[str, _Allotment]]:
    """Each stage and its seconds, counted when it begins: what the stages before it took too much or left is shared out."""
    start = time.monotonic()
    shares = {stage: getattr(config, stage).share if hasattr(config, stage) else 0.0 for stage in order.stages}
    if len(shares) == 1:
        shares = dict.fromkeys(shares, 1.0)
    spent = sum(record.stages[stage]["used"] for stage in order.stages if stage in record.stages)
    for stage, share in shares.items():
        asked = order.seconds * share / sum(shares.values())
        past = record.stages.get(stage, {})
        if past.get("done") and asked <= ENOUGH * past["asked"] and stage != "export":
            yield stage, _Allotment(asked, 0.0)
            continue
        later = [s for s in list(shares)[list(shares).index(stage) :] if not record.stages.get(s, {}).get("done") or s == stage]
        left = order.seconds - spent - (time.monotonic() - start)
        fresh = left * share / max(1e-9, sum(shares[s] for s in later))
        yield stage, _Allotment(asked, max(1.0, fresh) + float(past.get("used", 0.0)))


def _run_stage(
    stage: str, allotment: _Allotment, order: Order, config: TrainConfig, world: World, record: _Record
) -> dict[str, Any]:
    from . import stages
    from .workshop import Workshop

    past, seconds = record.stages.get(stage, {}), allotment.seconds
    if not seconds:
        _say(world, f"{stage}: done in {past['used'] / 60:.1f} min")
        return dict(past["figures"])
    _say(world, f"{stage}: {seconds / 60:.1f} min" + (f", {past['used'] / 60:.1f} of them used" if past else ""))
    for later in STAGES[STAGES.index(stage) + 1 :]:
        if later in record.stages:
            _say(world, f"  {later} rests on {stage} and will begin anew")
            _forget(order.output, later, record, world)
    work = Workshop(
        order.output, order.data, order.weights, config, world, seconds, float(past.get("used", 0.0)), resume=bool(past)
    )
    record.update(stage, done=False, asked=allotment.asked, used=work.used, figures={})
    try:
        figures = stages.RUN[stage](work)
        if world.main and config.pictures:
            _pictures(stage, order.output, config.samples)
        record.update(stage, done=True, asked=allotment.asked, used=work.elapsed(), figures=figures | {"fits": work.fits})
    except BaseException:  # stopped by hand too: what was spent counts
        record.update(stage, done=False, asked=allotment.asked, used=work.elapsed(), figures={})
        raise
    for name, value in figures.items():
        _say(world, f"  {name}: {_short(value)}")
    if world.main:
        write_atomically(order.output / "figures" / f"{stage}.json", (json.dumps(figures, indent=1) + "\n").encode())
    world.wait()
    return dict(figures)


def _pictures(stage: str, output: Path, samples: int) -> None:
    """Loss curves of the stage; after the denoiser a grid of its faces and its gates. Without matplotlib: none, and why."""
    try:
        from .curves import draw_curves, draw_gates
    except ImportError:
        print("  no pictures: pip install 'id2face[train]' for matplotlib", flush=True)
        return
    made = [draw_curves(output, stage, NETWORKS_OF[stage])] if stage in NETWORKS_OF else []
    if stage == "recomposer" and samples:
        from .samples import sample_faces

        grid, gates = sample_faces(output, samples)
        made += [grid, draw_gates(gates, output / "pictures/gates.png")]
    for path in made:
        if path is not None:
            print(f"  picture: {path}", flush=True)


def _forget(output: Path, stage: str, record: _Record, world: World) -> None:
    """Take a stage's training states away; its networks stay until they are written anew."""
    record.stages.pop(stage, None)
    if world.main:
        for network in NETWORKS_OF.get(stage, ()):
            shutil.rmtree(output / "train" / network, ignore_errors=True)
        if stage == "synthesize":
            for folder in ("synth", "features", "features_real"):
                shutil.rmtree(output / folder, ignore_errors=True)
    world.wait()


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_short(v)}" for key, v in value.items())
    if isinstance(value, list | tuple):
        shown = " ".join(_short(v) for v in value[:6])
        return shown if len(value) <= 6 else f"{shown} ... ({len(value)})"
    return str(value)


def _say(world: World, text: str) -> None:
    if world.main:
        print(text, flush=True)


class _Record:
    """run.json: which stages ran, for how long, on what budget, what they measured."""

    def __init__(self, output: Path, writes: bool) -> None:
        self._path, self._writes = output / RUN_FILE, writes
        self.stages: dict[str, dict[str, Any]] = {}
        self.config: dict[str, Any] = {}
        if self._path.is_file():
            try:
                data = json.loads(self._path.read_text(encoding="utf-8"))
                self.stages = data["stages"] if data["schema"] == SCHEMA else {}
            except (ValueError, KeyError, TypeError) as error:
                raise AssetCorruptError(f"{self._path} is damaged; give another --output") from error

    def update(self, stage: str, **values: Any) -> None:
        self.stages[stage] = values | {"ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        if self._writes:
            document = {"schema": SCHEMA, "torch": torch.__version__, "config": self.config, "stages": self.stages}
            write_atomically(self._path, (json.dumps(document, indent=1) + "\n").encode())
