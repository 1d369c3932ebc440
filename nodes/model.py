"""The model core that all nodes of all graphs share, under ComfyUI's memory management.

Loaded at first use, once for each detector and device, and kept until `release`: what passes between nodes is only the
choice, so that no cached output keeps weights in memory. The networks that run on the compute device are behind a patcher:
ComfyUI moves them out when another model needs the room, and back before they are used.
"""

from __future__ import annotations

import gc
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import comfy.model_management
import comfy.model_patcher
import torch

from .folders import onnx_path, scrfd_files, third_party_folder
from .session import core_ready

if TYPE_CHECKING:
    from id2face_core.components import Components

CENTERFACE = "centerface"
DEVICES = ("automatic", "cpu")
ACTIVATIONS = 600 * 2**20  # bytes that rendering one face takes at most beside the weights
log = logging.getLogger("id2face")
_lock = threading.Lock()


@dataclass(frozen=True)
class Loaded:
    """Networks in the hands of ComfyUI's memory management."""

    parts: Components = field(repr=False)
    patcher: comfy.model_patcher.ModelPatcher = field(repr=False)


_loaded: dict[tuple[str, str], Loaded] = {}


@dataclass(frozen=True)
class SharedModel:
    """Which networks: what Load ID²Face Model puts out. They are loaded at the first `ready()`."""

    detector: str = CENTERFACE
    device: str = DEVICES[0]

    def ready(self) -> Components:
        """The components, with the weights on the compute device. To be asked for before every batch of work.

        Raises:
            AssetMissingError, AssetCorruptError: with the file and where it goes. Id2FaceError: a package is missing.
        """
        place = torch.device("cpu") if self.device == "cpu" else comfy.model_management.get_torch_device()
        with _lock:
            entry = (self.detector, str(place))
            if entry not in _loaded:
                _loaded[entry] = _load(self.detector, place)
            loaded = _loaded[entry]
        comfy.model_management.load_models_gpu([loaded.patcher], memory_required=ACTIVATIONS)
        return loaded.parts


def detectors() -> list[str]:
    """Choices of the loader."""
    return [CENTERFACE, *scrfd_files()]


def model_or_default(model: SharedModel | None) -> SharedModel:
    """What is connected, or the default model."""
    return SharedModel() if model is None else model


def release() -> None:
    """Free all loaded networks, on the compute device and in RAM. The next node that needs them loads them again."""
    with _lock:
        _loaded.clear()
    gc.collect()  # ComfyUI holds weak references only and forgets the patchers with them
    comfy.model_management.soft_empty_cache()


def _load(detector: str, place: torch.device) -> Loaded:
    with core_ready():
        from id2face_core.components import Components
        from id2face_core.devices import available

        if place.type not in available():
            log.warning("ID2Face cannot use %s; it runs on the CPU", place)
            place = torch.device("cpu")
        names = (CENTERFACE,) if detector == CENTERFACE else (CENTERFACE, str(onnx_path(detector)))
        parts = Components.load(third_party_folder(), str(place), names)
    return Loaded(parts, _patcher(parts, place))


def _patcher(parts: Components, place: torch.device) -> comfy.model_patcher.ModelPatcher:
    """For the networks that run on the compute device, as one; the others are small and stay on the CPU.

    They go into a plain container because the patcher writes an attribute `device`, which diffusers' models do not allow.
    """
    rest = comfy.model_management.unet_offload_device() if place.type != "cpu" else place
    networks = torch.nn.ModuleList([n for n in (parts.generator, parts.encoder) if isinstance(n, torch.nn.Module)]).to(rest)
    # looked up now and not at import: ComfyUI exchanges this class when it starts on an NVIDIA card
    patcher = comfy.model_patcher.CoreModelPatcher
    size = comfy.model_management.module_size(networks)
    return patcher(networks, load_device=place, offload_device=rest, size=size)
