"""Stage `attributes`: the small networks that read expression, age, sex and glasses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from .. import regression
from ..attributes.geometry import close_points, head_poses, head_rotations, mesh_sizes, normalised_points
from ..attributes.networks import BlendshapeNetwork, ExpressionNetwork, PersonNetwork, inner_face
from ..attributes.vector import MIRRORED
from .loop import seeded
from .table import HELD_OUT_EVERY

READING_NOISE = 0.03  # of a blendshape, as standard deviation: two readings of one face differ by about as much
AGE_CENTRE, AGE_UNIT = 40.0, 20.0  # of `PersonNetwork.logits`


def canonical_mesh(points: np.ndarray) -> np.ndarray:
    """Mean of near-frontal meshes without place and size. points: [N, 468, 3] -> [468, 3]."""
    centred = points - points.mean(axis=1, keepdims=True)
    centred = centred / np.sqrt(np.square(centred).sum(axis=2).mean(axis=1))[:, None, None]
    nose, sides = centred[:, 1, 0], (centred[:, 234, 0] + centred[:, 454, 0]) / 2
    return centred[np.abs(nose - sides) < 0.1].mean(axis=0)


@torch.no_grad()
def expression_basis(points: np.ndarray, shapes: Tensor, canonical: Tensor) -> Tensor:
    """How mesh points move with each blendshape, `ExpressionNetwork.basis`: ridge regression, poses as further regressors.

    Args:
        points: [N, 468, 3]; shapes: [N, 52], read off them; canonical: [468, 3].

    Returns:
        [52, 468, 3]; next to 0 for blendshapes that vary less than their reading is noisy.
    """
    meshes, canonical = torch.from_numpy(points).double(), canonical.double()
    upright = (meshes - meshes.mean(dim=1, keepdim=True)) @ head_rotations(meshes, canonical)
    y = (upright / mesh_sizes(meshes)[:, None, None]).flatten(1)
    yaw, pitch = (head_poses(meshes, canonical)[:, :2] / 20).unbind(dim=1)
    x = torch.cat((shapes.double(), torch.stack((yaw, pitch, yaw**2, pitch**2, yaw * pitch), dim=1)), dim=1)
    x = x - x.mean(dim=0)
    noise = READING_NOISE**2 * len(x) * torch.eye(x.shape[1], dtype=x.dtype)
    slope = torch.linalg.solve(x.T @ x + noise, x.T @ (y - y.mean(dim=0)))
    return slope[: shapes.shape[1]].reshape(shapes.shape[1], *points.shape[1:]).float()


class BlendshapeTask:
    """Distils 52 blendshapes from meshes. points [N, 468, 3], irises [N, 2, 5, 2], targets [N, 52]."""

    name = "blendshapes"

    def __init__(
        self, points: np.ndarray, irises: np.ndarray, targets: np.ndarray, device: torch.device | None = None, seed: int = 0
    ) -> None:
        x, y = torch.from_numpy(normalised_points(points, irises)), torch.from_numpy(targets).float()
        with seeded(seed):
            self.model = BlendshapeNetwork(x.shape[1], y.shape[1])
        self.model.canonical.copy_(torch.from_numpy(canonical_mesh(points)))
        self.model.centre.copy_(x.mean(dim=0))
        self.model.spread.copy_(x.std(dim=0).clamp_min(1e-3))
        out = torch.arange(len(x)) % HELD_OUT_EVERY == 0
        _fit_linear(self.model, x[~out], y[~out])
        self._scale = y.std(dim=0).clamp_min(0.02).to(device)  # rare shapes count as much as common ones
        self._x, self._y, self._test = x[~out].to(device), y[~out].to(device), (x[out], y[out])

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        i = torch.randint(len(self._x), (batch,), generator=rng, device=rng.device)
        noise = torch.randn(batch, self._x.shape[1], generator=rng, device=rng.device)
        noisy = self._x[i] + 0.01 * self.model.spread * noise
        return {"shapes": F.mse_loss(self.model.raw(noisy).float() / self._scale, self._y[i] / self._scale)}

    @torch.no_grad()
    def r2(self) -> float:
        """Held-out R² (every 20th row), mean of all outputs that vary."""
        x, y = self._test
        varying = y.std(dim=0) > 0.02
        error = (self.model(x) - y)[:, varying].square().mean(dim=0)
        return float((1 - error / y[:, varying].var(dim=0)).mean())


class ExpressionTask:
    """52 blendshapes, as a closer teacher sees them.

    points [N, 468, 3], close [N, 3, 478, 2] (see `features`: the last of the three readings is of the mirrored face), targets
    [N, 52]; held: bool [N], rows that only test.
    """

    name = "expression"

    def __init__(
        self, points: np.ndarray, close: np.ndarray, targets: np.ndarray, held: np.ndarray, width: int = 384,
        device: torch.device | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        x, y = torch.from_numpy(close_points(close)), torch.from_numpy(targets).float()
        with seeded(seed):
            self.model = ExpressionNetwork(x.shape[2], y.shape[1], width)
        out = torch.from_numpy(held)
        self.model.centre.copy_(x[~out, 0].mean(dim=0))
        self.model.spread.copy_(x[~out, 0].std(dim=0).clamp_min(1e-3))
        _fit_linear(self.model, x[~out, 0], y[~out])
        self.model.basis.copy_(expression_basis(points[~held], y[~out], torch.from_numpy(canonical_mesh(points))))
        self._scale = y.std(dim=0).clamp_min(0.02).to(device)
        self._x, self._y, self._test = x[~out].to(device), y[~out].to(device), (x[out, 0], y[out])

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        i, reading = (torch.randint(n, (batch,), generator=rng, device=rng.device) for n in self._x.shape[:2])
        noise = torch.randn(batch, self._x.shape[2], generator=rng, device=rng.device)
        out = self.model.raw(self._x[i, reading] + 0.02 * self.model.spread * noise).float()
        targets = torch.where((reading == 2)[:, None], self._y[i][:, list(MIRRORED)], self._y[i])
        return {"shapes": F.smooth_l1_loss(out / self._scale, targets / self._scale, beta=0.5)}

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """On rows that were held out: R², mean of all outputs that vary, and the mean absolute error."""
        x, y = self._test
        error = self.model.cpu().eval()(x) - y
        varying = y.std(dim=0) > 0.02
        r2 = 1 - error[:, varying].square().mean(dim=0) / y[:, varying].var(dim=0)
        return {"r2": float(r2.mean()), "error": float(error.abs().mean())}


@torch.no_grad()
def _fit_linear(model: BlendshapeNetwork | ExpressionNetwork, x: Tensor, y: Tensor, ridge: float = 100.0) -> None:
    """Ridge regression as the start of the linear part."""
    z = ((x - model.centre) / model.spread).double()
    mean = y.double().mean(dim=0)
    weight = regression.ridge(z, y.double() - mean, ridge)
    model.linear.weight.copy_(weight.T)
    model.linear.bias.copy_(mean)


def degrade(crops: Tensor, generator: Generator, mirror: bool = True) -> Tensor:
    """Flip, shift, lower the resolution, change light and colour, add noise: photographs are worse than renderings.

    crops: [B, 3, S, S] in 0..1; one draw of shift and blur a batch, of the rest a picture.
    """
    return worsen(misplaced((crops,), generator, mirror)[0], generator)


def misplaced(planes: Sequence[Tensor], generator: Generator, mirror: bool = True) -> list[Tensor]:
    """Planes [B, C, S, S] of the same pictures, mirrored by half and shifted, all alike."""
    first = planes[0]
    flip = (torch.rand((len(first), 1, 1, 1), generator=generator, device=generator.device) < 0.5) & mirror
    shift = [int(v) for v in (torch.rand(2, generator=generator, device=generator.device) * 11 - 5)]
    return [torch.roll(torch.where(flip, x.flip(3), x), shift, dims=(2, 3)) for x in planes]


def worsen(x: Tensor, generator: Generator) -> Tensor:
    """Lower the resolution, change light and colour, add noise. x: [B, 3, S, S] in 0..1."""

    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=generator.device)

    n, size = len(x), x.shape[-1]
    if float(draw(1)) < 0.6:
        small = int(size * (0.25 + 0.6 * float(draw(1))))
        x = F.interpolate(F.interpolate(x, small, mode="area"), size, mode="bilinear", align_corners=False)
    x = x * (0.7 + 0.6 * draw(n, 1, 1, 1)) * (0.9 + 0.2 * draw(n, 3, 1, 1)) + 0.15 * (draw(n, 1, 1, 1) - 0.5)
    return (x + 0.05 * draw(n, 1, 1, 1) * torch.randn(x.shape, generator=generator, device=generator.device)).clamp(0, 1)


class PersonTask:
    """Age, sex and glasses.

    crops: uint8 [N, 112, 112, 3] aligned; points: meshes [N, 468, 2] in them; labels: float [N, 3], NaN where unknown; weights:
    [N], for drawing.
    """

    name = "person"

    def __init__(
        self, crops: np.ndarray, points: np.ndarray, labels: np.ndarray, weights: np.ndarray,
        widths: tuple[int, ...] = (24, 48, 96, 160), device: torch.device | None = None, seed: int = 0,
        start_from: PersonNetwork | None = None,
    ) -> None:  # fmt: skip
        with seeded(seed):
            reads_glasses = bool(np.isfinite(labels[:, 2]).any())
            self.model = start_from or PersonNetwork(widths, reads_glasses=reads_glasses)
        self._crops, self._labels = torch.from_numpy(crops).to(device), torch.from_numpy(labels).float().to(device)
        self._points = torch.from_numpy(points).float().to(device)
        self._chances = torch.from_numpy(weights).double().to(device)

    def losses(self, batch: int, rng: Generator) -> dict[str, Tensor]:
        i = torch.multinomial(self._chances, batch, replacement=True, generator=rng)
        x, inside = misplaced((self._crops[i].permute(0, 3, 1, 2).float() / 255, inner_face(self._points[i])), rng)
        y, out = self._labels[i], self.model.logits(worsen(x, rng), inside).float()
        known = ~y.isnan()
        y = y.nan_to_num()
        age = F.smooth_l1_loss(out[:, 0], (y[:, 0] - AGE_CENTRE) / AGE_UNIT, reduction="none", beta=0.3)
        rest = F.binary_cross_entropy_with_logits(out[:, 1:], y[:, 1:], reduction="none")
        return {
            "age": 2 * (age * known[:, 0]).mean(),
            "sex": (rest[:, 0] * known[:, 1]).mean(),
            "glasses": (rest[:, 1] * known[:, 2]).mean(),
        }


@torch.no_grad()
def person_figures(model: PersonNetwork, crops: np.ndarray, points: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean age error (years), share within 8 years and of the right sex, on labelled crops; NaN labels do not count."""
    parts = [(crops[i : i + 256].copy(), points[i : i + 256]) for i in range(0, len(crops), 256)]
    rows = [
        model(torch.from_numpy(part).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(mesh).float()) for part, mesh in parts
    ]
    found = torch.cat(rows).numpy() if rows else np.zeros((0, 3))
    known = np.isfinite(labels[:, :2]).all(axis=1)
    if not known.any():
        return {"N": 0}
    error = np.abs(found[known, 0] - labels[known, 0])
    right = (found[known, 1] > 0.5) == (labels[known, 1] > 0.5)
    close = float((error <= 8).mean())
    return {"N": int(known.sum()), "age_error": float(error.mean()), "age_within_8": close, "sex": float(right.mean())}
