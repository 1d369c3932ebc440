"""`id2face share`: a workflow that can be given away."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..assets.hashing import write_atomically
from ..errors import ConfigError
from ..sharing import grouped, share_workflow
from .main import OK, USAGE, WITHHELD, complain

MAX_BYTES = 64 * 2**20


def run(args: argparse.Namespace) -> int:
    """Write the sanitised workflow and say what was removed."""
    if args.output.exists() and args.output.samefile(args.workflow):
        return complain(f"--output {args.output} is the input; give another name", USAGE)
    shared = share_workflow(read_document(args.workflow), keep_seed=args.keep_seed)
    text = json.dumps(shared.workflow, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(args.output, text.encode())
    for line in shared.removed if args.details else grouped(shared.removed):
        print(f"removed: {line}")
    if not shared.removed:
        print("removed: nothing")
    for node, kind, name in shared.choose:
        print(f"whoever gets it has to choose: node {node} ({kind}), {name}")
    for kind in shared.unknown:
        complain(f"warning: {kind} is not known; its settings were removed and the name of the node stays", WITHHELD)
    return WITHHELD if shared.unknown else OK


def read_document(path: Path) -> Any:
    """The workflow of a JSON file, or the one that ComfyUI embedded in a picture. Raises ConfigError, PictureError, OSError."""
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"{path} has {path.stat().st_size / 2**20:.0f} MiB; no workflow is that large")
    data = path.read_bytes()
    if data[:4] in (b"\x89PNG", b"RIFF"):
        from ..sharing.pictures import embedded_workflow

        document = embedded_workflow(data)
        if document is None:
            raise ConfigError(f"{path} has no workflow in it")
        return document
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not JSON ({type(error).__name__}); give a workflow or a picture with one") from None

