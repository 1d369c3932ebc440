"""`id2face train`: one resumable command, a stage at a time or all of them.

    id2face train --stage all --data DIR --output runs --minutes 30
    id2face train --stage all --data DIR --output runs --minutes 30 --resume      after a stop, or with more minutes
    id2face train --rung smoke --minutes 3 --output runs --weights runs/weights   no data needed
    id2face train --stage probe --output runs                                     how much identity the attributes hold
    id2face train --stage ablate --output runs --minutes 30                       each loss switched off once

Stages: synthesize, attributes, identity, prior, recomposer, export; see docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..errors import ConfigError, Id2FaceError
from .config import RUNGS, STAGES, TrainConfig, load_config

EXTRA = ("probe", "ablate")


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="id2face train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--stage", choices=("all", *STAGES, *EXTRA), default="all")
    p.add_argument("--rung", choices=tuple(RUNGS), default="cpu", help="preset of the ladder (default: %(default)s)")
    p.add_argument("--minutes", type=float, default=30.0, help="budget of the stage, or of all of them (default 30)")
    p.add_argument("--output", type=Path, default=Path("runs"), help="folder of tables, states and networks (default: runs)")
    p.add_argument("--data", type=Path, help="folder with faces/ and weights/ of labelled real faces and teachers")
    p.add_argument("--weights", type=Path, help="where `export` writes (default: into the package)")
    again = p.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with what is in the output folder")
    again.add_argument("--restart", action="store_true", help="begin the stages in the output folder anew")
    p.add_argument("--config", type=Path, metavar="FILE", help="TOML or JSON over the rung's values")
    p.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="one value; repeatable")
    p.add_argument("--show-config", action="store_true", help="print the configuration and stop")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """Run stages; returns the exit status."""
    args = parser().parse_args(argv)
    try:
        config = load_config(args.rung, args.config, args.set)
        if not args.minutes > 0:
            raise ConfigError(f"--minutes is {args.minutes:g}; give a positive number")
        return _run(args, config)
    except ConfigError as error:
        print(f"id2face train: {error}", file=sys.stderr)
        return 2
    except Id2FaceError as error:
        print(f"id2face train: {error}", file=sys.stderr)
        return 1


def _run(args: argparse.Namespace, config: TrainConfig) -> int:
    if args.show_config:
        print(json.dumps(asdict(config), indent=1))
        return 0
    if args.stage == "probe":
        from .identity_probe import report

        print(report(args.output))
        return 0
    if args.stage == "ablate":
        from .ablation import ablate

        print(ablate(args.output, config, 60 * args.minutes, args.resume))
        return 0
    from .runner import Order, run

    stages = STAGES if args.stage == "all" else (args.stage,)
    run(Order(stages, 60 * args.minutes, args.output, args.data, args.weights, args.resume, args.restart), config)
    return 0
