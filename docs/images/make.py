"""Make the pictures of the documentation: python docs/images/make.py [/path/to/ComfyUI [FEATURE ...]]

Icon and banner are drawn from their SVG files; with a ComfyUI the features are photographed in its real page as well. All
people are either generated or the demo picture's (public domain). Needs what the tests of the page need.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path += [str(ROOT), str(ROOT / "workflows"), str(ROOT / "tests/web"), str(ROOT / "benchmarks")]
import build as templates  # noqa: E402
from bench_peers import generated_portraits  # noqa: E402
from real_comfyui import running  # noqa: E402
from surface import FLAGS, Surface, chromium  # noqa: E402

DRAWINGS = {"icon": (400, 400), "banner": (1680, 720)}
GROUP = 12  # faces of the group picture
PEOPLE = 3  # saved identities
QUALITY = 82


def draw(browser: Any) -> None:
    """PNG files of the drawings, as the registry wants them."""
    for name, (width, height) in DRAWINGS.items():
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto((HERE / f"{name}.svg").as_uri())
        page.screenshot(path=HERE / f"{name}.png", omit_background=True)
        page.close()


def group_picture(path: Path) -> None:
    """Generated portraits side by side."""
    sheet = Image.new("RGB", (4 * 320, 3 * 320))
    for i, portrait in enumerate(generated_portraits(GROUP)):
        sheet.paste(portrait.resize((320, 320), Image.Resampling.LANCZOS), (320 * (i % 4), 320 * (i // 4)))
    sheet.save(path, quality=92)


def keep(page: Surface, name: str, clip: tuple[int, int, int, int], width: int = 1400) -> None:
    """A part (x, y, width, height) of the page as JPEG."""
    box = dict(zip(("x", "y", "width", "height"), clip, strict=True))
    with Image.open(io.BytesIO(page.page.screenshot(clip=box))) as shot:
        picture = shot.convert("RGB")
    picture.thumbnail((width, 2 * width))
    picture.save(HERE / f"comfyui_{name}.jpg", quality=QUALITY, optimize=True)


def run(page: Surface, graph: dict[str, Any]) -> None:
    """Open a graph and run it to its end."""
    page.load(graph)
    page.whole()
    page.run("""const done = new Promise((yes, no) => { const { api } = window.comfyAPI.api;
        api.addEventListener("execution_success", yes, { once: true });
        api.addEventListener("execution_error", (event) => no(new Error(event.detail.exception_message)), { once: true }) });
        await app.queuePrompt(0); await done;""")
    page.page.wait_for_timeout(7000)  # until the page's own note of the finished run is gone
    page.whole()


def graph(name: str, **inputs: Any) -> dict[str, Any]:
    """A template; inputs of its first node are exchanged."""
    prompt = templates.TEMPLATES[name]()
    prompt["1"]["inputs"] |= inputs
    return templates.as_workflow(prompt)


def simple(page: Surface) -> None:
    run(page, graph("simple"))
    panel = page.page.get_by_role("region", name="What was saved")
    panel.get_by_role("button", name="Compare with the original").click()
    panel.locator("img.id2-before").wait_for()
    panel.get_by_role("slider").fill("44")  # the border runs through the face
    page.whole()
    keep(page, "simple", (60, 120, 1540, 760))


def composable(page: Surface) -> None:
    run(page, graph("composable"))
    keep(page, "composable", (60, 200, 1540, 600))


def check(page: Surface) -> None:
    run(page, graph("privacy check"))
    page.focus(5)
    panel = page.page.get_by_role("region", name="Privacy gauge")
    panel.get_by_role("button", name="Compare with the original").click()
    panel.locator("img.id2-before").wait_for()
    panel.get_by_role("slider").fill("44")
    page.page.wait_for_timeout(500)
    keep(page, "check", (390, 80, 390, 720), 390)


def picker(page: Surface) -> None:
    run(page, graph("composable", image="group.jpg"))
    page.focus(3)
    for face in (1, 4, 6):
        page.page.locator(f".id2-tile[data-face='{face}']").click()
    page.page.wait_for_timeout(800)
    keep(page, "picker", (390, 80, 390, 640), 390)


def warning(page: Surface) -> None:
    prompt = templates.simple()
    prompt["3"] = {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "photo"}}
    templates.CORE["SaveImage"] = ({"images": "IMAGE", "filename_prefix": "STRING"}, {}, [])
    page.load(templates.as_workflow(prompt))
    page.focus(3)
    page.page.locator(".id2-badge").wait_for()
    page.page.wait_for_timeout(500)
    keep(page, "warning", (390, 80, 390, 260), 390)


def share(page: Surface) -> None:
    workflow = graph("composable")
    for node in workflow["nodes"][:5]:
        node["title"] = "Summer party"
    page.load(workflow)
    page.whole()
    page.run("app.extensionManager.command.execute('ID2Face.Share')")
    dialog = page.page.get_by_role("dialog", name="Export shareable workflow")
    dialog.locator("summary").first.click()
    box = dialog.bounding_box()
    keep(page, "share", (box["x"] - 20, box["y"] - 20, box["width"] + 40, box["height"] + 40), 700)
    page.page.keyboard.press("Escape")


def gallery(page: Surface) -> None:
    for seed in range(PEOPLE):
        prompt = templates.composable()
        prompt["6"]["inputs"]["seed"] = 20 + seed
        prompt["14"] = templates.node("ID2FaceSaveIdentity", identity=["8", 3], name=("ada", "bruno", "clara")[seed])
        templates.run(prompt, page.address)
    page.run("await app.extensionManager.command.execute('Workspace.ToggleSidebarTab.id2face-gallery')")
    page.until("document.querySelectorAll('.id2-gallery img').length === 3")
    page.until("[...document.querySelectorAll('.id2-gallery img')].every((image) => image.naturalWidth)")
    box = page.page.locator(".id2-side").bounding_box()
    keep(page, "gallery", (box["x"], box["y"], box["width"], 520), 420)
    page.run("await app.extensionManager.command.execute('Workspace.ToggleSidebarTab.id2face-gallery')")


# feature -> whether it is shown in Nodes 2.0
FEATURES: dict[Callable[[Surface], None], bool] = {
    simple: True, composable: True, check: True, picker: False, warning: False, share: False, gallery: False,
}  # fmt: skip


def photograph(browser: Any, comfyui: Path, names: list[str]) -> None:
    """These features, or all, on a server of their own."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "input").mkdir()
        shutil.copy(ROOT / "id2face_core/demo/astronaut.jpg", base / "input/photo.jpg")
        group_picture(base / "input/group.jpg")
        with running(comfyui, base) as host:
            settings = json.dumps({"Comfy.TutorialCompleted": True}).encode()
            header = {"Content-Type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(f"{host}/settings", settings, header)).close()
            for vue in (True, False):
                page = Surface(browser, host, vue)
                for feature in (f for f, new in FEATURES.items() if new is vue and (not names or f.__name__ in names)):
                    feature(page)
                page.context.close()


def main(comfyui: Path | None, names: list[str]) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium(), args=FLAGS)
        draw(browser)
        if comfyui:
            photograph(browser, comfyui, names)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None, sys.argv[2:])
