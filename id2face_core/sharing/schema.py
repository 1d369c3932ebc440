"""From the definitions of nodes that ComfyUI publishes (/object_info) to the table of `rules`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..attributes.edit import ALIASES, WORDS
from ..attributes.vector import ATTRIBUTES

# ComfyUI's own nodes that stand beside ours, as far as their widgets are harmless or can be set back.
CORE = (
    "LoadImage", "LoadImageMask", "LoadImageOutput", "LoadVideo", "SaveImage", "PreviewImage", "CreateVideo",
    "GetVideoComponents", "SaveAnimatedWEBP", "SaveAnimatedPNG", "SaveWEBM", "PreviewAny", "ImageCompare", "ImageBatch",
    "RepeatImageBatch", "ImageFromBatch", "RebatchImages", "ImageScale", "ImageScaleBy", "ImageScaleToTotalPixels",
    "ImageCrop", "ImagePadForOutpaint", "ImageInvert", "ImageBlend", "ImageBlur", "ImageSharpen", "ImageQuantize",
    "ImageCompositeMasked", "ImageFlip", "ImageRotate", "ImageStitch", "EmptyImage", "ImageColorToMask", "ImageToMask",
    "MaskToImage", "SolidMask", "InvertMask", "CropMask", "MaskComposite", "FeatherMask", "GrowMask", "ThresholdMask",
    "GetImageSize", "MaskPreview", "UpscaleModelLoader", "ImageUpscaleWithModel", "CheckpointLoaderSimple", "VAELoader",
    "VAEDecode", "VAEEncode", "VAEEncodeForInpaint", "CLIPTextEncode", "KSampler", "KSamplerAdvanced", "EmptyLatentImage",
    "SetLatentNoiseMask", "InpaintModelConditioning", "PrimitiveInt", "PrimitiveFloat", "PrimitiveBoolean", "PrimitiveString",
    "PrimitiveStringMultiline", "DifferentialDiffusion", "LatentUpscale", "LatentUpscaleBy",
)  # fmt: skip
CONTROL = ["fixed", "increment", "decrement", "randomize"]
# Entries of a graph and of a node that are read, or whose loss tells nothing; all others are reported as removed.
ROOT = "id last_node_id last_link_id nodes links groups config extra version revision definitions state".split()
NODE = """id type pos size flags order mode inputs outputs properties color bgcolor title widgets_values widgets_values_named
    showAdvanced localized_name""".split()
WIDGETS = ("INT", "FLOAT", "BOOLEAN", "STRING", "COMBO")
SEEDS = ("seed", "noise_seed")
# names of choices that are names of files, whatever files there were when the table was written
FILES = re.compile(r"(image|file|audio|video|mask)|(ckpt|lora|vae|unet|clip|control_net|style_model|upscale_model|model)_name")
ATTACK = r"(A1?[0-9]|Adaptive)"
NUMBERS = r"[0-9]{1,4}( *, *[0-9]{1,4})*"
_VALUE = "|".join([r"[+-]?[0-9]{1,3}(\.[0-9]{1,4})?", *(word for words in WORDS.values() for word in words)])
_CHANGE = rf" *({'|'.join((*ALIASES, *ATTRIBUTES))}) *= *({_VALUE}) *"
CHANGES = rf"({_CHANGE}([,\n]{_CHANGE})*)?"
TEXTS = {  # strings of ours that are not free text
    "faces": f"all|largest|{NUMBERS}", "include": f"all|{NUMBERS}", "exclude": f"|{NUMBERS}",
    "changes": CHANGES, "more": CHANGES, "people": f"|{NUMBERS}", "attacks": f"all|{ATTACK}( *, *{ATTACK})*",
}  # fmt: skip
# A value that a second ComfyUI has: example.png lies in the input folder of every fresh one.
PLACEHOLDERS = {"LoadImage": "example.png", "LoadImageMask": "example.png"}
BUTTONS = {"LoadImage": ["image"], "LoadImageMask": ["image"]}  # widgets of the page behind those of the definition


def table(info: Mapping[str, Any]) -> dict[str, Any]:
    """The table for our nodes, `CORE`, and the page's own Reroute and PrimitiveNode."""
    known = sorted(kind for kind in info if (kind.startswith("ID2Face") or kind in CORE) and not _grows(info[kind]))
    nodes = {kind: entry(kind, info[kind]) for kind in known}
    nodes["Reroute"] = {"widgets": [], "inputs": [""], "outputs": [""]}
    nodes["PrimitiveNode"] = {"widgets": [{"name": "value", "kind": "linked", "control": True}], "inputs": [], "outputs": []}
    types = {"*", "COMBO", *(t for kind in known for t in _types(info[kind]))}
    return {"nodes": nodes, "types": sorted(types), "dropped": ["Note", "MarkdownNote"], "control": CONTROL, "root": ROOT,
            "node": NODE}  # fmt: skip


def entry(kind: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    """One node of the table."""
    widgets, inputs = [], []
    for group in ("required", "optional"):
        for name, (io_type, *more) in definition["input"].get(group, {}).items():
            options = more[0] if more else {}
            inputs.append(name)
            choices = io_type if isinstance(io_type, list) else options.get("options")
            if choices is not None or (io_type in WIDGETS and not options.get("forceInput")):
                widgets.append(_rule(kind, name, "COMBO" if choices is not None else io_type, options, choices or []))
    row: dict[str, Any] = {"widgets": widgets, "inputs": inputs, "outputs": list(definition["output_name"])}
    return row | ({"extra": BUTTONS[kind]} if kind in BUTTONS else {})


def _rule(kind: str, name: str, io_type: str, options: Mapping[str, Any], choices: list[Any]) -> dict[str, Any]:
    default = options.get("default")
    if io_type in ("INT", "FLOAT"):
        seed = name in SEEDS or bool(options.get("control_after_generate"))
        row = {"name": name, "kind": "seed" if seed else "number", "default": 0 if seed or default is None else default,
               "low": options.get("min", -(2**31)), "high": options.get("max", 2**31)}  # fmt: skip
        return (row | ({"control": True} if seed else {})) if not kind.startswith("Primitive") else _linked(name, options)
    if io_type == "BOOLEAN":
        return {"name": name, "kind": "flag", "default": bool(default)}
    if name == "key_file":
        return {"name": name, "kind": "key", "default": "none"}
    if io_type == "COMBO":
        if FILES.fullmatch(name) or not choices:
            return {"name": name, "kind": "file", "default": PLACEHOLDERS.get(kind, "")}
        return {"name": name, "kind": "choice", "default": default if default in choices else choices[0], "options": choices}
    if name in TEXTS and kind.startswith("ID2Face"):
        return {"name": name, "kind": "text", "default": default or "", "pattern": TEXTS[name]}
    return {"name": name, "kind": "file" if "filename" in name else "text", "default": default or ""}


def _linked(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """A number whose meaning is that of the widget that it is wired to; it may be a seed."""
    return {"name": name, "kind": "linked", "default": 0} | ({"control": True} if options.get("control_after_generate") else {})


def _types(definition: Mapping[str, Any]) -> list[str]:
    inputs = [value[0] for group in ("required", "optional") for value in definition["input"].get(group, {}).values()]
    return [t for t in (*inputs, *definition["output"]) if isinstance(t, str)]


def _grows(definition: Mapping[str, Any]) -> bool:
    """Whether a node has inputs that come and go (DynamicCombo, Autogrow): their values have no fixed places."""
    return any(t.startswith("COMFY_") for t in _types(definition))
