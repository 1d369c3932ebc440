"""What may stay in a workflow: a table of known nodes, and for each of their widgets which values are harmless.

The table (`nodes.json`) is an allow-list. The browser's sanitiser (`web/share/`) reads the same file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("nodes.json")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_ .:+-]{0,63}")
# What was removed, in words. The browser has the same codes in its locales.
WORDS = {
    "file": "a file name", "key": "the name of a key file", "seed": "a seed", "text": "free text", "title": "a title",
    "value": "a value out of its range", "note": "a note", "property": "properties", "name": "a name of your own",
    "preview": "stored previews or histories", "id": "an identifier of this workflow", "extra": "data beside the graph",
    "settings": "all settings of a node that is not known",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One widget. kind: number, flag, choice, seed, text (kept when `pattern` matches all of it), file, key or linked."""

    name: str
    kind: str
    default: Any = None
    low: float = -math.inf
    high: float = math.inf
    options: tuple[str, ...] = ()
    pattern: str = ""
    control: bool = False  # a widget "control after generate" follows in a graph's list of values


@dataclass(frozen=True)
class Node:
    """A known node: its widgets in the order in which graphs store them, and the names of its sockets."""

    widgets: tuple[Rule, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    extra: tuple[Any, ...] = ()  # values of buttons behind the widgets


@dataclass(frozen=True)
class Rules:
    """All known nodes and types of wires.

    dropped: nodes that are notes and nothing else; control: values of "control after generate"; root, node: entries of a
    graph and of a node whose removal is not worth a word.
    """

    nodes: Mapping[str, Node]
    types: frozenset[str]
    dropped: tuple[str, ...]
    control: tuple[str, ...]
    root: frozenset[str]
    node: frozenset[str]
    names: frozenset[str] = field(default_factory=frozenset)  # of all sockets and widgets


@dataclass(frozen=True)
class Removal:
    """One thing that is gone. node: its number ("" for the graph itself); name: of what; what: a key of `WORDS`."""

    node: str
    type: str
    name: str
    what: str

    def __str__(self) -> str:
        where = f"node {self.node} ({self.type}), " if self.node else ""
        return f"{where}{self.name}: {WORDS[self.what]}"


@dataclass(frozen=True)
class Finding:
    """All removals of one kind. in_nodes: every one is in another node, so that their number is that of the nodes."""

    what: str
    rows: tuple[Removal, ...]
    in_nodes: bool

    def __str__(self) -> str:
        if len(self.rows) == 1:
            return str(self.rows[0])
        return f"{len(self.rows)} {'nodes' if self.in_nodes else 'times'}: {WORDS[self.what]}"


def grouped(removed: Iterable[Removal]) -> tuple[Finding, ...]:
    """Removals of a kind together, kinds in the order in which they come first."""
    kinds: dict[str, list[Removal]] = {}
    for row in removed:
        kinds.setdefault(row.what, []).append(row)
    return tuple(
        Finding(what, tuple(rows), len({row.node for row in rows} - {""}) == len(rows)) for what, rows in kinds.items()
    )


def rules_from(table: Mapping[str, Any]) -> Rules:
    """Parse the table of `nodes.json`."""
    nodes = {
        kind: Node(
            tuple(Rule(**{**row, "options": tuple(row.get("options", ()))}) for row in entry["widgets"]),
            tuple(entry["inputs"]), tuple(entry["outputs"]), tuple(entry.get("extra", ())),
        )
        for kind, entry in table["nodes"].items()
    }  # fmt: skip
    names = {n for node in nodes.values() for n in (*node.inputs, *node.outputs, *(w.name for w in node.widgets))}
    return Rules(
        nodes, frozenset(table["types"]), tuple(table["dropped"]), tuple(table["control"]), frozenset(table["root"]),
        frozenset(table["node"]), frozenset(names),
    )  # fmt: skip


@cache
def load_rules() -> Rules:
    """The table that is shipped."""
    return rules_from(json.loads(TABLE.read_text(encoding="utf-8")))


def allowed(rule: Rule, value: Any, keep_seed: bool) -> bool:
    """Whether a widget's value may stay as it is."""
    if rule.kind == "number" or (rule.kind == "seed" and keep_seed):
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and math.isfinite(value) and rule.low <= value <= rule.high
    if rule.kind == "flag":
        return isinstance(value, bool)
    if rule.kind == "choice":
        return isinstance(value, str) and value in rule.options
    if rule.kind == "text" and rule.pattern:
        return isinstance(value, str) and re.fullmatch(rule.pattern, value) is not None
    return False


def clean_value(rule: Rule, value: Any, keep_seed: bool) -> tuple[Any, str | None]:
    """(what goes along, what was removed or None)."""
    if allowed(rule, value, keep_seed):
        return value, None
    if value is None or (type(value) is type(rule.default) and value == rule.default):
        return rule.default, None
    if rule.kind in ("number", "flag") and not isinstance(value, str):
        return rule.default, "value"
    return rule.default, rule.kind if rule.kind in ("file", "key", "seed") else "text"
