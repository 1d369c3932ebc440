"""Record what a running ComfyUI publishes: python tests/comfy_stub/record.py http://127.0.0.1:8188

Our nodes go into `object_info.json`, and what the sanitiser of workflows has to know into `id2face_core/sharing/nodes.json`.
The server must have no models and pictures: choices of files of other nodes are recorded as they are there.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

from id2face_core.sharing.rules import TABLE
from id2face_core.sharing.schema import table

KEYS = ("input", "input_order", "output", "output_name", "output_tooltips", "name", "display_name", "description", "category",
        "output_node", "search_aliases")  # fmt: skip
FILE_CHOICES = ("key_file", "file", "detector", "recogniser")  # beyond words, their choices are the files of whoever records


def main(host: str) -> None:
    def get(path: str) -> dict:
        with urllib.request.urlopen(host + path) as answer:
            return json.load(answer)

    version, info = get("/system_stats")["system"]["comfyui_version"], get("/object_info")
    nodes = {n: {k: v[k] for k in KEYS} for n, v in sorted(info.items()) if n.startswith("ID2Face")}
    for group in (group for ours in nodes.values() for group in ours["input"].values()):
        for name in group.keys() & set(FILE_CHOICES):
            group[name][1]["options"] = [choice for choice in group[name][1]["options"] if "." not in choice]
    TABLE.write_text(json.dumps(table(info), separators=(",", ":"), ensure_ascii=False) + "\n", encoding="utf-8")
    text = json.dumps({"comfyui": version, "nodes": nodes}, indent=1, ensure_ascii=False) + "\n"
    (Path(__file__).parent / "object_info.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
