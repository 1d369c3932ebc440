"""Devices, memory and interrupts, on the CPU."""

from __future__ import annotations

import weakref

import torch

loaded: list[weakref.ref] = []  # weak, as the real one's
interrupt_processing = False


class InterruptProcessingException(BaseException):
    pass


def interrupt_current_processing(value: bool = True) -> None:
    global interrupt_processing
    interrupt_processing = value


def throw_exception_if_processing_interrupted() -> None:
    global interrupt_processing
    if interrupt_processing:
        interrupt_processing = False
        raise InterruptProcessingException()


def get_torch_device() -> torch.device:
    return torch.device("cpu")


unet_offload_device = intermediate_device = get_torch_device


def intermediate_dtype() -> torch.dtype:
    return torch.float32


def module_size(module: torch.nn.Module) -> int:
    return sum(t.nbytes for t in module.state_dict().values())


def load_models_gpu(models: list, memory_required: int = 0) -> None:
    loaded.extend(weakref.ref(model) for model in models)


def soft_empty_cache() -> None: ...
