"""What is audited: pairs of files, with persons, keys and groups where a table names them."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..errors import ConfigError
from ..pictures import search_folder

COLUMNS = ("original", "anonymized", "person", "key", "rendering")


class Source(Protocol):
    """A picture file: a path, or what is made in memory when it is asked for."""

    def read_bytes(self) -> bytes: ...


@dataclass(frozen=True)
class Pair:
    """One original and what became of it.

    name: of the original below its folder, or of a frame. anonymized: None where nothing was written. person: "" where not known.
    key: a name for the key (the value stays secret) under which the pseudonym was made; "" for independent draws.
    rendering: the new face alone. groups: {column: value} of the fairness table.
    """

    name: str
    original: Source = field(repr=False)
    anonymized: Source | None = field(repr=False)
    person: str = field(default="", repr=False)
    key: str = ""
    rendering: Source | None = field(default=None, repr=False)
    groups: dict[str, str] = field(default_factory=dict, repr=False)


def find_pairs(originals: Path, anonymized: Path, table: Path | None = None) -> list[Pair]:
    """Pairs of two folders, by the table's rows or by equal names (another ending is allowed).

    Raises:
        ConfigError: no folder, one folder twice, no picture, or a table that cannot be used.
    """
    for folder in (originals, anonymized):
        if not folder.is_dir():
            raise ConfigError(f"{folder} is not a folder")
    if originals.resolve() == anonymized.resolve():
        raise ConfigError(f"{originals} is given as both the originals and the anonymized pictures")
    pairs = _by_name(originals, anonymized) if table is None else _by_table(originals, anonymized, table)
    if not pairs:
        raise ConfigError(f"there are no pictures in {originals}" if table is None else f"{table} has no rows")
    return pairs


def _by_name(originals: Path, anonymized: Path) -> list[Pair]:
    stems: dict[Path, list[Path]] = {}
    for path in search_folder(anonymized)[0]:
        stems.setdefault(path.relative_to(anonymized).with_suffix(""), []).append(path)
    pairs = []
    for path in search_folder(originals)[0]:
        name = path.relative_to(originals)
        exact, others = anonymized / name, stems.get(name.with_suffix(""), [])
        found = exact if exact in others else others[0] if len(others) == 1 else None
        if found is None and len(others) > 1:
            raise ConfigError(f"{name} could be {others[0].name} or {others[1].name}; name the pairs in a table (--pairs)")
        pairs.append(Pair(name.as_posix(), path, found))
    return pairs


def _by_table(originals: Path, anonymized: Path, table: Path) -> list[Pair]:
    try:
        with table.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, strict=True)
            header, rows = reader.fieldnames or [], list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{table} cannot be read as a table: {error}") from None
    if not {"original", "anonymized"} <= set(header) or len(set(header)) != len(header):
        raise ConfigError(f"{table} needs a first row with the columns original and anonymized, each column once")
    groups = [column for column in header if column not in COLUMNS]
    pairs, seen = [], set()
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ConfigError(f"{table}, row {number}: {len(header)} columns are named, the row has another number")
        cells = {key: value.strip() for key, value in row.items()}
        source = _inside(originals, cells["original"], table, number)
        if source is None:
            raise ConfigError(f"{table}, row {number}: original is empty")
        made = _inside(anonymized, cells["anonymized"], table, number)
        new = _inside(anonymized, cells.get("rendering", ""), table, number)
        if (source, made) in seen:
            raise ConfigError(f"{table}, row {number}: this pair is there twice")
        seen.add((source, made))
        kept = {column: cells[column] for column in groups if cells[column]}
        pairs.append(Pair(cells["original"], source, made, cells.get("person", ""), cells.get("key", ""), new, kept))
    return pairs


def _inside(folder: Path, name: str, table: Path, number: int) -> Path | None:
    """A file of a folder; None for an empty cell. A missing file is reported when it is read."""
    if not name:
        return None
    path = folder / name
    if folder.resolve() not in path.resolve().parents:
        raise ConfigError(f"{table}, row {number}: {name!r} does not lie in {folder}")
    return path
