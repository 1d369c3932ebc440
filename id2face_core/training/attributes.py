"""Stage `attributes`: the small networks that read expression, age, sex and glasses."""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..attributes.geometry import normalised_points
from ..attributes.networks import BlendshapeNetwork, PersonNetwork


def canonical_mesh(points: np.ndarray) -> np.ndarray:
    """Mean of near-frontal meshes without place and size. points: [N, 468, 3] -> [468, 3]."""
    centred = points - points.mean(axis=1, keepdims=True)
    centred = centred / np.sqrt(np.square(centred).sum(axis=2).mean(axis=1))[:, None, None]
    nose, sides = centred[:, 1, 0], (centred[:, 234, 0] + centred[:, 454, 0]) / 2
    return centred[np.abs(nose - sides) < 0.1].mean(axis=0)


def train_blendshapes(
    points: np.ndarray, irises: np.ndarray, targets: np.ndarray, seconds: float, seed: int = 0
) -> tuple[BlendshapeNetwork, float]:
    """Distil the 52 blendshapes from meshes. points [N, 468, 3], irises [N, 2, 5, 2], targets [N, 52].

    Returns:
        The network and the held-out R² (every 20th row), over all outputs that vary.
    """
    x, y = torch.from_numpy(normalised_points(points, irises)), torch.from_numpy(targets).float()
    out = torch.arange(len(x)) % 20 == 0
    torch.manual_seed(seed)
    model = BlendshapeNetwork(x.shape[1], y.shape[1])
    model.canonical.copy_(torch.from_numpy(canonical_mesh(points)))
    model.centre.copy_(x.mean(dim=0))
    model.spread.copy_(x.std(dim=0).clamp_min(1e-3))
    _fit_linear(model, x[~out], y[~out])
    generator = Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-4)
    train = torch.nonzero(~out).flatten()
    scale = y.std(dim=0).clamp_min(0.02)  # rare shapes count as much as common ones
    start = time.monotonic()
    while (progress := (time.monotonic() - start) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = 1e-3 * (1 - progress) + 1e-5
        for _ in range(20):
            i = train[torch.randint(len(train), (512,), generator=generator)]
            noisy = x[i] + 0.01 * model.spread * torch.randn(x[i].shape, generator=generator)
            loss = F.mse_loss(model.raw(noisy) / scale, y[i] / scale)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    model.eval().requires_grad_(False)
    varying = y.std(dim=0) > 0.02
    error = (model(x[out]) - y[out])[:, varying].square().mean(dim=0)
    return model, float((1 - error / y[out][:, varying].var(dim=0)).mean())


@torch.no_grad()
def _fit_linear(model: BlendshapeNetwork, x: Tensor, y: Tensor, ridge: float = 100.0) -> None:
    """Ridge regression as the start of the linear part."""
    z = ((x - model.centre) / model.spread).double()
    mean = y.double().mean(dim=0)
    weight = torch.linalg.solve(z.T @ z + ridge * torch.eye(z.shape[1], dtype=z.dtype), z.T @ (y.double() - mean))
    model.linear.weight.copy_(weight.T)
    model.linear.bias.copy_(mean)


def degrade(crops: Tensor, generator: Generator, mirror: bool = True) -> Tensor:
    """Flip, shift, lower the resolution, change light and colour, add noise: photographs are worse than renderings.

    crops: [B, 3, S, S] in 0..1; one draw of shift and blur a batch, of the rest a picture.
    """
    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    n, size = len(crops), crops.shape[-1]
    flip = (draw(n, 1, 1, 1) < 0.5) & mirror
    x = torch.where(flip, crops.flip(3), crops)
    shift = [int(v) for v in (draw(2) * 11 - 5)]
    x = torch.roll(x, shift, dims=(2, 3))
    if float(draw(1)) < 0.6:
        small = int(size * (0.25 + 0.6 * float(draw(1))))
        x = F.interpolate(F.interpolate(x, small, mode="area"), size, mode="bilinear", align_corners=False)
    x = x * (0.7 + 0.6 * draw(n, 1, 1, 1)) * (0.9 + 0.2 * draw(n, 3, 1, 1)) + 0.15 * (draw(n, 1, 1, 1) - 0.5)
    return (x + 0.05 * draw(n, 1, 1, 1) * torch.randn(x.shape, generator=generator)).clamp(0, 1)


def train_person(
    crops: np.ndarray, labels: np.ndarray, weights: np.ndarray, seconds: float, batch: int = 64, seed: int = 0,
    start_from: PersonNetwork | None = None,
) -> PersonNetwork:  # fmt: skip
    """Train age, sex and glasses.

    Args:
        crops: uint8 [N, 112, 112, 3] aligned; labels: float [N, 3], NaN where unknown.
        weights: [N] sampling weights.
    """
    torch.manual_seed(seed)
    model = (start_from or PersonNetwork()).requires_grad_(True).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures, targets = torch.from_numpy(crops), torch.from_numpy(labels).float()
    chances = torch.from_numpy(weights).double()
    generator = Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    start = time.monotonic()
    while (progress := (time.monotonic() - start) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = 2e-3 * min(1.0, 20 * progress + 0.05) * (1 - progress) + 1e-5
        i = torch.multinomial(chances, batch, replacement=True, generator=generator)
        x = degrade(pictures[i].permute(0, 3, 1, 2).float() / 255, generator).contiguous(memory_format=torch.channels_last)
        y, out = targets[i], model.logits(x)
        known = ~y.isnan()
        y = y.nan_to_num()
        age = F.smooth_l1_loss(out[:, 0], (y[:, 0] - 40) / 20, reduction="none", beta=0.3) * known[:, 0]
        rest = F.binary_cross_entropy_with_logits(out[:, 1:], y[:, 1:], reduction="none") * known[:, 1:]
        loss = (2 * age + rest.sum(dim=1)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval().requires_grad_(False)
