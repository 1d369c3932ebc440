"""How a new face shall look for its picture: least and most of what it shows beside skin, and its pose, over tensors.

The steps ask here when they wish for a face, and the training when it grooms as use does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .attributes.vector import group_slice, index
from .diffusion.groomer import look
from .photograph.coverage import BEARD, CHIN_HAIR, GLASSES, ZONES

WEARS, SEX, POSE = index("glasses"), index("sex"), group_slice("pose")
BEARDED = 0.95  # roughness of the chin beside the cheeks from which a beard is sure; shaved ones are at .5, four of 102 above
SHAVED = (0.64, 0.9)  # roughness of chin and lip without a beard: as much as men have, who look like women without it
RIMS, NO_RIMS = (1.5, 16.0), 0.5  # edges on the bridge of the nose with glasses and without, see `coverage`


def cover_limits(cover: Tensor, attributes: Tensor, wanted: Tensor, head: bool = False) -> Tensor:
    """`wished_cover` [..., 2, Z] of sources that show cover [..., Z] and have attributes [..., A], for wanted ones [..., A]."""
    least, most = torch.zeros_like(cover), cover.clone()
    most[..., BEARD] = most[..., BEARD].maximum(most.new_tensor(SHAVED))
    most[..., ZONES.index("forehead")] = float(head)
    if head:
        most[..., ZONES.index("sides")] = 1.0
    woman = ((wanted[..., SEX] < 0.5) & (attributes[..., SEX] >= 0.5))[..., None]
    bearded = (cover[..., CHIN_HAIR] > BEARDED)[..., None]
    least[..., BEARD] = torch.where(bearded & ~woman, cover[..., BEARD], 0.0)
    most[..., BEARD] = torch.where(woman, 0.0, most[..., BEARD])
    wears = (wanted[..., WEARS] > 0.5)[..., None]
    rims, none = cover.new_tensor(RIMS), cover.new_tensor((0.0, NO_RIMS))
    bounds = torch.stack((least, most), dim=-2)
    bounds[..., GLASSES] = torch.where(wears, rims, none)
    return bounds


def looks_between(attributes: Tensor, cover: Tensor | None) -> Tensor | None:
    """Least and most [K, 2, R] of how faces look that shall have attributes [K, A], see `groomer.look`.

    cover: [2, Z] or [K, 2, Z], see `wished_cover`.
    """
    if cover is None:
        return None
    pose = attributes[:, None, POSE].expand(-1, 2, -1)
    return look(pose, cover.expand(len(attributes), -1, -1))
