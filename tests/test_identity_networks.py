"""Encoder, VAE and third-party recognisers: shapes, unit norms, save and load."""

import pytest
import torch

from id2face_core.errors import AssetMissingError, ShapeError
from id2face_core.identity.encoder import IdentityEncoder
from id2face_core.identity.recognisers import IMAGENET_MEAN, IMAGENET_STD, InsightFaceRecognizer, OnnxRecognizer
from id2face_core.identity.vae import IdentityVAE


def _crops(count: int, size: int = 112) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def _assert_unit(x: torch.Tensor) -> None:
    torch.testing.assert_close(x.norm(dim=1), torch.ones(len(x)), atol=1e-4, rtol=0)


def test_encoder_gives_unit_vectors_and_survives_saving(tmp_path):
    model = IdentityEncoder(dim=16, widths=(8, 8, 8), blocks=(1, 1, 1)).eval()
    out = model.embed(_crops(2))
    assert out.shape == (2, 16)
    _assert_unit(out)
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(IdentityEncoder.from_pretrained(tmp_path).eval().embed(_crops(2)), out)


def test_encoder_refuses_another_size():
    with pytest.raises(ShapeError):
        IdentityEncoder(dim=16, widths=(8, 8, 8), blocks=(1, 1, 1)).embed(_crops(1, 96))


def test_default_encoder_fits_one_file():
    assert 2 * sum(p.numel() for p in IdentityEncoder().parameters()) < 15e6  # bytes in fp16


def test_vae_decodes_unit_vectors_samples_repeatably_and_keeps_its_mean(tmp_path):
    model = IdentityVAE(embedding_dim=16, latent_dim=8, width=32)
    model.mean.fill_(0.1)
    drawn = model.sample(4, torch.Generator().manual_seed(3))
    assert torch.equal(drawn, model.sample(4, torch.Generator().manual_seed(3)))
    assert torch.equal(2 * drawn, model.sample(4, torch.Generator().manual_seed(3), temperature=2.0))
    _assert_unit(model.decode(drawn))
    assert model.encode(model.decode(drawn)).shape == (4, 8)
    model.save_pretrained(tmp_path)
    torch.testing.assert_close(IdentityVAE.from_pretrained(tmp_path).decode(drawn), model.decode(drawn))


def test_calibrated_latents_are_white_and_decode_to_the_same_vectors():
    model = IdentityVAE(embedding_dim=16, latent_dim=8, width=32).eval()
    people = torch.nn.functional.normalize(torch.randn(4000, 16, generator=torch.Generator().manual_seed(0)) + 0.3, dim=1)
    before = model.decode(model.encode(people))
    model.calibrate(people)
    latents = model.encode(people)
    torch.testing.assert_close(latents.mean(dim=0), torch.zeros(8), atol=1e-3, rtol=0)
    drawn = model.draw(people, torch.Generator().manual_seed(1))
    covariance = drawn.T @ drawn / len(drawn)
    torch.testing.assert_close(covariance, torch.eye(8), atol=0.12, rtol=0)  # posterior spread included
    torch.testing.assert_close(model.decode(latents), before, atol=1e-3, rtol=0)


def test_vae_refuses_an_odd_latent():
    with pytest.raises(ShapeError):
        IdentityVAE(latent_dim=7)


def test_missing_recognisers_are_named(tmp_path):
    with pytest.raises(AssetMissingError):
        OnnxRecognizer(tmp_path / "none.onnx")
    with pytest.raises(AssetMissingError):
        InsightFaceRecognizer("no_such_pack", root=tmp_path)


def test_batch_one_recogniser_gives_each_face_its_own_unit_vector(data_dir):
    path = data_dir / "weights/recognition/mobilefacenet_ms1m_foamliu.onnx"
    if not path.is_file():
        pytest.skip("the recogniser is not in the data folder")
    model = OnnxRecognizer(path, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    out = model.embed(_crops(3))
    assert out.shape == (3, model.dim) == (3, 128)
    _assert_unit(out)
    torch.testing.assert_close(model.embed(_crops(3)[1:2]), out[1:2])
    assert model.embed(_crops(3)[:0]).shape == (0, 128)
    with pytest.raises(ShapeError):
        model.embed(torch.zeros(3, 112, 112))
