"""One audit: read all pairs once, fix thresholds on originals, attack, judge by gates."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ..devices import share_processors
from ..errors import ConfigError
from ..pictures import search_folder
from .attacks.registry import ATTACKS, Settings
from .evidence import Evidence
from .examine import ORIGINAL, Examined, Examiner, strangers
from .findings import Finding
from .judges import Judge, find_judges, load_judge
from .material import Pair
from .thresholds import Threshold, fix_threshold

CONTROL_FACES = 200  # pairs whose blurred, pixelated and masked faces are judged too
CROP_FACES = 2000  # pairs whose small crops are kept for A5
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Plan:
    """How to audit.

    attacks: names, empty for all that the material allows; minutes: for the attacks that train; folder: of the third-party
    files, instead of `model_folder()`.
    """

    recognisers: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    minutes: float = 1.0
    detectors: tuple[str, ...] = ("centerface",)
    impostors: Path | None = None
    training: Path | None = None
    features: Path | None = None
    perceptual: Path | None = None
    key: bytes | None = field(default=None, repr=False)
    workers: int = 1
    seed: int = 0
    folder: Path | None = None

    def __post_init__(self) -> None:
        unknown = sorted(set(self.attacks) - set(ATTACKS))
        if unknown:
            raise ConfigError(f"attack {unknown[0]!r} is unknown; choose from {', '.join(ATTACKS)}")
        if not 0.02 <= self.minutes <= 600 or not 1 <= self.workers <= 64:
            raise ConfigError(f"minutes is {self.minutes:g}, workers {self.workers}; choose 0.02 to 600 and 1 to 64")


@dataclass(frozen=True)
class Audited:
    """What an audit found."""

    evidence: Evidence = field(repr=False)
    findings: tuple[Finding, ...]


def audit(pairs: Sequence[Pair], plan: Plan, progress: Progress | None = None) -> Audited:
    """Run an audit. progress: called with (what, done, all); what it raises ends the audit.

    Raises:
        ConfigError: folders or recognisers that cannot be used. AssetMissingError: something is not set up.
    """
    tell = progress or (lambda what, done, count: None)
    judges = find_judges(plan.recognisers)
    examined = []
    for found in _examine(plan, judges, pairs):
        examined.append(found)
        tell("pictures", len(examined), len(pairs))
    auditors = {judge.name: load_judge(judge) for judge in judges}
    evidence = Evidence(pairs, examined, judges, auditors)
    others = _strangers(plan.impostors, plan, judges)
    evidence.thresholds = _thresholds(evidence, others)
    evidence.training = _strangers(plan.training, plan, judges)
    names = plan.attacks or tuple(ATTACKS)
    findings: list[Finding] = []
    for done, name in enumerate(names):
        tell(f"attack {name}", done, len(names))
        pulse = partial(tell, f"attack {name}", done, len(names))
        settings = Settings(np.random.default_rng([plan.seed, done]), plan.minutes, plan.key, pulse)
        findings += ATTACKS[name](evidence, settings)
    tell("attacks", len(names), len(names))
    return Audited(evidence, tuple(findings))


def with_controls(pairs: Sequence[Pair], most: int = CONTROL_FACES) -> set[int]:
    """Pairs whose controls are judged: whole people, spread over the material, until there are `most`."""
    people: dict[str, list[int]] = {}
    for i, pair in enumerate(pairs):
        people.setdefault(pair.person or f"\0{i}", []).append(i)
    groups = list(people.values())
    order = np.random.default_rng(0).permutation(len(groups))
    chosen: set[int] = set()
    for group in order:
        if len(chosen) < most:
            chosen.update(groups[group])
    return chosen


_examiner: Examiner | None = None  # of a worker process


def _start(judges: Sequence[Judge], plan: Plan) -> None:
    global _examiner
    share_processors(plan.workers)
    _examiner = _make(judges, plan)


def _make(judges: Sequence[Judge], plan: Plan) -> Examiner:
    return Examiner(judges, plan.detectors, plan.features, plan.perceptual, plan.folder)


def _work(task: tuple[int, Pair, bool, bool]) -> Examined:
    assert _examiner is not None
    return _examiner.examine(*task)


def _examine(plan: Plan, judges: Sequence[Judge], pairs: Sequence[Pair]) -> Iterator[Examined]:
    chosen = with_controls(pairs)
    tasks = [(i, pair, i in chosen, i < CROP_FACES) for i, pair in enumerate(pairs)]
    if plan.workers == 1:
        examiner = _make(judges, plan)
        for task in tasks:
            yield examiner.examine(*task)
        return
    context = multiprocessing.get_context("spawn")  # forked copies of loaded networks may hang
    with ProcessPoolExecutor(plan.workers, context, _start, (judges, plan)) as pool:
        yield from pool.map(_work, tasks, chunksize=4)


def _strangers(folder: Path | None, plan: Plan, judges: Sequence[Judge]) -> dict[str, np.ndarray]:
    if folder is None:
        return {}
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder")
    examiner = Examiner(judges, plan.detectors, folder=plan.folder)
    found = list(strangers(examiner, search_folder(folder)[0]))
    if len(found) < 2:
        raise ConfigError(f"{folder} holds {len(found)} pictures with a face; more are needed")
    return {judge.name: np.stack([vectors[judge.name] for vectors in found]) for judge in judges}


def _thresholds(evidence: Evidence, others: dict[str, np.ndarray]) -> dict[str, Threshold]:
    rows = evidence.photographs[evidence.named[evidence.photographs]]
    fixed = {}
    for judge in evidence.judges:
        vectors = evidence.vectors(judge.name, ORIGINAL)[rows]
        people = evidence.persons[rows].astype(str)
        threshold = fix_threshold(judge, evidence.auditors[judge.name], vectors, people, others.get(judge.name))
        if threshold is not None:
            fixed[judge.name] = threshold
    return fixed
