"""The files of the browser side, without a browser: texts in all languages, help pages, size, types, no foreign address."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
WEB, LOCALES = ROOT / "web", ROOT / "locales"
LANGUAGES = sorted(path.name for path in LOCALES.iterdir() if (path / "main.json").is_file())
NODES = json.loads((ROOT / "tests/comfy_stub/object_info.json").read_text(encoding="utf-8"))["nodes"]
MODULES = sorted([*WEB.rglob("*.mjs"), *WEB.rglob("*.js")])
LIMIT = 60_000  # bytes: all that a page could ever load, help pages and locales not counted


def texts(language: str, part: str = "main") -> dict:
    return json.loads((LOCALES / language / f"{part}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def build(script: Callable[[Path], ModuleType]) -> ModuleType:
    return script(LOCALES / "build.py")


def test_there_are_four_languages() -> None:
    assert LANGUAGES == ["en", "es", "fr", "zh"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_says_everything_with_the_same_holes(language: str) -> None:
    english, other = texts("en")["id2face"], texts(language)["id2face"]
    assert list(other) == list(english)
    for key, text in english.items():
        assert other[key] and set(re.findall(r"\{\w+\}", other[key])) == set(re.findall(r"\{\w+\}", text)), key
    for part in ("commands", "settings"):
        assert {k: sorted(v) for k, v in texts(language, part).items()} == {k: sorted(v) for k, v in texts("en", part).items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_node_texts_and_help_pages_are_those_of_the_nodes_as_they_are(language: str, build: ModuleType) -> None:
    say, missing = build.translated(language)
    definitions = texts(language, "nodeDefs")
    assert sorted(definitions) == sorted(NODES)
    for name, info in NODES.items():
        assert definitions[name] == build.node_definition(info, say), f"{name}: run python locales/build.py"
        page = WEB / "docs" / (f"{name}.md" if language == "en" else f"{name}/{language}.md")
        assert page.read_text(encoding="utf-8") == build.help_page(language, info, say), f"{name}: run python locales/build.py"
        assert all(entry["tooltip"] for entry in definitions[name].get("inputs", {}).values())
    assert missing == [], f"locales/phrases/{language}.json lacks them"


def test_the_reference_lists_the_nodes_as_they_are(build: ModuleType) -> None:
    page = (ROOT / "docs/nodes.md").read_text(encoding="utf-8")
    assert build.reference(page) == page, "run python locales/build.py"
    assert all(f"(`{name}`)" in page for name in NODES)


def test_every_text_is_used_and_every_used_text_is_there() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in MODULES)
    english = texts("en")["id2face"]
    families = ("removed_", "status_", "why_", "gallery_", "share_", "panel_")  # keys that are put together
    assert [key for key in english if not key.startswith(families) and f'"{key}"' not in code] == []
    wanted = set(re.findall(r'\b(?:t|button|mainButton)\("([a-z_]+)"', code))
    assert wanted - set(english) == set() and len(wanted) > 30


def test_codes_of_removals_have_texts() -> None:
    from id2face_core.sharing.rules import WORDS

    assert {f"removed_{code}" for code in WORDS} <= set(texts("en")["id2face"])


def test_the_page_loads_little() -> None:
    size = sum(path.stat().st_size for path in WEB.rglob("*") if path.is_file() and "docs" not in path.parts)
    assert size <= LIMIT, size
    assert [path.relative_to(WEB).as_posix() for path in WEB.rglob("*.js")] == ["id2face.js"], "every .js is loaded at the start"


def test_no_module_names_another_host() -> None:
    for path in [*MODULES, *WEB.rglob("*.css")]:
        found = re.findall(r"\b(?:https?:)?//[\w.-]+\.\w+", path.read_text(encoding="utf-8"))
        assert [address for address in found if address != "https://github.com"] == [], path


def test_types_are_right() -> None:
    compiler = ROOT / "node_modules/.bin/tsc"
    if shutil.which("node") is None or not compiler.exists():
        pytest.skip("no TypeScript: npm ci")
    run = subprocess.run([str(compiler), "-p", str(ROOT)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout


def test_the_lock_file_names_no_host() -> None:
    assert "resolved" not in (ROOT / "package-lock.json").read_text(encoding="utf-8")
