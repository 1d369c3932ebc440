"""Fixtures of the tests of the page. A test module imports those that it asks for by name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from surface import FLAGS, ROOT, Served, Surface, chromium, frontends

VERSIONS = frontends()
EVERY_PAGE = bool(os.environ.get("ID2FACE_EVERY_PAGE"))


def template(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "workflows" / f"{name}.json").read_text(encoding="utf-8"))


def room(name: str) -> ModuleType:
    return import_module(f"id2face_pack.nodes.{name}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        one = play.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield one
        one.close()


def pages(versions: list[tuple[str, Path]]) -> Any:
    """The fixture of a thin host for each of some versions of the page."""

    @pytest.fixture(scope="module", params=range(len(versions)), ids=[version for version, _ in versions])
    def served(request: pytest.FixtureRequest, pack: ModuleType) -> Iterator[Served]:
        one = Served(versions[request.param][1], ["main.py", "--disable-api-nodes"], room("routes").add_routes)
        one.between = 0 < request.param < len(versions) - 1
        yield one
        one.close()

    return served


served = pages(VERSIONS)


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "nodes2"])
def surface(request: pytest.FixtureRequest, browser: Any, served: Served) -> Iterator[Surface]:
    if request.param and served.between and not EVERY_PAGE:
        pytest.skip("Nodes 2.0 in the oldest and the newest page; ID2FACE_EVERY_PAGE=1 asks those between too")
    one = Surface(browser, served.address, request.param)
    one.served = served
    yield one
    one.context.close()


@pytest.fixture(autouse=True)
def clean(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test may leave an error of the page, or a request to another host."""
    yield
    if "surface" in request.fixturenames:
        surface = request.getfixturevalue("surface")
        assert surface.errors == [] and surface.outside() == []
        surface.requests.clear()
