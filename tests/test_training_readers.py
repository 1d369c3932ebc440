"""The generator as it is trained through: compiled where that pays, itself everywhere else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from id2face_core.training.readers import PATIENCE, CompiledRenderer


class Squares:
    """Renders squares of the styles and counts how often."""

    calls = 0

    def synthesize(self, w: Tensor, window: Any = None, full_size: bool = True) -> Tensor:
        self.calls += 1
        return w.square().sum(dim=(1, 2))


def _styles(count: int, wanted: bool = True) -> Tensor:
    return torch.ones(count, 2, 3, requires_grad=wanted)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that what torch.compile gave was called with."""
    sizes: list[int] = []

    def compile_(function: Callable[..., Tensor], dynamic: bool) -> Callable[..., Tensor]:
        return lambda w, *rest: (sizes.append(len(w)), 3 * w.square().sum(dim=(1, 2)))[1]

    monkeypatch.setattr(torch, "compile", compile_)
    return sizes


def test_a_size_that_comes_again_and_again_is_compiled_for(compiled: list[int]) -> None:
    generator = Squares()
    renderer = CompiledRenderer(generator)
    for i in range(PATIENCE + 3):
        w = _styles(4)
        out = renderer.synthesize(w)
        out.sum().backward()
        fast = i >= PATIENCE - 1
        assert float(out.detach()[0]) == (18 if fast else 6) and float(w.grad[0, 0, 0]) == (6 if fast else 2)  # type: ignore[index]
    assert generator.calls == PATIENCE - 1 and compiled == [4] * 5, "tried once, there and back"


def test_other_sizes_and_pictures_without_gradients_are_not(compiled: list[int]) -> None:
    generator = Squares()
    renderer = CompiledRenderer(generator)
    for i in range(3 * PATIENCE):
        renderer.synthesize(_styles(2 + i % 2))
        renderer.synthesize(_styles(4, wanted=False))
        with torch.no_grad():
            renderer.synthesize(_styles(4))
    assert not compiled and generator.calls == 9 * PATIENCE


def test_where_nothing_compiles_it_is_the_generator(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def broken(function: Callable[..., Tensor], dynamic: bool) -> Callable[..., Tensor]:
        def fail(*_: object) -> Tensor:
            raise RuntimeError("no compiler")

        return fail

    monkeypatch.setattr(torch, "compile", broken)
    generator = Squares()
    renderer = CompiledRenderer(generator)
    with caplog.at_level(logging.WARNING):
        for _ in range(2 * PATIENCE):
            assert float(renderer.synthesize(_styles(4)).detach()[0]) == 6
    assert generator.calls == 2 * PATIENCE and caplog.text.count("not compiled") == 1
