"""Candidates: the best fit first, those like the source last."""

import torch

from id2face_core.attributes.vector import ATTRIBUTES, index
from id2face_core.diffusion.ranking import EXCLUDED, importance, misfit
from id2face_core.diffusion.surrogate import StyleSurrogate


def _surrogate() -> StyleSurrogate:
    torch.manual_seed(0)
    return StyleSurrogate(num_attributes=len(ATTRIBUTES), width=16).eval()


def test_a_code_that_reads_as_wished_costs_nothing_and_sex_costs_more_than_a_brow():
    surrogate, codes = _surrogate(), torch.randn(3, 3, 512, generator=torch.Generator().manual_seed(0))
    wanted = surrogate(codes)[1].detach()
    torch.testing.assert_close(misfit(surrogate, codes, wanted), torch.zeros(3))
    wrong = [wanted.clone() for _ in range(2)]
    wrong[0][:, index("sex")] += 1
    wrong[1][:, index("browInnerUp")] += 1
    sex, brow = (misfit(surrogate, codes, w) for w in wrong)
    assert bool((sex > 2 * brow).all()) and bool((brow > 0).all())


def test_attributes_that_cannot_be_read_do_not_decide():
    surrogate, codes = _surrogate(), torch.randn(2, 3, 512, generator=torch.Generator().manual_seed(1))
    surrogate.reliability.zero_()
    torch.testing.assert_close(misfit(surrogate, codes, torch.full((len(ATTRIBUTES),), 9.0)), torch.zeros(2))


def test_codes_like_the_source_come_last_the_most_alike_at_the_very_end():
    surrogate, codes = _surrogate(), torch.randn(4, 3, 512, generator=torch.Generator().manual_seed(2))
    identity, wanted = surrogate(codes)
    source = identity[2].detach()
    cost = misfit(surrogate, codes, wanted.detach(), source, margin=0.99)
    assert int(cost.argmax()) == 2 and float(cost[2]) > EXCLUDED and float(cost[[0, 1, 3]].max()) < 1
    everyone = misfit(surrogate, codes, wanted.detach(), source, margin=-1.0)
    assert int(everyone.argmax()) == 2 and bool((everyone > 0).all())


def test_importance_covers_every_attribute():
    assert importance().shape == (len(ATTRIBUTES),) and float(importance()[index("sex")]) == float(importance().max())
