"""The whole command, from nothing to a face, on what `id2face setup` brings: no data, our own networks in the teachers' place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Generator

from id2face_core import reading, stages
from id2face_core.assets.weights import weights_status
from id2face_core.components import Components
from id2face_core.training.checkpoint import MAX_BYTES
from id2face_core.training.cli import main
from id2face_core.training.curves import read_losses

pytestmark = pytest.mark.slow
MINUTES = "12"  # a limit: the rung counts faces and steps
LOSSES = {  # what has to fall, of each network
    "person": ("loss",), "encoder": ("cosine",), "vae": ("cosine",), "surrogate": ("identity",),
    "blendshapes": ("loss",), "denoiser": ("recompose_identity",), "refiner": ("identity",),
    # diffusion is the closed form's from the start
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output: Path = tmp_path_factory.mktemp("training")
    arguments = ["--rung", "smoke", "--minutes", MINUTES, "--output", str(output), "--weights", str(output / "weights")]
    assert main(arguments) == 0
    return output


def test_losses_fall(trained: Path) -> None:
    for network, terms in LOSSES.items():
        columns = read_losses(trained / "train" / network / "losses.csv")
        for term in terms:
            values = columns[term]
            third = max(1, len(values) // 3)
            assert len(values) >= 2, network
            assert values[-third:].mean() < values[:third].mean(), (network, term, values.tolist())


def test_files_are_small_and_hold_no_path(trained: Path) -> None:
    files = [p for p in trained.rglob("*") if p.suffix in (".safetensors", ".npz", ".json", ".csv", ".png")]
    assert len(files) > 30 and max(p.stat().st_size for p in files) <= MAX_BYTES
    assert not [p for p in trained.rglob("*") if p.suffix in (".pt", ".pth", ".pkl", ".bin")]
    for path in (trained / "weights").rglob("*.json"):
        text = path.read_text()
        assert "_name_or_path" not in text and str(trained) not in text, path
    assert {health for _, health in weights_status(trained / "weights").values()} == {"ok"}


def test_pictures_are_drawn(trained: Path) -> None:
    for name in ("attributes", "identity", "prior", "recomposer", "samples", "gates"):
        picture = np.asarray(Image.open(trained / f"pictures/{name}.png").convert("RGB"))
        assert picture.std() > 5, name


def test_a_face_comes_out(trained: Path, model_dir: Path) -> None:
    parts = Components.load(None, "cpu", ("centerface",), trained / "weights")
    wish = parts.recomposer.mean.centre[parts.vae.config.latent_dim :].clone()
    rng = Generator().manual_seed(0)
    latents = stages.sample_identity(parts, wish, rng, count=2)
    new = stages.render_candidate(parts, stages.draw_candidates(parts, latents, wish, rng, steps=4))
    found = parts.detector.detect(new.rendering)
    assert len(found) == 1 and found[0].score > 0.5
    assert abs(float(np.linalg.norm(reading.read_rendering(parts, new).embedding.numpy())) - 1) < 1e-3


def test_a_finished_run_is_not_run_again_and_not_overwritten(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--rung", "smoke", "--minutes", MINUTES, "--output", str(trained), "--stage", "all"]
    assert main(arguments) == 2
    assert "--resume" in capsys.readouterr().err
    before = {p: p.stat().st_mtime_ns for p in trained.rglob("diffusion_pytorch_model.safetensors") if "weights" not in p.parts}
    assert main([*arguments, "--weights", str(trained / "weights"), "--resume"]) == 0
    said = capsys.readouterr().out
    assert all(f"{stage}: done" in said for stage in ("synthesize", "attributes", "identity", "prior", "recomposer"))
    assert {p: p.stat().st_mtime_ns for p in before} == before
    record = json.loads((trained / "run.json").read_text())
    assert all(row["done"] and row["used"] > 0 for row in record["stages"].values())


def test_ablation_switches_each_loss_off_once(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = "recomposer.denoiser.steps=2"
    assert main(["--stage", "ablate", "--rung", "smoke", "--minutes", "5", "--output", str(trained), "--set", steps]) == 0
    table = capsys.readouterr().out
    assert table.count("\n| no ") == 8 and "| all losses | 2 |" in table
    columns = read_losses(trained / "train/ablation/no_alignment/losses.csv")
    assert columns == {} or not [name for name in columns if name.startswith("alignment")]


def test_the_probe_says_what_it_needs(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stage", "probe", "--output", str(trained)]) == 1
    assert "--data" in capsys.readouterr().err
