"""Write the templates of this folder: python workflows/build.py [http://127.0.0.1:8188]

With the address of a ComfyUI that has the pack, the inputs `photo.jpg` and `clip.mp4` and a key `example.key`, it also runs
them and makes the thumbnails. Run it after a node changed.
"""

from __future__ import annotations

import io
import json
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
INFO = json.loads((HERE.parent / "tests/comfy_stub/object_info.json").read_text(encoding="utf-8"))["nodes"]
# ComfyUI's own nodes that the templates use: inputs (name -> type), outputs (name -> type), values of widgets beyond the inputs
CORE: dict[str, tuple[dict[str, str], dict[str, str], list[str]]] = {
    "LoadImage": ({"image": "COMBO"}, {"IMAGE": "IMAGE", "MASK": "MASK"}, ["image"]),
    "LoadVideo": ({"file": "COMBO"}, {"VIDEO": "VIDEO"}, []),
    "GetVideoComponents": ({"video": "VIDEO"}, {"images": "IMAGE", "audio": "AUDIO", "fps": "FLOAT",
                                                 "bit_depth": "INT", "color_space": "COMBO"}, []),
    "RepeatImageBatch": ({"image": "IMAGE", "amount": "INT"}, {"IMAGE": "IMAGE"}, []),
    "PreviewAny": ({"source": "*"}, {"STRING": "STRING"}, []),
}
WIDGETS = ("INT", "FLOAT", "BOOLEAN", "STRING", "COMBO")
# What the page adds to a node, in pixels: our panels (web/panels), and pictures and texts after a run
PANELS = {
    "ID2FaceDetectFaces": 250, "ID2FacePrivacyCheck": 330, "ID2FaceSaveImage": 150, "ID2FaceSaveVideo": 150,
    "ID2FaceAnonymize": 90, "ID2FacePasteFaces": 90, "LoadImage": 240, "LoadVideo": 320, "PreviewAny": 300, "ID2FacePreview": 240,
}  # fmt: skip
GROWTH = {"ID2FaceAnonymize": 220, "ID2FaceHarmonizedDiffusion": 220, "ID2FaceSaveImage": 560, "ID2FaceSaveVideo": 360,
          "ID2FacePrivacyCheck": 180}  # fmt: skip
TITLE, SLOT, WIDGET, LONG_TEXT, BORDER = 30, 20, 24, 30, 50  # a long text takes that more than another widget
WIDE, GAP = 330, 50
PATIENCE = 1200  # seconds for a run on a server
Prompt = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    """A node of a prompt; inputs that are not given have their defaults."""
    defaults = {}
    if kind in INFO:
        for name, (io_type, more) in INFO[kind]["input"]["required"].items():
            if io_type in WIDGETS and not more.get("forceInput"):
                defaults[name] = more.get("default", (more.get("options") or [None])[0])
    return {"class_type": kind, "inputs": defaults | inputs}


def simple() -> Prompt:
    return {
        "1": node("LoadImage", image="photo.jpg"), "2": node("ID2FaceAnonymize", image=["1", 0], seed=1),
        "3": node("ID2FaceSaveImage", images=["2", 0]), "4": node("PreviewAny", source=["2", 2]),
    }  # fmt: skip


def composable() -> Prompt:
    return {
        "1": node("LoadImage", image="photo.jpg"), "2": node("ID2FaceLoadModel"),
        "3": node("ID2FaceDetectFaces", image=["1", 0], model=["2", 0]),
        "4": node("ID2FaceExtractAttributes", faces=["3", 0]),
        "5": node("ID2FaceEncodeIdentity", faces=["3", 0], model=["2", 0]),
        "6": node("ID2FaceSampleIdentity", faces=["3", 0], attributes=["4", 0], model=["2", 0], seed=1),
        "7": node("ID2FaceOrthogonalMapping", identity=["6", 0], source_identity=["5", 0], model=["2", 0]),
        "8": node("ID2FaceHarmonizedDiffusion", faces=["3", 0], identity=["7", 0], attributes=["4", 0], model=["2", 0]),
        "9": node("ID2FacePasteFaces", image=["1", 0], faces=["3", 0], new_faces=["8", 0]),
        "10": node("ID2FaceSaveImage", images=["9", 0]), "11": node("ID2FacePreview", images=["3", 1]),
        "12": node("ID2FacePreview", images=["8", 1]), "13": node("ID2FacePreview", images=["8", 2]),
    }  # fmt: skip


def batch() -> Prompt:
    return {
        "1": node("LoadImage", image="photo.jpg"), "2": node("RepeatImageBatch", image=["1", 0], amount=3),
        "3": node("ID2FaceAnonymize", image=["2", 0], seed=2, preset="fast"),
        "4": node("ID2FaceSaveImage", images=["3", 0], format="jpeg"),
    }  # fmt: skip


def video() -> Prompt:
    """Without sound: a voice tells who speaks."""
    return {
        "1": node("LoadVideo", file="clip.mp4"), "2": node("GetVideoComponents", video=["1", 0]),
        "3": node("ID2FaceAnonymize", image=["2", 0], seed=1, preset="fast", consistent=True),
        "4": node("ID2FaceSaveVideo", images=["3", 0], fps=["2", 2]), "5": node("PreviewAny", source=["3", 2]),
    }  # fmt: skip


def keyed_pseudonym() -> Prompt:
    prompt = composable()
    prompt["14"] = node("ID2FacePseudonym", faces=["3", 0], key_file="example.key")
    prompt["6"]["inputs"]["pseudonym"] = ["14", 0]
    prompt["7"]["inputs"] |= {"pseudonym": ["14", 0], "mode": "keyed"}
    return prompt


def attribute_edit() -> Prompt:
    prompt = composable()
    prompt["14"] = node("ID2FaceEditAttributes", attributes=["4", 0], age=20.0, smile=-0.5)
    for name in ("6", "8"):
        prompt[name]["inputs"]["attributes"] = ["14", 0]
    return prompt


def privacy_check() -> Prompt:
    prompt = simple()
    prompt["5"] = node("ID2FacePrivacyCheck", image=["2", 0], original=["1", 0])
    prompt["3"]["inputs"]["images"] = ["5", 0]
    prompt["4"]["inputs"]["source"] = ["5", 2]
    return prompt


TEMPLATES = {
    "simple": simple, "composable": composable, "batch": batch, "video": video, "keyed pseudonym": keyed_pseudonym,
    "attribute edit": attribute_edit, "privacy check": privacy_check,
}  # fmt: skip


def ports(kind: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """(inputs name -> type in order, outputs (name, type))."""
    if kind in CORE:
        return CORE[kind][0], list(CORE[kind][1].items())
    info = INFO[kind]
    inputs = {n: v[0] for group in ("required", "optional") for n, v in info["input"].get(group, {}).items()}
    return inputs, list(zip(info["output_name"], info["output"], strict=True))


def depth(prompt: Prompt, name: str) -> int:
    """Longest way from a node without links; texts stand beside the pictures of what they tell about."""
    before = max((depth(prompt, v[0]) for v in prompt[name]["inputs"].values() if isinstance(v, list)), default=0)
    return before + (2 if prompt[name]["class_type"] == "PreviewAny" else 1)


def height(kind: str) -> int:
    """Pixels of a node below its title, before a run, with all its widgets shown."""
    inputs, outputs = ports(kind)
    values = node(kind)["inputs"]
    long = [name for name, (_, more) in INFO.get(kind, {"input": {"required": {}}})["input"]["required"].items()
            if more.get("multiline")]  # fmt: skip
    widgets = sum(name in values or kind in CORE for name, type_ in inputs.items() if type_ in WIDGETS)
    slots = max(sum(type_ not in WIDGETS for type_ in inputs.values()), len(outputs))
    return BORDER + SLOT * slots + WIDGET * (widgets + ("seed" in values)) + LONG_TEXT * len(long) + PANELS.get(kind, 0)


def as_workflow(prompt: Prompt) -> dict[str, Any]:
    """A prompt as the page of ComfyUI stores graphs."""
    nodes: dict[str, dict[str, Any]] = {}
    links: list[list[Any]] = []
    free: dict[int, int] = {}  # column -> where its next node begins
    for name, part in prompt.items():
        inputs, outputs = ports(part["class_type"])
        column, values, slots = depth(prompt, name), [], []
        defaults = node(part["class_type"])["inputs"]
        for port, kind in inputs.items():
            slot: dict[str, Any] = {"name": port, "type": kind, "link": None}
            linked = isinstance(part["inputs"].get(port), list)
            if kind in WIDGETS and port in part["inputs"]:
                values += [defaults[port] if linked else part["inputs"][port]] + (["fixed"] if port == "seed" else [])
                slot["widget"] = {"name": port}
            if kind not in WIDGETS or linked:
                slots.append(slot)
        high, top = height(part["class_type"]), free.get(column, 60)
        nodes[name] = {
            "id": int(name), "type": part["class_type"], "pos": [(WIDE + GAP) * column - 340, top],
            "size": [WIDE, high], "flags": {}, "order": column, "mode": 0,
            "inputs": slots,
            "outputs": [{"name": n, "type": t, "links": [], "slot_index": i} for i, (n, t) in enumerate(outputs)],
            "properties": {"Node name for S&R": part["class_type"]},
            "widgets_values": values + CORE.get(part["class_type"], ({}, {}, []))[2],
        }  # fmt: skip
        free[column] = top + high + GROWTH.get(part["class_type"], 0) + TITLE + GAP
    for name, part in prompt.items():
        for slot, port in enumerate(nodes[name]["inputs"]):
            source = part["inputs"].get(port["name"])
            if isinstance(source, list):
                output = nodes[source[0]]["outputs"][source[1]]
                links.append([len(links) + 1, int(source[0]), source[1], int(name), slot, output["type"]])
                port["link"] = len(links)
                output["links"].append(len(links))
    last = {"last_node_id": max(map(int, prompt)), "last_link_id": len(links)}
    return last | {"nodes": list(nodes.values()), "links": links, "groups": [], "config": {}, "extra": {}, "version": 0.4}


def queue(prompt: Prompt, host: str, client: str = "build") -> str:
    """Put a prompt into a server's queue; its number. client: whose websocket gets events. Raises HTTPError."""
    body = json.dumps({"prompt": prompt, "client_id": client}).encode()
    request = urllib.request.Request(f"{host}/prompt", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["prompt_id"]


def finished(number: str, host: str, wait: float = 0.1) -> dict[str, Any]:
    """The entry of the history, when there is one. wait: seconds between questions."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with urllib.request.urlopen(f"{host}/history/{number}") as answer:
            history = json.load(answer)
        if number in history:
            return history[number]
        time.sleep(wait)
    raise RuntimeError("the server did not finish")


def run(prompt: Prompt, host: str, client: str = "build", wait: float = 0.1) -> dict[str, Any]:
    """Execute on a server and return its entry of the history. Raises RuntimeError."""
    entry = finished(queue(prompt, host, client), host, wait)
    if entry["status"]["status_str"] != "success":
        raise RuntimeError(json.dumps(entry["status"]))
    return entry


def pictured(prompt: Prompt) -> Prompt:
    """The prompt with pictures saved from where a video is."""
    videos = {name: part for name, part in prompt.items() if part["class_type"] == "ID2FaceSaveVideo"}
    stills = {f"{name}0": node("ID2FaceSaveImage", images=part["inputs"]["images"]) for name, part in videos.items()}
    return {name: part for name, part in prompt.items() if name not in videos} | stills


def thumbnail(entry: dict[str, Any], host: str) -> bytes:
    """JPEG of the first saved picture: an anonymized one."""
    from PIL import Image

    file = next(i for out in entry["outputs"].values() for i in out.get("images", []) if i["type"] == "output")
    with urllib.request.urlopen(f"{host}/view?{urllib.parse.urlencode(file)}") as answer:
        picture = Image.open(io.BytesIO(answer.read())).convert("RGB")
    picture.thumbnail((400, 400))
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=85)
    return target.getvalue()


def main(host: str | None) -> None:
    for name, make in TEMPLATES.items():
        (HERE / f"{name}.json").write_text(json.dumps(as_workflow(make()), indent=1) + "\n", encoding="utf-8")
        if host:
            (HERE / f"{name}.jpg").write_bytes(thumbnail(run(pictured(make()), host), host))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
