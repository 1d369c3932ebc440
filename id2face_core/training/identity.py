"""Stage `identity`, first half: the student encoder is distilled from a recogniser's embeddings and feature maps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ..identity.encoder import IdentityEncoder
from .attributes import degrade
from .config import IdentityConfig, LoopConfig, Optimisation
from .loop import Loop, seeded


class Student(nn.Module):
    """The encoder and, where the teacher shows its maps, a 1x1 convolution that compares ours with them (FitNets, 1412.6550)."""

    def __init__(self, encoder: IdentityEncoder, map_channels: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.hint = nn.Conv2d(encoder.out.in_features // 49, map_channels, 1) if map_channels else None

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor | None]:
        """Crops [B, 3, 112, 112] -> embedding [B, E], guess of the teacher's map [B, C, 7, 7] or None."""
        features = self.encoder.features(crops)
        return self.encoder.head(features), None if self.hint is None else self.hint(features)


class EncoderTask:
    """1 - cos, relations between the rows of a batch (arXiv 1904.05068), and the teacher's maps.

    Args:
        crops: uint8 [N, 112, 112, 3] aligned; targets: unit embeddings [N, E] of the clean crops; weights: [N], for drawing.
        maps: [N, 7, 7, C] feature maps of the teacher, or None. Crops are not mirrored then: the maps are of one side.
    """

    name = "encoder"

    def __init__(
        self, encoder: IdentityEncoder, crops: np.ndarray, targets: np.ndarray, weights: np.ndarray,
        maps: np.ndarray | None = None, config: IdentityConfig | None = None, device: torch.device | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.config = config or IdentityConfig()
        if not self.config.map_hint:
            maps = None
        with seeded(seed):
            self.model = Student(encoder, 0 if maps is None else maps.shape[-1])
        self._crops, self._targets = torch.from_numpy(crops).to(device), torch.from_numpy(targets).float().to(device)
        self._chances = torch.from_numpy(weights).double().to(device)
        self._maps = None if maps is None else torch.from_numpy(maps)  # large: stays where it is
        self._unit = 1.0 if maps is None else max(1e-3, float(np.std(maps[:2048].astype(np.float32))))

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        i = torch.multinomial(self._chances, batch, replacement=True, generator=rng)
        x = degrade(self._crops[i].permute(0, 3, 1, 2).float() / 255, rng, mirror=self._maps is None)
        out, guess = self.model(x)
        out, y = out.float(), self._targets[i]
        terms = {"cosine": (1 - (out * y).sum(dim=1)).mean()}
        if self.config.relation:
            terms["relation"] = self.config.relation * (out @ out.T - y @ y.T).square().mean()
        if self._maps is not None and guess is not None:
            wanted = self._maps[i.to(self._maps.device)].to(out.device).float().permute(0, 3, 1, 2)
            terms["maps"] = self.config.map_hint * ((guess.float() - wanted) / self._unit).square().mean()
        return terms


def distill(
    crops: np.ndarray, targets: np.ndarray, weights: np.ndarray, seconds: float, batch: int = 64, seed: int = 0,
    start_from: IdentityEncoder | None = None, maps: np.ndarray | None = None,
) -> IdentityEncoder:  # fmt: skip
    """`EncoderTask` for a time, for scripts: nothing is written."""
    with seeded(seed):
        encoder = start_from or IdentityEncoder(targets.shape[1])
    task = EncoderTask(encoder, crops, targets, weights, maps, seed=seed)
    Loop(task, Optimisation(1.0, batch, 2e-3, 0.02), LoopConfig(warmup_steps=50), seed=seed).run(seconds)
    return encoder


@torch.no_grad()
def agreement(encoder: IdentityEncoder, crops: np.ndarray, targets: np.ndarray) -> float:
    """Mean cosine of the encoder with unit embeddings [N, E] on crops uint8 [N, 112, 112, 3]."""
    total = 0.0
    for i in range(0, len(crops), 256):
        out = encoder(torch.from_numpy(crops[i : i + 256].copy()).permute(0, 3, 1, 2).float() / 255)
        total += float((out * torch.from_numpy(targets[i : i + 256]).float()).sum())
    return total / max(1, len(crops))
