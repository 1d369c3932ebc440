"""ComfyUI's IMAGE and MASK tensors, and the uint8 arrays of the core."""

from __future__ import annotations

from collections.abc import Iterator

import comfy.model_management
import numpy as np
import torch
from torch import Tensor

from id2face_core.errors import ShapeError


def check_image(image: Tensor, name: str = "image") -> None:
    """Raise ShapeError unless the tensor is IMAGE [B, H, W, C] of one frame or more; C: grey, RGB, or RGB and alpha."""
    shape = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
    if not isinstance(image, Tensor) or image.ndim != 4 or image.shape[3] not in (1, 3, 4):
        raise ShapeError(f"{name} is {shape}; connect an IMAGE [batch, height, width, 3]")
    if 0 in image.shape:
        raise ShapeError(f"{name} is {shape} and holds no pixel; connect an image that is not empty")


def to_array(frame: Tensor) -> np.ndarray:
    """One frame [H, W, C] of 0..1 -> uint8 [H, W, 3]. Alpha is dropped, the frame is not changed."""
    scaled = torch.nan_to_num(frame[..., :3].float()).clamp(0, 1).mul(255).round().expand(-1, -1, 3)
    return np.ascontiguousarray(scaled.to("cpu", torch.uint8).numpy())


def frames(image: Tensor) -> Iterator[np.ndarray]:
    """Frames one after the other: a clip is never held twice."""
    return (to_array(frame) for frame in image)


class Output:
    """The IMAGE and MASK that a node fills frame by frame, in ComfyUI's intermediate device and dtype.

    Pages are touched at once, so that memory is flat while a long batch runs. A frame that nobody writes is black.
    """

    def __init__(self, image: Tensor) -> None:
        self._source = image
        device, dtype = comfy.model_management.intermediate_device(), comfy.model_management.intermediate_dtype()
        self.image = torch.empty((*image.shape[:3], 3), device=device, dtype=dtype).fill_(0)
        self.mask = torch.empty(image.shape[:3], device=device, dtype=dtype).fill_(0)

    def write(self, i: int, picture: np.ndarray | None, mask: np.ndarray) -> None:
        """Frame i: `picture` uint8 [H, W, 3] where `mask` [H, W] is above 0, the source's own values elsewhere.

        None withholds the frame: it stays black.
        """
        weight = torch.from_numpy(np.ascontiguousarray(mask))
        if picture is None:
            self.mask[i].fill_(1)
            return
        new = torch.from_numpy(picture).to(self.image) / 255
        touched = (weight > 0)[..., None].to(self.image.device)
        self.image[i] = torch.where(touched, new, self._source[i, ..., :3].to(self.image))
        self.mask[i] = weight.to(self.mask)


def to_image(pictures: list[np.ndarray]) -> Tensor:
    """Pictures of one size, uint8 [H, W, 3] each -> IMAGE. Raises ShapeError when there is none."""
    if not pictures:
        raise ShapeError("there is no picture")
    stacked = torch.from_numpy(np.stack(pictures))
    device, dtype = comfy.model_management.intermediate_device(), comfy.model_management.intermediate_dtype()
    return stacked.to(device=device, dtype=dtype) / 255
