"""A4: somebody who has labelled anonymized pictures learns who hides behind them, and is asked about new ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from ..evidence import Evidence
from ..examine import ANONYMIZED
from ..findings import Control, Finding, Gate, Row, checked, count_row, in_words, not_run
from .networks import Pulse, linear, no_pulse, perceptron

PARROT = (
    "A4", "parrot: a recogniser's head trained on labelled anonymized pictures",
    "Newton, Sweeney and Malin, TKDE 2005 (parrot recognition); McPherson et al. 2016 (arXiv 1609.00408)",
)  # fmt: skip
LEAST_PEOPLE = 10
STEPS, BATCH, HIDDEN, NOISE = 600, 64, 256, 0.3
Split = tuple[np.ndarray, np.ndarray]  # rows to learn from, rows to be asked about


def parrot(
    evidence: Evidence, rng: np.random.Generator, minutes: float, pulse: Pulse = no_pulse
) -> list[Finding]:
    """A4. Learned from one half of a person's pictures, or from other keys, and tested on the rest."""
    found = split(evidence)
    if isinstance(found, str):
        return [not_run(*PARROT, found)]
    deadline = time.monotonic() + 30 * minutes

    def late(end: float) -> bool:
        pulse()
        return time.monotonic() > end

    ours = _learned(evidence, ANONYMIZED, found, rng, partial(late, deadline))
    planted = _learned(evidence, "blur", found, rng, partial(late, deadline + 30 * minutes))
    if ours is None:
        return [not_run(*PARROT, f"fewer than {LEAST_PEOPLE} people have pictures on both sides")]
    times = ours["share"] / ours["chance"]
    value = f"{times:.1f} times ({in_words(ours)}, {ours['people']} people), {ours['judge']}"
    rows = (ours,) if planted is None else (ours, planted)
    fired = planted is not None and planted["share"] > 3 * planted["chance"]
    blurred = "too few blurred faces" if planted is None else in_words(planted)
    return [checked(Finding(
        *PARROT, rows=rows,
        gate=Gate("≤ 3 times chance", value, times <= 3, ours["high"] <= 3 * ours["chance"], times <= 1.5),
        control=Control("blurred faces are learned", blurred, fired),
        note="The head sees the embeddings of all judges; it learns hair, age and place as well as the face.",
    ))]  # fmt: skip


def split(evidence: Evidence) -> Split | str:
    """Rows to learn from and rows to test on, or why there are none. With keys: the last key is the fresh one."""
    rows = np.flatnonzero(evidence.named & evidence.there)
    keys = sorted({str(key) for key in evidence.keys[rows]} - {""})
    if len(keys) == 1 and not (evidence.keys[rows] == "").any():
        return "all pictures were made with one key, under which a person is meant to be found again; another key is needed"
    if keys:
        fresh = evidence.keys[rows] == keys[-1]
        return rows[~fresh], rows[fresh]
    learn, ask = [], []
    for person in sorted(set(evidence.persons[rows].astype(str))):
        own = rows[evidence.persons[rows].astype(str) == person]
        photographs = np.unique(evidence.sources[own])
        first = np.isin(evidence.sources[own], photographs[::2])
        learn += own[first].tolist()
        ask += own[~first].tolist()
    return np.array(learn, dtype=int), np.array(ask, dtype=int)


def _learned(
    evidence: Evidence, view: str, rows: Split, rng: np.random.Generator, late: Callable[[], bool]
) -> Row | None:
    """Share of test pictures whose person comes first; None: too few people."""
    there = np.all([evidence.has(judge, view) for judge in evidence.auditors], axis=0)
    learn, ask = (part[there[part]] for part in rows)
    people = sorted(set(evidence.persons[learn].astype(str)) & set(evidence.persons[ask].astype(str)))
    if len(people) < LEAST_PEOPLE:
        return None
    learn, ask = (part[np.isin(evidence.persons[part].astype(str), people)] for part in (learn, ask))
    x = np.concatenate([_standard(evidence.vectors(judge, view), learn) for judge in evidence.auditors], axis=1)
    y = np.searchsorted(people, evidence.persons.astype(str))
    guess = classify(x[learn], y[learn], x[ask], len(people), rng, late)
    judges = " + ".join(evidence.auditors)
    hits, more = int((guess == y[ask]).sum()), {"people": len(people), "learned_from": len(learn)}
    return count_row(judges, f"rank 1, {view}", hits, len(ask), chance=1 / len(people), **more)


def _standard(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    known = vectors[rows]
    standard: np.ndarray = (vectors - known.mean(axis=0)) / (known.std(axis=0).mean() + 1e-9)
    return standard


def classify(
    x: np.ndarray, y: np.ndarray, at: np.ndarray, classes: int, rng: np.random.Generator, late: Callable[[], bool]
) -> np.ndarray:
    """Labels [M] of `at` [M, D] by a network trained on x [N, D], y [N] with noise on its inputs."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
    tx, ty, ta = torch.from_numpy(x).float(), torch.from_numpy(y).long(), torch.from_numpy(at).float()
    net = torch.nn.ModuleList([perceptron(x.shape[1], HIDDEN, classes, generator), linear(x.shape[1], classes, 0.1, generator)])
    optimizer = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.05)
    for _ in range(STEPS):
        chosen = torch.randint(len(tx), (BATCH,), generator=generator)
        seen = tx[chosen] + NOISE * torch.randn(BATCH, tx.shape[1], generator=generator)
        loss = F.cross_entropy(net[0](seen) + net[1](seen), ty[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if late():
            break
    with torch.inference_mode():
        guess: np.ndarray = (net[0](ta) + net[1](ta)).argmax(dim=1).numpy()
    return guess
