"""`id2face anonymize`: pictures in, pictures of other people out."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import Id2FaceError, PictureError
from .inputs import Job, plan
from .main import OK, UNREADABLE, USAGE, WITHHELD, complain
from .quiet import quiet_stderr
from .report import image_row, write_report


def load_pipeline() -> ModuleType:
    """The module that holds `Anonymizer` and `AnonymizeOptions`. It is slow to import, so only when it is needed."""
    from .. import pipeline

    return pipeline


@dataclass
class _Tally:
    rows: list[dict] = field(default_factory=list)
    unreadable: bool = False
    withheld: bool = False

    @property
    def code(self) -> int:
        return UNREADABLE if self.unreadable else WITHHELD if self.withheld else OK

    def cannot_read(self, source: Path, reason: str) -> None:
        """Note an input that cannot be used, with one line on stderr."""
        self.unreadable = True
        self.rows.append(image_row(source, None, "unreadable", reason=reason))
        complain(f"{source}: {reason}", UNREADABLE)


def run(args: argparse.Namespace) -> int:
    """Anonymize all inputs one after the other; see `main` for the exit status."""
    if args.mode == "keyed" and args.key_file is None:
        return complain("--mode keyed needs --key-file", USAGE)
    jobs, unusable = plan(args.inputs, args.output)
    if args.report is not None and args.report.resolve() in {p.resolve() for j in jobs for p in (j.source, j.target)}:
        return complain(f"--report {args.report} is the name of an input or output", USAGE)
    key = None if args.key_file is None else key_of(args.key_file)
    problem = unwritable(args.output) or (args.report and unwritable(args.report.parent))
    if problem:
        return complain(problem, USAGE)
    tally = _Tally()
    for source, reason in unusable:
        tally.cannot_read(source, reason)
    if jobs:
        pipeline = load_pipeline()
        options = make_options(pipeline, args, key)
        with quiet_stderr():
            anonymizer = pipeline.Anonymizer.from_pretrained(
                device=args.device, detectors=tuple(args.detector) or ("centerface",)
            )
        with _progress_bar(len(jobs), args.no_progress) as bar:
            # With a key, persons are told apart over all pictures of a call; without one each picture stands alone.
            for batch in [jobs] if key is not None else [[job] for job in jobs]:
                _anonymize_batch(anonymizer, options, batch, tally, bar)
    if args.report is not None:
        write_report(args.report, tally.rows, _public_options(args))
    return tally.code


def make_options(pipeline: ModuleType, args: argparse.Namespace, key: bytes | None) -> Any:
    """The command line as `AnonymizeOptions`."""
    return pipeline.AnonymizeOptions(
        seed=args.seed, key=key, person_ids=None, mode=args.mode, steps=args.steps, preset=args.preset,
        policy=args.policy, faces=args.faces, keep=tuple(args.keep) or None, set=dict(args.set),
    )  # fmt: skip


def _anonymize_batch(anonymizer: Any, options: Any, jobs: list[Job], tally: _Tally, bar: Any) -> None:
    pairs = [(job, picture) for job in jobs if (picture := _read(job, tally)) is not None]
    bar.update(len(jobs) - len(pairs))
    if not pairs:
        return
    try:
        results = anonymizer.anonymize([p for _, p in pairs], options, progress=lambda done, total: bar.update(1))
    except (Id2FaceError, OSError):
        raise
    except Exception as error:  # whatever goes wrong: nothing is written for these pictures
        tally.withheld = True
        for job, _ in pairs:
            tally.rows.append(image_row(job.source, None, "withheld", reason=type(error).__name__))
            complain(f"{job.source}: withheld ({type(error).__name__}); nothing written", WITHHELD)
        return
    for (job, _), result in zip(pairs, results, strict=True):
        _finish(result, job, tally)


def _read(job: Job, tally: _Tally) -> Any:
    """The picture, or None after it was noted as unreadable."""
    from ..pictures import read_picture

    try:
        return read_picture(job.source)
    except PictureError as error:
        tally.cannot_read(job.source, _without_path(error, job.source))
    except OSError as error:
        tally.cannot_read(job.source, error.strerror or type(error).__name__)
    return None


def _finish(result: Any, job: Job, tally: _Tally) -> None:
    from ..pictures import write_picture

    target = None if result.picture is None else job.target
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_picture(result.picture, target)
        except PictureError as error:  # a format that can be read and not written
            return tally.cannot_read(job.source, _without_path(error, target))
    withheld = [face for face in result.faces if face.status == "withheld"]
    if withheld or result.status == "withheld":
        tally.withheld = True
        reasons = ", ".join(sorted({face.reason for face in withheld})) or "picture"
        written = "" if target else "; nothing written"
        complain(f"{job.source}: {len(withheld)} of {len(result.faces)} faces withheld ({reasons}){written}", WITHHELD)
    elif result.status == "no_face":
        complain(f"{job.source}: no face found; check the picture yourself", OK)
    elif result.status == "skipped":
        complain(f"{job.source}: none of its {len(result.faces)} faces was selected; all are as they were", OK)
    tally.rows.append(image_row(job.source, target, result.status, result.faces))


def _without_path(error: Exception, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def key_of(path: Path) -> bytes:
    """The key of a file, with a warning when others can read it. Raises KeyFileError."""
    from ..keyfile import read_key_file, readable_by_others

    key = read_key_file(path)
    if readable_by_others(path):
        complain(f"warning: other users can read the key file {path}; run: chmod 600 {path}", OK)
    return key


def unwritable(folder: Path) -> str | None:
    """Make a folder and try to write into it; None if that works, else why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"cannot write into {folder}: {error.strerror}"


def _public_options(args: argparse.Namespace) -> dict[str, Any]:
    """Options for the report. The seed is left out: with it the new faces could be made again from the originals."""
    names = ("mode", "steps", "preset", "policy", "keep")
    return {name: getattr(args, name) for name in names} | {
        "faces": args.faces if isinstance(args.faces, str) else list(args.faces),
        "set": dict(args.set), "keyed": args.key_file is not None,
    }  # fmt: skip


def _progress_bar(total: int, silent: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit="picture", file=sys.stderr, disable=silent or not sys.stderr.isatty())
