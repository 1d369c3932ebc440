"""`id2face scrub`: picture files without workflows and metadata."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..assets.hashing import write_atomically
from ..errors import PictureError
from ..sharing.pictures import scrub_picture
from .inputs import plan
from .main import OK, UNREADABLE, complain


def run(args: argparse.Namespace) -> int:
    """Scrub all files one after the other; one that cannot be read is left alone and the others go on."""
    code = OK
    if args.in_place:
        jobs = [(path, path) for path in args.files]
    else:
        planned, unusable = plan(args.files, args.output)
        jobs = [(job.source, job.target) for job in planned]
        for path, reason in unusable:
            code = complain(f"{path}: {reason}", UNREADABLE)
    for source, target in jobs:
        code = max(code, scrub(source, target))
    return code


def scrub(source: Path, target: Path) -> int:
    """One file; returns the exit status. A file that has nothing to remove is copied, and in place left alone."""
    try:
        done = scrub_picture(source.read_bytes())
    except PictureError as error:
        return complain(f"{source}: {error}", UNREADABLE)
    except OSError as error:
        return complain(f"{source}: {error.strerror}", UNREADABLE)
    if done.removed or source != target:
        write_atomically(target, done.data)
    print(f"{source}: removed {', '.join(done.removed) or 'nothing'}")
    return OK
