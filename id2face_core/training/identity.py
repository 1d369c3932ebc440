"""Stage `identity`, first half: the student is distilled from the system recogniser's embeddings."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Generator

from ..identity.encoder import IdentityEncoder
from .attributes import degrade


def distill(
    crops: np.ndarray, targets: np.ndarray, weights: np.ndarray, seconds: float, batch: int = 64, seed: int = 0,
    start_from: IdentityEncoder | None = None, maps: np.ndarray | None = None,
) -> IdentityEncoder:  # fmt: skip
    """Train the student with 1 - cos and a relational loss (arXiv 1904.05068, between the rows of a batch).

    Args:
        crops: uint8 [N, 112, 112, 3] aligned; targets: unit embeddings [N, E] of the clean crops; weights: [N] for sampling.
        maps: [N, 7, 7, C] last feature maps of the teacher, a second target (FitNets, arXiv 1412.6550). Crops are not mirrored
            then: the maps are of one side. None trains without.
    """
    torch.manual_seed(seed)
    model = (start_from or IdentityEncoder(targets.shape[1])).requires_grad_(True).train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pictures, wanted, chances = torch.from_numpy(crops), torch.from_numpy(targets).float(), torch.from_numpy(weights).double()
    generator = Generator().manual_seed(seed)
    hint = None if maps is None else torch.nn.LazyConv2d(maps.shape[-1], 1)
    if hint is not None:
        hint(model.features(torch.zeros(1, 3, 112, 112)))
    parameters = [*model.parameters(), *(() if hint is None else hint.parameters())]
    optimiser = torch.optim.AdamW(parameters, lr=2e-3, weight_decay=0.02)
    start = time.monotonic()
    while (progress := (time.monotonic() - start) / seconds) < 1:
        optimiser.param_groups[0]["lr"] = 2e-3 * min(1.0, 30 * progress + 0.05) * (1 - progress) + 1e-5
        i = torch.multinomial(chances, batch, replacement=True, generator=generator)
        x = degrade(pictures[i].permute(0, 3, 1, 2).float() / 255, generator, mirror=maps is None)
        features = model.features(x.contiguous(memory_format=torch.channels_last))
        out, y = model.head(features), wanted[i]
        relation = (out @ out.T - y @ y.T).square().mean()
        loss = (1 - (out * y).sum(dim=1)).mean() + relation
        if hint is not None and maps is not None:
            target = torch.from_numpy(maps[i.numpy()]).float().permute(0, 3, 1, 2)
            loss = loss + 0.25 * ((hint(features) - target) / target.std().clamp_min(1e-3)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval().requires_grad_(False)
