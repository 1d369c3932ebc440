"""ID²Face as a ComfyUI custom node pack: ComfyUI imports this folder as a package and asks for `comfy_entrypoint`.

The library itself is `id2face_core` and needs no ComfyUI. Test runners import this file too, without ComfyUI: then there
is nothing to load.
"""

import logging
from importlib.util import find_spec
from pathlib import Path

if __package__ and (Path(__file__).parent / "nodes" / "__init__.py").is_file():
    if find_spec("comfy_api") is not None:
        from .nodes import comfy_entrypoint  # type: ignore[import-not-found]

        WEB_DIRECTORY = "./web"
        __all__ = ["WEB_DIRECTORY", "comfy_entrypoint"]
    else:
        logging.getLogger("id2face").warning("ID²Face: no nodes without ComfyUI's package comfy_api; update ComfyUI")
