"""The browser side in ComfyUI's real page (comfyui-frontend-package), classic and Nodes 2.0, over a thin host.

It is a test of the page, not of ComfyUI's server. $ID2FACE_FRONTENDS: a folder of versions to try.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import VERSIONS, room, template
from surface import Served, Surface, why_not

from id2face_core.sharing import share_workflow

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")
DETECT, CHECK, SAVE = 3, 5, 3  # numbers of nodes in the templates


def crowd(count: int) -> tuple[torch.Tensor, Any]:
    """A picture with `count` faces, as Detect & Align Faces would have found them: one too many, and the last unreadable."""
    from id2face_core.faces.types import Face

    types = room("types")
    across = 10
    picture = np.random.default_rng(0).integers(0, 255, (64 * (count // across + 1), 64 * across, 3), dtype=np.uint8)
    found = []
    states = {count - 1: ("rejected", "too_small"), count - 2: ("skipped", "beyond max_faces")}
    for i in range(count):
        x, y = 64.0 * (i % across), 64.0 * (i // across)
        face = Face(np.array([x + 8, y + 8, x + 56, y + 56], np.float32), np.zeros((5, 2), np.float32), 0.9)
        found.append(types.Found(face, *states.get(i, ("chosen", ""))))
    return torch.from_numpy(picture)[None].float() / 255, types.Faces([found], picture.shape[:2], [b""])


def label(tile: Any) -> str:
    return tile.get_attribute("aria-label") or ""


def open_picker(surface: Surface, count: int = 4) -> Any:
    surface.load(template("composable"), DETECT)
    tiles = surface.page.locator(".id2-tile")
    surface.page.locator(".id2-grid").wait_for()
    surface.served.executed(DETECT, room("panels").faces_panel(*crowd(count)))
    tiles.nth(count - 1).wait_for(state="attached")
    return tiles


def test_faces_are_picked_by_mouse_touch_and_keys_and_the_choice_survives(surface: Surface) -> None:
    page, tiles = surface.page, open_picker(surface)
    assert tiles.nth(0).get_attribute("aria-checked") == "true" and "too small" in label(tiles.nth(3))
    assert "stays as it is (beyond max_faces)" in label(tiles.nth(2))
    tiles.nth(1).click()
    assert surface.widget(DETECT, "exclude") == "1" and "stays" in label(tiles.nth(1))
    tiles.nth(2).tap()
    assert surface.widget(DETECT, "exclude") == "1,2"
    tiles.nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    assert surface.widget(DETECT, "exclude") == "1" and page.locator(".id2-tile:focus").get_attribute("data-face") == "2"
    assert page.locator(".id2-panel [role=status]").first.text_content() == "Faces: 4. Staying as they are: 2."
    stored = surface.run("return JSON.parse(JSON.stringify(graph.serialize()))")
    surface.load(stored, DETECT)
    assert surface.widget(DETECT, "exclude") == "1"
    inputs = surface.run("return (await app.graphToPrompt()).output")[str(DETECT)]["inputs"]
    assert inputs["exclude"] == "1" and "face_picker" not in inputs
    assert len(next(n for n in stored["nodes"] if n["id"] == DETECT)["widgets_values"]) == 7


def test_originals_are_fetched_only_when_the_user_asks(surface: Surface) -> None:
    tiles = open_picker(surface)
    surface.until("[...document.querySelectorAll('.id2-tile img')].filter((i) => i.naturalWidth).length === 4")
    asked = [method for method, url in surface.requests if "/id2face/pictures/" in url]
    assert asked == ["GET"] * 4
    surface.page.get_by_role("button", name="Show the originals").click()
    surface.until("[...document.querySelectorAll('.id2-tile img')].every((i) => i.src.startsWith('blob:'))")
    assert [method for method, url in surface.requests if "/id2face/pictures/" in url].count("POST") == 4
    surface.page.get_by_role("button", name="Hide the originals").click()
    assert tiles.nth(0).locator("img[src^=blob]").count() == 0


# 60 frames, in each of which something is done
FRAMES = """async (what) => {
  const app = window.comfyAPI.app.app, graph = app.rootGraph ?? app.graph, grid = document.querySelector('.id2-grid');
  const field = graph.nodes.find((node) => node.comfyClass === 'ID2FaceDetectFaces')?.widgets.find((w) => w.name === 'max_faces');
  const act = {
    nothing: () => {}, click: (i) => grid.children[i].click(), scroll: (i) => (grid.scrollTop = 17 * i),
    field: (i) => { field.value = i; field.callback?.(i); graph.setDirtyCanvas(true, false); },
  }[what];
  for (let i = 0; i < 60; i++) { act(i); await new Promise(requestAnimationFrame); } }"""


def cpu_a_frame(surface: Surface, what: str) -> float:
    """Milliseconds of processor time that the page's main thread takes for a frame, style, layout and painting included.

    Time of the processor and not of the clock, and the best of two rounds: the machine may be busy.
    """
    session = surface.context.new_cdp_session(surface.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        return next(m["value"] for m in session.send("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration")

    rounds = []
    for _ in range(2):
        before = spent()
        surface.page.evaluate(FRAMES, what)
        rounds.append(1000 * (spent() - before) / 60)
    session.detach()
    return min(rounds)


@pytest.mark.skipif(not os.environ.get("ID2FACE_TIMES"), reason="prints times; set ID2FACE_TIMES=1 on a quiet machine")
def test_what_a_hundred_faces_cost_a_frame_is_told(surface: Surface, record_property: Any) -> None:
    """Beside an empty page, and beside a change of a field of the same node, for which the page draws the graph anew."""
    surface.load({"nodes": [], "links": [], "version": 0.4})
    surface.page.wait_for_timeout(500)
    empty = cpu_a_frame(surface, "nothing")
    open_picker(surface, 100)
    idle, field, click, scroll = (cpu_a_frame(surface, what) for what in ("nothing", "field", "click", "scroll"))
    figures = f"empty {empty:.1f}, 100 faces {idle:.1f}, field {field:.1f}, click {click:.1f}, scroll {scroll:.1f}"
    record_property("milliseconds of processor time a frame", figures)
    print(f"picker, ms a frame: {figures}")


# How many tiles of the picker change while something is done
CHANGED = """async (what) => {
  const grid = document.querySelector('.id2-grid'), tiles = new Set();
  const watch = new MutationObserver((all) => all.forEach((m) => {
    const at = m.target.nodeType === 1 ? m.target : m.target.parentElement, tile = at.closest('.id2-tile');
    tiles.add(tile ?? at);
  }));
  watch.observe(grid, { subtree: true, childList: true, attributes: true, characterData: true });
  if (what === 'click') grid.children[7].click();
  if (what === 'scroll') grid.scrollTop = 300;
  for (let i = 0; i < 20; i++) await new Promise(requestAnimationFrame);
  watch.disconnect();
  return tiles.size; }"""


def test_of_a_hundred_faces_only_the_one_that_is_clicked_changes(surface: Surface) -> None:
    open_picker(surface, 100)
    for _ in range(10):  # what is in sight is drawn after the picker has opened
        if surface.page.evaluate(CHANGED, "nothing") == 0:
            break
    assert surface.page.evaluate(CHANGED, "nothing") == 0, "at rest nothing is written"
    assert surface.page.evaluate(CHANGED, "scroll") < 40, "what comes into view, not all of them"
    assert surface.page.evaluate(CHANGED, "click") == 1


def check_output(passed: bool) -> dict[str, Any]:
    rows = [{"frame": 0, "faces": [{"box": [0, 0, 9, 9], "score": -0.8 if passed else -0.4, "passed": passed}]}]
    result = {"recogniser": "dlib", "threshold": -0.557, "faces": 1, "passed": passed, "images": rows}
    before = torch.zeros(1, 48, 64, 3)
    return room("panels").check_panel(result, before, before + 0.5, False)


@pytest.mark.parametrize("passed", [True, False])
def test_the_gauge_says_it_in_words_and_the_original_waits(surface: Surface, passed: bool) -> None:
    page = surface.page
    surface.load(template("privacy check"), CHECK)
    page.get_by_role("region", name="Privacy gauge").wait_for()
    surface.served.executed(CHECK, check_output(passed))
    panel = page.get_by_role("region", name="Privacy gauge")
    panel.get_by_role("status").filter(has_text="Passed" if passed else "Failed").wait_for()
    meter = panel.get_by_role("meter", name="dlib")
    value = float(meter.get_attribute("aria-valuenow") or "nan")
    assert (value < 0.5) == passed and ("passed" if passed else "failed") in (meter.get_attribute("aria-valuetext") or "")
    before = panel.locator("img.id2-before")
    assert not before.is_visible() and not [m for m, url in surface.requests if m == "POST" and "/id2face/pictures" in url]
    panel.get_by_role("button", name="Compare with the original").click()
    before.wait_for()
    panel.get_by_role("slider").fill("25")
    assert "75%" in before.evaluate("(e) => e.style.clipPath")
    panel.get_by_role("button", name="Hide the original").click()
    before.wait_for(state="hidden")
    assert before.get_attribute("src") is None


def test_the_save_node_shows_the_verdict_and_what_was_covered(surface: Surface) -> None:
    surface.load(template("privacy check"), SAVE)
    panel = surface.page.get_by_role("region", name="What was saved")
    panel.wait_for()
    faces = [{"status": "withheld", "reason": "too_small"}, {"status": "anonymized", "reason": ""}]
    rows = [{"status": "withheld", "faces": faces}]
    surface.served.executed(2, room("panels").report_panel(rows))
    surface.served.executed(CHECK, check_output(True))
    surface.served.host.files["saved.jpg"] = (ROOT / "workflows/simple.jpg").read_bytes()
    surface.served.executed(SAVE, {"images": [{"filename": "saved.jpg", "subfolder": "", "type": "output"}]})
    panel.get_by_text("1 × covered: too small").wait_for()
    assert "Passed" in (panel.get_by_role("status").text_content() or "")
    surface.until("document.querySelector('.id2-compare img').naturalWidth > 0")


def with_stock_savers() -> dict[str, Any]:
    """Anonymize -> SaveImage and PreviewImage, and a PreviewImage of the original."""
    graph = template("simple")
    stock = {"size": [300, 120], "flags": {}, "order": 5, "mode": 0, "outputs": [], "properties": {}}
    graph["nodes"] = [n for n in graph["nodes"] if n["id"] in (1, 2)]
    graph["nodes"][1]["outputs"][0]["links"], graph["nodes"][1]["outputs"][2]["links"] = [2, 3], []
    graph["nodes"][0]["outputs"][0]["links"] = [1, 4]
    places = {3: ("SaveImage", 2), 4: ("PreviewImage", 3), 5: ("PreviewImage", 4)}
    for number, (kind, link) in places.items():
        graph["nodes"].append(stock | {
            "id": number, "type": kind, "pos": [800, 260 * number - 700],
            "inputs": [{"name": "images", "type": "IMAGE", "link": link}],
            "widgets_values": ["family"] if kind == "SaveImage" else [],
        })  # fmt: skip
    graph["links"] = [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"], [3, 2, 0, 4, 0, "IMAGE"], [4, 1, 0, 5, 0, "IMAGE"]]
    return graph | {"last_node_id": 5, "last_link_id": 4}


def test_stock_savers_on_face_paths_are_warned_of_and_exchanged_by_one_click(surface: Surface) -> None:
    surface.load(with_stock_savers(), 3)
    badges = surface.page.locator(".id2-badge")
    surface.until("document.querySelectorAll('.id2-badge').length === 2")
    assert "file name" in (badges.first.text_content() or "")
    stored = surface.run("return JSON.parse(JSON.stringify(graph.serialize()))")
    assert next(n for n in stored["nodes"] if n["id"] == 3)["widgets_values"] == ["family"]
    assert "id2face_warning" not in json.dumps(surface.run("return (await app.graphToPrompt()).output"))
    surface.setting("ID2Face.Warnings.Savers", False)
    surface.until("document.querySelectorAll('.id2-badge').length === 0")
    surface.setting("ID2Face.Warnings.Savers", True)
    surface.until("document.querySelectorAll('.id2-badge').length === 2")
    surface.focus(3)
    badges.first.get_by_role("button").click()
    surface.until("document.querySelectorAll('.id2-badge').length === 1")
    assert sorted(surface.types()) == ["ID2FaceAnonymize", "ID2FaceSaveImage", "LoadImage", "PreviewImage", "PreviewImage"]
    surface.run("await app.extensionManager.command.execute('ID2Face.Swap')")
    assert sorted(surface.types()).count("PreviewImage") == 1
    prompt = surface.run("return (await app.graphToPrompt()).output")
    clean = [node for node in prompt.values() if node["class_type"] in ("ID2FaceSaveImage", "ID2FacePreview")]
    assert [node["inputs"]["images"] for node in clean] == [["2", 0], ["2", 0]]


def test_the_exported_copy_is_that_of_the_python_function(surface: Surface, tmp_path: Path) -> None:
    graph = with_stock_savers()
    graph["nodes"][0]["widgets_values"][0] = "photo.jpg"
    graph["nodes"][1] |= {"title": "canary-title"}
    graph["groups"] = [{"id": 1, "title": "canary-group", "bounding": [0, 0, 300, 300]}]
    surface.load(graph)
    surface.until("document.querySelectorAll('.id2-badge').length === 2")
    surface.page.wait_for_timeout(500)
    original = surface.run("return JSON.parse(JSON.stringify(graph.serialize()))")
    assert "canary-title" in json.dumps(original) and "photo.jpg" in json.dumps(original)
    for keep in (False, True):
        surface.run("app.extensionManager.command.execute('ID2Face.Share')")
        dialog = surface.page.get_by_role("dialog", name="Export shareable workflow")
        dialog.get_by_text("2 nodes: a file name").click()
        dialog.get_by_text("Node 1 (LoadImage), image: a file name").wait_for()
        if keep:
            dialog.get_by_role("checkbox").check()
        assert dialog.get_by_text("seed: a seed").count() == (0 if keep else 1)
        with surface.page.expect_download() as download:
            dialog.get_by_role("button", name="Save the copy").click()
        download.value.save_as(tmp_path / "shared.json")
        shared = json.loads((tmp_path / "shared.json").read_text())
        assert shared == share_workflow(original, keep_seed=keep).workflow
        assert "canary" not in json.dumps(shared) and "photo" not in json.dumps(shared)
    surface.load(shared)
    assert sorted(surface.types()) == sorted(node["type"] for node in graph["nodes"])


def test_a_graph_that_cannot_be_shared_whole_is_warned_of(surface: Surface) -> None:
    graph = with_stock_savers()
    graph["nodes"].append(graph["nodes"][-1] | {"id": 9, "type": "SomebodysTextNode", "inputs": [], "widgets_values": ["canary"]})
    surface.load(graph)
    surface.run("app.extensionManager.command.execute('ID2Face.Share')")
    dialog = surface.page.get_by_role("dialog", name="Export shareable workflow")
    dialog.get_by_role("alert").get_by_text("SomebodysTextNode is not known").wait_for()
    surface.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


@pytest.fixture
def identities(pack: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    store, gallery = room("identity_store"), room("gallery")
    folder = room("folders").identity_folder()
    for name, seed, key in (("anna", 1, None), ("berta", 2, None), ("sealed", 3, bytes(32))):
        store.write_identity(folder, name, torch.randn(64, generator=torch.Generator().manual_seed(seed)), key)
    monkeypatch.setattr(gallery, "render", lambda latent: np.full((64, 64, 3), int(latent[0] * 40) % 255, np.uint8))
    yield folder
    for path in folder.iterdir():
        path.unlink()


def test_identities_are_renamed_blended_locked_and_deleted(surface: Surface, identities: Path) -> None:
    page = surface.page
    surface.run("await app.extensionManager.command.execute('Workspace.ToggleSidebarTab.id2face-gallery')")
    cards = page.locator(".id2-gallery li")
    surface.until("document.querySelectorAll('.id2-gallery li').length === 3")
    surface.until("[...document.querySelectorAll('.id2-gallery img')].every((i) => i.naturalWidth)")
    assert cards.nth(2).get_by_role("checkbox").is_disabled() and cards.nth(2).locator("img").count() == 0

    cards.nth(0).get_by_role("button", name="Rename").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("clara")
    page.get_by_role("dialog").get_by_role("button", name="OK").click()
    page.locator("[data-file='clara_00001.safetensors']").wait_for()
    for file in ("berta", "clara"):
        page.locator(f"[data-file='{file}_00001.safetensors']").get_by_role("checkbox").check()
    page.get_by_role("button", name="Blend two").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("mixed")
    page.get_by_role("dialog").get_by_role("button", name="OK").click()
    mixed = page.locator("[data-file='mixed_00001.safetensors']")
    mixed.wait_for()
    read = room("identity_store").read_identity
    latents = [read(identities / f"{name}_00001.safetensors", None)[0] for name in ("berta", "clara", "mixed")]
    assert float(torch.cosine_similarity(latents[0] + latents[1], latents[2], dim=0)) > 0.999

    mixed.get_by_role("button", name="Lock").click()
    mixed.get_by_role("button", name="Unlock").wait_for()
    assert mixed.get_by_role("button", name="Delete").is_disabled()
    assert not (identities / "mixed_00001.safetensors").stat().st_mode & 0o200
    mixed.get_by_role("button", name="Unlock").click()
    mixed.get_by_role("button", name="Lock", exact=False).wait_for()
    mixed.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    mixed.wait_for(state="detached")
    assert not (identities / "mixed_00001.safetensors").exists()
    surface.run("await app.extensionManager.command.execute('Workspace.ToggleSidebarTab.id2face-gallery')")


@pytest.mark.parametrize("palette", ["dark", "light"])
def test_panels_dialogs_and_the_gallery_are_accessible(surface: Surface, identities: Path, palette: str) -> None:
    if not (ROOT / "node_modules/axe-core").is_dir():
        pytest.skip("no axe-core: npm ci")
    surface.setting("Comfy.ColorPalette", palette)
    try:
        open_picker(surface)
        assert surface.accessible(".id2-panel") == []
        surface.load(with_stock_savers(), 3)
        surface.page.locator(".id2-badge").first.wait_for()
        assert surface.accessible(".id2-badge") == []
        surface.load(template("privacy check"), CHECK)
        surface.page.get_by_role("region", name="Privacy gauge").wait_for()
        surface.served.executed(CHECK, check_output(False))
        surface.page.get_by_role("meter").first.wait_for()
        assert surface.accessible(".id2-panel") == []
        surface.run("app.extensionManager.command.execute('ID2Face.Share')")
        surface.page.get_by_role("dialog").get_by_text("seed: a seed").wait_for()
        assert surface.accessible(".id2-dialog") == []
        surface.page.keyboard.press("Escape")
        surface.run("await app.extensionManager.command.execute('Workspace.ToggleSidebarTab.id2face-gallery')")
        surface.page.locator(".id2-gallery li").first.wait_for()
        assert surface.accessible(".id2-side") == []
        surface.run("await app.extensionManager.command.execute('Workspace.ToggleSidebarTab.id2face-gallery')")
    finally:
        surface.setting("Comfy.ColorPalette", "dark")


def test_commands_menu_settings_badge_and_help_are_there(surface: Surface) -> None:
    found = surface.run("""return {
      commands: app.extensionManager.command.commands.filter((c) => c.id.startsWith('ID2Face.')).map((c) => c.id),
      settings: Object.keys(app.extensionManager.setting.settings ?? {}).filter((s) => s.startsWith('ID2Face.')),
      badges: app.extensions.find((e) => e.name === 'ID2Face').aboutPageBadges.length,
      help: await (await fetch('/extensions/id2face/docs/ID2FaceAnonymize.md')).text() }""")
    assert sorted(found["commands"]) == ["ID2Face.Share", "ID2Face.Swap"]
    assert found["badges"] == 1 and found["help"].startswith("# Anonymize Faces")


def test_the_page_speaks_other_languages(surface: Surface) -> None:
    surface.load(template("simple"))
    try:
        surface.switch_language("fr")
        surface.load(template("composable"), DETECT)
        surface.page.get_by_role("button", name="Tout remplacer").wait_for()
    finally:
        surface.switch_language("en")


def test_a_note_says_that_the_server_may_be_asked_for_others_nodes(browser: Any, pack: ModuleType) -> None:
    served = Served(VERSIONS[-1][1], ["main.py"], room("routes").add_routes)
    try:
        surface = Surface(browser, served.address, False)
        surface.page.get_by_text("runs without --disable-api-nodes").first.wait_for()
        assert {url.split("/")[2] for url in surface.outside()} <= {"api.comfy.org"}  # the page's own
        surface.context.close()
    finally:
        served.close()
