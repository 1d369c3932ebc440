"""A 12-megapixel photograph with four faces: `id2face anonymize` against `deface`, whole commands, same machine.

    python benchmarks/bench_peers.py [--deface PATH] [--photo FILE ...] [--preset balanced] [--repeat 2] [--json FILE]

The photograph is made here: four faces that the packaged generator draws (of nobody), of 150 to 900 px, before a
synthetic background. `deface` (PyPI) may live in an environment of its own: give the path of its command. It is much
faster where onnxruntime is installed beside it, so install both. CPU seconds are printed beside the wall time, because
they depend less on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

SIZE = (4000, 3000)
SIDES = (2000, 1400, 800, 340)  # of the pasted portraits; a face takes a bit less than half of its portrait
PLACES = ((100, 900), (2200, 1500), (2500, 300), (3600, 200))
TIMEOUT = 600  # seconds for one command


def background(rng: np.random.Generator) -> Image.Image:
    """Smooth colours with grain, such as a wall out of focus."""
    coarse = Image.fromarray(rng.integers(60, 200, (9, 12, 3), dtype=np.uint8)).resize(SIZE, Image.Resampling.BICUBIC)
    grain = rng.normal(0, 4, (SIZE[1], SIZE[0], 1))
    return Image.fromarray(np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8))


def generated_portraits(count: int) -> list[Image.Image]:
    """Portraits of 1024 px from the packaged generator."""
    import torch

    from id2face_core.generator.loader import load_generator

    generator = load_generator()
    portraits = []
    with torch.inference_mode():
        for seed in range(count):
            w = generator.map(torch.randn(1, 512, generator=torch.Generator().manual_seed(100 + seed)))
            image = generator.synthesize(generator.w_mean + 0.7 * (w - generator.w_mean))[0]
            portraits.append(Image.fromarray(((image.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()))
    return portraits


def four_faces(portraits: Sequence[Image.Image]) -> Image.Image:
    """The portraits with soft borders on 4000 x 3000, one large, one tiny."""
    sheet = background(np.random.default_rng(0))
    for i, (side, place) in enumerate(zip(SIDES, PLACES, strict=True)):
        portrait = portraits[i % len(portraits)]
        soft = Image.new("L", (side, side), 0)
        edge = side // 16
        soft.paste(255, (edge, edge, side - edge, side - edge))
        soft = soft.filter(ImageFilter.GaussianBlur(edge / 2))
        sheet.paste(portrait.resize((side, side), Image.Resampling.LANCZOS), place, soft)
    return sheet


def clock(command: Sequence[str], repeat: int) -> dict[str, float]:
    """Least wall and CPU seconds of a command. Ends the benchmark when the command fails."""
    walls, cpus = [], []
    for _ in range(repeat):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - start)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if done.returncode != 0:
            raise SystemExit(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return {"wall_s": min(walls), "cpu_s": min(cpus)}


def compare(photo: Path, deface: str | None, preset: str, repeat: int) -> dict[str, object]:
    """Times of both commands on one photograph, and how many faces ours replaced."""
    folder = photo.parent
    ours = clock(
        [sys.executable, "-m", "id2face_core.cli.main", "anonymize", str(photo), "--output", str(folder / "out"),
         "--seed", "0", "--preset", preset, "--no-progress", "--report", str(folder / "report.json")], repeat,
    )  # fmt: skip
    faces = json.loads((folder / "report.json").read_text())["images"][0]["faces"]
    found: dict[str, object] = {
        "preset": preset, "faces": [face["status"] for face in faces], "cpus": os.cpu_count(), "id2face": ours,
    }  # fmt: skip
    if deface:
        theirs = clock([deface, str(photo), "-o", str(folder / "deface.jpg")], repeat)
        found |= {"deface": theirs, "ratio": {key: ours[key] / theirs[key] for key in ours}}
    return found


def main() -> int:
    """Print both times and their ratio."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--deface", default=shutil.which("deface"))
    p.add_argument("--photo", type=Path, action="append", default=[], help="portraits instead of generated ones")
    p.add_argument("--preset", default="balanced")
    p.add_argument("--repeat", type=int, default=2)
    p.add_argument("--json", type=Path)
    p.add_argument("--keep", type=Path, metavar="DIR", help="keep the photograph and the results here")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "photo.jpg"
        four_faces([Image.open(f).convert("RGB") for f in args.photo] or generated_portraits(4)).save(source, quality=92)
        found = compare(source, args.deface, args.preset, args.repeat)
    print(json.dumps(found, indent=1))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if not args.deface:
        print("deface was not timed: pip install deface onnxruntime in an environment of its own, then --deface PATH")
    return 0


if __name__ == "__main__":
    sys.exit(main())
