"""Record `object_info.json` from a running ComfyUI: python tests/comfy_stub/record.py http://127.0.0.1:8188"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

KEYS = ("input", "input_order", "output", "output_name", "output_tooltips", "name", "display_name", "description", "category",
        "output_node", "search_aliases")  # fmt: skip


def main(host: str) -> None:
    def get(path: str) -> dict:
        with urllib.request.urlopen(host + path) as answer:
            return json.load(answer)

    version = get("/system_stats")["system"]["comfyui_version"]
    nodes = {n: {k: v[k] for k in KEYS} for n, v in sorted(get("/object_info").items()) if n.startswith("ID2Face")}
    text = json.dumps({"comfyui": version, "nodes": nodes}, indent=1, ensure_ascii=False) + "\n"
    (Path(__file__).parent / "object_info.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
