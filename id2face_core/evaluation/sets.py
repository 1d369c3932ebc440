"""Evaluation sets: tars of pictures with a table of five points and a person beside them."""

from __future__ import annotations

import csv
import hashlib
import io
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from ..attributes.networks import DESCENTS
from ..errors import AssetMissingError, ConfigError
from ..training.splits import is_held_out

SETS: dict[str, tuple[str, str]] = {  # name -> (file stem, column that names the person)
    "lfw10": ("lfw10", "id"),
    "webmorph_3dsk": ("webmorph_3dsk_512", "id"),
    "webmorph_canada": ("webmorph_canada_512", "id"),
    "congress": ("congress_256", "id"),
    "utkface": ("utkface_adult", "group_foamliu"),
}
SEXES = {"0": "male", "1": "female", "m": "male", "f": "female"}  # UTKFace's numbers, others' letters
AGES = (30, 45, 60)  # years at which a group begins
GROUP_KINDS = 3  # descent, sex and age, see `groups_of`


@dataclass(frozen=True)
class Sample:
    """One real picture with one known face.

    picture: uint8 [H, W, 3]; points: float32 [5, 2] in pixels; groups: see `groups_of`.
    """

    name: str
    person: str
    picture: np.ndarray = field(repr=False)
    points: np.ndarray = field(repr=False)
    groups: tuple[str, ...] = ()


def load_set(data_dir: Path, name: str, limit: int | None = None) -> list[Sample]:
    """Read a set.

    Args:
        data_dir: holds faces/<stem>.csv and faces/<stem>.tar (or the unpacked folder faces/<stem>/).
        limit: first rows only; the order is fixed and shows many people early, see `_order`.

    Of UTKFace only the held-out tenth is read. Raises ConfigError (unknown name), AssetMissingError.
    """
    if name not in SETS:
        raise ConfigError(f"unknown set {name!r}; choose from {', '.join(SETS)}")
    stem, person_column = SETS[name]
    table = Path(data_dir) / "faces" / f"{stem}.csv"
    if not table.exists():
        raise AssetMissingError(f"{table} is not there; give a folder with faces/{stem}.csv and faces/{stem}.tar")
    with table.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    if name == "utkface":
        rows = [r for r in rows if is_held_out(r[person_column]) and not r.get("overlap_eval")]
    rows = _order(rows, person_column)
    rows = rows if limit is None else rows[:limit]
    return read_rows(data_dir, stem, rows, lambda r: f"{name}/{r[person_column]}")


def read_rows(
    data_dir: Path, stem: str, rows: Sequence[dict[str, str]], person: Callable[[dict[str, str]], str] | None = None
) -> list[Sample]:
    """Pictures of rows of a table faces/<stem>.csv, from the folder or the tar beside it. person: names whose face it is.

    Raises AssetMissingError.
    """
    pictures = _read_pictures(Path(data_dir) / "faces" / stem, [r["file"] for r in rows])
    return [
        Sample(r["file"], r["file"] if person is None else person(r), p, _points(r), groups_of(r))
        for r, p in zip(rows, pictures, strict=True)
    ]


def groups_of(row: Mapping[str, str]) -> tuple[str, ...]:
    """`descent Asian`, `sex female`, `age 30-44` of a row of a table, as far as it has such labels."""
    found = []
    if row.get("race"):
        found.append(f"descent {(*DESCENTS, 'others')[int(float(row['race']))]}")
    if row.get("gender") in SEXES:
        found.append(f"sex {SEXES[row['gender']]}")
    if row.get("age"):
        years = float(row["age"])
        ends = [f"below {AGES[0]}", *(f"{a}-{b - 1}" for a, b in zip(AGES, AGES[1:], strict=False)), f"{AGES[-1]} and more"]
        found.append(f"age {ends[int(np.searchsorted(AGES, years, side='right'))]}")
    return tuple(found)


def _order(rows: list[dict[str, str]], column: str) -> list[dict[str, str]]:
    """A limit should see many people and yet pairs: two pictures of each person in turn, single pictures last."""
    counts = Counter(r[column] for r in rows)
    seen: Counter[str] = Counter()
    keys = []
    for position, row in enumerate(rows):
        person = row[column]
        # by hash: tables are sorted by age or name
        shuffled = hashlib.sha256(person.encode()).hexdigest()
        keys.append((counts[person] < 2, seen[person] // 2, shuffled, position))
        seen[person] += 1
    return [rows[key[-1]] for key in sorted(keys)]


def _points(row: dict[str, str]) -> np.ndarray:
    return np.array([[float(row[f"lx{i}"]), float(row[f"ly{i}"])] for i in range(5)], dtype=np.float32)


def _read_pictures(folder: Path, names: Sequence[str]) -> list[np.ndarray]:
    if folder.is_dir():
        return [_decode((folder / n).read_bytes()) for n in names]
    archive = folder.with_name(folder.name + ".tar")
    if not archive.exists():
        raise AssetMissingError(f"neither {folder} nor {archive} is there")
    with tarfile.open(archive) as tar:
        members = {Path(m.name).name: m for m in tar.getmembers() if m.isfile()}
        missing = [n for n in names if n not in members]
        if missing:
            raise AssetMissingError(f"{archive} lacks {missing[0]!r} and {len(missing) - 1} others of its table")
        handles = (tar.extractfile(members[n]) for n in names)
        return [_decode(h.read()) for h in handles if h is not None]


def _decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
