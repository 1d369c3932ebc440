"""What recomposition losses read identity and attributes with: the surrogate, or pictures that the decoder renders."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Generator, Tensor

from ..components import WINDOW
from ..diffusion.style_space import expand
from ..diffusion.surrogate import StyleSurrogate
from ..generator.protocol import FaceGenerator
from .picture_reader import Measured, PictureReader

GROSS = 4.0  # standard deviations; a mesh that has slipped says nothing beyond


class Reader(Protocol):
    """Style codes [B, G, D] -> unit identity [B, E], standardised attributes [B, A]; differentiable in the codes."""

    def __call__(self, codes: Tensor) -> tuple[Tensor, Tensor]: ...


class DecoderReader:
    """Renders the first `rows` codes and reads everything off the pictures; the surrogate reads the other rows.

    Args:
        rows: None renders all.
        seed: the teacher sees each picture a little shifted, half of them mirrored, so that nothing hangs on one alignment; None
            measures as inference does.
    """

    def __init__(
        self, generator: FaceGenerator, reader: PictureReader, surrogate: StyleSurrogate, rows: int | None = None,
        seed: int | None = 0,
    ) -> None:  # fmt: skip
        self._generator, self._reader, self._surrogate, self._rows = generator, reader, surrogate, rows
        self._rng = None if seed is None else Generator(surrogate.centre.device).manual_seed(seed)

    def look(self, codes: Tensor) -> tuple[Measured, Tensor]:
        """Everything that is measured on renderings of codes [B, G, D], and their standardised attributes [B, A]."""
        with torch.autocast(codes.device.type, enabled=False):  # places in a picture need more than bfloat16's eight bits
            seen = self._reader(render(self._generator, codes.float()), self._rng)
            read = self._reader.attributes(seen)
        s = self._surrogate
        return seen, ((read - s.attribute_mean) / s.attribute_std).clamp(-GROSS, GROSS)

    def __call__(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        rendered = len(codes) if self._rows is None else self._rows
        seen, attributes = self.look(codes[:rendered])
        if rendered >= len(codes):
            return seen.embeddings, attributes
        identity, rest = self._surrogate(codes[rendered:])
        return torch.cat((seen.embeddings, identity.float())), torch.cat((attributes, rest.float()))


def render(generator: FaceGenerator, codes: Tensor) -> Tensor:
    """Style codes [B, G, D] -> the window around the face, [B, 3, H, W] in 0..1, with gradients."""
    return ((generator.synthesize(expand(codes), WINDOW, False) + 1) / 2).clamp(0, 1)
