"""What one run of the sanitiser knows and writes down."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .rules import IDENTIFIER, Node, Removal, Rule, Rules

LARGEST = 10**6  # of positions and sizes
UNKNOWN = "Unknown"
LOST_SUBGRAPH = re.compile(r"[0-9a-fA-F]{8}-")
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}")


@dataclass
class Session:
    """Rules, the user's wish, and the lists of what was removed."""

    rules: Rules
    keep_seed: bool
    removed: list[Removal] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    choose: list[tuple[str, str, str]] = field(default_factory=list)

    def remove(self, node: str, kind: str, name: str, what: str) -> None:
        """Write down that something is gone."""
        self.removed.append(Removal(node, kind, name, what))

    def note(self, node: str, kind: str, rule: Rule, name: str, what: str | None) -> None:
        """Write down what became of a widget's value."""
        if what is None:
            return
        self.remove(node, kind, name, what)
        if what in ("file", "key") and (rule.kind == "key" or rule.default in ("", "example.png")) and "filename" not in name:
            self.choose.append((node, kind, name))

    def lose(self, node: str, kind: str) -> None:
        """Write down that an unknown node lost its settings."""
        self.remove(node, kind, "settings", "settings")

    def kind(self, kind: str) -> tuple[str, Node | None]:
        """(type as it is written, what is known of it). An odd type, or that of a lost subgraph, is no type of a node pack."""
        known = self.rules.nodes.get(kind)
        if known is None:
            kind = kind if IDENTIFIER.fullmatch(kind) and not LOST_SUBGRAPH.match(kind) else UNKNOWN
            self.unknown.add(kind)
        return kind, known

    def wire(self, value: Any) -> str:
        """The type of a wire, "*" for one that is not known."""
        return value if isinstance(value, str) and value in self.rules.types else "*"

    def meaning(self, rule: Rule, consumer: tuple[str, str] | None) -> Rule:
        """The rule of the widget that a primitive is wired to; without one its value does not stay."""
        node = self.rules.nodes.get(consumer[0]) if consumer else None
        target = next((r for r in node.widgets if consumer and r.name == consumer[1]), None) if node else None
        return rule if target is None or target.kind == "linked" else target


def listed(value: Any) -> list[Any]:
    """A copy of a list; nothing for what is none."""
    return list(value) if isinstance(value, list) else []


def whole(value: Any, default: int | None = None) -> int | None:
    """A whole number, or the default."""
    return value if type(value) is int else default


def pair(value: Any, count: int = 2) -> list[int] | None:
    """`count` numbers, rounded: a place or a size. Older pages write {"0": x, "1": y}."""
    if isinstance(value, dict):
        value = [value.get(str(i)) for i in range(count)]
    if not isinstance(value, list) or len(value) != count:
        return None
    good = all(isinstance(v, (int, float)) and not isinstance(v, bool) and abs(v) < LARGEST for v in value)
    return [math.floor(v + 0.5) for v in value] if good else None


def colours(raw: Mapping[str, Any], *names: str) -> dict[str, str]:
    """Those of the entries that are colours."""
    return {name: raw[name] for name in names if isinstance(raw.get(name), str) and COLOUR.fullmatch(raw[name])}
