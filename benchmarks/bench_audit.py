"""How long an audit takes, and whether its memory stays flat.

    python benchmarks/bench_audit.py ORIGINALS ANONYMIZED [--pairs 1000] [--side 250] [--workers 2] [--minutes 0.5]
        [--attacks all] [--recognizer NAME|FILE ...] [--profile]

The pictures of the two folders (equal names are pairs) are scaled to the side and repeated until there are enough, each time
a little brighter or darker and as people of their own, four pictures a person. Prints pairs a second, the time of the
attacks, and the resident memory of all processes while pictures are read and at the end.
"""

from __future__ import annotations

import argparse
import cProfile
import csv
import os
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageEnhance

from id2face_core.audit.document import document
from id2face_core.audit.material import find_pairs
from id2face_core.audit.report import page
from id2face_core.audit.runner import Plan, audit

PHOTOS = 4  # pictures of a person


def make_pairs(originals: Path, anonymized: Path, folder: Path, count: int, side: int) -> Path:
    """The table of `count` pairs below `folder`."""
    pairs = find_pairs(originals, anonymized)
    known = [p for p in pairs if isinstance(p.original, Path) and isinstance(p.anonymized, Path)]
    table = folder / "pairs.csv"
    with table.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["original", "anonymized", "person"])
        for i in range(count):
            pair, light = known[i % len(known)], 1 + 0.01 * (i // len(known))
            for kind, source in (("before", pair.original), ("after", pair.anonymized)):
                (folder / kind).mkdir(exist_ok=True)
                image = Image.open(str(source)).convert("RGB")
                size = tuple(max(1, round(v * side / max(image.size))) for v in image.size)
                ImageEnhance.Brightness(image.resize(size)).enhance(light).save(folder / kind / f"{i:05}.jpg", quality=95)
            writer.writerow([f"{i:05}.jpg", f"{i:05}.jpg", f"person {i // PHOTOS}"])
    return table


def resident() -> int:
    """MiB of this process and of all below it; pages that they share count once a process."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(") ")[2].split()
        except OSError:
            continue  # it ended
        parents[int(status.parent.name)] = int(fields[1]), int(fields[21])
    ours, found = {os.getpid()}, 0
    while len(ours) > found:
        found = len(ours)
        ours |= {pid for pid, (parent, _) in parents.items() if parent in ours}
    return sum(parents[pid][1] for pid in ours) * os.sysconf("SC_PAGE_SIZE") // 2**20


class Clock:
    """When each part of the audit began, and the memory at some of its steps."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, float]] = []
        self.memory: list[tuple[str, int]] = []

    def __call__(self, what: str, done: int, count: int) -> None:
        if not self.parts or self.parts[-1][0] != what:
            self.parts.append((what, time.perf_counter()))
        if what == "pictures" and done in {count * k // 10 for k in range(1, 11)}:
            self.memory.append((f"{done} pairs", resident()))
        if what == "attacks":
            self.memory.append(("attacks", resident()))

    def seconds(self) -> dict[str, float]:
        """Of each part but the last."""
        return {what: end - begin for (what, begin), (_, end) in zip(self.parts, self.parts[1:], strict=False)}


def main() -> int:
    """Print the figures of one run."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("originals", type=Path)
    p.add_argument("anonymized", type=Path)
    p.add_argument("--pairs", type=int, default=1000)
    p.add_argument("--side", type=int, default=250)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--minutes", type=float, default=0.5)
    p.add_argument("--attacks", default="all")
    p.add_argument("--recognizer", action="append", default=[])
    p.add_argument("--lpips", type=Path)
    p.add_argument("--profile", action="store_true", help="one process; the functions that take longest")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        table = make_pairs(args.originals, args.anonymized, folder, args.pairs, args.side)
        names = () if args.attacks == "all" else tuple(args.attacks.split(","))
        workers = 1 if args.profile else args.workers
        plan = Plan(tuple(args.recognizer), names, args.minutes, perceptual=args.lpips, workers=workers)
        clock, profile, start = Clock(), cProfile.Profile(), time.perf_counter()
        if args.profile:
            profile.enable()
        audited = audit(find_pairs(folder / "before", folder / "after", table), plan, clock)
        attacked = time.perf_counter()
        size = len(page(document(audited, plan), audited))
        profile.disable()
        end = time.perf_counter()
    seconds = clock.seconds()
    reading = clock.parts[1][1] - start
    print(f"{args.pairs} pairs of {args.side} px, {len(audited.evidence.rows)} faces, {plan.workers} processes, "
          f"{len(audited.evidence.judges)} judges: {end - start:.0f} s in all")  # fmt: skip
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"CPU time {sum(u.ru_utime + u.ru_stime for u in used):.0f} s")
    print(f"pictures {reading:.0f} s ({args.pairs / reading:.2f} pairs/s); report {end - attacked:.1f} s ({size / 1e6:.1f} MB)")
    print("; ".join(f"{what} {took:.1f} s" for what, took in seconds.items() if what != "pictures"))
    print("; ".join(f"{what} {mib} MiB" for what, mib in clock.memory))
    if args.profile:
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
    return 0


if __name__ == "__main__":
    sys.exit(main())
