"""Files with planted canaries: the positive control of A12, and material for tests of the product."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image, TiffImagePlugin

MARK = "canary-7f3a9c51e0"  # long enough that no file has it by chance
XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><creator>{MARK}</creator></x:xmpmeta>'
Plant = Callable[[Image.Image], bytes]


def _jpeg(image: Image.Image, exif: Image.Exif | None = None) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, **({} if exif is None else {"exif": exif}))
    return out.getvalue()


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _segment(data: bytes, marker: int, body: bytes) -> bytes:
    """A JPEG segment directly after the start of the picture."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]


def _chunk(data: bytes, kind: bytes, body: bytes) -> bytes:
    """A PNG chunk directly after the header (8 bytes of signature, 25 of IHDR)."""
    return data[:33] + struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) + data[33:]


def _artist(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x013B] = MARK
    return _jpeg(image, exif)


def _place(image: Image.Image) -> bytes:
    exif, part = Image.Exif(), TiffImagePlugin.IFDRational
    north, east = (part(48, 1), part(12, 1), part(3977, 100)), (part(16, 1), part(22, 1), part(2211, 100))
    exif[0x8825] = {1: "N", 2: north, 3: "E", 4: east}
    return _jpeg(image, exif)


def _thumbnail(image: Image.Image) -> bytes:
    """An EXIF block with a second directory that points to a small JPEG."""
    small = _jpeg(image.resize((48, 48)))
    directory = struct.pack("<HHHII", 1, 0x0112, 3, 1, 1) + struct.pack("<I", 26)
    start = 26 + 2 + 2 * 12 + 4
    second = struct.pack("<H", 2) + struct.pack("<HHII", 0x0201, 4, 1, start) + struct.pack("<HHIII", 0x0202, 4, 1, len(small), 0)
    return _segment(_jpeg(image), 0xE1, b"Exif\0\0" + b"II*\0" + struct.pack("<I", 8) + directory + second + small)


def _profile(image: Image.Image) -> bytes:
    body = b"ICC_PROFILE\0\1\1" + bytes(128) + struct.pack(">I", 0) + b"desc" + MARK.encode() + bytes(8)
    return _segment(_jpeg(image), 0xE2, body)


def _compressed(image: Image.Image) -> bytes:
    return _chunk(_png(image), b"zTXt", b"Comment\0\0" + zlib.compress(MARK.encode()))


def _webp_xmp(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "WEBP", xmp=XMP.encode())
    return out.getvalue()


PLANTS: dict[str, tuple[str, Plant]] = {  # canary -> (kind that must be found, how it is planted)
    "EXIF artist": ("exif", _artist),
    "EXIF place": ("gps", _place),
    "EXIF thumbnail": ("thumbnail", _thumbnail),
    "XMP in JPEG": ("xmp", lambda i: _segment(_jpeg(i), 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP.encode())),
    "XMP in WebP": ("xmp", _webp_xmp),
    "IPTC": ("iptc", lambda i: _segment(_jpeg(i), 0xED, b"Photoshop 3.0\x008BIM\x04\x04" + MARK.encode())),
    "JPEG comment": ("comment", lambda i: _segment(_jpeg(i), 0xFE, MARK.encode())),
    "colour profile": ("icc", _profile),
    "PNG text": ("png_text", lambda i: _chunk(_png(i), b"tEXt", b"Author\0" + MARK.encode())),
    "PNG compressed text": ("png_ztxt", _compressed),
    "PNG international text": ("png_itxt", lambda i: _chunk(_png(i), b"iTXt", b"Title\0\0\0\0\0" + MARK.encode())),
    "tail after the picture": ("tail", lambda i: _jpeg(i) + b"\n" + MARK.encode() * 4),
}


def plant(image: Image.Image) -> dict[str, bytes]:
    """{canary: file}: one picture twelve times, each with one canary in it."""
    return {name: put(image.convert("RGB")) for name, (_, put) in PLANTS.items()}
