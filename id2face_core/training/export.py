"""Trained networks into the package: fp16 safetensors of at most 15 MB a file, with their configuration, and the registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin

from ..assets import update_registry
from ..assets.weights import WEIGHTS
from ..attributes.networks import BlendshapeNetwork, ExpressionNetwork, PersonNetwork, WitnessNetwork
from ..diffusion.closed_form import ConditionalMean
from ..diffusion.denoiser import StyleDenoiser
from ..diffusion.groomer import StyleGroomer
from ..diffusion.refiner import StyleRefiner
from ..diffusion.surrogate import StyleSurrogate
from ..errors import AssetMissingError
from ..identity.encoder import IdentityEncoder
from ..identity.traits import IdentityTraits
from ..identity.vae import IdentityVAE

NETWORKS: dict[str, type[ModelMixin]] = {
    "closed_form": ConditionalMean,
    "denoiser": StyleDenoiser,
    "surrogate": StyleSurrogate,
    "refiner": StyleRefiner,
    "groomer": StyleGroomer,
    "identity_encoder": IdentityEncoder,
    "identity_vae": IdentityVAE,
    "identity_traits": IdentityTraits,
    "attributes/blendshapes": BlendshapeNetwork,
    "attributes/expression": ExpressionNetwork,
    "attributes/person": PersonNetwork,
    "attributes/witness": WitnessNetwork,
}
SHARD = 16 * 2**20 - 2**16  # bytes: a file of the repository stays within 16 MiB, header included
PRIVATE = ("_name_or_path",)  # where a network was loaded from: a path of whoever trained it


def export(runs: Path, weights: Path = WEIGHTS) -> dict[str, dict[str, Any]]:
    """Copy every network of `runs` to `weights` and rewrite the registry. Raises AssetMissingError before any change."""
    missing = [name for name in NETWORKS if not (runs / name / "config.json").is_file()]
    if missing:
        raise AssetMissingError(f"not trained yet: {', '.join(missing)}; run their stages first (id2face train --help)")
    for name, kind in NETWORKS.items():
        model = kind.from_pretrained(runs / name, torch_dtype=torch.float16)
        shutil.rmtree(weights / name, ignore_errors=True)
        model.save_pretrained(weights / name, max_shard_size=SHARD)
        _strip_paths(weights / name / "config.json")
    return update_registry(weights)


def _strip_paths(config: Path) -> None:
    """Take what tells of the training machine out of a configuration: known keys, and any absolute path."""
    values = json.loads(config.read_text(encoding="utf-8"))
    kept = {key: value for key, value in values.items() if key not in PRIVATE and not _is_path(value)}
    config.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _is_path(value: object) -> bool:
    return isinstance(value, str) and (value.startswith(("/", "~", "\\")) or value[1:3] in (":\\", ":/"))
