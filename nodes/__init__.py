"""The nodes for ComfyUI: a translation of `id2face_core` into graphs. Nothing heavy is imported before a node runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .own_core import provide_core, report_missing_packages

provide_core()
report_missing_packages()

from comfy_api.latest import ComfyExtension  # noqa: E402  (after the core has its name)

from .folders import register_folders  # noqa: E402
from .routes import register_routes  # noqa: E402

register_folders()
register_routes()

if TYPE_CHECKING:
    from comfy_api.latest import io


class ID2FaceExtension(ComfyExtension):
    """What ComfyUI asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        from .catalogue import NODES

        return list(NODES)


async def comfy_entrypoint() -> ID2FaceExtension:
    """Called by ComfyUI once, after the import of the pack."""
    return ID2FaceExtension()
