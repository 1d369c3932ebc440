"""Figures of a model: `id2face benchmark --data DIR --sets lfw10,webmorph_3dsk,utkface --output DIR`.

Writes figures.json, figures.md (worst cases first) and grid_<set>.png (before | after). --controls-only needs no model.
--cache keeps the judges' embeddings of real faces and controls, which take most of the time, from run to run.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from ..assets.weights import WEIGHTS
from ..errors import Id2FaceError
from ..options import PRESETS
from .outcomes import Product
from .runner import Plan, evaluate
from .sets import SETS


def parser() -> argparse.ArgumentParser:
    """Arguments."""
    p = argparse.ArgumentParser(
        prog="id2face benchmark", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    p.add_argument("--data", type=Path, required=True, help="folder with faces/ and weights/")
    p.add_argument("--sets", default="lfw10,webmorph_3dsk,utkface", help=f"of {', '.join(SETS)}")
    p.add_argument("--output", type=Path, required=True)
    p.add_argument("--preset", choices=tuple(PRESETS), default="balanced")
    p.add_argument("--limit", type=_numbers, default=(), metavar="N[,N...]", help="pictures of all sets, or of each")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--seeds", type=int, default=0, help="seeds of the diversity figure; 0 leaves it out")
    p.add_argument("--auditors", help="names, by commas; all that are installed without it")
    p.add_argument("--controls-only", action="store_true", help="real faces and controls, no model")
    p.add_argument("--no-controls", action="store_true")
    p.add_argument("--cache", type=Path, help="folder of the judges' embeddings of real faces (default: --output)")
    p.add_argument("--model-dir", type=Path)
    p.add_argument("--weights", type=Path, help="folder that `id2face train` exported (default: the bundled weights)")
    p.add_argument("--device", default="auto")
    return p


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 2 wrong usage, 1 anything that is missing."""
    args = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    plan = Plan(
        args.data, args.output, tuple(args.sets.split(",")), args.preset, args.seed, args.limit, args.seeds,
        tuple(args.auditors.split(",")) if args.auditors else None, not args.no_controls, args.cache,
    )  # fmt: skip
    try:
        product: Product | None = None
        if not args.controls_only:
            from ..pipeline import Anonymizer

            product = Anonymizer.from_pretrained(args.model_dir, device=args.device, weights=args.weights or WEIGHTS)
        evaluate(plan, product)
    except Id2FaceError as error:
        print(error, file=sys.stderr)
        return 1
    print(args.output / "figures.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
