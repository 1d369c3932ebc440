"""Small networks of attackers. They start from a generator that is handed in, never from the global state."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import skip_init

Pulse = Callable[[], None]  # called at every step of training; what it raises ends the attack


def no_pulse() -> None:
    """For whoever has nothing to say during training."""


def linear(inputs: int, outputs: int, scale: float, generator: Generator) -> nn.Linear:
    """A layer with normal weights of deviation scale / sqrt(inputs)."""
    layer: nn.Linear = skip_init(nn.Linear, inputs, outputs)
    _start(layer, scale, inputs, generator)
    return layer


def convolution(inputs: int, outputs: int, side: int, generator: Generator, stride: int = 1, scale: float = 1.4) -> nn.Conv2d:
    """A convolution with normal weights of deviation scale / sqrt(inputs of a pixel)."""
    layer: nn.Conv2d = skip_init(nn.Conv2d, inputs, outputs, side, stride=stride, padding=side // 2)
    _start(layer, scale, inputs * side * side, generator)
    return layer


def perceptron(inputs: int, hidden: int, outputs: int, generator: Generator) -> nn.Sequential:
    """One hidden layer; its outputs start near zero."""
    return nn.Sequential(linear(inputs, hidden, 1.4, generator), nn.ReLU(), linear(hidden, outputs, 0.1, generator))


@torch.no_grad()
def _start(layer: nn.Linear | nn.Conv2d, scale: float, fan_in: int, generator: Generator) -> None:
    layer.weight.copy_(scale * torch.randn(layer.weight.shape, generator=generator) / fan_in**0.5)
    if layer.bias is not None:
        layer.bias.zero_()


class UNet(nn.Module):
    """Picture to picture at 80 px (Ronneberger et al., arXiv 1505.04597), added to a linear map of the colours."""

    def __init__(self, width: int, generator: Generator) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.colours = convolution(3, 3, 1, generator)
        self.enter = convolution(3, width, 3, generator)
        self.down = nn.ModuleList(convolution(a, b, 3, generator, stride=2) for a, b in zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList(
            convolution(a + b, a, 3, generator) for a, b in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.leave = convolution(width, 3, 3, generator, scale=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, 80, 80] in -1..1 -> the same."""
        levels = [torch.relu(self.enter(x))]
        for layer in self.down:
            levels.append(torch.relu(layer(levels[-1])))
        h = levels.pop()
        for layer in self.up:
            h = torch.relu(layer(torch.cat([nn.functional.interpolate(h, scale_factor=2), levels.pop()], dim=1)))
        return self.colours(x) + self.leave(h)
