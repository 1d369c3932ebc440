"""dlib's recogniser run by torch gives what dlib gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from id2face_core import pipeline
from id2face_core.audit import recognisers
from id2face_core.audit.dlib_network import SIDE, DlibResNet, _sum
from id2face_core.audit.recognisers import DlibAuditor, dlib_file

PHOTO = Path(pipeline.__file__).parent / "demo/astronaut.jpg"
POINTS = np.array([[181.0, 105], [219, 103], [203, 125], [186, 145], [220, 143]], dtype=np.float32)  # of that photograph


def faces() -> list[np.ndarray]:
    photo = np.asarray(Image.open(PHOTO).convert("RGB").resize((SIDE, SIDE)))
    return [photo, 255 - photo, np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)]


def test_every_vector_is_dlibs() -> None:
    dlib = pytest.importorskip("dlib")
    network, theirs = DlibResNet.from_file(dlib_file()), dlib.face_recognition_model_v1(str(dlib_file()))
    ours = network(torch.from_numpy(np.stack(faces()))).numpy()
    for vector, face in zip(ours, faces(), strict=True):
        expected = np.array(theirs.compute_face_descriptor(face))
        assert np.linalg.norm(expected) > 0.5
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_a_file_that_is_not_the_published_one_runs_in_dlib(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dlib")
    photo, fast = np.array(Image.open(PHOTO).convert("RGB")), DlibAuditor()
    monkeypatch.setattr(recognisers, "SHA256", "0" * 64)
    slow = DlibAuditor()
    assert fast._fast is not None and fast._net is None and slow._fast is None
    np.testing.assert_allclose(fast.embed(photo, POINTS), slow.embed(photo, POINTS), atol=1e-5)


def test_another_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "net.dat").write_bytes(bytes(range(256)) * 100)
    with pytest.raises(ValueError):
        DlibResNet.from_file(tmp_path / "net.dat")


def test_what_is_smaller_is_padded_with_zeros() -> None:
    a, b = torch.ones(1, 2, 3, 3), torch.ones(1, 1, 2, 4)
    total = _sum(a, b)
    assert total.shape == (1, 2, 3, 4)
    assert total[0, 0].tolist() == [[2, 2, 2, 1], [2, 2, 2, 1], [1, 1, 1, 0]] and total[0, 1, :, 3].max() == 0
