"""Sanitise one node of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .rules import IDENTIFIER, Node, Rule, clean_value
from .session import UNKNOWN, Session, colours, listed, pair, whole

if TYPE_CHECKING:
    from .graph import Scope, Subgraph

NAME_FOR_SEARCH = "Node name for S&R"


def clean_node(session: Session, scope: Scope, number: int) -> dict[str, Any]:
    """A node without titles, properties and values that are not known to be harmless."""
    raw, where = scope.raw_nodes[number], f"{scope.prefix}{number}"
    sub = scope.subgraphs.get(raw["type"])
    kind, known = (sub.id, None) if sub else session.kind(raw["type"])
    shown = "Subgraph" if sub else kind
    flags = raw.get("flags") if isinstance(raw.get("flags"), Mapping) else {}
    node: dict[str, Any] = {
        "id": number, "type": kind, "pos": pair(raw.get("pos")) or [0, 0], "size": pair(raw.get("size")) or [200, 100],
        "flags": {name: True for name in ("collapsed", "pinned") if flags and flags.get(name) is True},
        "order": whole(raw.get("order"), 0), "mode": whole(raw.get("mode"), 0),
        "inputs": _sockets(session, scope, raw, kind, known, sub, where, "input"),
        "outputs": _sockets(session, scope, raw, kind, known, sub, where, "output"),
        "properties": {} if sub else {NAME_FOR_SEARCH: kind},
    }  # fmt: skip
    node |= colours(raw, "color", "bgcolor")
    if raw.get("showAdvanced") is True:
        node["showAdvanced"] = True
    _note_rest(session, raw, where, shown, node)
    if sub:
        _proxies(session, raw, sub, node)
        if raw.get("widgets_values"):
            session.remove(where, shown, "values", "text")
    elif known is None:
        if raw.get("widgets_values"):
            session.lose(where, shown)
    else:
        values = _values(session, scope, number, known, kind, where)
        if values:
            node["widgets_values"] = values
    return node


def _note_rest(session: Session, raw: Mapping[str, Any], where: str, kind: str, node: Mapping[str, Any]) -> None:
    if raw.get("title") and raw["title"] != kind:
        session.remove(where, kind, "title", "title")
    properties = raw.get("properties")
    if isinstance(properties, Mapping) and any(
        name not in (NAME_FOR_SEARCH, "proxyWidgets") or (name == NAME_FOR_SEARCH and value != raw["type"])
        for name, value in properties.items()
    ):
        session.remove(where, kind, "properties", "property")
    if set(raw) - session.rules.node:
        session.remove(where, kind, "more", "preview")


def _sockets(
    session: Session, scope: Scope, raw: Mapping[str, Any], kind: str, known: Node | None, sub: Subgraph | None, where: str,
    side: str,
) -> list[dict[str, Any]]:  # fmt: skip
    sockets = []
    for i, row in enumerate(listed(raw.get(f"{side}s"))):
        row = row if isinstance(row, Mapping) else {}
        name = _socket_name(row.get("name"), kind, known, sub, side, i)
        if row.get("label") and row["label"] != name:
            session.remove(where, "Subgraph" if sub else raw["type"] if known else "", f"{side} {i + 1}", "name")
        socket: dict[str, Any] = {"name": name, "type": session.wire(row.get("type"))}
        if side == "input":
            link = whole(row.get("link"))
            socket["link"] = link if link in scope.links else None
        else:
            socket["links"] = [n for n in listed(row.get("links")) if type(n) is int and n in scope.links]
            socket["slot_index"] = i
        if isinstance(row.get("widget"), Mapping):  # an output has one where a primitive stands for a widget
            own = row["widget"].get("name")
            keep = side == "output" and isinstance(own, str) and own in session.rules.names
            socket["widget"] = {"name": own if keep else name}
        if type(row.get("shape")) is int:
            socket["shape"] = row["shape"]
        sockets.append(socket)
    return sockets


def _socket_name(name: Any, kind: str, known: Node | None, sub: Subgraph | None, side: str, i: int) -> str:
    plain = f"{side}_{i + 1}"
    if not isinstance(name, str):
        return plain
    if sub:
        return (sub.inputs if side == "input" else sub.outputs).get(name, plain)
    if known:
        return name if name in (known.inputs if side == "input" else known.outputs) else plain
    return name if kind != UNKNOWN and IDENTIFIER.fullmatch(name) else plain


def _proxies(session: Session, raw: Mapping[str, Any], sub: Subgraph, node: dict[str, Any]) -> None:
    """Which inner widgets a subgraph shows: [[number of the inner node, name of its widget], ...]."""
    properties = raw.get("properties")
    inner = {str(n.get("id")) for n in listed(sub.raw.get("nodes")) if isinstance(n, Mapping)}
    if isinstance(properties, Mapping) and isinstance(properties.get("proxyWidgets"), list):
        node["properties"]["proxyWidgets"] = [
            [row[0], sub.inputs[row[1]] if row[0] == "-1" else row[1]]
            for row in properties["proxyWidgets"]
            if isinstance(row, list) and len(row) == 2 and isinstance(row[0], str) and isinstance(row[1], str)
            and (row[1] in sub.inputs if row[0] == "-1" else row[0] in inner and row[1] in session.rules.names)
        ]  # fmt: skip


def _values(session: Session, scope: Scope, number: int, known: Node, kind: str, where: str) -> list[Any]:
    """Values of widgets in the order of the definition, as the page stores them."""
    given = scope.raw_nodes[number].get("widgets_values")
    named = given if isinstance(given, Mapping) else None
    queue = listed(given)
    values: list[Any] = []
    for own in known.widgets:
        value = named.get(own.name) if named is not None else queue.pop(0) if queue else None
        rule = _linked(session, scope, number, own) if own.kind == "linked" else own
        value, what = clean_value(rule, value, session.keep_seed)
        values.append(value)
        session.note(where, kind, rule, rule.name, what)
        if own.control:
            has = bool(queue) and isinstance(queue[0], str) and queue[0] in session.rules.control
            values.append(queue.pop(0) if has else "fixed")
    for value in known.extra:
        if queue:
            queue.pop(0)
        values.append(value)
    if any(v not in (None, "") for v in queue) or (named is not None and set(named) - {r.name for r in known.widgets}):
        session.remove(where, kind, "values", "preview")
    return values


def _linked(session: Session, scope: Scope, number: int, rule: Rule) -> Rule:
    for origin, _, target, slot, _ in scope.links.values():
        raw = scope.raw_nodes.get(target) if origin == number else None
        inputs = listed(raw.get("inputs")) if raw else []
        if raw and 0 <= slot < len(inputs) and isinstance(inputs[slot], Mapping):
            return session.meaning(rule, (raw["type"], str(inputs[slot].get("name"))))
    return rule
