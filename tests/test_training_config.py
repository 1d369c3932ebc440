"""Configuration: rung, file, --set, in that order; what is not known is refused by name."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import pytest

from id2face_core.errors import ConfigError
from id2face_core.training.cli import main
from id2face_core.training.config import RUNGS, TrainConfig, from_mapping, load_config


def test_later_sources_win(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('device = "cpu"\n[recomposer]\nwidth = 128\ndepth = 4\n[recomposer.losses]\nalignment = 0\n')
    config = load_config("gpu", file, ["recomposer.depth=5", "recomposer.losses.diffusion=2", "teachers.person=bundled"])
    assert (config.recomposer.width, config.recomposer.depth) == (128, 5)
    assert config.recomposer.refiner.width == 1536, "of the rung"
    assert (config.recomposer.losses.alignment, config.recomposer.losses.diffusion) == (0.0, 2.0)
    assert config.teachers.person == "bundled" and config.device == "cpu"


def test_json_round_trip_and_tuples() -> None:
    config = load_config("smoke")
    again = from_mapping(TrainConfig, json.loads(json.dumps(asdict(config))))
    assert again == config and config.attributes.person_widths == (8, 16, 32, 32)


@pytest.mark.parametrize("rung", list(RUNGS))
def test_every_rung_is_a_configuration(rung: str) -> None:
    config = load_config(rung)
    shares = [getattr(config, s).share for s in ("synthesize", "attributes", "identity", "prior", "recomposer")]
    assert sum(shares) <= 1.1 and all(s > 0 for s in shares)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recomposer.wdth=3", "recomposer.wdth"), ("nothing=1", "nothing"), ("recomposer.width=wide", "recomposer.width"),
        ("recomposer=3", "section"), ("attributes.glasses=1", "glasses"), ("seed", "section.key=value"),
        ("recomposer.losses.diffusion.x=1", "diffusion"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("cpu", None, [text])


def test_unreadable_files_and_rungs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[")
    for arguments in (("cpu", tmp_path / "bad.toml"), ("cpu", tmp_path / "none.json"), ("tpu", None)):
        with pytest.raises(ConfigError):
            load_config(*arguments)


def test_configuration_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        load_config().seed = 3  # type: ignore[misc]


def test_the_command_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--set", "loop.emma=0.9"]) == 2
    assert "loop.emma" in capsys.readouterr().err
    assert main(["--minutes", "0"]) == 2
    assert main(["--show-config", "--rung", "smoke"]) == 0
    assert json.loads(capsys.readouterr().out)["synthesize"]["faces"] == 64
