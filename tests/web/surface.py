"""A page of ComfyUI in headless Chromium over the thin host, and what the tests do with it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

FLAGS = ("--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync").split()  # fmt: skip
READY = """() => { const app = window.comfyAPI?.app?.app;
  return Boolean(app?.extensionManager && app.canvas && (app.rootGraph ?? app.graph)?.nodes?.length
    && app.extensionManager.getSidebarTabs().some((tab) => tab.id === "id2face-gallery")) }"""
BOXES = """return graph.nodes.map((node) => {
    const drawn = document.querySelector(`[data-node-id="${node.id}"]`)?.offsetHeight ?? 0;
    const [x, y] = node.pos, high = Math.max(node.size[1], drawn - 30);
    return [`${node.id} ${node.type}`, x, y - 30, x + node.size[0], y + high] })"""
APP = "const app = window.comfyAPI.app.app, graph = app.rootGraph ?? app.graph;"


def frontends() -> list[tuple[str, Path]]:
    """(version, files) of the pages: folders of $ID2FACE_FRONTENDS, or the installed comfyui-frontend-package."""
    given = os.environ.get("ID2FACE_FRONTENDS")
    if given:
        found = sorted(Path(given).glob("*/comfyui_frontend_package/static"), key=lambda p: version_key(p.parts[-3]))
        return [(path.parts[-3], path) for path in found]
    spec = find_spec("comfyui_frontend_package")
    folder = Path(spec.origin).parent / "static" if spec and spec.origin else None
    return [("installed", folder)] if folder and folder.is_dir() else []


def version_key(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def no_browser() -> str:
    """What is missing for a browser; empty when nothing is."""
    if find_spec("playwright") is None or find_spec("aiohttp") is None:
        return "no playwright or aiohttp: pip install -e '.[browser]'"
    return "" if chromium() else "no Chromium: apt-get install chromium, or set CHROMIUM"


def why_not() -> str:
    """What is missing for tests of the page over the thin host; empty when nothing is."""
    lacking = "" if frontends() else "no comfyui-frontend-package: pip install -e '.[browser]', or set ID2FACE_FRONTENDS"
    return no_browser() or lacking


def chromium() -> str | None:
    """Path of the browser."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


class Served:
    """The host in a thread of its own. between: its page is neither the oldest nor the newest that is tried."""

    between = False

    def __init__(self, static: Path, argv: list[str], add_routes: Callable[[Any], None]) -> None:
        from aiohttp import web
        from host import Host

        self.host, self.loop, ready = Host(static, argv, add_routes), asyncio.new_event_loop(), threading.Event()

        async def start() -> None:
            self.runner = web.AppRunner(self.host.app)
            await self.runner.setup()
            site = web.TCPSite(self.runner, "127.0.0.1", 0)
            await site.start()
            self.address = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
            ready.set()

        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(start(), self.loop)
        assert ready.wait(20)

    def executed(self, node: int, output: dict[str, Any]) -> None:
        """As if the node had run."""
        data = {"node": str(node), "display_node": str(node), "output": output, "prompt_id": "test"}
        asyncio.run_coroutine_threadsafe(self.host.show("executed", data), self.loop).result(10)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)


class Surface:
    """A page with the extension, classic or Nodes 2.0."""

    served: Served  # the thin host, where the page is one's own

    def __init__(self, browser: Any, address: str, vue: bool) -> None:
        self.address, self.vue = address, vue
        self.context = browser.new_context(viewport={"width": 1600, "height": 1000}, has_touch=True, accept_downloads=True)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.requests: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append((request.method, request.url)))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._listen)
        self.page.goto(address)
        self.page.wait_for_function(READY, timeout=120_000)
        self.setting("Comfy.VueNodes.Enabled", vue)
        self.setting("Comfy.Minimap.Visible", False)

    def _listen(self, message: Any) -> None:
        if message.type == "error" and "id2face" in message.text.lower():
            self.errors.append(message.text)

    def until(self, condition: str) -> None:
        """Wait for JavaScript to be true."""
        self.page.wait_for_function(f"() => {condition}")

    def run(self, body: str, argument: Any = None) -> Any:
        """JavaScript with `app`, `graph` and the argument `x`."""
        return self.page.evaluate(f"async (x) => {{ {APP} {body} }}", argument)

    def setting(self, name: str, value: Any) -> None:
        self.run("await app.extensionManager.setting.set(x[0], x[1])", [name, value])

    def switch_language(self, locale: str) -> None:
        """Change the page's language and wait until it has opened its graph anew, which would else replace the next one."""
        self.run("graph.nodes.forEach((node) => { node.beforeSwitch = true })")
        self.setting("Comfy.Locale", locale)
        self.page.wait_for_function(f"() => {{ {APP} return graph.nodes.length && !graph.nodes.some((n) => n.beforeSwitch) }}")

    def load(self, workflow: dict[str, Any], only: int | None = None) -> None:
        """Open a graph, with one node in the middle of the view."""
        self.run("await app.loadGraphData(x)", json.loads(json.dumps(workflow)))
        if only is not None:
            self.focus(only)

    def focus(self, node: int) -> None:
        """Bring a node into the middle at full size."""
        self.page.wait_for_timeout(400)
        self.run("""const node = graph.getNodeById(x); const canvas = app.canvas;
            canvas.ds.scale = 1; canvas.ds.offset = [420 - node.pos[0], 120 - node.pos[1]]; canvas.setDirty(true, true);""", node)
        self.page.wait_for_timeout(400)

    def whole(self) -> None:
        """Bring the whole graph into view."""
        self.page.wait_for_timeout(300)
        self.run("await app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        self.page.wait_for_timeout(500)

    def overlaps(self) -> list[str]:
        """Pairs of nodes of which one covers the other; titles count."""
        boxes = self.run(BOXES)
        return [f"{a[0]} and {b[0]}" for i, a in enumerate(boxes) for b in boxes[i + 1 :]
                if all(a[1 + k] < b[3 + k] and b[1 + k] < a[3 + k] for k in (0, 1))]  # fmt: skip

    def heights(self) -> list[float]:
        """Of the nodes, with their titles."""
        return [bottom - top for _, _, top, _, bottom in self.run(BOXES)]

    def types(self) -> list[str]:
        return self.run("return graph.nodes.map((n) => n.type)")

    def widget(self, node: int, name: str) -> Any:
        return self.run("return graph.getNodeById(x[0]).widgets.find((w) => w.name === x[1]).value", [node, name])

    def outside(self) -> list[str]:
        """Requests to anything but the host. The page itself looks unknown nodes up."""
        own = (self.address, "blob:", "data:", "ws://127.0.0.1", "https://api.comfy.org/comfy-nodes/")
        return [url for _, url in self.requests if not url.startswith(own)]

    def accessible(self, selector: str) -> list[str]:
        """What axe-core finds wrong below a selector."""
        script = ROOT / "node_modules/axe-core/axe.min.js"
        if not self.page.evaluate("() => Boolean(window.axe)"):
            self.page.evaluate(script.read_text(encoding="utf-8"))
        found = self.page.evaluate("async (x) => (await axe.run(x)).violations", selector)
        return [f"{v['id']}: {v['help']} {[n['html'][:120] + n['failureSummary'][-200:] for n in v['nodes'][:2]]}" for v in found]
