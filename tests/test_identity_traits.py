"""Conditional sampling of identities: the right conditional Gaussian, continuous, and free where it is told so."""

import torch

from id2face_core.attributes.edit import kept_traits
from id2face_core.attributes.vector import ATTRIBUTES, index
from id2face_core.identity.traits import IdentityTraits

LATENT = 6


def _fitted() -> tuple[IdentityTraits, torch.Tensor, torch.Tensor]:
    """Traits where age is latent 0, sex is latent 1 (with noise), skin nothing."""
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(5000, LATENT, generator=generator)
    attributes = torch.randn(5000, len(ATTRIBUTES), generator=generator)
    attributes[:, index("age")] = 40 + 10 * latents[:, 0]
    attributes[:, index("sex")] = 0.5 + 0.3 * latents[:, 1] + 0.1 * attributes[:, index("sex")]
    return IdentityTraits(LATENT).fit(latents, attributes), latents, attributes


def _wish(**values: float) -> torch.Tensor:
    wish = torch.zeros(1, len(ATTRIBUTES))
    wish[0, index("age")], wish[0, index("sex")] = 40.0, 0.5
    for name, value in values.items():
        wish[0, index(name)] = value
    return wish


def test_conditioned_samples_have_the_wished_age_and_keep_the_spread_of_the_rest():
    traits, _, _ = _fitted()
    free = torch.randn(4000, LATENT, generator=torch.Generator().manual_seed(1))
    drawn = traits.condition(free, _wish(age=55.0))
    assert abs(float(drawn[:, 0].mean()) - 1.5) < 0.1 and float(drawn[:, 0].std()) < 0.15
    assert float((drawn[:, 2:].std(dim=0) - 1).abs().max()) < 0.1


def test_a_little_other_reading_moves_the_identity_a_little():
    traits, _, _ = _fitted()
    free = torch.randn(1, LATENT, generator=torch.Generator().manual_seed(2))
    near = traits.condition(free, _wish(age=41.0)) - traits.condition(free, _wish(age=40.0))
    assert 0 < float(near.norm()) < 0.2


def test_released_traits_follow_the_identity_and_kept_ones_stay():
    traits, latents, attributes = _fitted()
    kept = kept_traits(("sex",), traits.indices)
    free = torch.randn(2000, LATENT, generator=torch.Generator().manual_seed(3))
    drawn = traits.condition(free, _wish(age=80.0), kept)
    assert abs(float(drawn[:, 0].mean())) < 0.1  # the age was not asked for
    wish = traits.release(latents[:50], attributes[0], kept)
    assert torch.equal(wish[:, index("sex")], attributes[0, index("sex")].expand(50))
    torch.testing.assert_close(wish[:, index("age")], attributes[:50, index("age")].clamp(15, 65), atol=1.0, rtol=0)
