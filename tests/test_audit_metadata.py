"""What of a source rides along: every canary is found in a copy, and none in what the product writes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from id2face_core.audit.canaries import PLANTS, plant
from id2face_core.audit.metadata import containers, rides_along, tokens
from id2face_core.pictures import read_picture, write_picture

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", PLANTS)
def test_a_canary_is_found_in_a_copy_and_not_in_a_written_picture(name: str, tmp_path: Path) -> None:
    kind, data = PLANTS[name][0], plant(PICTURE)[name]
    assert Image.open(io.BytesIO(data)).size == PICTURE.size
    searched = tokens(data, "holiday-in-prague.jpg")
    assert rides_along(searched, data) == [kind] == containers(data)
    for ending in ("png", "jpg", "webp"):
        path = tmp_path / f"out.{ending}"
        write_picture(read_picture(data), path)
        assert rides_along(searched, path.read_bytes()) == []


def test_name_and_hash_of_the_source_are_found(tmp_path: Path) -> None:
    source = plant(PICTURE)["EXIF artist"]
    searched = tokens(source, "holiday-in-prague.jpg")
    out = io.BytesIO()
    PICTURE.save(out, "PNG")
    for value, kind in ((b"holiday-in-prague", "file_name"), (max(searched["sha256"], key=len), "sha256")):
        assert rides_along(searched, out.getvalue() + value) == [kind]
        wide = value.decode("latin-1").encode("utf-16-le")
        assert rides_along(searched, out.getvalue() + wide) == ([kind] if kind == "file_name" else [])


def test_pillow_alone_would_carry_the_profile_over() -> None:
    data = plant(PICTURE)["colour profile"]
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).save(out, "PNG")
    assert rides_along(tokens(data), out.getvalue()) == ["icc"]


def test_damaged_files_give_no_error() -> None:
    for name, data in plant(PICTURE).items():
        for end in (0, 1, 3, 20, 40, len(data) // 2):
            assert isinstance(tokens(data[:end], name), dict) and isinstance(containers(data[:end]), list)
