"""Which picture belongs to which."""

from __future__ import annotations

from pathlib import Path

import pytest

from id2face_core.audit.material import find_pairs
from id2face_core.errors import ConfigError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    before, after = tmp_path / "before", tmp_path / "after"
    for folder, names in ((before, ("a.jpg", "sub/b.png", "c.jpg", "notes.txt")), (after, ("a.jpg", "sub/b.jpg"))):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    return before, after


def table(folder: Path, text: str) -> Path:
    path = folder / "pairs.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_equal_names_are_pairs_also_with_another_ending(folders: tuple[Path, Path]) -> None:
    found = {p.name: None if p.anonymized is None else p.anonymized.name for p in find_pairs(*folders)}
    assert found == {"a.jpg": "a.jpg", "sub/b.png": "b.jpg", "c.jpg": None}


def test_two_candidates_are_no_guess(folders: tuple[Path, Path]) -> None:
    (folders[1] / "c.png").touch()
    (folders[1] / "c.webp").touch()
    with pytest.raises(ConfigError, match="table"):
        find_pairs(*folders)


def test_a_table_names_people_keys_and_groups(folders: tuple[Path, Path], tmp_path: Path) -> None:
    text = "original,anonymized,person,key,rendering,sex\na.jpg,a.jpg,Ada,k1,sub/b.jpg,f\nc.jpg,,Bob,,,\n"
    first, second = find_pairs(*folders, table(tmp_path, text))
    assert (first.person, first.key, first.groups) == ("Ada", "k1", {"sex": "f"})
    assert first.rendering == folders[1] / "sub/b.jpg"
    assert second.anonymized is None and second.groups == {} and "Bob" not in repr(second)


@pytest.mark.parametrize(("text", "word"), [
    ("original,person\na.jpg,x\n", "anonymized"), ("original,anonymized\n../x.jpg,a.jpg\n", "lie in"),
    ("original,anonymized\na.jpg\n", "row 2"), ("original,anonymized\na.jpg,a.jpg\na.jpg,a.jpg\n", "twice"),
    ("original,anonymized\n,a.jpg\n", "empty"), ("original,anonymized\n", "no rows"),
])  # fmt: skip
def test_a_wrong_table_is_an_error(folders: tuple[Path, Path], tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        find_pairs(*folders, table(tmp_path, text))


def test_folders_must_be_two_and_hold_pictures(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for before, after in ((folders[0], folders[0]), (tmp_path / "no", folders[1]), (tmp_path / "empty", folders[1])):
        with pytest.raises(ConfigError):
            find_pairs(before, after)
