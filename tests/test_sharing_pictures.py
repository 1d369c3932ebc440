"""Picture files without what rides along, and the commands `share` and `scrub`."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from id2face_core.cli.main import main
from id2face_core.errors import PictureError
from id2face_core.sharing.pictures import embedded_workflow, scrub_picture

ROOT = Path(__file__).resolve().parents[1]
CANARY = "canary-7f3a"
GRAPH = json.loads((ROOT / "workflows/simple.json").read_text(encoding="utf-8"))
KINDS = ("PNG", "JPEG", "WEBP")


def picture() -> Image.Image:
    smooth = np.add.outer(np.arange(40), np.arange(60))[..., None] * [1, 2, 2] % 256
    return Image.fromarray(smooth.astype(np.uint8))


def with_canaries(kind: str, frames: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x010E] = f"workflow:{json.dumps(GRAPH | {'note': CANARY})}", CANARY
    exif[0x0112] = 6
    exif.get_ifd(0x8825)[1] = CANARY
    texts = PngImagePlugin.PngInfo()
    texts.add_text("workflow", json.dumps(GRAPH | {"note": CANARY}))
    texts.add_text("prompt", json.dumps({"1": {"class_type": "LoadImage", "inputs": {"image": CANARY}}}), zip=True)
    texts.add_itxt("XML:com.adobe.xmp", f"<x>{CANARY}</x>")
    more: dict[str, Any] = {"PNG": {"pnginfo": texts}, "JPEG": {"comment": CANARY, "quality": 80, "progressive": True},
                            "WEBP": {"xmp": f"<x>{CANARY}</x>".encode(), "lossless": True}}[kind]  # fmt: skip
    others = [picture().rotate(90, expand=False)] * (frames - 1)
    if others:
        more |= {"save_all": True, "append_images": others, "duration": 50}
    file = io.BytesIO()
    picture().save(file, kind, exif=exif, icc_profile=CANARY.encode() * 10, **more)
    return file.getvalue()


def pixels(data: bytes) -> list[np.ndarray]:
    image = Image.open(io.BytesIO(data))
    frames = []
    for i in range(getattr(image, "n_frames", 1)):
        image.seek(i)
        frames.append(np.array(image))
    return frames


@pytest.mark.parametrize(("kind", "frames"), [("PNG", 1), ("PNG", 3), ("JPEG", 1), ("WEBP", 1), ("WEBP", 3)])
def test_nothing_but_the_pixels_stays(kind: str, frames: int) -> None:
    dirty = with_canaries(kind, frames) + b"behind" + CANARY.encode()
    clean = scrub_picture(dirty)
    assert dirty.count(CANARY.encode()) >= 4 and CANARY.encode() not in clean.data
    assert all(np.array_equal(a, b) for a, b in zip(pixels(dirty), pixels(clean.data), strict=True))
    image = Image.open(io.BytesIO(clean.data))
    image.load()
    assert not {"icc_profile", "xmp", "comment", "workflow", "prompt", "XML:com.adobe.xmp"} & set(image.info)
    assert dict(image.getexif()) == ({0x0112: 6} if kind == "JPEG" else {})
    assert any("behind the end" in name for name in clean.removed)
    again = scrub_picture(clean.data)
    assert len(again.data) == len(clean.data) and set(again.removed) <= {"APP1"}


def test_a_thumbnail_in_a_jfif_header_goes() -> None:
    data = scrub_picture(with_canaries("JPEG")).data
    at = data.index(b"JFIF\x00") - 4
    thumbnail = data[: at + 2] + struct.pack(">H", 16 + 3) + data[at + 4 : at + 16] + b"\x01\x01abc" + data[at + 18 :]
    clean = scrub_picture(thumbnail)
    assert b"abc" not in clean.data and "thumbnail" in clean.removed and np.array_equal(pixels(clean.data)[0], pixels(data)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_off_file_is_refused(kind: str) -> None:
    data = scrub_picture(with_canaries(kind)).data
    for length in (3, 12, 40, len(data) // 2, len(data) - 3):
        with pytest.raises(PictureError):
            scrub_picture(data[:length])
    with pytest.raises(PictureError, match="not PNG, JPEG or WebP"):
        scrub_picture(b"GIF89a" + data)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_workflow_in_a_picture_is_found_and_shared(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert embedded_workflow(with_canaries(kind))["note"] == CANARY
    assert embedded_workflow(scrub_picture(with_canaries(kind)).data) is None
    source, target = tmp_path / f"x.{kind.lower()}", tmp_path / "clean.json"
    source.write_bytes(with_canaries(kind))
    assert main(["share", str(source), "--output", str(target)]) == 0
    assert CANARY not in target.read_text() and json.loads(target.read_text())["nodes"][1]["widgets_values"][0] == 0
    assert "removed: node 2 (ID2FaceAnonymize), seed: a seed" in capsys.readouterr().out


def test_share_counts_and_goes_into_detail_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    nodes = [{"id": i, "type": "ID2FaceSaveImage", "widgets_values": [f"{CANARY}{i}", "png", 95, False]} for i in range(3)]
    source, target = tmp_path / "w.json", tmp_path / "clean.json"
    source.write_text(json.dumps({"nodes": nodes, "links": []}))
    assert main(["share", str(source), "--output", str(target)]) == 0
    assert capsys.readouterr().out == "removed: 3 nodes: a file name\n"
    assert main(["share", str(source), "--output", str(target), "--details"]) == 0
    assert capsys.readouterr().out.count("(ID2FaceSaveImage), filename_prefix: a file name") == 3


def test_share_says_what_it_cannot_keep(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source, target = tmp_path / "w.json", tmp_path / "clean.json"
    source.write_text(json.dumps({"nodes": [{"id": 1, "type": "OtherPack", "widgets_values": [CANARY]}], "links": []}))
    assert main(["share", str(source), "--output", str(target)]) == 3
    printed = capsys.readouterr()
    assert "OtherPack is not known" in printed.err and CANARY not in printed.err + printed.out + target.read_text()
    assert main(["share", str(source), "--output", str(source)]) == 2
    for text in ("[1]", "{nonsense", '{"nodes": [], "extra": {"groupNodes": {"a": 1}}}', "[" * 100_000):
        source.write_text(text)
        assert main(["share", str(source), "--output", str(tmp_path / "no.json")]) == 2
    assert not (tmp_path / "no.json").exists()


def test_a_seed_stays_when_it_is_wanted(tmp_path: Path) -> None:
    for wish, seed in (([], 0), (["--keep-seed"], 1)):
        target = tmp_path / "clean.json"
        assert main(["share", str(ROOT / "workflows/simple.json"), "--output", str(target), *wish]) == 0
        assert json.loads(target.read_text())["nodes"][1]["widgets_values"][0] == seed


def test_scrub_overwrites_only_when_told_to(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = tmp_path / "in" / "a.png"
    source.parent.mkdir()
    source.write_bytes(with_canaries("PNG"))
    (tmp_path / "in/b.png").write_bytes(b"no picture")
    before = source.read_bytes()
    assert main(["scrub", str(source), str(tmp_path / "in/b.png"), "--output", str(tmp_path / "out")]) == 4
    assert source.read_bytes() == before and CANARY.encode() not in (tmp_path / "out/a.png").read_bytes()
    assert "iTXt XML:com.adobe.xmp" in capsys.readouterr().out and not (tmp_path / "out/b.png").exists()
    assert main(["scrub", str(source)]) == 2
    assert main(["scrub", str(source), "--output", str(tmp_path / "in")]) == 2 and source.read_bytes() == before
    assert main(["scrub", str(source), "--in-place"]) == 0 and CANARY.encode() not in source.read_bytes()
