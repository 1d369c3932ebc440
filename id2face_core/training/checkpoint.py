"""States of training as safetensors of at most 16 MiB a file and one JSON: no pickle, nothing half written.

A tensor larger than a file is cut into pieces. The JSON is written last, into a new folder that then takes the old one's
place, so that whatever a killed run leaves behind is a whole state.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..errors import AssetCorruptError, AssetMissingError

MAX_BYTES = 16 * 2**20
_HEADER = 2**16  # room for safetensors' own header
INDEX = "state.json"
SCHEMA = "id2face-state/1"


def save_state(folder: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any], max_bytes: int = MAX_BYTES) -> None:
    """Replace the state in `folder` by these tensors (any dtype, any device) and plain values."""
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    index: dict[str, Any] = {"schema": SCHEMA, "meta": dict(meta), "shapes": {}, "files": []}
    for number, shard in enumerate(_shards(tensors, max_bytes - _HEADER)):
        name = f"state-{number:04d}.safetensors"
        save_file(shard, new / name)
        index["files"].append(name)
    index["shapes"] = {name: list(tensor.shape) for name, tensor in tensors.items()}
    (new / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors on the CPU, plain values). Raises AssetMissingError, AssetCorruptError."""
    _recover(folder)
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        pieces: dict[str, Tensor] = {}
        for name in index["files"]:
            pieces |= load_file(folder / name)
        tensors = {name: _joined(pieces, name, shape) for name, shape in index["shapes"].items()}
        return tensors, index["meta"]
    except FileNotFoundError as error:
        raise AssetMissingError(f"no state of training in {folder}; run without --resume") from error
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise AssetCorruptError(f"the state in {folder} is damaged; begin again with --restart") from error


def load_meta(folder: Path) -> dict[str, Any]:
    """The plain values of a state. Raises OSError, ValueError, KeyError."""
    meta: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))["meta"]
    return meta


def has_state(folder: Path) -> bool:
    """Whether `load_state` would find one."""
    _recover(folder)
    return (folder / INDEX).is_file()


def _recover(folder: Path) -> None:
    """A run killed between the two renames of `save_state` left the old state beside its place."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and (old / INDEX).is_file():
        old.rename(folder)


def _shards(tensors: Mapping[str, Tensor], limit: int) -> Iterator[dict[str, Tensor]]:
    """Flat pieces, `name` + "#" + number, packed in order into dictionaries of at most `limit` bytes."""
    shard: dict[str, Tensor] = {}
    size = 0
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous().flatten()
        for number, piece in enumerate(flat.split(max(1, limit // flat.element_size()))):
            length = piece.numel() * piece.element_size()
            if shard and size + length > limit:
                yield shard
                shard, size = {}, 0
            shard[f"{name}#{number}"] = piece.clone()  # safetensors refuses tensors that share memory
            size += length
    if shard:
        yield shard


def _joined(pieces: Mapping[str, Tensor], name: str, shape: list[int]) -> Tensor:
    found = [pieces[f"{name}#0"]]
    while (key := f"{name}#{len(found)}") in pieces:
        found.append(pieces[key])
    return torch.cat(found).reshape(shape)
