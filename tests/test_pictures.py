"""Untrusted pictures in, clean pictures out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from id2face_core.errors import PictureError, ShapeError
from id2face_core.pictures import read_picture, write_picture

COLOURS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".tiff"])
def test_lossless_formats_give_back_the_same_pixels(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    write_picture(COLOURS, path)
    np.testing.assert_array_equal(read_picture(path), COLOURS)


@pytest.mark.parametrize("ending", [".jpg", ".JPEG", ".webp"])
def test_lossy_formats_come_close(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    smooth = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    write_picture(smooth, path)
    assert np.abs(read_picture(path).astype(int) - smooth).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation: int) -> None:
    turns = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
             5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
             8: Image.Transpose.ROTATE_90}  # fmt: skip
    image = Image.fromarray(COLOURS)
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = image.transpose(turns[orientation]) if orientation in turns else image
    np.testing.assert_array_equal(read_picture(encoded(image, exif=exif.tobytes())), np.asarray(expected))


def test_sixteen_bits_are_scaled_also_in_the_dark() -> None:
    values = (np.arange(240, dtype=np.uint16) * 257).reshape(12, 20)
    grey = read_picture(encoded(Image.fromarray(values)))
    np.testing.assert_array_equal(grey, np.repeat((np.arange(240).reshape(12, 20, 1)), 3, axis=2))
    dark = read_picture(encoded(Image.fromarray(np.full((4, 4), 200, dtype=np.uint16))))
    assert dark.max() <= 1


def test_cmyk_palette_grey_and_one_bit() -> None:
    grey = Image.fromarray(COLOURS[..., 0])
    np.testing.assert_array_equal(read_picture(encoded(grey)), np.repeat(COLOURS[..., :1], 3, axis=2))
    palette = Image.fromarray(COLOURS).quantize(16)
    np.testing.assert_array_equal(read_picture(encoded(palette)), np.asarray(palette.convert("RGB")))
    white = read_picture(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 0)), "JPEG"))
    assert white.shape == (8, 8, 3) and white.min() > 250
    assert read_picture(encoded(Image.new("1", (3, 2), 1))).min() == 255


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(mode: str) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    image.putalpha(0)
    assert read_picture(encoded(image)).min() == 255


def test_one_pixel() -> None:
    assert read_picture(encoded(Image.new("RGB", (1, 1), (1, 2, 3)))).tolist() == [[[1, 2, 3]]]


def test_an_animation_is_refused() -> None:
    frames = [Image.new("RGB", (8, 8), (i * 60, 0, 0)) for i in range(3)]
    for kind in ("GIF", "WEBP", "PNG"):
        with pytest.raises(PictureError, match=r"animated \(3 frames\)"):
            read_picture(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))


def test_empty_and_foreign_data() -> None:
    with pytest.raises(PictureError, match="0 bytes"):
        read_picture(b"")
    with pytest.raises(PictureError, match="not a picture"):
        read_picture(b"%PDF-1.7 some text")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_truncated_files_are_refused(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    with pytest.raises(PictureError, match="damaged|not a picture"):
        read_picture(data[: len(data) // 2])


def test_a_limit_of_size_speaks_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("1", (2000, 1000)).save(path)
    with pytest.raises(PictureError, match=r"large.png has 2000x1000 \(2 megapixels\); the limit is 1 megapixels"):
        read_picture(path, max_megapixels=1)
    assert read_picture(path, max_megapixels=2).shape == (1000, 2000, 3)


def test_a_bomb_is_refused_as_too_large() -> None:
    with pytest.raises(PictureError, match="scale it down"):
        read_picture(encoded(Image.new("1", (20000, 20000))))


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"]), st.integers(0, 2**31), st.integers(1, 20))
def test_damage_gives_a_picture_or_a_picture_error(kind: str, seed: int, changes: int) -> None:
    rng = np.random.default_rng(seed)
    data = np.frombuffer(encoded(Image.fromarray(COLOURS), kind), dtype=np.uint8).copy()
    data[rng.integers(0, len(data), changes)] = rng.integers(0, 256, changes)
    try:
        picture = read_picture(data.tobytes(), max_megapixels=1)
    except PictureError:
        return
    assert picture.dtype == np.uint8 and picture.shape[2] == 3


def test_no_metadata_is_written(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Comment", "where it was taken")
    exif = Image.Exif()
    exif[0x010E] = "a description"
    source = tmp_path / "source.png"
    source.write_bytes(encoded(Image.fromarray(COLOURS), pnginfo=info, exif=exif.tobytes(), icc_profile=b"profile"))
    for ending in (".png", ".jpg", ".webp"):
        path = tmp_path / f"out{ending}"
        write_picture(read_picture(source), path)
        with Image.open(path) as image:
            assert not image.getexif() and not {"Comment", "icc_profile", "exif", "xmp"} & set(image.info)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space"):
        write_picture(COLOURS, path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="limits of files")
@pytest.mark.parametrize("ending", [".jpg", ".png", ".bmp", ".webp", ".tif"])
def test_a_disk_that_takes_only_a_part_leaves_nothing(tmp_path: Path, ending: str) -> None:
    code = (
        "import resource, sys, numpy as np\nfrom id2face_core.pictures import write_picture\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (70000, 70000))\n"
        "noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)\n"
        "write_picture(noise, sys.argv[1])"
    )
    target = tmp_path / f"a{ending}"
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "OSError" in done.stderr and target.name in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".png")
    write_picture(COLOURS, path)
    assert path.exists()


def test_what_is_written_has_the_usual_rights(tmp_path: Path) -> None:
    write_picture(COLOURS, tmp_path / "a.png")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_wrong_names_and_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"cannot write .xyz"):
        write_picture(COLOURS, tmp_path / "a.xyz")
    for wrong in (COLOURS[..., 0], COLOURS.astype(np.float32), COLOURS[:0]):
        with pytest.raises(ShapeError, match="expected uint8"):
            write_picture(wrong, tmp_path / "a.png")
