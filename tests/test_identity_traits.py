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


def _with_directions() -> IdentityTraits:
    """As `_fitted`; the directions are latent 0 of age, 1 of sex, 2 and 3 of descent."""
    traits = IdentityTraits(LATENT, counts=(1, 1, 2)).fit(*_fitted()[1:])
    traits.directions.copy_(torch.eye(LATENT)[:, :4])
    return traits


def test_carried_traits_are_the_sources_and_all_else_is_sampled():
    traits = _with_directions()
    free, own = (torch.randn(n, LATENT, generator=torch.Generator().manual_seed(n)) for n in (500, 1))
    new = traits.carry(free, own)
    torch.testing.assert_close(new[:, :4], own[:, :4].expand(500, -1))
    torch.testing.assert_close(new[:, 4:], free[:, 4:])
    only_sex = traits.carry(free, own, kept_traits(("sex",), traits.indices))
    torch.testing.assert_close(only_sex[:, 1], own[:, 1].expand(500))
    torch.testing.assert_close(only_sex[:, [0, 2, 3, 4, 5]], free[:, [0, 2, 3, 4, 5]])


def test_what_is_shown_by_half_is_asked_for_twice():
    traits = _with_directions()
    free, own = (torch.randn(n, LATENT, generator=torch.Generator().manual_seed(n)) for n in (500, 1))
    new = traits.carry(free, own, shown=(1.0, 0.8, 0.5))
    torch.testing.assert_close(new[:, :4], (own[:, :4] / torch.tensor([1.0, 0.8, 0.5, 0.5])).expand(500, -1))
    torch.testing.assert_close(new[:, 4:], free[:, 4:])
    only_age = traits.carry(free, own, kept_traits(("age",), traits.indices), shown=(0.5, 0.5, 0.5))
    torch.testing.assert_close(only_age[:, 0], 2 * own[:, 0].expand(500))
    torch.testing.assert_close(only_age[:, 1:], free[:, 1:])


def test_a_changed_wish_moves_the_carried_trait():
    traits, own = _with_directions(), torch.zeros(1, LATENT)
    older = traits.carry(torch.zeros(1, LATENT), own, change=_wish(age=60.0) - _wish(age=40.0))
    assert abs(float(older[0, 0]) - 2.0) < 0.1  # a deviation of age is ten years here
    assert torch.equal(traits.carry(own, own, change=torch.zeros(1, len(ATTRIBUTES))), own)


def test_without_directions_nothing_is_carried():
    traits, _, _ = _fitted()
    free = torch.randn(3, LATENT, generator=torch.Generator().manual_seed(5))
    assert traits.basis().shape == (LATENT, 0) and torch.equal(traits.carry(free, torch.ones(1, LATENT)), free)


def test_the_basis_is_orthonormal_though_traits_overlap():
    traits = _with_directions()
    traits.directions[:, 1] = torch.tensor([0.6, 0.8, 0, 0, 0, 0])  # sex leans to age
    basis = traits.basis()
    torch.testing.assert_close(basis.T @ basis, torch.eye(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(basis @ basis.T @ traits.directions, traits.directions, atol=1e-6, rtol=0)


def test_what_is_settled_of_an_identity_are_its_traits_and_how_it_lies_to_the_source():
    traits = _with_directions()
    own = torch.tensor([[1.0, 2.0, 0.0, 0.0, 3.0, 0.0]])
    drawn = torch.tensor([[5.0, 6.0, 7.0, 8.0, -2.0, 9.0], [1.0, 1.0, 1.0, 1.0, 4.0, -1.0]])
    settled = torch.tensor([[5.0, 6.0, 7.0, 8.0, -2.0, 0.0], [1.0, 1.0, 1.0, 1.0, 4.0, 0.0]])
    torch.testing.assert_close(traits.settled(drawn, own), settled)
    other = torch.tensor([[0.0, 1.0, 0.0, 0.0, 0.0, 2.0]])
    each = traits.settled(drawn, torch.cat((own, other)))
    torch.testing.assert_close(each, torch.cat((settled[:1], traits.settled(drawn[1:], other))))
