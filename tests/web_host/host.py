"""A thin host for ComfyUI's real page: what it asks of a server, our files and routes, and no networks behind them.

It serves `comfyui-frontend-package` with our extension, definitions, locales and help; a queued prompt is written down and
`show(event)` sends whatever a test wants the page to see. python tests/web_host/host.py runs it by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from definitions import object_info

ROOT = Path(__file__).resolve().parents[2]
LOCAL_ONLY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' blob: data:; connect-src 'self' data:"


class Host:
    """The server. argv: what /system_stats says that ComfyUI was started with."""

    def __init__(self, static: Path, argv: list[str], add_routes: Callable[[web.RouteTableDef], None]) -> None:
        self.static, self.argv = static, argv
        self.prompts: list[dict[str, Any]] = []
        self.settings: dict[str, Any] = {"Comfy.TutorialCompleted": True, "Comfy.InstalledVersion": "1.99.0"}
        self.files: dict[str, bytes] = {}
        self._sockets: list[web.WebSocketResponse] = []
        self.app = web.Application(client_max_size=2**26, middlewares=[self._headers])
        table = web.RouteTableDef()
        self._core(table)
        add_routes(table)
        for prefix in ("", "/api"):
            for route in table:
                if isinstance(route, web.RouteDef):
                    self.app.router.add_route(route.method, prefix + route.path, route.handler)
            self.app.router.add_static(f"{prefix}/extensions/id2face", ROOT / "web")
            self.app.router.add_static(f"{prefix}/workflow_templates/id2face", ROOT / "workflows")
        self.app.router.add_get("/", self._page)
        self.app.router.add_static("/", static)

    @web.middleware
    async def _headers(self, request: web.Request, handler: Any) -> web.StreamResponse:
        response = await handler(request)
        if "--disable-api-nodes" in self.argv and not isinstance(response, web.WebSocketResponse):
            response.headers["Content-Security-Policy"] = LOCAL_ONLY
        return response

    async def _page(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self.static / "index.html")

    def _core(self, table: web.RouteTableDef) -> None:
        def answer(path: str, make: Callable[[], Any]) -> None:
            async def handler(request: web.Request) -> web.Response:
                return web.json_response(make())

            table.get(path)(handler)

        system = {"os": "linux", "comfyui_version": "0.33.0", "argv": self.argv, "python_version": "3", "pytorch_version": "2",
                  "ram_total": 1, "ram_free": 1, "embedded_python": False, "required_frontend_version": "1.49.6"}  # fmt: skip
        answer("/object_info", object_info)
        answer("/system_stats", lambda: {"system": system, "devices": []})
        answer("/users", lambda: {"storage": "server", "migrated": True})
        answer("/settings", lambda: self.settings)
        answer("/extensions", lambda: ["/extensions/id2face/id2face.js"])
        answer("/features", lambda: {"supports_preview_metadata": True})
        answer("/queue", lambda: {"queue_running": [], "queue_pending": []})
        answer("/prompt", lambda: {"exec_info": {"queue_remaining": 0}})
        answer("/history", lambda: {})
        answer("/jobs", lambda: {"jobs": [], "pagination": {"offset": 0, "limit": 200, "total": 0, "has_more": False}})
        answer("/i18n", locales)
        answer("/workflow_templates", lambda: {"id2face": [p.stem for p in (ROOT / "workflows").glob("*.json")]})
        for path in ("/embeddings", "/models", "/experiment/models", "/global_subgraphs", "/node_replacements", "/assets"):
            answer(path, list)
        table.post("/prompt")(self._queue)
        table.get("/ws")(self._socket)
        table.get("/view")(self._view)
        answer("/userdata", list)
        table.get("/userdata/{file:.*}")(self._nothing)
        table.post("/userdata/{file:.*}")(self._store)
        table.post("/settings")(self._set)
        table.post("/settings/{id}")(self._set)

    async def _queue(self, request: web.Request) -> web.Response:
        self.prompts.append(await request.json())
        return web.json_response({"prompt_id": str(len(self.prompts)), "number": len(self.prompts), "node_errors": {}})

    async def _set(self, request: web.Request) -> web.Response:
        value = await request.json()
        self.settings |= {request.match_info["id"]: value} if "id" in request.match_info else value
        return web.json_response({})

    async def _store(self, request: web.Request) -> web.Response:
        return web.json_response({"path": request.match_info["file"], "size": len(await request.read()), "modified": 0})

    async def _view(self, request: web.Request) -> web.Response:
        data = self.files.get(request.query.get("filename", ""))
        return web.Response(status=404) if data is None else web.Response(body=data, content_type="image/jpeg")

    async def _nothing(self, request: web.Request) -> web.Response:
        return web.Response(status=404)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        status = {"status": {"exec_info": {"queue_remaining": 0}}, "sid": request.query.get("clientId", "host")}
        await socket.send_json({"type": "status", "data": status})
        async for _ in socket:
            pass
        self._sockets.remove(socket)
        return socket

    async def show(self, kind: str, data: dict[str, Any]) -> None:
        """Send an event to every page."""
        for socket in list(self._sockets):
            await socket.send_json({"type": kind, "data": data})


def locales() -> dict[str, Any]:
    """As ComfyUI collects them from the folders of node packs."""
    found: dict[str, Any] = {}
    for folder in sorted(path.parent for path in (ROOT / "locales").glob("*/main.json")):
        found[folder.name] = json.loads((folder / "main.json").read_text(encoding="utf-8"))
        for part in ("nodeDefs", "commands", "settings"):
            found[folder.name][part] = json.loads((folder / f"{part}.json").read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    web.run_app(Host(Path(sys.argv[1]), ["main.py"], lambda table: None).app, host="127.0.0.1", port=int(sys.argv[2]))
