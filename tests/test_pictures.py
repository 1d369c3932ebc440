"""Untrusted picture files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from id2face_core.errors import PictureError
from id2face_core.pictures import read_picture, write_picture


def _bytes(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def _ramp(height: int = 24, width: int = 40) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack((x * 6, y * 10, x + y), axis=-1).astype(np.uint8)


@pytest.mark.parametrize("data", [b"", b"hello, this is text", _bytes(Image.fromarray(_ramp()))[:70]])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(PictureError):
        read_picture(data)


def test_exif_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    out = read_picture(_bytes(Image.fromarray(_ramp()), "PNG", exif=exif))
    assert np.array_equal(out, np.rot90(_ramp(), -1))


def test_sixteen_bits_are_scaled() -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    out = read_picture(_bytes(Image.fromarray(values)))
    assert out.shape == (16, 16, 3) and out.max() == 255 and abs(int(out[8, 0, 0]) - 128) <= 1


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "LA", "1"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    out = read_picture(_bytes(Image.fromarray(_ramp()).convert("RGB").convert("L" if mode == "LA" else mode).convert(mode), kind))
    assert out.dtype == np.uint8 and out.shape == (24, 40, 3)


def test_transparency_lies_on_white() -> None:
    out = read_picture(_bytes(Image.new("RGBA", (3, 3), (10, 20, 30, 0))))
    assert (out == 255).all()


def test_animation_and_size_are_refused_with_a_remedy() -> None:
    frames = [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]
    with pytest.raises(PictureError, match="animated"):
        read_picture(_bytes(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    with pytest.raises(PictureError, match="limit is 0.0001"):
        read_picture(_bytes(Image.fromarray(_ramp())), max_megapixels=0.0001)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tif"])
def test_outputs_carry_no_metadata(tmp_path: Path, name: str) -> None:
    write_picture(_ramp(), tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert not dict(image.getexif()) or name.endswith("tif")
        assert not {"exif", "comment", "icc_profile", "xmp"} & set(image.info)
    assert np.abs(read_picture(tmp_path / name).astype(int) - _ramp()).mean() < 6
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_unknown_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="cannot write"):
        write_picture(_ramp(), tmp_path / "a.xyz")
    assert not list(tmp_path.iterdir())
