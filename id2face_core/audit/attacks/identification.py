"""A2: found in a gallery? A3: does the rank of the true person give it away, sorted in whichever direction?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...attributes.vector import group_slice, index
from ..evidence import Evidence
from ..examine import ANONYMIZED, ORIGINAL
from ..findings import Control, Finding, Gate, Row, checked, count_row, in_words, not_run, percent
from ..recognisers import score_matrix

RANKED = "A2", "identification in a gallery of other photographs", "Phillips et al., FERET 2000: closed-set identification, CMC"
TWO_SIDED = (
    "A3", "rank of the true person: most, least and nearest to no similarity",
    "ID2Face mapping turned against itself: -e is found by the least similar, an orthogonal e by the smallest |cos|",
)  # fmt: skip
LEAST_PEOPLE = 10  # three times chance means something from here on
KEPT = "rank 1 by age, sex and skin alone, which are kept on purpose"
MOST_PEOPLE = 2000  # of a gallery; beyond, the first ones
PERMUTATIONS = 1999
ORDERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # scores [N, G] -> what is sorted, greatest first
    "most similar": lambda s: s,
    "least similar": lambda s: -s,
    "nearest to what strangers score": lambda s: -np.abs(s - np.median(s, axis=1, keepdims=True)),
}


@dataclass(frozen=True)
class Gallery:
    """Scores [N, G] of N probes with G people (mean over photographs, never the probe's own); truth [N]: their column."""

    rows: np.ndarray
    scores: np.ndarray
    truth: np.ndarray


def rank(evidence: Evidence) -> list[Finding]:
    """A2."""
    found = _galleries(evidence)
    if isinstance(found, str):
        return [not_run(*RANKED, found)]
    return [_ranked(*found, by_attributes(evidence))]


def sort(evidence: Evidence, rng: np.random.Generator) -> list[Finding]:
    """A3."""
    found = _galleries(evidence)
    return [not_run(*TWO_SIDED, found) if isinstance(found, str) else _two_sided(*found, rng)]


Galleries = dict[str, "Gallery"]


def _galleries(evidence: Evidence) -> tuple[Galleries, Galleries] | str:
    """Galleries of the anonymized faces and, as control, of the originals; or why there are none."""
    made = {judge: gallery(evidence, judge, ANONYMIZED) for judge in evidence.auditors}
    people = max((g.scores.shape[1] for g in made.values()), default=0)
    if people < LEAST_PEOPLE:
        return f"{people} people are named with two photographs; at least {LEAST_PEOPLE} are needed (--pairs, column person)"
    return made, {judge: gallery(evidence, judge, ORIGINAL) for judge in evidence.auditors}


def gallery(evidence: Evidence, judge: str, view: str) -> Gallery:
    """Scores of a judge between a view of the probes and the originals, see `compare`."""
    made, originals = evidence.vectors(judge, view), evidence.vectors(judge, ORIGINAL)
    auditor = evidence.auditors[judge]
    return compare(evidence, evidence.has(judge, view), lambda a, b: score_matrix(auditor, made[a], originals[b]))


def by_attributes(evidence: Evidence) -> Gallery:
    """Scores by age, sex and skin alone, which are kept on purpose: minus the distance of what is read off the pictures."""
    before, after, both = evidence.attributes()
    if not both.any():
        return Gallery(*(np.zeros(shape, dtype=int) for shape in (0, (0, 0), 0)))
    columns = [index("age"), index("sex"), *range(*group_slice("skin").indices(before.shape[1]))]
    spread = before[both][:, columns].std(axis=0) + 1e-9
    a, b = after[:, columns] / spread, before[:, columns] / spread
    weight = np.array([1.0, 1.0, *[1 / len(columns[2:])] * len(columns[2:])])  # skin counts as one
    return compare(evidence, both, lambda i, j: -np.sqrt((weight * (a[i][:, None] - b[j][None]) ** 2).sum(axis=-1)))


def compare(evidence: Evidence, there: np.ndarray, score: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Gallery:
    """People with two photographs or more; of each person one photograph is left out, of the true one the probe's own.

    Args:
        there: which faces can be probes, bool [N]; score: rows of probes [P] and of originals [Q] -> scores [P, Q].
    """
    photos = evidence.photographs[evidence.named[evidence.photographs]]
    people: dict[str, list[int]] = {}
    for row in photos:
        people.setdefault(str(evidence.persons[row]), []).append(int(row))
    chosen = [rows for rows in people.values() if len(rows) >= 2][:MOST_PEOPLE]
    column = {str(evidence.persons[rows[0]]): g for g, rows in enumerate(chosen)}
    known = evidence.named & there
    probes = np.array([i for i in np.flatnonzero(known) if str(evidence.persons[i]) in column], dtype=int)
    truth = np.array([column[str(evidence.persons[i])] for i in probes], dtype=int)
    scores = np.zeros((len(probes), len(chosen)), dtype=np.float32)
    for g, rows in enumerate(chosen):
        found = score(probes, np.array(rows))
        own = evidence.sources[rows][None] == evidence.sources[probes][:, None]
        turn = np.arange(len(probes))[:, None] % len(rows) == np.arange(len(rows))[None]
        left_out = np.where(own.any(axis=1, keepdims=True), own, turn)
        scores[:, g] = np.where(left_out, 0, found).sum(axis=1) / (~left_out).sum(axis=1)
    return Gallery(probes, scores, truth)


def ranks(values: np.ndarray) -> np.ndarray:
    """Rank 1..G of every column in its row [N, G], greatest first; equal values share the mean rank."""
    from scipy.stats import rankdata

    found: np.ndarray = rankdata(-values, axis=1)
    return found


def uniformity(ranked: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance by which the true ranks come before uniform ones, and its p by permuting who is who.

    Args:
        ranked: ranks [N, G] of every column; truth: column [N].

    One-sided: ranks that come too late find nobody in this order, and are what the opposite order finds. Probes of one person
    stay together in a permutation, so dependence between them is no evidence.
    """
    columns, count = np.arange(ranked.shape[1]), len(truth)
    place = np.arange(count)

    def distance(who: np.ndarray) -> float:
        found = (np.sort(ranked[place, who[truth]]) - 0.5) / ranked.shape[1]
        return float(np.max((place + 1) / count - found))

    seen = distance(columns)
    as_far = sum(distance(rng.permutation(columns)) >= seen - 1e-12 for _ in range(PERMUTATIONS))
    return seen, (1 + as_far) / (1 + PERMUTATIONS)


def accumulated(g: Gallery) -> Gallery:
    """All pseudonyms of a person as one probe: mean scores."""
    people = np.unique(g.truth)
    scores = np.stack([g.scores[g.truth == person].mean(axis=0) for person in people])
    return Gallery(people, scores, people)


def _ranked(galleries: Galleries, controls: Galleries, attributes: Gallery) -> Finding:
    rows, limits, curves = [], [], {}
    for judge, g in galleries.items():
        found = ranks(g.scores)[np.arange(len(g.truth)), g.truth]
        size = g.scores.shape[1]
        curves[judge] = [float((found <= r).mean()) for r in range(1, size + 1)]
        for first in (1, 5):
            chance = first / size
            row = count_row(judge, f"rank {first} of {size}", int((found <= first).sum()), len(found), chance=chance)
            rows.append({**row, "times_chance": row["share"] / chance})
            # three times chance is no limit where it is nearly everything
            limits.append(row["share"] <= min(3 * chance, 0.95))
    worst = max(rows, key=lambda row: row["times_chance"])
    band = all(row["low"] <= row["chance"] for row in rows)
    fired = [_rank_one(judge, g) for judge, g in controls.items()]
    kept = [] if not len(attributes.truth) else [{**_rank_one("attribute reader", attributes), "what": KEPT}]
    least = min(fired, key=lambda row: row["share"])
    value = f"{worst['times_chance']:.1f} times ({worst['what']}: {in_words(worst)}), {worst['judge']}"
    return checked(Finding(
        *RANKED, rows=(*sorted(rows, key=lambda row: -row["times_chance"]), *kept),
        gate=Gate("≤ 3 times chance", value, all(limits), worst["high"] <= 3 * worst["chance"], band),
        control=Control("do nothing is found first", in_words(least), least["share"] > max(0.5, 3 * least["chance"])),
        curves=curves, note="A person's score is the mean over photographs; the probe's own photograph is left out.",
    ))  # fmt: skip


def _rank_one(judge: str, g: Gallery) -> Row:
    found = ranks(g.scores)[np.arange(len(g.truth)), g.truth]
    return count_row(judge, "rank 1", int((found <= 1).sum()), len(found), chance=1 / g.scores.shape[1])


def _two_sided(galleries: Galleries, controls: Galleries, rng: np.random.Generator) -> Finding:
    rows: list[Row] = []
    for judge, single in galleries.items():
        for words, g in (("one pseudonym", single), ("all pseudonyms of a person together", accumulated(single))):
            for order, turn in ORDERS.items():
                seen, p = uniformity(ranks(turn(g.scores)), g.truth, rng)
                rows.append({"judge": judge, "what": f"{order}, {words}", "distance": seen, "p": p, "trials": len(g.truth)})
    worst = min(rows, key=lambda row: row["p"])
    planted = [uniformity(ranks(ORDERS["least similar"](-g.scores)), g.truth, rng)[1] for g in controls.values()]
    value = f"p = {worst['p']:.4f} ({worst['what']}, N = {worst['trials']}), {worst['judge']}"
    return checked(Finding(
        *TWO_SIDED, rows=tuple(sorted(rows, key=lambda row: row["p"])),
        gate=Gate("p > 0.001 in every order", value, worst["p"] > 0.001, None, worst["p"] > 0.05),
        control=Control("a negated identity is found by the least similar", f"p = {max(planted):.4f}", max(planted) <= 0.001),
        note=f"p by {PERMUTATIONS} permutations of who is who; the smallest possible is {percent(1 / (1 + PERMUTATIONS))}.",
    ))  # fmt: skip
