"""Each attack finds what leaks, passes what does not, and never calls a test passed that could not run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from id2face_core.audit.attacks import identification, pseudonyms, regression, traces, verification
from id2face_core.audit.attacks.registry import ATTACKS, Settings
from id2face_core.audit.document import verdict
from id2face_core.audit.evidence import Evidence
from id2face_core.audit.findings import Control, Finding, Gate, checked, count_row, in_words, not_run
from id2face_core.audit.utility import fairness, utility

from .audit_material import DIM, evidence, stranger, unit


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.attack: finding for finding in findings}


def met(finding: Finding) -> bool:
    assert finding.state == "run" and finding.gate is not None, finding.reason
    return finding.gate.met


def nothing(photo: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return photo


def negated(photo: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return -photo


def orthogonal(photo: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    drawn = rng.normal(size=DIM)
    return drawn - (drawn @ person) * person


def one_face(photo: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.ones(DIM)


TURN = np.linalg.qr(np.random.default_rng(9).normal(size=(DIM, DIM)))[0]


def turned(photo: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return TURN @ photo


def pseudonym(photo: np.ndarray, person: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.roll(person, 7) * 5 + 0.3 * unit(rng.normal(size=DIM))


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_doing_nothing_is_recognised_and_a_stranger_is_not() -> None:
    leaked, safe = (by_name(verification.verify(evidence(hide))) for hide in (nothing, stranger))
    assert [met(leaked[name]) for name in ("A1a", "A1b", "A1b-")] == [False] * 3
    assert [met(safe[name]) for name in ("A1a", "A1b", "A1b-")] == [True] * 3
    assert leaked["A1a"].rows[0]["trials"] == 20 * 5 * 4 and leaked["A1a"].rows[0]["what"] == "anonymized"
    assert safe["A1c"].state == "not run" and "rendering" in safe["A1c"].reason


def test_pictures_that_were_not_written_count_as_recognised() -> None:
    material = evidence(stranger)
    for i in range(30):
        row = material.examined[i].faces[0]
        views = {"fake": {k: v for k, v in row.vectors["fake"].items() if k != "anonymized"}}
        material.examined[i] = replace(material.examined[i], state="missing", faces=(replace(row, changed=None, vectors=views),))  # type: ignore[index]
    found = by_name(verification.verify(material))
    assert found["A1b"].rows[0]["failures"] == 30 and not met(found["A1b"])


def test_without_people_and_thresholds_attacks_say_so() -> None:
    found = by_name(verification.verify(evidence(stranger, named=False)))
    assert found["A1a"].state == "not run" and met(found["A1b"])
    blind = evidence(stranger)
    blind.thresholds = {}
    assert all(f.state == "not run" for f in verification.verify(blind))
    assert all(f.state == "not run" for f in identification.rank(evidence(stranger, people=9)))


@pytest.mark.parametrize(("hide", "holds"), [(nothing, False), (stranger, True)])
def test_a_gallery_finds_what_was_not_hidden(hide: object, holds: bool) -> None:
    (found,) = identification.rank(evidence(hide))  # type: ignore[arg-type]
    assert met(found) is holds
    assert len(found.curves["fake"]) == 20 and found.curves["fake"][-1] == 1.0


@pytest.mark.parametrize(("hide", "order"), [
    (negated, "least similar"), (nothing, "most similar"), (orthogonal, "nearest to what strangers score"),
])  # fmt: skip
def test_two_sided_ranks_find_negation_and_orthogonality(hide: object, order: str) -> None:
    (found,) = identification.sort(evidence(hide, people=60, photos=4), rng())  # type: ignore[arg-type]
    assert not met(found)
    least = {row["p"] for row in found.rows if row["what"].startswith(order)}
    assert min(least) <= 0.001


@pytest.mark.parametrize(("hide", "order"), [(negated, "most similar"), (nothing, "least similar")])
def test_the_opposite_order_finds_nobody(hide: object, order: str) -> None:
    (found,) = identification.sort(evidence(hide, people=60, photos=4), rng())  # type: ignore[arg-type]
    assert min(row["p"] for row in found.rows if row["what"].startswith(order)) > 0.9


def test_independent_draws_pass_the_two_sided_rank() -> None:
    (found,) = identification.sort(evidence(stranger, people=40), rng())
    assert met(found) and found.control is not None and found.control.fired


def test_a_linear_map_is_learned_and_a_stranger_is_not() -> None:
    (leaked,), (safe,) = (regression.regress(evidence(h, people=60), rng()) for h in (turned, stranger))
    assert not met(leaked) and met(safe)
    assert leaked.rows[0]["r2"] > 0.5


def test_too_little_material_for_regression_is_no_pass() -> None:
    (few,) = regression.regress(evidence(stranger, people=10), rng())
    assert few.state == "not run"


def test_pseudonyms_are_linked_only_under_one_key() -> None:
    keyed, free = evidence(pseudonym, key="k"), evidence(stranger)
    assert met(pseudonyms.stable(keyed)[0]) and pseudonyms.stable(free)[0].state == "not run"
    assert pseudonyms.link(keyed)[0].state == "not run"
    assert met(pseudonyms.link(free)[0]) and not met(pseudonyms.link(evidence(pseudonym))[0])
    assert not met(pseudonyms.stable(evidence(stranger, key="k"))[0])


def test_one_face_for_all_is_no_anonymity() -> None:
    assert not met(pseudonyms.shared(evidence(one_face))[0])
    assert met(pseudonyms.shared(evidence(stranger))[0])


def test_diversity_needs_many_draws_of_one_face() -> None:
    material = evidence(stranger, people=2, photos=10)
    assert pseudonyms.diverse(material)[0].state == "not run"
    again = Evidence([replace(p, name=p.name[0]) for p in material.pairs], material.examined, material.judges,
                     material.auditors, material.thresholds)  # fmt: skip
    assert met(pseudonyms.diverse(again)[0])
    same = evidence(one_face, people=2, photos=10)
    stuck = Evidence([replace(p, name=p.name[0]) for p in same.pairs], same.examined, same.judges, same.auditors)
    assert not met(pseudonyms.diverse(stuck)[0])


def test_untouched_faces_are_misses_with_their_names() -> None:
    material = evidence(stranger)
    row = material.examined[7].faces[0]
    material.examined[7] = replace(material.examined[7], faces=(replace(row, changed=1.0),))  # type: ignore[index]
    (found,) = traces.missed(material)
    assert met(found) and found.rows[0]["hits"] == 1 and "1-2.jpg#0" in found.note


def test_anything_that_rides_along_is_a_miss() -> None:
    material = evidence(stranger)
    assert met(traces.metadata(material)[0])
    material.examined[3] = replace(material.examined[3], rides=("gps",))  # type: ignore[index]
    assert not met(traces.metadata(material)[0])


def test_a_control_that_does_not_fire_makes_an_attack_invalid() -> None:
    passed = Gate("<= 1 %", "0", True)
    found = checked(Finding("A1a", "t", "r", control=Control("c", "0 %", False), gate=passed))
    assert found.state == "invalid" and "0 %" in found.reason
    assert verdict([found, Finding("A12", "t", "r", gate=passed)])[0] == "missed"


def test_the_verdict_needs_a_gate_and_what_was_asked_for() -> None:
    good = Finding("A12", "t", "r", gate=Gate("0", "0", True))
    skipped = not_run("A3", "t", "r", "no people")
    assert verdict([good, skipped])[0] == "held"
    assert verdict([good, skipped], asked=("A12", "A3"))[0] == "missed"
    assert verdict([skipped])[0] == "missed" and verdict([])[0] == "missed"
    part = [good, not_run("A1a", "t", "r", "no people"), Finding("A1b", "t", "r", gate=Gate("0", "0", True))]
    assert verdict(part, asked=("A1",))[0] == "held"
    assert verdict([good, Finding("A1b", "t", "r", gate=Gate("0", "9", False))])[0] == "missed"


def test_zero_hits_are_an_upper_bound_in_words() -> None:
    assert in_words(count_row("j", "w", 0, 100)) == "0 of 100 (below 3.6 %)"
    assert in_words(count_row("j", "w", 3, 100)) == "3.0 % [0.6, 8.5] of 100"


def test_every_attack_has_a_reference_and_runs_or_says_why() -> None:
    material = evidence(stranger, people=12)
    for name, attack in ATTACKS.items():
        for finding in attack(material, Settings(rng(), minutes=0.05)):
            assert finding.attack.startswith(name) and finding.reference and finding.title
            assert finding.state != "run" or (finding.rows and (finding.gate is not None or name == "Adaptive"))
            assert finding.state == "run" or finding.reason


def test_utility_and_groups_are_counted() -> None:
    material = evidence(stranger)
    figures = utility(material)
    assert {e["what"] for e in figures["errors"]} >= {"head pose", "gaze", "age", "skin tone"}
    assert all(e["low"] <= e["mean"] <= e["high"] and e["trials"] == 100 for e in figures["errors"])
    (table,) = fairness(material)
    assert [(g["group"], g["faces"]) for g in table["groups"]] == [("all", 100), ("a", 50), ("b", 50)]
    leaky = evidence(lambda photo, person, rng: photo if person[0] > 0 else rng.normal(size=DIM))
    assert fairness(leaky)[0]["spread"]["share"] > 0.3
