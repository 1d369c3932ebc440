"""The packaged generator: equal to its reference, windows, batches, gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from id2face_core.errors import AssetCorruptError, AssetMissingError
from id2face_core.generator.loader import MobileStyleGAN, load_generator
from id2face_core.generator.mobilestylegan import SynthesisNetwork
from id2face_core.generator.window import Window

REFERENCE = Path(__file__).parent / "reference" / "mobilestylegan_seed0_32px.npy"
WINDOW = Window(0.10, 1.0, 0.12, 0.88)


@pytest.fixture(scope="module")
def generator(model_dir: Path) -> MobileStyleGAN:
    return load_generator(model_dir)


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 512, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def small(generator: MobileStyleGAN) -> np.ndarray:
    """The face of seed 0 as [3, 32, 32]."""
    return F.avg_pool2d(generator.synthesize(generator.map(noise(1)))[0], 32).numpy()


def test_equals_the_stored_reference(generator: MobileStyleGAN) -> None:
    assert np.abs(small(generator) - np.load(REFERENCE)).max() < 1e-3


def test_equals_openvino(generator: MobileStyleGAN, tmp_path: Path) -> None:
    """Needs openvino, and the package's own files in $ID2FACE_RANDOM_FACE."""
    import os

    openvino = pytest.importorskip("openvino")
    folder = Path(os.environ.get("ID2FACE_RANDOM_FACE", "missing"))
    if not (folder / "SynthesisNetwork.xml").is_file():
        pytest.skip("set ID2FACE_RANDOM_FACE to random_face/data of the unpacked wheel")
    core = openvino.Core()
    mapping = core.compile_model(str(folder / "MappingNetwork.xml"), "CPU")
    synthesis = core.compile_model(str(folder / "SynthesisNetwork.xml"), "CPU")
    z = noise(1, seed=5)
    w = mapping([z.numpy()])[0]
    with torch.no_grad():
        assert np.abs(generator.map(z).numpy() - w).max() < 1e-4
        assert np.abs(generator.synthesize(torch.from_numpy(w)).numpy() - synthesis([w])[0]).max() < 1e-3


@torch.no_grad()
def test_a_window_is_a_crop_of_the_whole(generator: MobileStyleGAN) -> None:
    w = generator.map(noise(1, seed=1))
    for full_size, side in ((False, 512), (True, 1024)):
        whole = generator.synthesize(w, full_size=full_size)
        place = WINDOW.exact_pixels(512)
        crop = (place.doubled() if full_size else place).cut(whole)
        assert whole.shape == (1, 3, side, side)
        assert (generator.synthesize(w, WINDOW, full_size) - crop).abs().max() < 1e-3


@torch.no_grad()
def test_batches_do_not_matter_and_w_plus_of_one_w_is_w(generator: MobileStyleGAN) -> None:
    w = generator.map(noise(3, seed=2))
    together = generator.synthesize(w, WINDOW, False)
    for i in range(3):
        plus = w[i : i + 1, None].expand(-1, generator.num_styles, -1)
        assert (generator.synthesize(plus, WINDOW, False)[0] - together[i]).abs().max() < 1e-3


def test_gradients_reach_the_style_and_not_the_weights(generator: MobileStyleGAN) -> None:
    w = generator.w_mean[None, None].repeat(1, generator.num_styles, 1).requires_grad_()
    generator.synthesize(w, Window(0.4, 0.6, 0.4, 0.6), False).square().mean().backward()
    assert w.grad is not None and bool((w.grad.abs().amax(dim=2) > 0).all())
    assert all(not p.requires_grad and p.grad is None for p in generator.parameters())


def test_the_mean_style_is_stable_and_the_layout_fast(generator: MobileStyleGAN) -> None:
    assert generator.w_mean.shape == (512,)
    assert generator.num_styles == 23 and not generator.training
    assert generator.synthesis.stem.weight.is_contiguous(memory_format=torch.channels_last)
    mean = generator.map(noise(4000, seed=9)).mean(dim=0)
    assert F.cosine_similarity(mean, generator.w_mean, dim=0) > 0.95


def test_without_setup_the_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match="run: id2face setup$"):
        load_generator(tmp_path)
    path = tmp_path / "generator" / "mobilestylegan.safetensors"
    path.parent.mkdir()
    path.write_bytes(b"not a network")
    with pytest.raises(AssetCorruptError, match="run: id2face setup"):
        load_generator(tmp_path)


def test_a_small_random_network_windows_exactly() -> None:
    """The window logic without the packaged weights: three levels from 64 px on."""
    torch.manual_seed(0)
    network = SynthesisNetwork(channels=(16, 16, 16, 16, 8, 8, 8), base=16).eval().requires_grad_(False)
    for name, buffer in network.named_buffers():
        assert name.endswith("noise")
        buffer.normal_()
    network.constant.normal_()
    w = torch.randn(2, 512)
    window = Window(0.3, 0.8, 0.2, 0.7)
    whole = network(w, full_size=False)
    assert (network(w, window, False) - window.exact_pixels(512).cut(whole)).abs().max() < 1e-4
