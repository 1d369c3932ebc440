"""Which files an `anonymize` run reads and writes. An input is never overwritten."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from ..pictures import search_folder


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
            pictures, links = search_folder(given)
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
