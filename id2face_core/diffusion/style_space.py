"""Style codes by groups of layers: coarse (4-16 px), middle (32-64 px), fine (128-1024 px)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import ShapeError

GROUPS = (7, 6, 10)  # style inputs of the stem and two blocks, of two blocks, of the rest with the picture layer
GROUP_NAMES = ("coarse", "middle", "fine")
REACH = 1.4  # of the radius of a table's codes; farther out, where a twentieth of random faces are, the generator draws odd ones
GUIDED = (1.0, 0.4, 0.0)  # share of a guidance that each gets: coarse layers say who it is, fine ones would only become harsher


def expand(codes: Tensor, groups: tuple[int, ...] = GROUPS) -> Tensor:
    """One w a group [B, G, 512] -> one w a style input [B, sum(groups), 512]."""
    if codes.ndim != 3 or codes.shape[1] != len(groups):
        raise ShapeError(f"style groups have shape {tuple(codes.shape)}; expected [B, {len(groups)}, 512]")
    return codes.repeat_interleave(torch.tensor(groups, device=codes.device), dim=1)


def guide(codes: Tensor, average: Tensor, scale: float | Tensor, centre: Tensor) -> Tensor:
    """Go on from an average face's codes through these, `scale` times as far, and keep the distance from the centre.

    Guidance as in arXiv 2207.12598, at the finished code. Without the last step a face leaves what the generator knows (streaks,
    odd eyes), as guided pictures burn out without the rescaling of arXiv 2305.08891.

    Args:
        codes, average: [K, G, D], where average are those that would be had for an average identity.
        scale: of the coarse layers, the others get their share (`GUIDED`); 1 changes nothing; [K, 1, 1] where faces differ.
        centre: [G, D], from which the distances count, group by group.
    """
    guided = codes + (scale - 1) * codes.new_tensor(GUIDED)[:, None] * (codes - average)
    radius, grown = ((x - centre).norm(dim=-1, keepdim=True) for x in (codes, guided))
    return centre + (guided - centre) * (radius / grown.clamp_min(1e-6))


def within(codes: Tensor, centre: Tensor, reach: Tensor) -> Tensor:
    """Codes [K, G, D] no farther from a centre [G, D] than reach [G] (truncation, arXiv 1812.04948, of the far ones alone)."""
    off, limit = codes - centre, reach[:, None]
    return centre + off * (limit / off.norm(dim=-1, keepdim=True).maximum(limit))
