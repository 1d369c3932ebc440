"""A 12-megapixel photograph with four faces: `id2face anonymize` against `deface`, whole commands, same machine.

    python benchmarks/bench_peers.py [--deface PATH] [--photo FILE ...] [--preset balanced] [--repeat 2]

`deface` (PyPI) may live in an environment of its own: give the path of its command. Without it only ours is timed.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (4000, 3000)
TIMEOUT = 600  # seconds for one command


def four_faces(paths: Sequence[Path]) -> Image.Image:
    """Two by two photographs on 4000 x 3000; without paths four times the astronaut (public domain), one face each."""
    if paths:
        photos = [Image.open(path).convert("RGB") for path in paths]
    else:
        from skimage import data

        photos = [Image.fromarray(data.astronaut())]
    sheet, cell = Image.new("RGB", SIZE, (120, 130, 140)), (SIZE[0] // 2, SIZE[1] // 2)
    for i in range(4):
        image = photos[i % len(photos)]
        scale = min(cell[0] / image.width, cell[1] / image.height)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.LANCZOS)
        if i % 2 and len(photos) == 1:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        sheet.paste(image, (cell[0] * (i % 2), cell[1] * (i // 2)))
    return sheet


def clock(command: Sequence[str], repeat: int) -> float:
    """Median seconds of a command. Ends the benchmark when the command fails."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        times.append(time.perf_counter() - start)
        if done.returncode != 0:
            raise SystemExit(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return float(np.median(times))


def main() -> int:
    """Print both times and their ratio."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--deface", default=shutil.which("deface"))
    p.add_argument("--photo", type=Path, action="append", default=[])
    p.add_argument("--preset", default="balanced")
    p.add_argument("--repeat", type=int, default=2)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "photo.jpg"
        four_faces(args.photo).save(source, quality=92)
        ours = clock(
            [sys.executable, "-m", "id2face_core.cli.main", "anonymize",
             str(source), "--output", str(Path(folder) / "out"),
             "--seed", "0", "--preset", args.preset, "--no-progress"], args.repeat,
        )  # fmt: skip
        print(f"id2face ({args.preset}): {ours:.2f} s for 12 megapixels")
        if not args.deface:
            print("deface is not installed: pip install deface in an environment of its own, then --deface PATH")
            return 0
        theirs = clock([args.deface, str(source), "-o", str(Path(folder) / "deface.jpg")], args.repeat)
        print(f"deface: {theirs:.2f} s; ours takes {ours / theirs:.1f} times as long")
    return 0


if __name__ == "__main__":
    sys.exit(main())
