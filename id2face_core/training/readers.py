"""What recomposition losses read identity and attributes with: the surrogate, or the real decoder and recogniser."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..attributes.networks import PersonNetwork
from ..attributes.vector import group_slice
from ..components import NOMINAL_POINTS, WINDOW
from ..diffusion.style_space import expand
from ..diffusion.surrogate import StyleSurrogate
from ..faces.alignment import arcface_matrix, invert
from ..generator.protocol import FaceGenerator
from ..identity.encoder import IdentityEncoder

CROP = 112


class Reader(Protocol):
    """Style codes [B, G, D] -> unit identity [B, E], standardised attributes [B, A]; differentiable in the codes."""

    def __call__(self, codes: Tensor) -> tuple[Tensor, Tensor]: ...


class DecoderReader:
    """Renders the first `rows` codes and reads identity, age, sex and glasses off the picture.

    The crop is the one of an average generated face: meshes are not differentiable, and these faces are aligned. Everything else,
    and the other rows, is the surrogate's reading.
    """

    def __init__(
        self, generator: FaceGenerator, encoder: IdentityEncoder, person: PersonNetwork, surrogate: StyleSurrogate, rows: int
    ) -> None:
        self._generator, self._encoder, self._person = generator, encoder, person
        self._surrogate, self._rows = surrogate, rows
        self._grid = _crop_grid()

    def __call__(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        identity, attributes = self._surrogate(codes)
        crops = self.crops(codes[: self._rows])
        person = slice(group_slice("person").start, group_slice("person").start + 3)
        read, s = self._person(crops).float(), self._surrogate
        standard = ((read - s.attribute_mean[person]) / s.attribute_std[person]).clamp(-4, 4)
        seen = attributes[: self._rows].clone()
        seen[:, person] = standard
        identity = torch.cat((self._encoder(crops).float(), identity[self._rows :].float()))
        return identity, torch.cat((seen, attributes[self._rows :]))

    def crops(self, codes: Tensor) -> Tensor:
        """Style codes [B, G, D] -> aligned crops [B, 3, 112, 112] in 0..1."""
        image = (self._generator.synthesize(expand(codes.float()), WINDOW, False).float() + 1) / 2
        height, width = image.shape[2:]
        scale = torch.tensor([2 / width, 2 / height], device=image.device)
        grid = (self._grid.to(image.device) + 0.5) * scale - 1  # pixel centres -> -1..1 from edge to edge
        small = F.grid_sample(image, grid.expand(len(image), -1, -1, -1), padding_mode="reflection", align_corners=False)
        return F.avg_pool2d(small, 2).clamp(0, 1)


def _crop_grid() -> Tensor:
    """Places (x, y) in the rendered window of the pixels of a 224 px crop, [1, 224, 224, 2]; it is then halved."""
    from ..components import WINDOW_ORIGIN

    back = invert(arcface_matrix(NOMINAL_POINTS - WINDOW_ORIGIN, 2 * CROP))
    y, x = np.mgrid[: 2 * CROP, : 2 * CROP]
    places = np.stack((x, y), axis=-1) @ back[:, :2].T + back[:, 2]
    return torch.from_numpy(places.astype(np.float32))[None]
