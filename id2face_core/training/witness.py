"""The network that judges new faces, taught by labelled photographs, and by hand labels of children that the generator draws:
see `attributes.networks.WitnessNetwork`."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ..attributes.networks import AGES, WitnessNetwork, inner_face
from .attributes import worsen
from .loop import seeded

AGE_SPREAD = 2.5  # years, of the distribution that a label stands for
SMOOTHED = 0.1  # of a label of descent, which is to the eye
TURN, SCALE, SHIFT = 8.0, 0.1, 4.0  # degrees, share, pixels: how far alignments of one face lie apart, at most
RARE = 0.5  # ages are drawn by this power of how rare they are
WINDOW = 5.0  # years, over which ages are counted for that


class WitnessTask:
    """Age, sex and descent.

    crops: uint8 [N, 112, 112, 3] aligned; points: meshes [N, 468, 2] in them; labels: float [N, 3], age, sex, descent, see
    `tables.trait_labels`; NaN where unknown; weights: [N], for drawing.
    """

    name = "witness"

    def __init__(
        self, crops: np.ndarray, points: np.ndarray, labels: np.ndarray, weights: np.ndarray,
        widths: tuple[int, ...] = (32, 56, 112, 192), device: torch.device | None = None, seed: int = 0,
        start_from: WitnessNetwork | None = None,
    ) -> None:  # fmt: skip
        with seeded(seed):
            self.model = (start_from or WitnessNetwork(widths)).to(memory_format=torch.channels_last)
        self._crops, self._labels = torch.from_numpy(crops).to(device), torch.from_numpy(labels).float().to(device)
        self._points = torch.from_numpy(points).float().to(device)
        self._chances = torch.from_numpy(weights).double().to(device)

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        i = torch.multinomial(self._chances, batch, replacement=True, generator=rng)
        crops = self._crops[i].permute(0, 3, 1, 2).float() / 255
        seen = moved(torch.cat((worsen(crops, rng), inner_face(self._points[i])), dim=1), rng)
        age, sex, descent = self.model.logits(seen[:, :3].contiguous(memory_format=torch.channels_last), seen[:, 3:])
        known, y = ~self._labels[i].isnan(), self._labels[i].nan_to_num()
        years = torch.arange(AGES, device=y.device)
        target = (-0.5 * ((years - y[:, :1].clamp(0, AGES - 1)) / AGE_SPREAD).square()).softmax(dim=1)
        log_age = age.float().log_softmax(dim=1)
        off = (log_age.exp() * years).sum(dim=1) - y[:, 0]
        by_year = F.kl_div(log_age, target, reduction="none").sum(dim=1) + 0.1 * off.abs()
        by_sex = F.binary_cross_entropy_with_logits(sex.float(), y[:, 1], reduction="none")
        by_descent = F.cross_entropy(descent.float(), y[:, 2].long(), label_smoothing=SMOOTHED, reduction="none")
        terms = zip(("age", "sex", "descent"), (by_year, by_sex, by_descent), known.unbind(dim=1), strict=True)
        return {name: (values * here).mean() for name, values, here in terms}


def moved(planes: Tensor, rng: Generator) -> Tensor:
    """Planes [B, C, S, S], each turned, scaled, shifted and by half mirrored."""

    def draw(reach: float) -> Tensor:
        return reach * (2 * torch.rand(len(planes), generator=rng, device=planes.device) - 1)

    angle, size, flip = draw(math.radians(TURN)), 1 + draw(SCALE), draw(1.0).sign()
    cos, sin, shift = size * angle.cos(), size * angle.sin(), 2 * SHIFT / planes.shape[-1]
    rows = torch.stack((flip * cos, -sin, draw(shift)), dim=1), torch.stack((flip * sin, cos, draw(shift)), dim=1)
    grid = F.affine_grid(torch.stack(rows, dim=1), list(planes.shape), align_corners=False)
    return F.grid_sample(planes, grid, align_corners=False)


def evened(ages: np.ndarray) -> np.ndarray:
    """Chances [N] that rare ages [N] are drawn more often; unknown ones (NaN) as the median is."""
    known = np.where(np.isfinite(ages), ages, np.nanmedian(ages) if np.isfinite(ages).any() else 0.0)
    ordered = np.sort(known)
    near = np.searchsorted(ordered, known + WINDOW, "right") - np.searchsorted(ordered, known - WINDOW, "left")
    return np.power(len(known) / near, RARE)


@torch.no_grad()
def witness_figures(model: WitnessNetwork, crops: np.ndarray, points: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean age error (years), share within 8 years, of the right sex and descent, on labelled crops; NaN labels do not count."""
    parts = [slice(i, i + 256) for i in range(0, len(crops), 256)]
    rows = [
        model(torch.from_numpy(crops[p].copy()).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(points[p]).float())
        for p in parts
    ]
    known = np.isfinite(labels)
    if not rows or not known[:, :2].all(axis=1).any():
        return {"N": 0}
    found = torch.cat(rows).numpy()
    error = np.abs(found[:, 0] - labels[:, 0])[known[:, 0]]
    sex, descent = (found[:, 1] > 0.5) == (labels[:, 1] > 0.5), found[:, 2:].argmax(axis=1) == labels[:, 2]
    return {
        "N": int(known[:, 0].sum()), "age_error": float(error.mean()), "age_within_8": float((error <= 8).mean()),
        "sex": float(sex[known[:, 1]].mean()), "descent": float(descent[known[:, 2]].mean()),
    }  # fmt: skip
