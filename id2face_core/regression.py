"""Ridge regression."""

from __future__ import annotations

import torch
from torch import Tensor


def ridge(x: Tensor, y: Tensor, strength: float) -> Tensor:
    """Weights [F, T] of centred features x [N, F] for centred targets y [N, T].

    strength: added to the diagonal of the normal equations.
    """
    weights: Tensor = torch.linalg.solve(x.T @ x + strength * torch.eye(x.shape[1]).to(x), x.T @ y)
    return weights
