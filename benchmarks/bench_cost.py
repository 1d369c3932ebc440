"""What one face costs: FLOPs by torch's counter, time of each stage, load time, peak memory.

    python benchmarks/bench_cost.py [--photo FILE] [--preset balanced] [--repeat 3] [--model-dir DIR] [--json FILE]

FLOPs are those of torch modules; the detector and the mesh networks run in ONNX Runtime and LiteRT and are not counted.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

NULLFACE_TFLOP = 132.0  # counted for one face of NullFace
STAGES = ("detector", "mesh", "extractor", "encoder", "recomposer", "generator")


class Timed:
    """Stands before a part and adds up the time spent in its calls."""

    def __init__(self, part: Any, name: str, table: dict[str, float]) -> None:
        self._part, self._name, self._table = part, name, table

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._part, attribute)
        return self._clocked(value) if callable(value) else value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._clocked(self._part)(*args, **kwargs)

    def _clocked(self, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._table[self._name] += time.perf_counter() - start

        return call


def photo(path: Path | None) -> np.ndarray:
    """The photograph, or scikit-image's astronaut (public domain). uint8 RGB."""
    if path is None:
        from skimage import data

        picture: np.ndarray = data.astronaut()
        return picture
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def measure(picture: np.ndarray, preset: str, repeat: int, model_dir: Path | None) -> dict[str, Any]:
    """All figures of one photograph."""
    start, cpu = time.perf_counter(), time.process_time()
    from torch.utils.flop_counter import FlopCounterMode

    from id2face_core.pipeline import AnonymizeOptions, Anonymizer

    anonymizer = Anonymizer.from_pretrained(model_dir)
    load, load_cpu = time.perf_counter() - start, time.process_time() - cpu
    options = AnonymizeOptions(seed=0, preset=preset)
    with FlopCounterMode(display=False) as counter:
        result = anonymizer.anonymize([picture], options)[0]
    faces = sum(record.status == "anonymized" for record in result.faces)
    if not faces:
        raise SystemExit(f"no face was anonymized ({result.status}); a cost a face cannot be given")
    times: dict[str, float] = defaultdict(float)
    for name in STAGES:
        setattr(anonymizer.parts, name, Timed(getattr(anonymizer.parts, name), name, times))
    start = time.perf_counter()
    for _ in range(repeat):
        anonymizer.anonymize([picture], options)
    total = time.perf_counter() - start
    stages = {name: times[name] / repeat for name in STAGES}
    stages["paste and the rest"] = (total - sum(times.values())) / repeat
    return {
        "preset": preset, "faces": faces, "picture": list(picture.shape[:2]), "load_s": load, "load_cpu_s": load_cpu,
        "dtype": str(anonymizer.parts.dtype).removeprefix("torch."),
        "tflop_a_face": counter.get_total_flops() / faces / 1e12, "nullface_tflop_a_face": NULLFACE_TFLOP,
        "seconds_a_picture": total / repeat, "stages_s": stages,
        "peak_rss_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }  # fmt: skip


def main() -> int:
    """Print the figures, and write them when asked."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--photo", type=Path)
    p.add_argument("--preset", default="balanced")
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--model-dir", type=Path)
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    found = measure(photo(args.photo), args.preset, args.repeat, args.model_dir)
    print(f"{found['tflop_a_face']:.4f} TFLOP a face (NullFace: {NULLFACE_TFLOP:.0f}), preset {args.preset}")
    print(f"{found['seconds_a_picture']:.2f} s for {found['faces']} face(s); load {found['load_s']:.2f} s "
          f"({found['load_cpu_s']:.2f} s of CPU, imports included); {found['dtype']}; "
          f"peak memory {found['peak_rss_gb']:.2f} GB")  # fmt: skip
    for name, seconds in found["stages_s"].items():
        print(f"  {name:20} {1000 * seconds:8.1f} ms")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
