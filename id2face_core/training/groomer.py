"""Stage `recomposer`, at its end: the groomer, fitted to renderings of what the refiner asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count

import torch
from torch import Generator, Tensor

from ..assets import require_folder
from ..components import NOMINAL_POINTS, WINDOW, WINDOW_ORIGIN
from ..diffusion.closed_form import ConditionalMean
from ..diffusion.groomer import StyleGroomer
from ..diffusion.style_space import expand
from ..errors import FaceRejectedError
from ..faces.landmarks import FILES, LandmarkModel, MeshNetwork
from ..generator.protocol import FaceGenerator, pixels
from ..photograph.coverage import GLASSES, ZONES, coverage
from .corrections import asked_codes
from .refiner import RefinerTask
from .synthesize import draw_codes
from .workshop import Figures, Workshop

SEED, ROUND = 9_000_000, 500_000  # of the first wishes, beyond those of the rounds of `corrections`
UNTOUCHED = 0.25  # share of zones that are left as they are
BEYOND = 0.3  # square roots of coverage
HELD_OUT = 8  # every so many-th face
LEAST_FACES = 16
COARSE = (GLASSES,)  # they sit in the coarse layers; few faces wear any, and the rest would be noise

Rows = tuple[Tensor, Tensor]  # codes [N, G, D], coverage [N, Z]


@torch.no_grad()
def measure_coverage(
    generator: FaceGenerator, mesh: LandmarkModel, draw: Callable[[int], Tensor], batch: int, faces: int, seconds: float
) -> tuple[Tensor, Tensor]:
    """Render until there are enough or the time is over, but `LEAST_FACES` in any case.

    Args:
        draw: number of a batch -> style codes [B, G, D]; batch: how many of these are rendered at once.

    Returns:
        Codes [N, G, D] and what `photograph.coverage` sees on their renderings [N, Z].

    Raises:
        FaceRejectedError: none shows a face.
    """
    codes, covered, end = list[Tensor](), list[Tensor](), time.monotonic() + seconds
    for number in count():
        enough = faces if time.monotonic() < end else min(faces, LEAST_FACES)
        if len(codes) >= enough or (number >= LEAST_FACES and not codes):
            break
        for rows in draw(number).split(batch):
            pictures = pixels(generator.synthesize(expand(rows), WINDOW, False))
            for code, picture in zip(rows.float().cpu(), pictures, strict=True):
                try:
                    seen = coverage(picture, mesh.fit(picture, NOMINAL_POINTS - WINDOW_ORIGIN).points)
                except FaceRejectedError:
                    continue
                codes.append(code)
                covered.append(torch.from_numpy(seen))
    if not codes:
        raise FaceRejectedError("no_mesh", "no rendering shows a face; train the networks before the groomer for longer")
    return torch.stack(codes), torch.stack(covered)


def fit_groomer(work: Workshop, task: RefinerTask) -> tuple[StyleGroomer, Figures]:
    """The groomer for what a refiner asks for, and the R^2 of each zone on faces that were held out.

    A third of its rows are faces of the generator's own, some of which wear glasses; a third is what is asked for, and a third
    what a groomer of those two made of as much again. A reader that has seen no groomed code is wrong about them: of roughness
    on groomed chins it explained nothing (R^2 -.46, then .73).
    """
    c = work.config.recomposer
    mesh = MeshNetwork.from_folder(require_folder("landmarks", FILES))
    mean = ConditionalMean.from_pretrained(work.output / "closed_form")
    generator, batch = work.load_generator(), max(work.render_batch, 8)
    w_mean = generator.w_mean.float().cpu()

    def own(step: int) -> Tensor:
        return draw_codes(generator, w_mean, range(SEED + step * batch, SEED + (step + 1) * batch))

    def asked(step: int) -> Tensor:
        return asked_codes(task, batch, SEED + step)

    def measure(draw: Callable[[int], Tensor]) -> Rows:
        seconds = work.seconds_for(c.groomer_share / 3)
        return measure_coverage(generator, mesh, draw, work.render_batch, c.groomer_faces // 3, seconds)

    rows = [measure(own), measure(asked)]
    first, _ = fitted(rows, mean, c.groomer_ridge)

    def groomed(step: int) -> Tensor:
        seed = SEED + ROUND + step
        return groomed_at_random(first, asked_codes(task, batch, seed), mean, Generator().manual_seed(seed))

    return fitted([*rows, measure(groomed)], mean, c.groomer_ridge)


def groomed_at_random(groomer: StyleGroomer, codes: Tensor, mean: ConditionalMean, rng: Generator) -> Tensor:
    """Codes [B, G, D], each with limits of its own, from what most show down to a little less than the plainest does."""
    made = []
    for row in codes:
        share, free = torch.rand(groomer.offset.shape, generator=rng), torch.rand(groomer.offset.shape, generator=rng) < UNTOUCHED
        least = groomer.range[0] - BEYOND * torch.rand((), generator=rng)
        most = torch.where(free, groomer.range[1], least + share * (groomer.offset - least)).clamp_min(0)
        hidden = (groomer.range[0] - most).clamp_min(0)  # no limit is below the range: what it misread is
        made.append(groomer.groom(row[None], torch.stack((torch.zeros_like(most), most.square())), mean, hidden))
    return torch.cat(made)


def fitted(rows: Sequence[Rows], mean: ConditionalMean, ridge: float) -> tuple[StyleGroomer, Figures]:
    """Fitted to rows, the first of which are faces of the generator's own; every `HELD_OUT`-th of the others tells how well."""
    codes, covered = (torch.cat(parts) for parts in zip(*rows, strict=True))
    others = torch.arange(len(codes)) < len(rows[0][0])
    held = (torch.arange(len(codes)) % HELD_OUT == 0) & ~others
    groomer = StyleGroomer(*codes.shape[1:], covered.shape[1])
    groomer.fit(codes[~held], covered[~held], mean, ridge, others[~held], COARSE)
    seen = covered[held].sqrt()
    left = (groomer(codes[held]) - seen).square().mean(dim=0) / (seen - seen.mean(dim=0)).square().mean(dim=0).clamp_min(1e-6)
    figures: Figures = {f"groomer_r2_{zone}": 1 - float(value) for zone, value in zip(ZONES, left, strict=True)}
    return groomer, {"groomer_faces": len(codes), **figures}
