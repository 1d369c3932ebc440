"""What the page asks the server for, below /id2face."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from PIL import Image

from id2face_core.errors import Id2FaceError
from id2face_core.sharing.rules import TABLE

from .shelf import SHELF

if TYPE_CHECKING:
    import numpy as np
    from aiohttp import web

HEADERS = {"Cache-Control": "no-store"}  # pictures of people must not stay in the browser's cache


def register_routes() -> None:
    """Add the routes to the server that runs, if one does: without a page nobody asks."""
    server = getattr(sys.modules.get("server"), "PromptServer", None)
    if getattr(server, "instance", None) is not None:
        add_routes(server.instance.routes)


def add_routes(routes: web.RouteTableDef) -> None:
    """All routes. A POST needs a body of JSON, which pages of other sites cannot send."""
    from aiohttp import web

    @routes.get("/id2face/sharing")
    async def _(request: web.Request) -> web.FileResponse:
        return web.FileResponse(TABLE)

    @routes.get("/id2face/pictures/{name}/{i}")
    async def _(request: web.Request) -> web.Response:
        return _jpeg(_shelved(request, clear=False))

    @routes.post("/id2face/pictures/{name}/{i}")
    async def _(request: web.Request) -> web.Response:
        return _jpeg(_shelved(request, clear=(await _body(request)).get("clear") is True))

    @routes.get("/id2face/identities")
    async def _(request: web.Request) -> web.Response:
        from .gallery import listing

        return web.json_response(listing(), headers=HEADERS)

    @routes.get("/id2face/portrait")
    async def _(request: web.Request) -> web.Response:
        from .gallery import portrait

        return await _answer(lambda: portrait(request.query.get("file", "")), _jpeg)

    @routes.post("/id2face/identities/{action}")
    async def _(request: web.Request) -> web.Response:
        from .gallery import perform

        wish, action = await _body(request), request.match_info["action"]
        return await _answer(lambda: perform(action, wish), lambda file: web.json_response({"file": file}))


async def _answer(work: Callable[[], Any], respond: Callable[[Any], web.Response]) -> web.Response:
    """Work in a thread; an error of ours becomes a message, any other one its kind alone."""
    from aiohttp import web

    try:
        return respond(await asyncio.get_running_loop().run_in_executor(None, work))
    except Id2FaceError as error:
        return web.json_response({"error": str(error)}, status=400)
    except Exception as error:
        return web.json_response({"error": type(error).__name__}, status=500)


async def _body(request: web.Request) -> dict[str, Any]:
    from aiohttp import web

    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        body = await request.json()
    except ValueError:
        raise web.HTTPBadRequest from None
    return body if isinstance(body, dict) else {}


def _shelved(request: web.Request, clear: bool) -> np.ndarray | None:
    i = request.match_info["i"]
    return SHELF.get(request.match_info["name"], int(i), clear=clear) if i.isascii() and i.isdigit() and len(i) < 6 else None


def _jpeg(picture: np.ndarray | None) -> web.Response:
    from aiohttp import web

    if picture is None:
        return web.Response(status=404, headers=HEADERS)
    body = io.BytesIO()
    Image.fromarray(picture).save(body, "JPEG", quality=88)
    return web.Response(body=body.getvalue(), content_type="image/jpeg", headers=HEADERS)
