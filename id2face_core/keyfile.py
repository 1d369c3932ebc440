"""Read a secret key from a file. No message and no exception holds any part of it."""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from pathlib import Path

from .errors import KeyFileError

MIN_BYTES = 32
MAX_BYTES = 4096
MIN_DISTINCT = 8
ADVICE = 'make one with: python -c "import secrets; print(secrets.token_hex(32))"'


def read_key_file(path: Path) -> bytes:
    """Key of at least 32 bytes, written as hexadecimal, as base64, or as raw bytes.

    Raises:
        KeyFileError: the file cannot be read, is too short, too long, or obviously not random.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise KeyFileError(f"key file {path} is larger than {MAX_BYTES} bytes: not a key; {ADVICE}")
        raw = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"key file {path} cannot be read: {error.strerror}") from None
    key = _decode(raw)
    if len(key) < MIN_BYTES:
        raise KeyFileError(f"key file {path} holds less than {MIN_BYTES} bytes; {ADVICE}")
    if len(set(key)) < MIN_DISTINCT:
        raise KeyFileError(f"key file {path} is not random (fewer than {MIN_DISTINCT} different bytes); {ADVICE}")
    return key


def _decode(raw: bytes) -> bytes:
    text = raw.strip()
    if re.fullmatch(rb"[0-9a-fA-F]+", text):
        return bytes.fromhex(text.decode()) if len(text) % 2 == 0 else b""
    if re.fullmatch(rb"[A-Za-z0-9+/_-]+={0,2}", text):
        try:
            decoded = base64.b64decode(text.translate(bytes.maketrans(b"-_", b"+/")), validate=True)
            if len(decoded) >= MIN_BYTES:
                return decoded
        except binascii.Error:
            pass  # not base64 after all: the bytes themselves are the key
        return text
    return raw


def readable_by_others(path: Path) -> bool:
    """Whether other users of the machine may read the file (always False on Windows, which has no such bits)."""
    if os.name == "nt":
        return False
    return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IRGRP))
