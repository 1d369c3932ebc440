"""The identity probe finds what was put into the attributes, and nothing where there is nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from id2face_core.attributes.vector import ATTRIBUTES, GROUPS, group_slice
from id2face_core.errors import AssetMissingError
from id2face_core.training.identity_probe import (
    PROBES,
    ceiling,
    columns_of,
    columns_without,
    probe,
    recognition,
    report,
)
from id2face_core.training.table import RealTable


def faces(leak: float, people: int = 150, pictures: int = 3) -> RealTable:
    """Real faces whose `skin` holds `leak` of what makes somebody himself; all else is noise."""
    rng = torch.Generator().manual_seed(0)
    person = torch.arange(people * pictures) // pictures
    soul = torch.randn(people, 12, generator=rng)
    lift = torch.randn(12, 64, generator=rng)
    embeddings = soul[person] @ lift + 0.5 * torch.randn(len(person), 64, generator=rng)
    attributes = torch.randn(len(person), len(ATTRIBUTES), generator=rng)
    attributes[:, group_slice("skin")] = leak * soul[person] + 0.3 * torch.randn(len(person), 12, generator=rng)
    held = person % 4 == 0
    labels = torch.full((len(held), 3), torch.nan)
    return RealTable(torch.nn.functional.normalize(embeddings, dim=1), attributes, person, held, labels)


@pytest.mark.parametrize("kind", PROBES)
def test_a_leak_is_found_and_its_group_named(kind: str) -> None:
    real = faces(1.0)
    everything, without = (probe(real, kind, columns) for columns in (columns_without(None), columns_without("skin")))
    assert everything.rate > 0.5 and everything.auc > 0.9
    assert without.rate < 0.15 and abs(without.auc - 0.5) < 0.12
    assert probe(real, kind, columns_of("skin")).rate > 0.5


@pytest.mark.parametrize("kind", PROBES)
def test_noise_is_at_chance(kind: str) -> None:
    found = probe(faces(0.0), kind, columns_without(None))
    assert found.people == 38 and found.rate < 0.15 and abs(found.auc - 0.5) < 0.12


def test_the_recogniser_is_the_ceiling() -> None:
    assert ceiling(faces(0.0)).rate > 0.95


def test_figures_of_a_known_matrix() -> None:
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.3, 0.8, 0.95], [0.0, 0.1, 0.7]])
    found = recognition(scores)
    assert (found.hits, found.people) == (2, 3)
    assert found.auc == pytest.approx(15 / 18), "one score of another person, .95, is above all three own ones"
    assert "66.7%" in str(found)


def test_report_has_a_row_for_each_group(tmp_path: Path) -> None:
    faces(1.0).save(tmp_path / "table_real")
    text = report(tmp_path)
    assert text.count("\n| ") == 2 + 2 * len(GROUPS) and "chance 2.6%" in text
    with pytest.raises(AssetMissingError, match="--data"):
        report(tmp_path / "none")
