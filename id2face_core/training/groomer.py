"""Stage `recomposer`, at its end: the groomer, fitted to renderings of what the refiner asks for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
import torch
from torch import Generator, Tensor

from ..assets import require_folder
from ..attributes.geometry import head_pose
from ..attributes.vector import ATTRIBUTES, GROUPS, group_slice
from ..components import NOMINAL_POINTS, WINDOW, WINDOW_ORIGIN
from ..diffusion.closed_form import ConditionalMean
from ..diffusion.groomer import StyleGroomer, look
from ..diffusion.style_space import expand
from ..errors import FaceRejectedError
from ..faces.landmarks import FILES, LandmarkModel, MeshNetwork
from ..generator.protocol import FaceGenerator, pixels
from ..photograph.coverage import GLASSES, ZONES, coverage
from .corrections import asked_codes, read_networks
from .refiner import RefinerTask
from .synthesize import draw_codes
from .workshop import Figures, Workshop

SEED, ROUND = 9_000_000, 500_000  # of the first wishes, beyond those of the rounds of `corrections`
READINGS = (*GROUPS["pose"], *ZONES)
UNTOUCHED = 0.25  # share of readings that are left as they are
BEYOND = 0.3  # square roots of coverage
TURNED = 10.0  # degrees, as standard deviation, that heads are turned further
HELD_OUT = 8  # every so many-th face
LEAST_FACES = 16
TURNS = len(GROUPS["pose"])  # so many readings come first
COARSE = (TURNS + GLASSES,)  # they sit in the coarse layers; few faces wear any, and the rest would be noise

Rows = tuple[Tensor, Tensor]  # codes [N, G, D], looks [N, R], see `groomer.look`


@torch.no_grad()
def measure_looks(
    generator: FaceGenerator, mesh: LandmarkModel, canonical: np.ndarray, draw: Callable[[int], Tensor], batch: int, faces: int,
    seconds: float,
) -> Rows:  # fmt: skip
    """Render until there are enough or the time is over, but `LEAST_FACES` in any case.

    Args:
        canonical: mesh [468, 3] against which poses are measured, see `BlendshapeNetwork`.
        draw: number of a batch -> style codes [B, G, D]; batch: how many of these are rendered at once.

    Returns:
        Codes [N, G, D] and how their renderings look [N, R].

    Raises:
        FaceRejectedError: none shows a face.
    """
    codes, looks, end = list[Tensor](), list[Tensor](), time.monotonic() + seconds
    for number in count():
        enough = faces if time.monotonic() < end else min(faces, LEAST_FACES)
        if len(codes) >= enough or (number >= LEAST_FACES and not codes):
            break
        for rows in draw(number).split(batch):
            pictures = pixels(generator.synthesize(expand(rows), WINDOW, False))
            for code, picture in zip(rows.float().cpu(), pictures, strict=True):
                try:
                    points = mesh.fit(picture, NOMINAL_POINTS - WINDOW_ORIGIN).points
                except FaceRejectedError:
                    continue
                pose = torch.tensor(head_pose(points.astype(np.float64), canonical)[:TURNS])
                codes.append(code)
                looks.append(look(pose, torch.from_numpy(coverage(picture, points))))
    if not codes:
        raise FaceRejectedError("no_mesh", "no rendering shows a face; train the networks before the groomer for longer")
    return torch.stack(codes), torch.stack(looks)


def fit_groomer(work: Workshop, task: RefinerTask) -> tuple[StyleGroomer, Figures]:
    """The groomer for what a refiner asks for, and the R^2 of each reading on faces that were held out.

    A third of its rows are faces of the generator's own, some of which wear glasses; a third is what is asked for, and a third
    what a groomer of those two made of as much again. A reader that has seen no groomed code is wrong about them: of roughness
    on groomed chins it explained nothing (R^2 -.46, then .73).
    """
    c = work.config.recomposer
    mesh = MeshNetwork.from_folder(require_folder("landmarks", FILES))
    mean = ConditionalMean.from_pretrained(work.output / "closed_form")
    generator, batch = work.load_generator(), max(work.render_batch, 8)
    w_mean = generator.w_mean.float().cpu()
    canonical = read_networks(work.output)[0].canonical.double().numpy()
    turns = mean.along(slice(mean.centre.numel() - len(ATTRIBUTES), None))[group_slice("pose")]

    def own(step: int) -> Tensor:
        return draw_codes(generator, w_mean, range(SEED + step * batch, SEED + (step + 1) * batch))

    def asked(step: int) -> Tensor:
        return asked_codes(task, batch, SEED + step)

    def measure(draw: Callable[[int], Tensor]) -> Rows:
        seconds = work.seconds_for(c.groomer_share / 3)
        return measure_looks(generator, mesh, canonical, draw, work.render_batch, c.groomer_faces // 3, seconds)

    rows = [measure(own), measure(asked)]
    first, _ = fitted(rows, mean, turns, c.groomer_ridge)

    def groomed(step: int) -> Tensor:
        seed = SEED + ROUND + step
        return groomed_at_random(first, asked_codes(task, batch, seed), mean, Generator().manual_seed(seed))

    return fitted([*rows, measure(groomed)], mean, turns, c.groomer_ridge)


def groomed_at_random(groomer: StyleGroomer, codes: Tensor, mean: ConditionalMean, rng: Generator) -> Tensor:
    """Codes [B, G, D], each with limits of its own: any pose, and from what most show down to less than the plainest does."""
    made, (plainest, fullest) = [], groomer.range
    for row in codes:
        free = torch.rand(groomer.offset.shape, generator=rng) < UNTOUCHED
        bottom = plainest - BEYOND * torch.rand((), generator=rng)
        most = bottom + torch.rand(groomer.offset.shape, generator=rng) * (groomer.offset - bottom)
        least = torch.full_like(most, -math.inf)
        least[:TURNS] = most[:TURNS] = groomer(row[None])[0, :TURNS] + TURNED * torch.randn(TURNS, generator=rng)
        least, most = torch.where(free, -math.inf, least), torch.where(free, math.inf, most)
        # no limit is beyond the range: what it misread is
        hidden = (plainest - most).clamp_min(0) - (least - fullest).clamp_min(0)
        made.append(groomer.groom(row[None], torch.stack((least, most))[None], mean, hidden))
    return torch.cat(made)


def fitted(rows: Sequence[Rows], mean: ConditionalMean, turns: Tensor, ridge: float) -> tuple[StyleGroomer, Figures]:
    """Fitted to rows, the first of which are faces of the generator's own; every `HELD_OUT`-th of the others tells how well."""
    codes, looks = (torch.cat(parts) for parts in zip(*rows, strict=True))
    others = torch.arange(len(codes)) < len(rows[0][0])
    held = (torch.arange(len(codes)) % HELD_OUT == 0) & ~others
    groomer = StyleGroomer(*codes.shape[1:], looks.shape[1], len(turns))
    groomer.fit(codes[~held], looks[~held], mean, turns, ridge, others[~held], COARSE)
    seen = looks[held]
    left = (groomer(codes[held]) - seen).square().mean(dim=0) / (seen - seen.mean(dim=0)).square().mean(dim=0).clamp_min(1e-6)
    figures: Figures = {f"groomer_r2_{name}": 1 - float(value) for name, value in zip(READINGS, left, strict=True)}
    return groomer, {"groomer_faces": len(codes), **figures}
