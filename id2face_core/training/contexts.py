"""New faces put into photographs, in batches and with gradients: what a recogniser sees of them in the end.

The same steps as `photograph.compose` on aligned crops of 112 pixels: the oval pulled onto the source's, a plane of light for
each channel, the mask with the source's own fringe. Grain and multi-band edges tell a recogniser nothing and are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from ..attributes.networks import WitnessNetwork, inner_face
from ..devices import share_processors
from ..faces.landmarks import OVAL
from ..photograph.coverage import coverage
from ..photograph.hair import hair_share
from ..photograph.mask import core_mask, soft_mask
from ..photograph.warp import NODES, REACH, Box
from .picture_reader import CROP, apply, cut, inverse, jittered, similarities
from .teachers import BatchTeacher
from .tfjs import SecondReader

NEAR = 0.12  # face widths, as in `warp.target_points`
LIGHT_SIDE, LIGHT_ROUNDS, OUTLIER, MAX_SHIFT = 28, 3, 0.12, 0.45  # of the light's fit; differences of sRGB in 0..1


@dataclass(frozen=True)
class Contexts:
    """N photographs of faces: crops uint8 [N, 3, 112, 112], aligned; points [N, 468, 2] of the mesh in them.

    masks: uint8 [N, 112, 112], what a paste replaces, 255 = all; cover: [N, Z], see `photograph.coverage`, None: not measured;
    shapes: [N, 52], their blendshapes seen closely, see `AttributeExtractor.expression`, None: not measured.
    """

    crops: Tensor
    points: Tensor
    masks: Tensor
    cover: Tensor | None = None
    shapes: Tensor | None = None

    @classmethod
    def of(cls, crops: np.ndarray, points: np.ndarray, workers: int = 1, shapes: Tensor | None = None) -> Contexts:
        """From aligned crops uint8 [N, 112, 112, 3] and their meshes [N, 468, 2]. workers: processes that work out the rest."""
        if workers > 1:
            with ProcessPoolExecutor(workers, get_context("spawn"), share_processors, (workers,)) as pool:
                rows = list(pool.map(_worked_out, crops, points, chunksize=64))
        else:
            rows = list(map(_worked_out, crops, points))
        masks, cover = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
        pictures = torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()
        return cls(pictures, torch.from_numpy(points).float(), masks, cover, shapes)

    def rows(self, index: Tensor) -> Contexts:
        return self._each(lambda x: x[index])

    def to(self, device: torch.device) -> Contexts:
        return self._each(lambda x: x.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Contexts:
        return Contexts(*(None if x is None else change(x) for x in vars(self).values()))  # type: ignore[arg-type]


def _worked_out(crop: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mask and cover of one crop."""
    return paste_mask(crop, points), coverage(crop, points)


def paste_mask(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    """What `photograph.compose` replaces of a crop uint8 [112, 112, 3] with a mesh [468, 2] in it: uint8 [112, 112]."""
    box, points = Box(0, 0, CROP, CROP), points.astype(np.float64)
    mask = soft_mask(points, box, "face", 0.0, 0.1) * (1 - hair_share(crop.astype(np.float32), points, box))
    whole: np.ndarray = np.rint(255 * np.maximum(mask, core_mask(points, box))).astype(np.uint8)
    return whole


def put(contexts: Contexts, crops: Tensor, points: Tensor) -> Tensor:
    """New faces in the contexts' places.

    Args:
        crops: [B, 3, 112, 112] in 0..1, aligned; points: meshes [B, 468, 2] in them.

    Returns:
        [B, 3, 112, 112]; gradients reach `crops`. Where things lie, and the light, are taken as given.
    """
    source, full = contexts.crops.to(crops) / 255, torch.autocast(crops.device.type, enabled=False)
    with torch.no_grad(), full:  # places and light need more than bfloat16's eight bits
        grid = _backward_grid(contexts.points, points.float())
    new = F.grid_sample(crops, grid.to(crops), padding_mode="reflection", align_corners=False)
    mask = contexts.masks[:, None].to(crops) / 255
    with torch.no_grad(), full:
        shift = _light(source, new, mask * inner_face(contexts.points, CROP))
    return source + mask * (new + shift - source)


def _backward_grid(target: Tensor, points: Tensor) -> Tensor:
    """Where pixels of the contexts come from, for `grid_sample`: [B, 112, 112, 2]. See `warp.backward_map`."""
    matrix = similarities(points, target)
    oval, moved = target[:, OVAL.tolist()], apply(matrix, points)[:, OVAL.tolist()]
    line = torch.linspace(0, CROP - 1, NODES, device=target.device)
    nodes = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).view(1, -1, 2)
    width = 1.05 * _areas(oval).sqrt()[:, None, None]
    distance = torch.cdist(nodes.expand(len(target), -1, -1), oval)
    near = (-(distance / (NEAR * width)).square()).softmax(dim=2)
    fade = torch.exp(-(distance.amin(dim=2, keepdim=True) / (REACH * width)).square())
    back = apply(inverse(matrix), nodes - fade * (near @ (oval - moved)))
    coarse = back.view(-1, NODES, NODES, 2).permute(0, 3, 1, 2)
    dense = F.interpolate(coarse, (CROP, CROP), mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
    return (dense + 0.5) * 2 / CROP - 1


def _areas(polygon: Tensor) -> Tensor:
    x, y = polygon.unbind(dim=2)
    return 0.5 * ((x * y.roll(-1, 1)).sum(dim=1) - (y * x.roll(-1, 1)).sum(dim=1)).abs().clamp_min(1.0)


def _light(source: Tensor, new: Tensor, weight: Tensor) -> Tensor:
    """A plane a channel [B, 3, 112, 112] that brings the new face to the source's light, see `colour.relight`."""
    small = [F.interpolate(x, LIGHT_SIDE, mode="area") for x in (source - new, weight)]
    difference, trust = small[0].flatten(2).mT, small[1].flatten(1)  # [B, P, 3], [B, P]
    at = torch.linspace(-1, 1, LIGHT_SIDE, device=new.device, dtype=new.dtype)
    y, x = torch.meshgrid(at, at, indexing="ij")
    basis = torch.stack((torch.ones_like(x), x, y), dim=-1).view(-1, 3)
    start, fit = trust, new.new_zeros(len(new), 3, 3)
    for _ in range(LIGHT_ROUNDS):
        weighted = basis * trust[..., None]
        ridge = (1e-3 * start.sum(dim=1).clamp_min(1.0))[:, None, None] * torch.eye(3, device=new.device, dtype=new.dtype)
        fit = torch.linalg.solve(basis.T @ weighted + ridge, weighted.mT @ difference)
        trust = start / (1 + ((difference - basis @ fit).norm(dim=2) / OUTLIER).square())
    shift = (basis @ fit).mT.unflatten(2, (LIGHT_SIDE, LIGHT_SIDE))
    return F.interpolate(shift, CROP, mode="bilinear", align_corners=False).clamp(-MAX_SHIFT, MAX_SHIFT)


class ContextReader(nn.Module):
    """What several recognisers of one embedding space say about composed crops: the teacher, and our own encoder.

    Two networks are harder to talk into something than one. second: reads age and sex besides; coach: these and descent, taught
    as the witness is, which it is not; None: nothing does.
    """

    def __init__(
        self, recognisers: list[BatchTeacher], seed: int = 0, second: SecondReader | None = None,
        coach: WitnessNetwork | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.recognisers, self.second, self.coach = nn.ModuleList(recognisers), second, coach
        self._seed = seed
        self._rng: Generator | None = None

    def forward(self, composed: Tensor) -> list[Tensor]:
        """Unit embeddings [B, E] of crops [B, 3, 112, 112], each a little shifted, half of them mirrored."""
        if self._rng is None:
            self._rng = Generator(composed.device).manual_seed(self._seed)
        same = composed.new_tensor([[1.0, 0, 0], [0, 1, 0]]).expand(len(composed), -1, -1)
        seen = cut(composed, jittered(same, self._rng), CROP, 1)
        return [recogniser(seen)[0] for recogniser in self.recognisers]
