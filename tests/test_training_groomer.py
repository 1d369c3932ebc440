"""The groomer's table: rendered, measured, fitted, and told how well it reads faces that were held out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from id2face_core.diffusion.closed_form import ConditionalMean
from id2face_core.errors import FaceRejectedError
from id2face_core.photograph.coverage import ZONES
from id2face_core.training import groomer as module
from id2face_core.training.groomer import COARSE, LEAST_FACES, READINGS, TURNS, fitted, groomed_at_random, measure_looks

CANONICAL = np.zeros((468, 3))


class Renderer:
    """Pictures whose grey is what the code says; counts how often it is asked."""

    calls = 0

    def synthesize(self, styles: torch.Tensor, window: object, full: bool) -> torch.Tensor:
        self.calls += 1
        return styles[:, 0, 0].view(-1, 1, 1, 1).expand(-1, 3, 8, 8).clamp(-1, 1)


class Mesh:
    """Fits where the picture is not black."""

    def fit(self, picture: np.ndarray, points5: np.ndarray) -> Mesh:
        if picture.max() == 0:
            raise FaceRejectedError("no_mesh", "nothing there")
        return self

    points = np.zeros((468, 3))


@pytest.fixture(autouse=True)
def grey(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "coverage", lambda picture, points: np.full(len(ZONES), picture.mean() / 255, dtype=np.float32))
    monkeypatch.setattr(module, "head_pose", lambda points, canonical: (3.0, -4.0, 5.0))
    yield


def draw(number: int) -> torch.Tensor:
    codes = 0.3 * torch.randn(8, 3, 512, generator=torch.Generator().manual_seed(number))
    codes[0] = -2.0  # black: no face there
    return codes


def test_faces_are_measured_until_there_are_enough_and_failures_are_left_out() -> None:
    codes, looks = measure_looks(Renderer(), Mesh(), CANONICAL, draw, 4, 20, 60.0)
    assert codes.shape == (21, 3, 512) and looks.shape == (21, len(READINGS))
    assert bool((looks[:, :TURNS] == torch.tensor([3.0, -4.0])).all()), "a roll is none of the generator's"
    torch.testing.assert_close(looks[:, -1].square(), (codes[:, 0, 0].clamp(-1, 1) + 1) / 2, atol=3e-3, rtol=0)


def test_without_time_there_are_a_few_all_the_same() -> None:
    assert len(measure_looks(Renderer(), Mesh(), CANONICAL, draw, 8, 1000, 0.0)[0]) == 21 >= LEAST_FACES


def test_a_generator_that_draws_no_face_is_an_error_and_not_an_endless_loop() -> None:
    renderer = Renderer()
    with pytest.raises(FaceRejectedError, match="no rendering shows a face"):
        measure_looks(renderer, Mesh(), CANONICAL, lambda number: torch.full((2, 3, 512), -2.0), 2, 100, 0.0)
    assert renderer.calls == LEAST_FACES


def table(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes, and looks of which the last one hangs on the coarse group, yaw and the first zone on all, others on none."""
    rng = torch.Generator().manual_seed(seed)
    codes = torch.randn(count, 3, 512, generator=rng)
    looks = torch.rand(count, len(READINGS), generator=rng)
    looks[:, 0] = 10 * codes[:, :, 2].sum(dim=1)
    looks[:, TURNS] = 0.5 + 0.04 * codes[:, :, 0].sum(dim=1)
    looks[:, -1] = 0.5 + 0.05 * codes[:, 0, 1]
    return codes, looks


def turns() -> torch.Tensor:
    """Yaw along one coordinate, pitch along another."""
    out = torch.zeros(TURNS, 3, 512)
    out[0, :, 2] = out[1, 0, 3] = 1.0
    return out


def test_what_is_linear_in_the_code_is_read_and_noise_is_not() -> None:
    own, asked = table(1, 2400), table(2, 2400)
    own = own[0] + 1.0, own[1] + 0.5  # another kind of faces: elsewhere, with more of everything
    groomer, figures = fitted([own, asked], ConditionalMean(9), turns(), 100.0)
    assert figures["groomer_faces"] == 4800
    linear = (READINGS[0], READINGS[TURNS], READINGS[-1])
    assert min(figures[f"groomer_r2_{name}"] for name in linear) > 0.6
    assert max(figures[f"groomer_r2_{name}"] for name in READINGS if name not in linear) < 0.1
    assert groomer.weight[1:, :, COARSE].abs().max() == 0 and groomer.weight[1:, :, TURNS].abs().max() > 0
    torch.testing.assert_close(groomer.offset[TURNS:], asked[1][:, TURNS:].mean(dim=0), atol=0.02, rtol=0)


def test_codes_are_groomed_each_in_its_own_way_down_to_below_the_plainest() -> None:
    mean = ConditionalMean(9)
    (codes, _), rows = table(3, 200), [table(4, 2400), table(5, 2400)]
    for drawn, looks in rows:
        looks[:, :TURNS] = 10 * drawn[:, 0, 2:4]
        looks[:, TURNS:] = 0.5 + 0.05 * drawn[:, 0, 8 : 8 + len(ZONES)]
    groomer, _ = fitted(rows, mean, turns(), 100.0)
    groomed = groomed_at_random(groomer, codes, mean, torch.Generator().manual_seed(3))
    before, after = groomer(codes), groomer(groomed)
    turned = (after - before)[:, :TURNS]
    assert bool((turned.abs() > 5).float().mean() > 0.3) and abs(float(turned.mean())) < 2, "heads turn either way"
    before, after = before[:, TURNS:], after[:, TURNS:]
    assert float((after - before).quantile(0.99)) < 0.02, "nothing is put on, but what noise ties to what is taken off"
    assert 0.1 < float((after > before - 1e-3).float().mean()) < 0.7, "some zones stay"
    assert bool((after.min(dim=0).values < groomer.range[0, TURNS:] - 0.05).all())
