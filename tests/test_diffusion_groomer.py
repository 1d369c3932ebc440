"""The groomer: what is read off a style code, and the nearest code that shows less of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from id2face_core.diffusion.closed_form import ConditionalMean
from id2face_core.diffusion.groomer import REACH, StyleGroomer, look
from id2face_core.diffusion.recomposer import Recomposer

LATENT, ATTRIBUTES, ZONES, SHAPE = 6, 3, 2, (3, 8)
TURN = torch.zeros(1, *SHAPE)  # how codes change with a standard deviation of pose
TURN[0, 1, 0] = 0.5


def limits(least: tuple[float, ...], most: tuple[float, ...], turned: tuple[float, float] = (-90.0, 90.0)) -> torch.Tensor:
    """[1, 2, R]: a pose in degrees between two, and shares between others."""
    pose = torch.tensor(turned)[:, None]
    return look(pose, torch.tensor([least, most]))[None]


def most(*shares: float) -> torch.Tensor:
    """Limits [1, 2, R]: nothing is asked for, no more than these is allowed."""
    return limits((0.0,) * ZONES, shares)


ALL = most(1.0, 1.0)


def _mean() -> ConditionalMean:
    """Of a residual that is wide in some directions and narrow in others."""
    mean = ConditionalMean(LATENT + ATTRIBUTES, *SHAPE)
    deviation = torch.linspace(0.2, 2.0, SHAPE[1])
    mean.colour.copy_(torch.diag(deviation).expand(3, -1, -1))
    mean.whiten_map.copy_(torch.diag(1 / deviation).expand(3, -1, -1))
    return mean


def _table(count: int = 3000) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes of that residual turned anyhow, and how they look: shares whose roots are linear in them but for a little noise."""
    rng = torch.Generator().manual_seed(0)
    residual, turned = torch.randn(count, *SHAPE, generator=rng), torch.randn(count, 1, generator=rng)
    codes = torch.einsum("bgd,gde->bge", residual, _mean().colour) + turned[..., None] * TURN
    roots = 0.5 + 0.05 * residual[:, 0, :ZONES] + 0.03 * residual[:, 2, 4:5] + 0.005 * torch.randn(count, ZONES, generator=rng)
    pose = 12 * turned + 4 * residual[:, 0, 7:]
    return codes, look(pose, roots.clamp(0, 1).square())


@pytest.fixture(scope="module")
def groomer() -> StyleGroomer:
    return StyleGroomer(*SHAPE, 1 + ZONES, 1).fit(*_table(), _mean(), TURN, ridge=1.0)


def _moved(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """How far in standard deviations of the residual, [B]."""
    return torch.einsum("bgd,gde->bge", after - before, _mean().whiten_map).flatten(1).norm(dim=1)


def test_shares_are_read_off_codes_that_were_not_fitted(groomer: StyleGroomer):
    codes, shown = _table(4000)
    off = (groomer(codes[3000:]) - shown[3000:]).abs().mean(dim=0)
    assert off[0] < 4 and bool((off[1:] < 0.006).all())


def test_what_is_allowed_stays_bit_for_bit(groomer: StyleGroomer):
    codes, _ = _table(64)
    assert torch.equal(groomer.groom(codes, ALL, _mean()), codes)
    covered = groomer(codes)[:, 1:].max(dim=0).values.square() + 1e-3
    assert torch.equal(groomer.groom(codes, most(*covered.tolist()), _mean()), codes)


def test_a_zone_comes_down_to_what_is_allowed_and_no_further(groomer: StyleGroomer):
    codes, _ = _table(64)
    groomed = groomer.groom(codes, most(0.25, 1.0), _mean())
    torch.testing.assert_close(groomer(groomed)[:, 0], groomer(codes)[:, 0], atol=0.05, rtol=0)  # no head is turned for it
    over = groomer(codes)[:, 1] > 0.5
    assert 16 < int(over.sum()) < 48
    torch.testing.assert_close(groomer(groomed)[over, 1], torch.full((int(over.sum()),), 0.5), atol=2e-3, rtol=0)
    assert torch.equal(groomed[~over], codes[~over])


def test_a_zone_comes_up_to_what_is_wished(groomer: StyleGroomer):
    codes, _ = _table(64)
    groomed = groomer.groom(codes, limits((0.25, 0.0), (1.0, 1.0)), _mean())
    shown = groomer(codes)[:, 1]
    torch.testing.assert_close(groomer(groomed)[:, 1], shown.clamp_min(0.5), atol=2e-3, rtol=0)
    assert torch.equal(groomed[shown > 0.5], codes[shown > 0.5])


def test_no_nearer_code_shows_as_little(groomer: StyleGroomer):
    """Nearest by the residual's covariance: any other step to the same reading is longer."""
    codes, _ = _table(16)
    groomed = groomer.groom(codes, most(0.2, 0.2), _mean())
    rng = torch.Generator().manual_seed(1)
    slope = torch.einsum("gde,gez->gdz", _mean().colour, groomer.weight).flatten(0, 1)
    for _ in range(20):
        aside = torch.randn(slope.shape[0], generator=rng)
        aside = aside - slope @ torch.linalg.lstsq(slope, aside[:, None]).solution[:, 0]  # changes no reading
        other = groomed + torch.einsum("gd,gde->ge", 0.3 * aside.view(SHAPE), _mean().colour)
        torch.testing.assert_close(groomer(other), groomer(groomed), atol=1e-4, rtol=0)
        assert bool((_moved(codes, other) > _moved(codes, groomed)).all())


def test_nothing_is_asked_for_that_no_rendering_shows_and_no_code_leaves_the_range(groomer: StyleGroomer):
    codes, _ = _table(16)
    plainest, fullest = groomer.range[:, 1:].square().tolist()
    ones = (1.0,) * ZONES
    for far, end in ((most(0.0, 0.0), most(*plainest)), (limits(ones, ones), limits(tuple(fullest), ones))):
        groomed = groomer.groom(codes, far, _mean())
        assert torch.equal(groomed, groomer.groom(codes, end, _mean()))
        assert float(_moved(codes, groomed).max()) < REACH + 1e-3
    assert bool((groomer.range[0] < groomer.offset).all()) and bool((groomer.offset < groomer.range[1]).all())


def test_a_head_is_turned_along_the_slope_of_the_mean_and_stays_as_plain(groomer: StyleGroomer):
    codes, _ = _table(64)
    for wish in (-20.0, 15.0):
        turned = groomer.groom(codes, limits((0.0, 0.0), (1.0, 1.0), (wish, wish)), _mean())
        torch.testing.assert_close(groomer(turned)[:, 0], torch.full((64,), wish), atol=0.05, rtol=0)
        change = (turned - codes).flatten(1)
        along = change @ TURN.flatten() / TURN.norm()
        assert bool((along.abs() > 0.99 * change.norm(dim=1)).all()), "what identity leaves open hardly moves"
        torch.testing.assert_close(groomer(turned)[:, 1:], groomer(codes)[:, 1:], atol=0.01, rtol=0)


def test_the_recomposer_grooms_what_is_covered(groomer: StyleGroomer, tmp_path: Path):
    groomer.save_pretrained(tmp_path)
    recomposer = Recomposer(_mean(), None, LATENT, groomer=StyleGroomer.from_pretrained(tmp_path))
    latents, attributes = torch.zeros(4, LATENT), torch.zeros(4, ATTRIBUTES)

    def made(wished: torch.Tensor | None) -> torch.Tensor:
        wished = None if wished is None else wished.expand(4, -1, -1)
        return recomposer(latents, attributes, [torch.Generator().manual_seed(3)], limits=wished).codes

    assert torch.equal(made(None), made(ALL))
    assert bool((groomer(made(most(0.1, 0.1))) < groomer(made(None)) - 0.05)[:, 1:].all())
