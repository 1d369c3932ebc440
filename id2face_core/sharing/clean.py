"""Sanitise a ComfyUI workflow by an allow-list: what is not known to be harmless does not go along.

Both forms are understood: the graph that the page stores (with subgraphs), and the prompt that the server executes ("API
format"). `web/share/clean.mjs` does the same in the browser; both are tested with tests/cases/share.json.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from .graph import clean_graph
from .rules import IDENTIFIER, Removal, Rules, clean_value, load_rules
from .session import UNKNOWN, Session

NODE_ID = re.compile(r"[0-9]{1,9}(:[0-9]{1,9})*")
NEITHER = "this is neither a workflow of ComfyUI nor a prompt in API format"


@dataclass(frozen=True)
class Shared:
    """A workflow that can be given away. unknown: types of nodes that lost all their settings; choose: (node, type, widget)
    of files that the receiver has to choose."""

    workflow: dict[str, Any]
    removed: tuple[Removal, ...]
    unknown: tuple[str, ...]
    choose: tuple[tuple[str, str, str], ...]


def share_workflow(document: Any, *, keep_seed: bool = False, rules: Rules | None = None) -> Shared:
    """A copy of a workflow (as parsed from JSON) without what tells about its maker.

    Raises:
        ConfigError: not a workflow, or one with group nodes, which hold further graphs.
    """
    session = Session(rules or load_rules(), keep_seed)
    if not isinstance(document, Mapping):
        raise ConfigError(NEITHER)
    if isinstance(document.get("nodes"), list):
        workflow = clean_graph(session, document)
    elif _is_prompt(document.get("prompt")):
        if len(document) > 1:
            session.remove("", "", "extra_data", "extra")
        workflow = clean_prompt(session, document["prompt"])
    elif _is_prompt(document):
        workflow = clean_prompt(session, document)
    else:
        raise ConfigError(NEITHER)
    return Shared(workflow, tuple(session.removed), tuple(sorted(session.unknown)), tuple(session.choose))


def _is_prompt(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(
        isinstance(node, Mapping) and isinstance(node.get("class_type"), str) for node in value.values()
    )  # fmt: skip


def clean_prompt(session: Session, prompt: Mapping[str, Any]) -> dict[str, Any]:
    """A prompt in API format: {number: {class_type, inputs}}."""
    kept = {number: node for number, node in prompt.items() if node["class_type"] not in session.rules.dropped}
    fresh = 1 + max((int(n) for n in kept if n.isascii() and n.isdigit() and len(n) < 10), default=0)
    numbers: dict[str, str] = {}
    for number in kept:
        plain = NODE_ID.fullmatch(number)
        numbers[number] = number if plain else str(fresh)
        fresh += 0 if plain else 1
    for node in prompt.values():
        if node["class_type"] in session.rules.dropped:
            session.remove("", node["class_type"], "note", "note")
    return {numbers[number]: _prompt_node(session, kept, numbers, number) for number in kept}


def _prompt_node(session: Session, prompt: Mapping[str, Any], numbers: Mapping[str, str], number: str) -> dict[str, Any]:
    node, own = prompt[number], numbers[number]
    kind, known = session.kind(node["class_type"])
    title = node.get("_meta", {}).get("title") if isinstance(node.get("_meta"), Mapping) else None
    if title:
        session.remove(own, kind, "title", "title")
    if set(node) - {"class_type", "inputs", "_meta"}:
        session.remove(own, kind, "more", "preview")
    inputs, lost = {}, False
    given = node.get("inputs")
    rules = {rule.name: rule for rule in known.widgets} if known else {}
    for name, value in (given.items() if isinstance(given, Mapping) else ()):
        link = _link(value, numbers)
        if link is not None:
            if name in known.inputs if known else kind != UNKNOWN and IDENTIFIER.fullmatch(name):
                inputs[name] = link
            else:
                session.remove(own, kind, "input", "name")
        elif name in rules:
            rule = rules[name]
            if rule.kind == "linked":
                rule = session.meaning(rule, _consumer(session, prompt, number))
            inputs[name], what = clean_value(rule, value, session.keep_seed)
            session.note(own, kind, rule, name, what)
        elif known is None:
            lost = True
        else:
            session.remove(own, kind, "input", "extra")
    if lost:
        session.lose(own, kind)
    return {"class_type": kind, "inputs": inputs}


def _link(value: Any, numbers: Mapping[str, str]) -> list[Any] | None:
    """[number, slot] of a wire; None for a value."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int)) and type(value[1]) is int:
        target = numbers.get(str(value[0]))
        return None if target is None else [target, value[1]]
    return None


def _consumer(session: Session, prompt: Mapping[str, Any], number: str) -> tuple[str, str] | None:
    """(type, input) of the first node that takes this node's value."""
    for node in prompt.values():
        inputs = node.get("inputs")
        for name, value in inputs.items() if isinstance(inputs, Mapping) else ():
            if isinstance(value, list) and len(value) == 2 and str(value[0]) == number:
                return node["class_type"], name
    return None
