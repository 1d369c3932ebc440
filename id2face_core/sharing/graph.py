"""Sanitise the graph that ComfyUI's page stores, with the definitions of its subgraphs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ConfigError
from .graph_nodes import clean_node
from .session import Session, colours, listed, pair, whole

SUBGRAPH_ID = "00000000-0000-4000-8000-{:012d}"
GROUP_NODES = "the workflow has group nodes, which hold further graphs; convert them to subgraphs first"

@dataclass(frozen=True)
class Scope:
    """A graph or subgraph while its nodes are cleaned. links: number -> (origin, slot, target, slot, type)."""

    prefix: str
    raw_nodes: dict[int, Mapping[str, Any]]
    links: dict[int, tuple[int, int, int, int, str]]
    subgraphs: Mapping[str, Subgraph]


@dataclass
class Subgraph:
    """The definition of a subgraph: its new identifier, and its sockets' new names."""

    id: str
    number: int
    raw: Mapping[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


def clean_graph(session: Session, document: Mapping[str, Any]) -> dict[str, Any]:
    """A graph as the page stores it. Raises ConfigError for group nodes."""
    extra = document.get("extra")
    if isinstance(extra, Mapping) and extra.get("groupNodes"):
        raise ConfigError(GROUP_NODES)
    subgraphs = _subgraphs(session, document)
    if document.get("id"):
        session.remove("", "", "id", "id")
    more = set(extra) - {"ds", "frontendVersion"} if isinstance(extra, Mapping) else extra
    if more or document.get("config") or set(document) - session.rules.root:
        session.remove("", "", "extra", "extra")
    body = _body(session, document, subgraphs, "")
    out = {
        "last_node_id": max([0, *(n["id"] for n in body["nodes"])]),
        "last_link_id": max([0, *(link[0] for link in body["links"])]),
        **body, "config": {}, "extra": {}, "version": 0.4,
    }  # fmt: skip
    if subgraphs:
        out["definitions"] = {"subgraphs": [_definition(session, sub, subgraphs) for sub in subgraphs.values()]}
    return out


def _subgraphs(session: Session, document: Mapping[str, Any]) -> dict[str, Subgraph]:
    definitions = document.get("definitions")
    found: dict[str, Subgraph] = {}
    for raw in _rows(definitions, "subgraphs") if isinstance(definitions, Mapping) else []:
        if isinstance(raw.get("id"), str):
            number = len(found) + 1
            sub = found[raw["id"]] = Subgraph(SUBGRAPH_ID.format(number), number, raw)
            for names, side, word in ((sub.inputs, "inputs", "input"), (sub.outputs, "outputs", "output")):
                for i, socket in enumerate(_rows(raw, side)):
                    old = socket.get("name")
                    if isinstance(old, str):
                        names[old] = old if old in session.rules.names else f"{word}_{i + 1}"
    return found


def _rows(raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return [row for row in listed(raw.get(name)) if isinstance(row, Mapping)]


def _body(session: Session, raw: Mapping[str, Any], subgraphs: Mapping[str, Subgraph], prefix: str) -> dict[str, Any]:
    """Nodes, links and groups of a graph."""
    nodes: dict[int, Mapping[str, Any]] = {}
    for node in _rows(raw, "nodes"):
        number, kind = _number(node.get("id")), node.get("type")
        if type(number) is not int or not isinstance(kind, str):
            session.remove("", "", "node", "extra")
        elif kind.startswith(("workflow>", "workflow/")):
            raise ConfigError(GROUP_NODES)
        elif kind in session.rules.dropped:
            session.remove(f"{prefix}{number}", kind, "note", "note")
        else:
            nodes[number] = node
    links = _links(session, raw, nodes)
    scope = Scope(prefix, nodes, links, subgraphs)
    rows = [
        dict(zip(("id", "origin_id", "origin_slot", "target_id", "target_slot", "type"), (number, *link), strict=True))
        if prefix else [number, *link]
        for number, link in links.items()
    ]  # fmt: skip
    return {
        "nodes": [clean_node(session, scope, number) for number in nodes],
        "links": rows, "groups": [_group(session, g, i) for i, g in enumerate(_rows(raw, "groups"))],
    }  # fmt: skip


def _links(session: Session, raw: Mapping[str, Any], nodes: Mapping[int, Any]) -> dict[int, tuple[int, int, int, int, str]]:
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
    links: dict[int, tuple[int, int, int, int, str]] = {}
    for link in listed(raw.get("links")):
        row = [link.get(key) for key in keys] if isinstance(link, Mapping) else link
        if not isinstance(row, list) or len(row) < 5:
            continue
        number, origin, start, target, end = map(_number, row[:5])
        if all(type(v) is int for v in (number, origin, start, target, end)) and {origin, target} <= {*nodes, -10, -20}:
            kind = row[5] if len(row) > 5 else "*"
            links[number] = (origin, start, target, end, session.wire(kind))
    return links


def _number(value: Any) -> Any:
    """Digits as a number; everything else as it is."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


def _group(session: Session, raw: Mapping[str, Any], i: int) -> dict[str, Any]:
    if raw.get("title") and raw["title"] != "Group":
        session.remove("", "", f"group {i + 1}", "title")
    bounding = pair(raw.get("bounding"), 4) or [0, 0, 0, 0]
    return {"id": whole(raw.get("id"), i + 1), "title": "Group", "bounding": bounding, **colours(raw, "color")}


def _definition(session: Session, sub: Subgraph, subgraphs: Mapping[str, Subgraph]) -> dict[str, Any]:
    raw, name = sub.raw, f"Subgraph {sub.number}"
    if raw.get("name") and raw["name"] not in (name, "New Subgraph"):
        session.remove("", "", name, "name")
    if raw.get("extra") or raw.get("config") or raw.get("description") or raw.get("category"):
        session.remove("", "", name, "extra")
    body = _body(session, raw, subgraphs, f"{sub.number}:")
    sides = {
        side: [_socket(session, sub, names, socket, side, i) for i, socket in enumerate(_rows(raw, side))]
        for side, names in (("inputs", sub.inputs), ("outputs", sub.outputs))
    }  # fmt: skip
    return {
        "id": sub.id, "version": 1, "revision": 0, "config": {}, "name": name, "extra": {}, "widgets": [],
        "state": {"lastGroupId": len(body["groups"]), "lastNodeId": max([0, *(n["id"] for n in body["nodes"])]),
                  "lastLinkId": max([0, *(link["id"] for link in body["links"])]), "lastRerouteId": 0},
        "inputNode": _boundary(raw.get("inputNode"), -10), "outputNode": _boundary(raw.get("outputNode"), -20), **sides, **body,
    }  # fmt: skip


def _boundary(raw: Any, number: int) -> dict[str, Any]:
    return {"id": number, "bounding": pair(raw.get("bounding") if isinstance(raw, Mapping) else None, 4) or [0, 0, 120, 60]}


def _socket(
    session: Session, sub: Subgraph, names: Mapping[str, str], raw: Mapping[str, Any], side: str, i: int
) -> dict[str, Any]:
    old = raw.get("name")
    name = names.get(old, f"{side[:-1]}_{i + 1}") if isinstance(old, str) else f"{side[:-1]}_{i + 1}"
    if name != old or (raw.get("label") and raw["label"] != name):
        session.remove("", "", f"Subgraph {sub.number} {name}", "name")
    return {
        "id": SUBGRAPH_ID.format(sub.number * 1000 + i + (500 if side == "outputs" else 0)), "name": name,
        "type": session.wire(raw.get("type")),
        "linkIds": [n for n in listed(raw.get("linkIds")) if type(n) is int],
        "pos": pair(raw.get("pos")) or [0, 0],
    }  # fmt: skip
