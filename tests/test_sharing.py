"""The sanitiser of workflows, in Python and in the browser's JavaScript: one set of cases for both."""

from __future__ import annotations

import copy
import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from id2face_core.errors import ConfigError
from id2face_core.sharing import Removal, grouped, share_workflow
from id2face_core.sharing.rules import TABLE, WORDS
from id2face_core.sharing.schema import entry

ROOT = Path(__file__).resolve().parents[1]
CASES: list[dict[str, Any]] = json.loads((ROOT / "tests/cases/share.json").read_text(encoding="utf-8"))
TEMPLATES = sorted((ROOT / "workflows").glob("*.json"))
GOLDEN = json.loads((ROOT / "tests/comfy_stub/object_info.json").read_text(encoding="utf-8"))["nodes"]


def in_python(document: Any, keep_seed: bool) -> dict[str, Any]:
    try:
        shared = share_workflow(document, keep_seed=keep_seed)
    except ConfigError as error:
        return {"error": "groups" if "group nodes" in str(error) else "neither"}
    removed = sorted([r.node, r.type, r.name, r.what] for r in shared.removed)
    kinds = sorted([finding.what, len(finding.rows), finding.in_nodes] for finding in grouped(shared.removed))
    return {
        "workflow": shared.workflow, "removed": removed, "grouped": kinds, "unknown": list(shared.unknown),
        "choose": sorted(map(list, shared.choose)),
    }  # fmt: skip


def in_javascript(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if shutil.which("node") is None:
        pytest.skip("no node: the browser's sanitiser is tested with Node.js")
    command = ["node", str(ROOT / "tests/web/share.mjs"), str(TABLE)]
    run = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    results = json.loads(run.stdout)
    for result in results:
        if "removed" in result:
            result["removed"].sort()
            result["choose"].sort()
            result["grouped"].sort()
    return results


def expected(case: dict[str, Any]) -> dict[str, Any]:
    return {key: case[key] for key in ("workflow", "removed", "grouped", "unknown", "choose", "error") if key in case}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_case_in_python(case: dict[str, Any]) -> None:
    before = copy.deepcopy(case["document"])
    assert in_python(case["document"], case["keep_seed"]) == expected(case)
    assert case["document"] == before, "the document itself was changed"


def test_the_cases_in_javascript() -> None:
    for case, result in zip(CASES, in_javascript(CASES), strict=True):
        assert result == expected(case), case["name"]


def test_no_case_lets_a_canary_through_and_cleaning_twice_changes_nothing() -> None:
    assert sum(json.dumps(case["document"]).count("canary") for case in CASES) > 60
    for case in CASES:
        if "workflow" in case:
            assert "canary" not in json.dumps(case["workflow"]), case["name"]
            again = in_python(case["workflow"], case["keep_seed"])
            assert again["workflow"] == case["workflow"], case["name"]
            assert [row for row in again["removed"] if row[3] != "name"] == [], case["name"]


def mutants(count: int) -> list[dict[str, Any]]:
    """Documents of the cases with values exchanged, dropped and doubled at random."""
    rng = random.Random(5)
    bad = "../canary"
    odd: list[Any] = [None, True, 0, -3, 1.5, bad, "", [], {}, [bad], {bad: bad}, [[bad]], 10**9]

    def change(value: Any) -> Any:
        if rng.random() < 0.04:
            return copy.deepcopy(rng.choice(odd))
        if isinstance(value, dict):
            kept = {k: change(v) for k, v in value.items() if rng.random() > 0.02}
            return kept | ({bad: rng.choice(odd)} if rng.random() < 0.02 else {})
        if isinstance(value, list):
            return [change(v) for v in value for _ in range(rng.choice([1] * 30 + [0, 2]))]
        return value

    return [{"document": change(rng.choice(CASES)["document"]), "keep_seed": rng.random() < 0.5} for _ in range(count)]


def test_damaged_documents_are_cleaned_or_refused_alike_in_both() -> None:
    jobs = json.loads(json.dumps(mutants(1500)))
    ours = [in_python(job["document"], job["keep_seed"]) for job in jobs]
    assert sum("workflow" in result for result in ours) > 700
    for result in ours:
        assert '"canary' not in json.dumps(result.get("workflow", "")), result
    for job, mine, theirs in zip(jobs, ours, in_javascript(jobs), strict=True):
        assert mine == theirs, job


@pytest.mark.parametrize("path", TEMPLATES, ids=[path.stem for path in TEMPLATES])
def test_templates_are_known_whole(path: Path) -> None:
    result = in_python(json.loads(path.read_text(encoding="utf-8")), True)
    assert not result["unknown"] and "photo" not in json.dumps(result["workflow"])
    assert {row[3] for row in result["removed"]} <= {"file", "key"}


def test_the_table_is_that_of_the_nodes_as_they_are() -> None:
    table = json.loads(TABLE.read_text(encoding="utf-8"))["nodes"]
    for kind, definition in GOLDEN.items():
        assert table.get(kind) == entry(kind, definition), f"{kind}: run tests/comfy_stub/record.py"
    assert {kind for kind in table if kind.startswith("ID2Face")} == set(GOLDEN)


def test_no_string_of_a_known_node_is_kept_without_a_rule() -> None:
    for kind, node in json.loads(TABLE.read_text(encoding="utf-8"))["nodes"].items():
        for rule in node["widgets"]:
            assert rule["kind"] in ("number", "flag", "choice", "seed", "text", "file", "key", "linked"), kind
            assert rule["kind"] != "choice" or all(isinstance(option, str) for option in rule["options"]), kind


def test_equal_findings_are_one_line_that_counts_them() -> None:
    seeds = [Removal(str(n), "KSampler", "seed", "seed") for n in range(12)]
    texts = [Removal("3", "KSampler", name, "text") for name in ("a", "b")]
    one = Removal("", "", "id", "id")
    lines = [str(finding) for finding in grouped([seeds[0], *texts, one, *seeds[1:]])]
    assert lines == ["12 nodes: a seed", "2 times: free text", "id: an identifier of this workflow"]


def test_every_removal_has_words() -> None:
    codes = {row[3] for case in CASES for row in case.get("removed", [])}
    assert codes == set(WORDS)
