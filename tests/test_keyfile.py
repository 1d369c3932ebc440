"""Key files: three ways to write a key, and nothing of it in a message."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from id2face_core.errors import KeyFileError
from id2face_core.keyfile import read_key_file, readable_by_others

KEY = bytes(range(100, 140))


@pytest.mark.parametrize("content", [KEY, KEY.hex().encode() + b"\n", base64.b64encode(KEY) + b"\r\n",
                                     base64.urlsafe_b64encode(KEY), KEY.hex().upper().encode()])  # fmt: skip
def test_one_key_however_it_is_written(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    assert read_key_file(tmp_path / "k") == KEY


@pytest.mark.parametrize("content", [b"", b"short", KEY[:31], KEY[:31].hex().encode(), b"ab1" * 21, bytes(64),
                                     b"0" * 64, KEY * 200])  # fmt: skip
def test_weak_keys_are_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        read_key_file(tmp_path / "k")
    assert not content or content.decode("latin-1") not in str(caught.value)


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(KeyFileError, match="cannot be read|holds"):
            read_key_file(path)


@settings(deadline=None)  # files on a busy disk
@given(st.binary(min_size=0, max_size=80))
def test_any_content_is_a_key_or_a_key_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.key"
    path.write_bytes(content)
    try:
        assert len(read_key_file(path)) >= 32
    except KeyFileError:
        pass


@pytest.mark.skipif(os.name == "nt", reason="no permission bits")
def test_open_permissions_are_seen(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_bytes(KEY)
    path.chmod(0o600)
    assert not readable_by_others(path)
    path.chmod(0o644)
    assert readable_by_others(path)
