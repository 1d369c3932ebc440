"""The templates in ComfyUI's real page: every node is known, and none covers another, before a run and after it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from fixtures import EVERY_PAGE, VERSIONS, pages, room, template
from PIL import Image
from surface import Surface, why_not

ROOT = Path(__file__).resolve().parents[1]

NAMES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
TALL = (600, 900)  # a portrait: what a node shows after a run is as high as its pictures
# six pages times all templates take minutes: the newest page draws them, ID2FACE_EVERY_PAGE=1 asks the others too
served = pages(VERSIONS if EVERY_PAGE else VERSIONS[-1:])
needs_page = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")


def show_results(surface: Surface, name: str) -> None:
    """As if the template had run on a portrait."""
    picture = io.BytesIO()
    Image.new("RGB", TALL, (90, 120, 150)).save(picture, "JPEG")
    surface.served.host.files["saved.jpg"] = picture.getvalue()
    saved = {"images": [{"filename": "saved.jpg", "subfolder": "", "type": "output"}]}
    faces = [{"status": "anonymized", "reason": ""}]
    for node in template(name)["nodes"]:
        output: dict[str, Any] | None = {
            "ID2FaceSaveImage": saved, "ID2FacePreview": saved, "ID2FaceSaveVideo": saved, "PreviewAny": {"text": ["{}\n" * 60]},
            "ID2FaceAnonymize": room("panels").report_panel([{"status": "anonymized", "faces": faces}]),
        }.get(node["type"])  # fmt: skip
        if output is not None:
            surface.served.executed(node["id"], output)
    surface.page.wait_for_timeout(500)


@needs_page
@pytest.mark.parametrize("name", NAMES)
def test_no_node_of_a_template_covers_another(surface: Surface, name: str) -> None:
    surface.load(template(name))
    surface.whole()
    assert surface.run("return graph.nodes.filter((n) => n.has_errors || !n.constructor.nodeData).map((n) => n.type)") == []
    assert surface.overlaps() == []
    before = surface.heights()
    show_results(surface, name)
    surface.whole()
    assert sum(surface.heights()) > sum(before) + 100, "no picture is shown"
    assert surface.overlaps() == []


@needs_page
def test_nodes_in_one_place_are_found(surface: Surface) -> None:
    graph = template("simple")
    graph["nodes"][1]["pos"] = [graph["nodes"][0]["pos"][0] + 20, graph["nodes"][0]["pos"][1] + 300]
    surface.load(graph)
    surface.whole()
    assert surface.overlaps() == ["1 LoadImage and 2 ID2FaceAnonymize"]


@pytest.mark.parametrize("name", NAMES)
def test_a_template_has_a_small_thumbnail(name: str) -> None:
    path = ROOT / "workflows" / f"{name}.jpg"
    with Image.open(path) as picture:
        assert picture.format == "JPEG" and max(picture.size) == 400 and not picture.getexif()
    assert path.stat().st_size < 60_000


