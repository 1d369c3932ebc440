"""Write what follows from the definitions of the nodes: python locales/build.py

`<language>/nodeDefs.json` from `phrases/<language>.json` (English -> translation), the help pages of `web/docs`, and the table
of `docs/nodes.md`. Run it after the nodes were recorded anew (tests/comfy_stub/record.py); it lists what has no translation yet.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "web" / "docs"
REFERENCE = HERE.parent / "docs" / "nodes.md"
TABLE = "| node | takes | gives |\n|---|---|---|\n"
NODES = json.loads((HERE.parent / "tests/comfy_stub/object_info.json").read_text(encoding="utf-8"))["nodes"]
LANGUAGES = ("en", "es", "fr", "zh")
HEADINGS = {
    "en": ("Inputs", "Outputs", "optional"), "es": ("Entradas", "Salidas", "opcional"),
    "fr": ("Entrées", "Sorties", "facultatif"), "zh": ("输入", "输出", "可选"),
}  # fmt: skip


def inputs_of(info: dict[str, Any]) -> list[tuple[str, dict[str, Any], bool]]:
    """(name, options, whether it is optional)."""
    groups = (("required", False), ("optional", True))
    return [(name, value[1], more) for group, more in groups for name, value in info["input"].get(group, {}).items()]


def translated(language: str) -> tuple[Callable[[str], str], list[str]]:
    """A function English -> language, and the list of what it could not say."""
    path = HERE / "phrases" / f"{language}.json"
    phrases = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing: list[str] = []

    def say(text: str) -> str:
        if language != "en" and text and text not in phrases:
            missing.append(text)
        return phrases.get(text, text)

    return say, missing


def node_definition(info: dict[str, Any], say: Callable[[str], str]) -> dict[str, Any]:
    """One entry of nodeDefs.json."""
    inputs = {name: {"name": say(name), "tooltip": say(options["tooltip"])} for name, options, _ in inputs_of(info)}
    tooltips = info.get("output_tooltips") or []
    outputs = {str(i): {"name": say(name), "tooltip": say(tooltips[i])} for i, name in enumerate(info["output_name"])}
    entry = {"display_name": say(info["display_name"]), "description": say(info["description"])}
    return entry | ({"inputs": inputs} if inputs else {}) | ({"outputs": outputs} if outputs else {})


def help_page(language: str, info: dict[str, Any], say: Callable[[str], str]) -> str:
    """Markdown."""
    first, second, optional = HEADINGS[language]
    lines = [f"# {say(info['display_name'])}", "", say(info["description"]), ""]
    rows = [
        f"- **{say(name)}**{_aside(name, say(name), optional if more else '')}: {say(options['tooltip'])}"
        for name, options, more in inputs_of(info)
    ]
    lines += [f"## {first}", "", *rows, ""]
    tooltips = info.get("output_tooltips") or []
    if info["output_name"]:
        lines += [f"## {second}", "", *(f"- **{say(n)}**: {say(tooltips[i])}" for i, n in enumerate(info["output_name"])), ""]
    return "\n".join(lines)


def _aside(name: str, shown: str, optional: str) -> str:
    """What stands in brackets behind an input: the name that graphs use where it is another one, and whether it is optional."""
    notes = ([f"`{name}`"] if shown != name else []) + ([optional] if optional else [])
    return f" ({', '.join(notes)})" if notes else ""


def reference(page: str) -> str:
    """docs/nodes.md with the table of the nodes as they are: those that do everything first, then identities and steps."""
    rows = []
    for name, info in sorted(NODES.items(), key=lambda row: (row[1]["category"], row[1]["display_name"])):
        takes = ", ".join(f"[{port}]" if more else port for port, _, more in inputs_of(info))
        gives = ", ".join(info["output_name"]) or "files"
        rows.append(f"| **{info['display_name']}** (`{name}`): {info['description']} | {takes} | {gives} |\n")
    before, rest = page.split(TABLE)
    return before + TABLE + "".join(rows) + "\n" + rest.partition("\n\n")[2]


def main() -> int:
    lacking = False
    REFERENCE.write_text(reference(REFERENCE.read_text(encoding="utf-8")), encoding="utf-8")
    for language in LANGUAGES:
        say, missing = translated(language)
        definitions = {name: node_definition(info, say) for name, info in NODES.items()}
        text = json.dumps(definitions, indent=1, ensure_ascii=False) + "\n"
        (HERE / language / "nodeDefs.json").write_text(text, encoding="utf-8")
        for name, info in NODES.items():
            (DOCS / name).mkdir(parents=True, exist_ok=True)
            page = DOCS / f"{name}.md" if language == "en" else DOCS / name / f"{language}.md"
            page.write_text(help_page(language, info, say), encoding="utf-8")
        for text in dict.fromkeys(missing):
            lacking = True
            print(f"{language} lacks: {text}")
    return int(lacking)


if __name__ == "__main__":
    sys.exit(main())
