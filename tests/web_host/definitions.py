"""Definitions of the few nodes of ComfyUI that the tests of the page need, as /object_info publishes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

COMPONENTS = ["IMAGE", "AUDIO", "FLOAT", "INT", "COMBO"]
GOLDEN = Path(__file__).resolve().parents[1] / "comfy_stub" / "object_info.json"


def definition(name: str, required: dict[str, Any], outputs: list[str], output_node: bool = False) -> dict[str, Any]:
    return {
        "input": {"required": required}, "input_order": {"required": list(required)}, "output": outputs,
        "output_is_list": [False] * len(outputs), "output_name": outputs, "name": name, "display_name": name, "description": "",
        "category": "image", "output_node": output_node, "python_module": "nodes", "deprecated": False, "experimental": False,
    }  # fmt: skip


def object_info() -> dict[str, Any]:
    """Our nodes as a real ComfyUI published them, and the stock nodes beside them."""
    picture = {"images": ["IMAGE", {}]}
    files = {"image": [["example.png", "photo.jpg"], {"image_upload": True}]}
    batch = {"image": ["IMAGE", {}], "amount": ["INT", {"default": 1}]}
    prefix = {"filename_prefix": ["STRING", {"default": "ComfyUI"}]}
    ours = json.loads(GOLDEN.read_text(encoding="utf-8"))["nodes"]
    for info in ours.values():
        info |= {"output_is_list": [False] * len(info["output"]), "python_module": "custom_nodes.id2face",
                 "deprecated": False, "experimental": False}  # fmt: skip
    return ours | {
        "LoadImage": definition("LoadImage", files, ["IMAGE", "MASK"]),
        "SaveImage": definition("SaveImage", picture | prefix, [], True),
        "PreviewImage": definition("PreviewImage", picture, [], True),
        "PreviewAny": definition("PreviewAny", {"source": ["*", {}]}, [], True),
        "ImageInvert": definition("ImageInvert", {"image": ["IMAGE", {}]}, ["IMAGE"]),
        "RepeatImageBatch": definition("RepeatImageBatch", batch, ["IMAGE"]),
        "LoadVideo": definition("LoadVideo", {"file": [["clip.mp4"], {}]}, ["VIDEO"]),
        "GetVideoComponents": definition("GetVideoComponents", {"video": ["VIDEO", {}]}, COMPONENTS),
        "CreateVideo": definition("CreateVideo", picture | {"fps": ["FLOAT", {"default": 30.0}]}, ["VIDEO"]),
        "SaveVideo": definition("SaveVideo", {"video": ["VIDEO", {}]} | prefix, [], True),
    }  # fmt: skip
