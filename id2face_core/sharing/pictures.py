"""Picture files without what rides along: PNG, JPEG and WebP, changed block by block, so that every pixel stays as it was.

Kept is what is needed to show the picture (an allow-list); everything else goes: texts with workflows and prompts, EXIF,
XMP, IPTC, ICC profiles, thumbnails, comments, and bytes behind the end. A JPEG that its EXIF turns keeps that one number.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ..errors import PictureError

PNG, JPEG, WEBP_RIFF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"RIFF"
PNG_KEPT = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"sRGB", b"gAMA", b"cHRM", b"acTL", b"fcTL", b"fdAT"}
WEBP_KEPT = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"}
WEBP_FLAGS = 0x20 | 0x08 | 0x04  # ICC profile, EXIF, XMP
APP0, APP14, COMMENT, SCAN, END, ORIENTATION = 0xE0, 0xEE, 0xFE, 0xDA, 0xD9, 0x0112


@dataclass(frozen=True)
class Scrubbed:
    """data: the clean file; removed: names of the blocks that are gone."""

    data: bytes
    removed: tuple[str, ...]


def scrub_picture(data: bytes) -> Scrubbed:
    """A picture file without metadata. Raises PictureError: not PNG, JPEG or WebP, or damaged."""
    try:
        if data.startswith(PNG):
            return _png(data)
        if data.startswith(JPEG):
            return _jpeg(data)
        if data[:4] == WEBP_RIFF and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError, ValueError, OSError, SyntaxError) as error:
        raise PictureError(f"the file is damaged ({type(error).__name__}); it was not written") from error
    raise PictureError("the file is not PNG, JPEG or WebP; other formats are not scrubbed")


def embedded_workflow(data: bytes) -> Any:
    """What ComfyUI embedded in a PNG (texts) or WebP (EXIF), parsed: the graph, else the prompt; None without."""
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "WEBP"))
        texts = {k: v for k, v in image.info.items() if k in ("workflow", "prompt") and isinstance(v, str)}
        for value in image.getexif().values():
            name, colon, rest = str(value).partition(":")
            if colon and name in ("workflow", "prompt"):
                texts.setdefault(name, rest.rstrip("\x00"))
        text = texts.get("workflow") or texts.get("prompt")
        return None if text is None else json.loads(text)
    except (OSError, SyntaxError, ValueError) as error:
        raise PictureError(f"the workflow of the picture cannot be read ({type(error).__name__})") from error


def _png(data: bytes) -> Scrubbed:
    out, removed, at = [PNG], [], len(PNG)
    while True:
        (length,), name = struct.unpack_from(">I", data, at), data[at + 4 : at + 8]
        block = data[at : at + 12 + length]
        if len(block) != 12 + length or struct.unpack(">I", block[-4:])[0] != zlib.crc32(block[4:-4]):
            raise ValueError("a chunk is cut off or damaged")
        at += len(block)
        if name in PNG_KEPT:
            out.append(block)
        else:
            removed.append(_png_name(name, block[8:-4]))
        if name == b"IEND":
            return _done(out, removed, len(data) - at)


def _png_name(name: bytes, body: bytes) -> str:
    word = name.decode("latin-1")
    key = body.partition(b"\x00")[0].decode("latin-1") if name in (b"tEXt", b"zTXt", b"iTXt") else ""
    return f"{word} {key}" if key in ("workflow", "prompt", "Comment", "parameters", "XML:com.adobe.xmp") else word


def _jpeg(data: bytes) -> Scrubbed:
    out, removed = [JPEG], list[str]()
    turned = Image.open(io.BytesIO(data), formats=("JPEG",)).getexif().get(ORIENTATION, 1)
    if turned in range(2, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = turned
        body = exif.tobytes()
        out.append(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body)
    for marker, block in _segments(data):
        if marker == END:
            return _done([*out, block[:2]], removed, len(block) - 2)
        if marker in (APP0, APP14):  # needed to read the colours; a thumbnail in it is cut off
            out.append(block if marker == APP14 else _plain_app0(block))
            removed += ["thumbnail"] if marker == APP0 and out[-1] != block else []
        elif 0xE0 <= marker <= 0xEF or marker == COMMENT:
            removed.append("comment" if marker == COMMENT else f"APP{marker - 0xE0}")
        else:
            out.append(block)
    raise ValueError("no end")


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, bytes with marker); a scan comes with its coded data, the end with all that is behind it."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == END:
            yield END, data[at:]
            return
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            yield marker, data[at : at + 2]
            at += 2
            continue
        stop = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if marker == SCAN:
            while data[stop] != 0xFF or data[stop + 1] == 0 or 0xD0 <= data[stop + 1] <= 0xD7:
                stop = data.index(0xFF, stop + (2 if data[stop] == 0xFF else 1))
        yield marker, data[at:stop]
        at = stop


def _plain_app0(block: bytes) -> bytes:
    """JFIF's header without its thumbnail; JFXX, which is nothing but a thumbnail, becomes nothing."""
    if block[4:9] != b"JFIF\x00":
        return b""
    return b"\xff\xe0" + struct.pack(">H", 16) + block[4:16] + b"\x00\x00"


def _webp(data: bytes) -> Scrubbed:
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise ValueError("the file is cut off")
    body, removed = _riff(data[12:end])
    out = WEBP_RIFF + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    return _done([out], removed, len(data) - end - (end & 1 if end < len(data) else 0))


def _riff(data: bytes, start: int = 0) -> tuple[bytes, list[str]]:
    """Chunks of a WebP file or of one of its frames."""
    out, removed, at = [data[:start]], [], start
    while at < len(data):
        name, (length,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 8 + length]
        if len(body) != length:
            raise ValueError("a chunk is cut off")
        at += 8 + length + (length & 1)
        if name not in WEBP_KEPT:
            removed.append(name.decode("latin-1").strip())
            continue
        if name == b"VP8X":
            body = bytes([body[0] & ~WEBP_FLAGS]) + body[1:]
        elif name == b"ANMF":
            body, more = _riff(body, 16)
            removed += more
        out.append(name + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) & 1))
    return b"".join(out), removed


def _done(out: list[bytes], removed: list[str], behind: int) -> Scrubbed:
    if behind > 0:
        removed.append(f"{behind} bytes behind the end")
    return Scrubbed(b"".join(out), tuple(dict.fromkeys(removed)))
