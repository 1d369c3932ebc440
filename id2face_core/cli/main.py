"""`id2face`: anonymize pictures, audit the result, clean workflows and files, set up files, train, say what is installed.

Exit status: 0 all done; 1 cannot run (files not set up, disk full, doctor found something); 2 wrong usage; 3 some face
withheld; 4 some input unreadable (the others are still done; 4 goes before 3); 5 an audit's gate is missed (5 goes before
4); 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ..errors import ConfigError, Id2FaceError, Interrupted, KeyFileError
from .memory import keep_freed_memory

OK, FAILED, USAGE, WITHHELD, UNREADABLE, MISSED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
VERSION = "0.1.0"
OWN_PARSERS = {"train": "id2face_core.training.cli", "benchmark": "id2face_core.evaluation.__main__"}


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands. It imports nothing heavy, so that --help is quick."""
    parser = argparse.ArgumentParser("id2face", description="Replace faces in pictures by faces of nobody.")
    parser.add_argument("--version", action="version", version=f"id2face {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_anonymize(commands.add_parser("anonymize", help="anonymize pictures or folders of pictures"))
    _add_audit(commands.add_parser("audit", help="attack anonymized pictures and say which limits hold"))
    commands.add_parser("benchmark", help="figures of the model on known faces (id2face benchmark --help)", add_help=False)
    setup = commands.add_parser("setup", help="fetch third-party files once (the only command that uses a network)")
    setup.add_argument("--yes", action="store_true", help="do not ask")
    setup.add_argument("--from-folder", type=Path, metavar="DIR", help="take the wheels from DIR, without a network")
    demo = commands.add_parser("demo", help="anonymize the bundled picture, for a first look")
    demo.add_argument("--output", type=Path, default=Path("id2face-demo"), metavar="DIR", help="default: %(default)s")
    demo.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    share = commands.add_parser("share", help="a ComfyUI workflow without file names, seeds, notes and keys, to give away")
    share.add_argument("workflow", type=Path, metavar="WORKFLOW.json", help="or a PNG or WebP with a workflow in it")
    share.add_argument("--output", type=Path, required=True, metavar="FILE.json", help="where the clean one goes")
    share.add_argument("--keep-seed", action="store_true", help="keep seeds (with the original picture they tell the new face)")
    share.add_argument("--details", action="store_true", help="one line for each thing that is removed, not for each kind")
    scrub = commands.add_parser("scrub", help="take workflows and metadata out of pictures; pixels stay as they are")
    scrub.add_argument("files", nargs="+", type=Path, metavar="FILE", help="PNG, JPEG or WebP files")
    where = scrub.add_mutually_exclusive_group(required=True)
    where.add_argument("--output", type=Path, metavar="DIR", help="where clean copies go, under the names of the inputs")
    where.add_argument("--in-place", action="store_true", help="overwrite the files")
    commands.add_parser("train", help="train the networks (id2face train --help)", add_help=False)
    commands.add_parser("doctor", help="what is installed, which device, which weights, licences")
    return parser


def _add_anonymize(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="INPUT", help="picture files or folders")
    add("--output", type=Path, required=True, metavar="DIR", help="where results go, under the names of the inputs")
    add("--seed", type=int, metavar="N", help="same seed, same faces (default: at random)")
    add("--key-file", type=Path, metavar="F", help="secret key: same person and key, same new face")
    add("--mode", choices=("one_sided", "exact", "keyed"), default="one_sided", help="default: %(default)s")
    add("--steps", type=_positive, metavar="N", help="diffusion steps (default: of the preset)")
    add("--preset", choices=("fast", "balanced", "strict"), default="balanced", help="default: %(default)s")
    add("--policy", choices=("fill", "blur", "withhold"), default="fill",
        help="what happens to a face that cannot be replaced (default: %(default)s)")  # fmt: skip
    add("--faces", type=_faces, default="all", metavar="all|largest|0,2", help="which faces (default: all)")
    add("--keep", action="append", default=[], metavar="ATTR", help="keep an attribute of the person; repeatable")
    add("--set", action="append", default=[], type=_assignment, metavar="ATTR=VALUE",
        help="give the new face an attribute; repeatable")  # fmt: skip
    add("--detector", action="append", default=[], metavar="NAME",
        help="centerface (default), an SCRFD .onnx file, or insightface:PACK; repeatable: what any of them finds")  # fmt: skip
    add("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps, xpu (default: %(default)s)")
    add("--report", type=Path, metavar="FILE.json", help="write what was done to each face")
    add("--no-progress", action="store_true", help="no progress bar")


def _add_audit(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("originals", type=Path, metavar="ORIGINALS", help="folder of the pictures before")
    add("anonymized", type=Path, metavar="ANONYMIZED", help="folder of the pictures afterwards, under the same names")
    add("--output", type=Path, required=True, metavar="DIR", help="where audit.json and audit.html go")
    add("--pairs", type=Path, metavar="FILE.csv",
        help="columns original, anonymized; optional: person, key, rendering; all others are groups")  # fmt: skip
    add("--recognizer", action="append", default=[], metavar="NAME|FILE.toml",
        help="dlib, insightface:PACK, or a described ONNX file; repeatable (default: all that are here)")  # fmt: skip
    add("--attacks", default="all", metavar="all|A1,A3", help="which attacks (default: all that the material allows)")
    add("--minutes", type=float, default=1.0, metavar="N", help="for each attack that trains (default: %(default)s)")
    add("--detector", action="append", default=[], metavar="NAME", help="as in anonymize; repeatable")
    add("--impostors", type=Path, metavar="DIR", help="one picture of each of many strangers, to fix thresholds on")
    add("--training", type=Path, metavar="DIR", help="pictures that trained the model, for A9")
    add("--features", type=Path, metavar="FILE", help="network of the Frechet distance (MobileNetV2 .tflite, Inception .pt)")
    add("--lpips", type=Path, metavar="FILE", help="weights of LPIPS (AlexNet, .safetensors), for what had to stay")
    add("--key-file", type=Path, metavar="F", help="the key of `--mode keyed`, for A7")
    add("--show-originals", action="store_true", help="put originals beside the worst cases in the report")
    add("--workers", type=_positive, default=1, metavar="N", help="processes that read pictures (default: %(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    add("--no-progress", action="store_true", help="no progress bar")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def _faces(text: str) -> str | tuple[int, ...]:
    if text in ("all", "largest"):
        return text
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not all, largest, or numbers such as 0,2")
    return tuple(int(part) for part in parts)


def _assignment(text: str) -> tuple[str, float | str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not ATTR=VALUE")
    if value[0] in "+-":  # the sign tells "10 years older" from "10 years": only the text keeps it
        return name, value
    try:
        return name, float(value)
    except ValueError:
        return name, value


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status. One clear line on stderr for each thing that went wrong."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    keep_freed_memory()
    try:
        if arguments[:1] and arguments[0] in OWN_PARSERS:
            return int(import_module(OWN_PARSERS[arguments[0]]).main(arguments[1:]) or OK)
        args = build_parser().parse_args(arguments)
        return import_module(f"id2face_core.cli.{args.command}").run(args)
    except SystemExit as stop:  # argparse has already said why
        return stop.code if isinstance(stop.code, int) else USAGE
    except (ConfigError, KeyFileError) as error:
        return complain(error, USAGE)
    except (KeyboardInterrupt, Interrupted):
        return complain("interrupted", INTERRUPTED)
    except (Id2FaceError, OSError) as error:
        return complain(error, FAILED)


def complain(message: object, code: int) -> int:
    """One line on stderr; returns `code`."""
    print(f"id2face: {' '.join(str(message).split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
