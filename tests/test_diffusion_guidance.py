"""Guidance: two draws for one face become less alike, and no code leaves the range that the generator knows."""

from itertools import combinations

import torch

from id2face_core.diffusion.closed_form import ConditionalMean
from id2face_core.diffusion.recomposer import Guidance, Recomposer
from id2face_core.diffusion.style_space import REACH, guide, within

LATENT, ATTRIBUTES = 6, 3
CENTRE = torch.full((3, 512), 0.5)


def _codes(seed: int, count: int = 4) -> torch.Tensor:
    return CENTRE + torch.randn(count, 3, 512, generator=torch.Generator().manual_seed(seed))


def _recomposer() -> Recomposer:
    mean = ConditionalMean(LATENT + ATTRIBUTES)
    mean.slope.copy_(torch.randn(mean.slope.shape, generator=torch.Generator().manual_seed(0)))
    return Recomposer(mean, None, LATENT)


def _conditions(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, LATENT, generator=generator), torch.randn(1, ATTRIBUTES, generator=generator).expand(count, -1)


def _alike(codes: torch.Tensor) -> float:
    """Mean cosine of pairs of codes [K, G, D] around their recomposer's centre, which is 0."""
    flat = codes.flatten(1)
    pairs = combinations(range(len(flat)), 2)
    return float(torch.stack([torch.cosine_similarity(flat[a], flat[b], dim=0) for a, b in pairs]).mean())


def test_a_guided_code_is_as_far_from_the_centre_and_turned_away_from_the_average():
    codes, average = _codes(0), _codes(1)
    guided = guide(codes, average, 1.7, CENTRE)
    torch.testing.assert_close((guided - CENTRE).norm(dim=-1), (codes - CENTRE).norm(dim=-1))
    before, after = (torch.cosine_similarity(x - CENTRE, average - CENTRE, dim=-1) for x in (codes, guided))
    turned = (before - after).mean(dim=0)
    assert turned[0] > turned[1] > 0.1, "coarse layers say who it is"
    torch.testing.assert_close(guided[:, 2], codes[:, 2])


def test_a_scale_of_one_and_a_code_at_the_centre_stay():
    codes = _codes(0)
    torch.testing.assert_close(guide(codes, _codes(1), 1.0, CENTRE), codes)
    middle = CENTRE.expand(2, -1, -1).clone()
    torch.testing.assert_close(guide(middle, middle, 2.0, CENTRE), middle)


def test_far_codes_come_nearer_and_the_others_stay() -> None:
    codes = CENTRE + torch.randn(5, 3, 512, generator=torch.Generator().manual_seed(3)) * torch.linspace(0, 2, 5)[:, None, None]
    reach = torch.tensor([20.0, 30.0, 100.0])
    out = within(codes, CENTRE, reach)
    before, after = ((x - CENTRE).norm(dim=-1) for x in (codes, out))
    torch.testing.assert_close(after, before.minimum(reach))
    assert torch.equal(out[before <= reach], codes[before <= reach]) and (before > reach).any()
    turned = torch.cosine_similarity(out - CENTRE, codes - CENTRE, dim=-1)[before > 0]
    torch.testing.assert_close(turned, torch.ones_like(turned))


def test_the_radius_is_that_of_the_table() -> None:
    generator = torch.Generator().manual_seed(4)
    conditions = torch.randn(4000, LATENT + ATTRIBUTES, generator=generator)
    weight = torch.randn(LATENT + ATTRIBUTES, 3 * 8, generator=generator)
    table = (conditions @ weight + torch.randn(4000, 24, generator=generator)).view(-1, 3, 8) + 5
    mean = ConditionalMean(LATENT + ATTRIBUTES, style_dim=8, clamp=10.0).fit(conditions, table, ridge=1.0)
    expected = (table - mean.offset).square().sum(dim=-1).mean(dim=0).sqrt()
    torch.testing.assert_close(mean.radius(), expected, rtol=0.02, atol=0)


def test_nothing_leaves_the_recomposer_from_beyond_the_reach() -> None:
    recomposer = _recomposer()
    _, attributes = _conditions(8)
    reach = REACH * recomposer.mean.radius() + 1e-3

    def groom(codes: torch.Tensor) -> torch.Tensor:
        assert (codes.norm(dim=-1) <= reach).all(), "readers know near codes only"
        return 1.5 * codes

    codes = 3 * recomposer.mean.radius()[:, None] * torch.nn.functional.normalize(_codes(5, 8), dim=-1)
    out = recomposer.finish(codes, torch.zeros_like(codes), attributes, None, None, groom)
    assert (out.norm(dim=-1) <= reach).all() and (out.norm(dim=-1) > 0.9 * reach).any()


def test_draws_of_one_wish_become_less_alike():
    recomposer = _recomposer()
    latents, attributes = _conditions(6)
    latents[:, 0] += 4  # what all of them share
    shared = torch.zeros_like(latents)
    shared[:, 0] = latents[:, 0]
    draw = [torch.Generator().manual_seed(2)]
    plain = recomposer(latents, attributes, draw).codes
    guided = recomposer(latents, attributes, [torch.Generator().manual_seed(2)], guidance=Guidance(1.7, shared)).codes
    assert _alike(guided) < _alike(plain) - 0.1


def test_each_face_of_a_batch_has_its_own_average():
    recomposer = _recomposer()
    latents, attributes = _conditions(4)
    average = torch.randn(4, LATENT, generator=torch.Generator().manual_seed(3))

    def drawn(rows: slice, seeds: tuple[int, ...]) -> torch.Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return recomposer(latents[rows], attributes[rows], generators, guidance=Guidance(1.5, average).of(rows)).codes

    together = drawn(slice(0, 4), (5, 6))
    torch.testing.assert_close(together, torch.cat((drawn(slice(0, 2), (5,)), drawn(slice(2, 4), (6,)))))
