"""What of a source file rides along in another file: its metadata, its name, its hash.

Tokens are taken out of the source (texts, places, thumbnail, ...) and searched in every byte of the other file, in its
compressed chunks too. What any file of that format holds is no token.
"""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from PIL import Image

LEAST = 6  # characters of a text, 5 of a file name; below, chance hits
NAME_LEAST = 5
GPS, EXIF_POINTER = 0x8825, 0x8769
PIECE = 48  # bytes of a thumbnail, profile or tail that stand for all of it
Tokens = dict[str, set[bytes]]


def tokens(data: bytes, name: str = "") -> Tokens:
    """{kind: byte strings} of a source file. Raises nothing: what cannot be parsed gives no token."""
    found: Tokens = {"sha256": _digests(data)}
    stem = PurePath(name).stem
    if len(stem) >= NAME_LEAST:
        found["file_name"] = _text(stem)
    for kind, value in [*_segments(data), *_chunks(data), *_exif(data), *_tail(data)]:
        found.setdefault(kind, set()).update(value)
    return {kind: values for kind, values in found.items() if values}


def rides_along(source: Tokens, data: bytes) -> list[str]:
    """Kinds of tokens that a file holds, sorted. Tokens that a neutral file of its format holds do not count."""
    hay, neutral = haystack(data), haystack(_neutral(data))
    return sorted(k for k, values in source.items() if any(v in hay and v not in neutral for v in values))


def containers(data: bytes) -> list[str]:
    """Kinds of metadata that a file has at all, whatever they say."""
    return sorted({kind for kind, _ in [*_segments(data), *_chunks(data), *_exif(data), *_tail(data)]})


def haystack(data: bytes) -> bytes:
    """The file and the content of its compressed chunks."""
    return data + b"".join(b"\0" + value for _, values in _chunks(data) for value in values)


def _digests(data: bytes) -> set[bytes]:
    found = set()
    for algorithm in ("sha256", "sha1", "md5"):
        digest = hashlib.new(algorithm, data, usedforsecurity=False).digest()
        found |= {digest, digest.hex().encode(), digest.hex().upper().encode(), base64.b64encode(digest)}
    return found


def _text(text: str) -> set[bytes]:
    clean = text.strip("\0 \n\r\t")
    return {clean.encode(code, "ignore") for code in ("utf-8", "utf-16-le", "utf-16-be")} if len(clean) >= NAME_LEAST else set()


def _piece(value: bytes) -> set[bytes]:
    """The middle of a blob: its head is the same in many files."""
    middle = max(0, len(value) // 2 - PIECE // 2)
    return {value[middle : middle + PIECE]} if len(value) >= LEAST else set()


def _segments(data: bytes) -> Iterator[tuple[str, set[bytes]]]:
    """JPEG segments and WebP chunks that carry metadata."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        at = 12
        while at + 8 <= len(data):
            kind, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
            if kind in (b"XMP ", b"ICCP"):
                yield ("xmp" if kind == b"XMP " else "icc", _blob(data[at + 8 : at + 8 + size]))
            at += 8 + size + size % 2
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        marker, size = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
        body = data[at + 4 : at + 2 + size]
        if marker == 0xFE:
            yield "comment", _blob(body)
        elif marker == 0xE1 and body.startswith(b"http"):
            yield "xmp", _blob(body.partition(b"\0")[2])
        elif marker == 0xED:
            yield "iptc", _blob(body.partition(b"\0")[2])
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE"):
            yield "icc", _blob(body[14:])
        elif marker == 0xEB:
            yield "jumbf", _piece(body)
        at += 2 + size


def _blob(value: bytes) -> set[bytes]:
    """The runs of printable text in a blob (12 characters or more), or a piece of it."""
    runs, run = set(), bytearray()
    for byte in value + b"\0":
        if 32 <= byte < 127 and byte not in b"<>\"'=":
            run.append(byte)
            continue
        words = bytes(run).strip()
        if len(words) >= 12 and b"://" not in words:  # addresses of name spaces are everybody's
            runs.add(words)
        run.clear()
    return runs or _piece(value)


def _chunks(data: bytes) -> Iterator[tuple[str, set[bytes]]]:
    """PNG chunks that carry text, profiles, EXIF; decompressed."""
    at = 8 if data[:8] == b"\x89PNG\r\n\x1a\n" else len(data)
    while at + 12 <= len(data):
        size, kind = struct.unpack(">I", data[at : at + 4])[0], data[at + 4 : at + 8]
        body = data[at + 8 : at + 8 + size]
        if kind == b"tEXt":
            yield "png_text", _long(body.partition(b"\0")[2])
        elif kind == b"zTXt":
            yield "png_ztxt", _long(_inflate(body.partition(b"\0")[2][1:]))
        elif kind == b"iTXt":
            keyword, _, rest = body.partition(b"\0")
            text = rest[2:].split(b"\0", 2)[-1]
            kind_name = "xmp" if keyword == b"XML:com.adobe.xmp" else "png_itxt"
            yield kind_name, _long(_inflate(text) if rest[:1] == b"\1" else text)
        elif kind == b"iCCP":
            yield "icc", _blob(_inflate(body.partition(b"\0")[2][1:]))
        at += 12 + size


def _long(value: bytes) -> set[bytes]:
    return {value} if len(value) >= LEAST else set()


def _inflate(value: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(value, 2**20)
    except zlib.error:
        return b""


def _exif(data: bytes) -> list[tuple[str, set[bytes]]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exif = Image.open(io.BytesIO(data)).getexif()
            place = exif.get_ifd(GPS)
            rows = [("exif", _value(v)) for v in [*dict(exif).values(), *exif.get_ifd(EXIF_POINTER).values()]]
            rows += [("gps", _value(v)) for v in place.values()]
    except Exception:  # damaged metadata: parsers raise nearly every kind
        return []
    raw = data.find(b"Exif\0\0")
    thumbnail = data.find(b"\xff\xd8\xff", raw) if raw > 0 else -1
    if thumbnail > 0:
        rows.append(("thumbnail", _piece(data[thumbnail : data.find(b"\xff\xd9", thumbnail)])))
    return [(kind, values) for kind, values in rows if values]


def _value(value: Any) -> set[bytes]:
    if isinstance(value, str):
        return _text(value) if len(value.strip("\0 ")) >= LEAST else set()
    if isinstance(value, bytes):
        return _piece(value.strip(b"\0 "))
    if isinstance(value, tuple) and len(value) == 3:
        try:
            numbers = [part for v in value for part in (v.numerator, v.denominator)]
            return {struct.pack(f"{order}6I", *numbers) for order in "<>"} if any(numbers[::2]) else set()
        except (AttributeError, struct.error):
            return set()
    return set()


def _tail(data: bytes) -> Iterator[tuple[str, set[bytes]]]:
    """Bytes after the end of the picture."""
    end = -1
    if data[:2] == b"\xff\xd8":
        end = data.rfind(b"\xff\xd9") + 2
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        end = data.rfind(b"IEND") + 8
    if 2 < end < len(data) and data[end:].strip(b"\0"):
        yield "tail", _piece(data[end:])


def _neutral(data: bytes) -> bytes:
    """A grey picture in the same format, as Pillow writes it."""
    try:
        kind = Image.open(io.BytesIO(data)).format or "PNG"
        out = io.BytesIO()
        Image.new("RGB", (16, 16), (128, 128, 128)).save(out, format=kind)
        return out.getvalue()
    except Exception:  # not a picture, or a format that is not written: everything counts
        return b""
