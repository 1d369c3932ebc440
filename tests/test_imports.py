"""Imports run one way: nothing of the core knows training, evaluation or audit."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[1] / "id2face_core"
ABOVE = {  # room -> rooms that may import it, besides itself
    "audit": {"evaluation", "cli"},
    "evaluation": {"cli"},
    "training": {"evaluation", "cli"},
    "cli": set[str](),
}


def imported_rooms(path: Path) -> set[str]:
    """First part below id2face_core of every import of a file, those inside functions too."""
    package = ("id2face_core", *path.relative_to(CORE).parts[:-1])
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("id2face_core."):
            names = [node.value]  # import_module("...")
        found |= {name.split(".")[1] for name in names if name.startswith("id2face_core.")}
    return found


@pytest.mark.parametrize("room", ABOVE)
def test_no_room_below_imports_it(room: str) -> None:
    assert (CORE / room).is_dir()
    guilty = {
        str(path.relative_to(CORE)) for path in CORE.rglob("*.py")
        if path.relative_to(CORE).parts[0] not in ABOVE[room] | {room} and room in imported_rooms(path)
    }  # fmt: skip
    assert not guilty


def test_the_check_sees_every_form_of_import(tmp_path: Path) -> None:
    assert "audit" in imported_rooms(CORE / "cli" / "audit.py")
    assert "audit" in imported_rooms(CORE / "evaluation" / "auditors.py")
    assert {"training", "evaluation"} <= imported_rooms(CORE / "cli" / "main.py")
