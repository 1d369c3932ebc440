"""The page against a real, running ComfyUI, by mouse: COMFYUI_PATH=/path/to/ComfyUI python -m pytest -m comfyui

It is ComfyUI's own page with its own server, classic and Nodes 2.0; nothing stands in for anything.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from surface import ROOT, Surface, no_browser

pytestmark = [pytest.mark.comfyui, pytest.mark.skipif(bool(no_browser()), reason=no_browser() or "-")]
PHOTO = ROOT / "id2face_core/demo/astronaut.jpg"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, model_dir: Path, run_comfyui: Callable[[Path], AbstractContextManager[str]]
) -> Iterator[tuple[str, Path]]:
    """(address, base folder) of a server with a photograph, and with the picture that every fresh ComfyUI has."""
    base = tmp_path_factory.mktemp("page")
    (base / "input").mkdir()
    shutil.copy(PHOTO, base / "input/photo.jpg")
    shutil.copy(Path(os.environ["COMFYUI_PATH"]) / "input/example.png", base / "input")
    with run_comfyui(base) as host:
        settings = json.dumps({"Comfy.TutorialCompleted": True}).encode()  # else the page begins with an empty graph
        header = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{host}/settings", settings, header)).close()
        yield host, base


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "nodes2"])
def real(request: pytest.FixtureRequest, browser: Any, server: tuple[str, Path]) -> Iterator[Surface]:
    one = Surface(browser, server[0], request.param)
    yield one
    assert one.errors == [] and one.outside() == []
    one.context.close()


def from_templates(page: Surface, name: str) -> None:
    """Open a template as a user does: from the server that lists it."""
    listed = page.run("return (await (await fetch('/api/workflow_templates')).json()).id2face")
    assert name in listed
    page.load(page.run("return await (await fetch(`/api/workflow_templates/id2face/${x}.json`)).json()", name))
    page.whole()


def press_run(page: Surface) -> dict[str, Any]:
    """Queue by the button; the entry of the server's history when it is done."""
    before = history(page)
    page.page.get_by_role("button", name="Run", exact=True).first.click()
    for _ in range(600):
        fresh = [entry for number, entry in history(page).items() if number not in before]
        if fresh:
            assert fresh[0]["status"]["status_str"] == "success", fresh[0]["status"]
            page.page.wait_for_timeout(500)
            return fresh[0]
        time.sleep(0.2)
    raise AssertionError("the server did not finish")


def history(page: Surface) -> dict[str, Any]:
    with urllib.request.urlopen(f"{page.address}/history") as answer:
        return json.load(answer)


def saved(entry: dict[str, Any], base: Path) -> Path:
    """The file of Save Anonymized Image."""
    (file,) = [i for out in entry["outputs"].values() for i in out.get("images", []) if i["type"] == "output"]
    return base / "output" / file["subfolder"] / file["filename"]


def differing(path: Path) -> np.ndarray:
    """Which pixels are others than the photograph's; the server's Pillow may decode a JPEG a bit otherwise than ours."""
    pixels = [np.asarray(Image.open(file).convert("RGB"), dtype=np.int16) for file in (path, PHOTO)]
    return np.abs(pixels[0] - pixels[1]).max(axis=2) > 8


def wait_for_both(panel: Any) -> None:
    """Until the pictures before and after are drawn."""
    for kind in ("img.id2-view:not(.id2-before)", "img.id2-before"):
        picture = panel.locator(kind)
        picture.wait_for()
        assert picture.evaluate("async (image) => { await image.decode(); return image.naturalWidth }") == 512


def test_the_simple_template_is_opened_run_and_compared(real: Surface, server: tuple[str, Path]) -> None:
    from_templates(real, "simple")
    path = saved(press_run(real), server[1])
    assert 0.01 < differing(path).mean() < 0.5 and Image.open(path).info == {}
    panel = real.page.get_by_role("region", name="What was saved")
    panel.get_by_text("1 × replaced").wait_for()
    assert "no Privacy Check" in (panel.text_content() or "") and not panel.get_by_role("slider").is_visible()
    real.focus(3)
    panel.get_by_role("button", name="Compare with the original").click()
    wait_for_both(panel)
    panel.get_by_role("slider").fill("25")
    assert "75%" in panel.locator("img.id2-before").evaluate("(e) => e.style.clipPath")
    panel.get_by_role("button", name="Hide the original").click()
    panel.get_by_role("slider").wait_for(state="hidden")
    real.whole()
    assert real.overlaps() == []


def test_the_gauge_shows_what_the_recogniser_said(real: Surface, server: tuple[str, Path]) -> None:
    from_templates(real, "privacy check")
    entry = press_run(real)
    (report,) = [json.loads(out["text"][0]) for out in entry["outputs"].values() if "text" in out]
    panel = real.page.get_by_role("region", name="Privacy gauge")
    meter = panel.get_by_role("meter")
    meter.wait_for()
    score = report["images"][0]["faces"][0]["score"]
    assert report["faces"] == 1 and f"{score:.3f}" in (meter.get_attribute("aria-valuetext") or "")
    assert (float(meter.get_attribute("aria-valuenow") or "nan") < 0.5) == report["passed"]
    assert ("Passed" if report["passed"] else "Failed") in (panel.get_by_role("status").text_content() or "")
    real.focus(5)
    panel.get_by_role("button", name="Compare with the original").click()
    wait_for_both(panel)
    real.whole()
    assert real.overlaps() == []


def test_a_face_that_is_picked_to_stay_stays(real: Surface, server: tuple[str, Path]) -> None:
    from_templates(real, "composable")
    assert differing(saved(press_run(real), server[1])).any()
    real.focus(3)
    tile = real.page.locator(".id2-tile")
    real.until("document.querySelector('.id2-tile img')?.naturalWidth > 0")
    real.page.get_by_role("button", name="Show the originals").click()
    real.until("document.querySelector('.id2-tile img').src.startsWith('blob:')")
    tile.click()
    assert real.widget(3, "exclude") == "0"
    assert not differing(saved(press_run(real), server[1])).any()
    real.whole()
    assert real.overlaps() == []


def test_an_exported_workflow_is_opened_and_runs(real: Surface, server: tuple[str, Path], tmp_path: Path) -> None:
    from_templates(real, "composable")
    press_run(real)
    real.run("app.extensionManager.command.execute('ID2Face.Share')")
    dialog = real.page.get_by_role("dialog", name="Export shareable workflow")
    dialog.get_by_text("Node 1 (LoadImage), image: a file name").wait_for()
    lines = dialog.locator(".id2-removed > li").all_text_contents()
    assert len(lines) == 3, f"noise: {lines}"
    with real.page.expect_download() as download:
        dialog.get_by_role("button", name="Save the copy").click()
    download.value.save_as(tmp_path / "shared.json")
    text = (tmp_path / "shared.json").read_text(encoding="utf-8")
    assert "photo" not in text and "example.png" in text
    real.load(json.loads(text))
    real.whole()
    assert press_run(real)["status"]["completed"]
