"""Which files an `anonymize` run reads and writes. An input is never overwritten."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError

# What a folder is searched for. Formats that cannot be read are listed on purpose: they must be reported.
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .tif .tiff .gif .ppm .pgm .heic .heif .avif .jp2 .jxl".split()
)


@dataclass(frozen=True)
class Job:
    """One picture: where it comes from, where its result goes."""

    source: Path
    target: Path


def plan(inputs: Sequence[Path], output: Path) -> tuple[list[Job], list[tuple[Path, str]]]:
    """Jobs of files and folders (searched recursively, sub-folders kept), and unusable inputs with the reason.

    Raises:
        ConfigError: two inputs would get one output name, or an output would lie where inputs lie.
    """
    jobs: list[Job] = []
    unusable: list[tuple[Path, str]] = []
    for given in inputs:
        if given.is_dir():
            _refuse_inside(output, given)
            pictures, links = _search(given)
            jobs += [Job(path, output / path.relative_to(given)) for path in pictures]
            unusable += [(link, "is a link to a folder; give it as an input of its own") for link in links]
            if not pictures and not links:
                unusable.append((given, "no pictures in this folder"))
        elif given.is_file():
            jobs.append(Job(given, output / given.name))
        elif given.exists():
            unusable.append((given, "is neither a file nor a folder"))
        else:
            unusable.append((given, "does not exist"))
    _refuse_collisions(jobs)
    return jobs, unusable


def _search(folder: Path) -> tuple[list[Path], list[Path]]:
    """Pictures below a folder, and links to other folders: those are not followed, since they may lead in a circle."""
    found: list[Path] = []
    links: list[Path] = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links += [Path(root, name) for name in folders if Path(root, name).is_symlink()]
        found += [
            Path(root, name) for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]  # fmt: skip
    return found, links


def _refuse_inside(output: Path, folder: Path) -> None:
    resolved, inside = output.resolve(), folder.resolve()
    if resolved == inside or inside in resolved.parents:
        raise ConfigError(f"--output {output} lies in the input folder {folder}; give a folder outside of it")


def _refuse_collisions(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    folders = {source.parent for source in sources}
    seen: dict[str, Path] = {}
    for job in jobs:
        # names that differ in case, or in how an accent is written, are one file on many systems
        key = unicodedata.normalize("NFC", str(job.target.resolve())).casefold()
        if key in seen and seen[key].resolve() == job.source.resolve():
            raise ConfigError(f"{job.source} is given twice")
        if key in seen:
            raise ConfigError(f"{seen[key]} and {job.source} would both become {job.target}; anonymize them separately")
        seen[key] = job.source
        if job.target.is_dir():
            raise ConfigError(f"output {job.target} is a folder already; give another --output")
        if job.target.resolve() in sources or job.target.parent.resolve() in folders:
            raise ConfigError(f"output {job.target} lies in a folder of inputs; give another --output")
        if job.target.exists() and any(job.target.samefile(source) for source in sources):
            raise ConfigError(f"output {job.target} is the same file as an input; give another --output")
