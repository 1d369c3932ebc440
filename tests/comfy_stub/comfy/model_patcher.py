"""The patcher's constructor, and the attribute that the real one writes on a model."""

from __future__ import annotations

import torch


class ModelPatcher:
    def __init__(self, model: torch.nn.Module, load_device: torch.device, offload_device: torch.device, size: int = 0):
        self.model, self.load_device, self.offload_device, self.size = model, load_device, offload_device, size
        model.device = load_device


CoreModelPatcher = ModelPatcher
