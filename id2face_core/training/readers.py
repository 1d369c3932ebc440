"""What recomposition losses read identity and attributes with: the surrogate, or pictures that the decoder renders."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Generator, Tensor

from ..components import WINDOW
from ..diffusion.style_space import expand
from ..diffusion.surrogate import StyleSurrogate
from ..generator.window import Window
from .picture_reader import Measured, PictureReader

log = logging.getLogger(__name__)
PATIENCE = 8  # batches of one size before it is compiled for, which takes seconds
GROSS = 4.0  # standard deviations; a mesh that has slipped says nothing beyond


class Reader(Protocol):
    """Style codes [B, G, D] -> unit identity [B, E], standardised attributes [B, A]; differentiable in the codes."""

    def __call__(self, codes: Tensor) -> tuple[Tensor, Tensor]: ...


class Renderer(Protocol):
    """The part of a `FaceGenerator` that is needed here."""

    def synthesize(self, w: Tensor, window: Window | None = None, full_size: bool = True) -> Tensor: ...


class CompiledRenderer:
    """A generator that is compiled for the size of batches that is asked for again and again, with gradients.

    On an H200 1.7 times as fast there and back as it is by itself (bfloat16, 64 faces, 6 s to compile). Where it cannot be
    compiled, and for all other batches, it is the generator itself.
    """

    def __init__(self, generator: Renderer) -> None:
        self._generator = generator
        self._fast: Callable[..., Tensor] | None = None
        self._size, self._times = 0, 0

    def synthesize(self, w: Tensor, window: Window | None = None, full_size: bool = True) -> Tensor:
        if not (torch.is_grad_enabled() and w.requires_grad):
            return self._generator.synthesize(w, window, full_size)
        self._times = self._times + 1 if len(w) == self._size else 1
        self._size = len(w)
        if self._times == PATIENCE:
            self._fast = self._compiled(w, window, full_size)
        run = self._generator.synthesize if self._fast is None or self._times < PATIENCE else self._fast
        return run(w, window, full_size)

    def _compiled(self, w: Tensor, window: Window | None, full_size: bool) -> Callable[..., Tensor] | None:
        """Tried there and back, since both ways are compiled at their first use. None: it cannot be."""
        try:
            fast: Callable[..., Tensor] = torch.compile(self._generator.synthesize, dynamic=False)
            tried = w.detach().requires_grad_()
            torch.autograd.grad(fast(tried, window, full_size).sum(), tried)
        except Exception as error:  # a missing compiler has many names
            log.warning("the generator is not compiled (%s): training is slower", type(error).__name__)
            return None
        return fast


class DecoderReader:
    """Renders the first `rows` codes and reads everything off the pictures; the surrogate reads the other rows.

    Args:
        rows: None renders all.
        seed: the teacher sees each picture a little shifted, half of them mirrored, so that nothing hangs on one alignment; None
            measures as inference does.
    """

    def __init__(
        self, generator: Renderer, reader: PictureReader, surrogate: StyleSurrogate, rows: int | None = None,
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


def render(generator: Renderer, codes: Tensor) -> Tensor:
    """Style codes [B, G, D] -> the window around the face, [B, 3, H, W] in 0..1, with gradients."""
    return ((generator.synthesize(expand(codes), WINDOW, False) + 1) / 2).clamp(0, 1)
