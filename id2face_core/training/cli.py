"""`id2face train`: one resumable command, a stage at a time or all of them.

    id2face train --stage all --data DIR --minutes 30

Stages: synthesize (faces, then their features: `table.npz`), attributes, identity, prior, recomposer, export. Each writes
below `--output` and takes up what the stages before it left there. `--data` holds the labelled real faces (see
docs/training.md); without it the stages use generated faces alone and say so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

STAGES = ("synthesize", "attributes", "identity", "prior", "recomposer", "export")
SHARES = {"synthesize": 0.35, "attributes": 0.15, "identity": 0.2, "prior": 0.05, "recomposer": 0.25, "export": 0.0}


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="id2face train", description=(__doc__ or "").split("\n")[0])
    p.add_argument("--stage", choices=(*STAGES, "all"), default="all")
    p.add_argument("--minutes", type=float, default=30.0, help="budget of the stage, or of all of them (default 30)")
    p.add_argument("--output", type=Path, default=Path("runs"), help="folder of tables, checkpoints and networks")
    p.add_argument("--data", type=Path, default=None, help="folder with faces/ and weights/ of labelled real faces")
    p.add_argument("--weights", type=Path, default=None, help="where `export` writes (default: into the package)")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run stages; returns the exit status."""
    args = parser().parse_args(argv)
    if args.minutes <= 0:
        print(f"id2face train: --minutes is {args.minutes:g}; give a positive number", file=sys.stderr)
        return 2
    from . import stages

    work = stages.Workshop(args.output, args.data, args.weights)
    for stage in STAGES if args.stage == "all" else (args.stage,):
        share = SHARES[stage] if args.stage == "all" else 1.0
        print(f"{stage}: {share * args.minutes:.1f} minutes", flush=True)
        for name, value in stages.RUN[stage](work, 60 * share * args.minutes).items():
            print(f"  {name}: {value}", flush=True)
    return 0
