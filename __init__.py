"""ID²Face as a ComfyUI custom node pack: ComfyUI imports this folder as a package and asks for `comfy_entrypoint`.

The library itself is `id2face_core` and needs no ComfyUI. Test runners import this file as a bare module, without a
package around it; then there is nothing to load.
"""

from pathlib import Path

if __package__ and (Path(__file__).parent / "nodes" / "__init__.py").is_file():
    from .nodes import comfy_entrypoint  # type: ignore[import-not-found]

    __all__ = ["comfy_entrypoint"]
