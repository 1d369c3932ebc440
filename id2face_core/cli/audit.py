"""`id2face audit`: does a folder of anonymized pictures hide who is in it?"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ..errors import ConfigError
from .anonymize import key_of, unwritable
from .main import MISSED, OK, UNREADABLE, USAGE, complain
from .quiet import quiet_stderr


def run(args: argparse.Namespace) -> int:
    """Audit two folders, write audit.json and audit.html; see `main` for the exit status."""
    from ..assets.hashing import write_atomically
    from ..audit.document import document
    from ..audit.material import find_pairs
    from ..audit.report import page
    from ..audit.runner import Plan, audit

    for given in (args.originals, args.anonymized):
        inside, output = given.resolve(), args.output.resolve()
        if output == inside or inside in output.parents:
            raise ConfigError(f"--output {args.output} lies in {given}; give a folder outside of it")
    problem = unwritable(args.output)
    if problem:
        return complain(problem, USAGE)
    attacks = () if args.attacks == "all" else tuple(args.attacks.split(","))
    plan = Plan(
        tuple(args.recognizer), attacks, args.minutes,
        tuple(args.detector) or ("centerface",), args.impostors, args.training,
        args.features, args.lpips, None if args.key_file is None else key_of(args.key_file), args.workers, args.seed,
    )  # fmt: skip
    with quiet_stderr() if args.no_progress or not sys.stderr.isatty() else _Bars() as bars:
        audited = audit(find_pairs(args.originals, args.anonymized, args.pairs), plan, bars)
    found = document(audited, plan)
    write_atomically(args.output / "audit.json", (json.dumps(found, indent=1) + "\n").encode())
    write_atomically(args.output / "audit.html", page(found, audited, args.show_originals).encode())
    for fault in found["faults"]:
        complain(fault, MISSED)
    unreadable = [image for image in found["images"] if image["state"] == "unreadable"]
    for image in unreadable:
        complain(f"{image['original']}: {image['reason']}", UNREADABLE)
    print(args.output / "audit.html")
    return MISSED if found["faults"] else UNREADABLE if unreadable else OK


class _Bars:
    """A progress bar for each part of an audit."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._what = ""
        self._last = ("", -1)

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, what: str, done: int, count: int) -> None:
        from tqdm import tqdm

        if (what, done) == self._last:
            return
        self._last, part = (what, done), "pictures" if what == "pictures" else "attacks"
        if self._bar is None or part != self._what:
            self.__exit__()
            self._bar, self._what = tqdm(total=count, unit=part[:-1], file=sys.stderr), part
        self._bar.set_description(what)
        self._bar.n = done
        self._bar.refresh()
