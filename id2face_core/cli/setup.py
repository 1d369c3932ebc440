"""`id2face setup`: fetch the third-party files, after saying what they are and asking."""

from __future__ import annotations

import argparse
import sys

from ..assets import model_folder
from ..assets.setup import consent_text, missing_packages, setup
from .main import FAILED, OK, USAGE, complain


def run(args: argparse.Namespace) -> int:
    """Exit status 0 when everything is there; 1 when refused; 2 when nobody can be asked."""
    folder = model_folder()
    packages = missing_packages(folder)
    if not packages:
        print(f"All third-party files are in {folder} and verified; nothing to do.")
        return OK
    print(consent_text(packages, folder))
    if not args.yes:
        if not sys.stdin.isatty():
            return complain("nobody can be asked here; to agree, run: id2face setup --yes", USAGE)
        if input("Fetch them? [y/N] ").strip().lower() not in ("y", "yes"):
            return complain("nothing was fetched", FAILED)
    setup(folder, args.from_folder, say=lambda text: print(text, flush=True))
    print(f"Done. Everything is in {folder}; no command needs a network from here on.")
    return OK
