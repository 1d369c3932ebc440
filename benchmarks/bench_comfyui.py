"""The nodes in a real ComfyUI on a CPU: what they cost beside the command line, and what they hold.

    python benchmarks/bench_comfyui.py /path/to/ComfyUI [--repeat 7] [--frames 200] [--starts 5] [--interrupts 12] [--json FILE]

Its Python is $COMFYUI_PYTHON (or this one), for the server and for the command line. Wall times are of this machine; the
ratios are taken in one run, server and command line in turns, and stand for more. CPU seconds depend least on what else the
machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "workflows"), str(ROOT / "tests/web")]
import build  # noqa: E402
from real_comfyui import Address, running  # noqa: E402

PHOTO = ROOT / "id2face_core/demo/astronaut.jpg"
PICTURES = 4  # more pictures of the command line's second run: its cost a picture, without its start
SIDE = 160  # of the small frames
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_of(pid: int) -> float:
    """CPU seconds of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def memory_of(pid: int) -> float:
    """Resident MB of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6


def timed_prompt(host: Address, prompt: build.Prompt) -> tuple[float, float]:
    """(wall, CPU) seconds."""
    start, cpu = time.perf_counter(), cpu_of(host.pid)
    build.run(prompt, host, wait=0.1)  # each question costs the server time that would be counted as ours
    return time.perf_counter() - start, cpu_of(host.pid) - cpu


def timed_command(base: Path, pictures: int) -> tuple[float, float]:
    """(wall, CPU) seconds of `id2face anonymize` on copies of the photograph."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        source.mkdir()
        for i in range(pictures):
            shutil.copy(PHOTO, source / f"{i}.jpg")
        command = [os.environ.get("COMFYUI_PYTHON", sys.executable), "-m", "id2face_core.cli.main", "anonymize", str(source),
                   "--output", str(Path(folder) / "out"), "--seed", "1", "--no-progress"]  # fmt: skip
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seeded(seed: int, **inputs: Any) -> build.Prompt:
    """Template simple with a seed of its own, so that nothing of it is cached but the picture."""
    prompt = build.simple()
    prompt["2"]["inputs"] |= {"seed": seed} | inputs
    return prompt


def against_command_line(host: Address, base: Path, repeat: int) -> dict[str, Any]:
    """First and further runs of template simple beside whole commands and their cost a picture, in turns."""
    first = timed_prompt(host, seeded(0))
    whole, many, warm = [timed_command(base, 1)], list[tuple[float, float]](), list[tuple[float, float]]()
    for i in range(repeat):
        warm += [timed_prompt(host, seeded(10 + 2 * i)), timed_prompt(host, seeded(11 + 2 * i))]
        whole.append(timed_command(base, 1))
        many.append(timed_command(base, 1 + PICTURES))
    found: dict[str, Any] = {"repeat": repeat}
    for k, unit in enumerate(("wall_s", "cpu_s")):
        one, node = statistics.median(t[k] for t in whole), statistics.median(t[k] for t in warm)
        picture = (statistics.median(t[k] for t in many) - one) / PICTURES
        found[unit] = {"first_prompt": first[k], "whole_command": one, "further_prompt": node, "command_a_picture": picture,
                       "first_ratio": first[k] / one, "further_ratio": node / picture}  # fmt: skip
    return found


@contextmanager
def watched(pid: int) -> Iterator[list[tuple[float, float]]]:
    """Samples (seconds, MB) of a process's memory while the block runs."""
    samples, done = list[tuple[float, float]](), Event()

    def watch() -> None:
        while not done.wait(0.1):
            samples.append((time.perf_counter(), memory_of(pid)))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def parts(values: list[float], count: int) -> list[list[float]]:
    """The values in `count` parts of the same length."""
    size = len(values) // count
    return [values[i * size : (i + 1) * size] for i in range(count)]


def memory_over_a_batch(host: Address, base: Path, frames: int) -> dict[str, Any]:
    """How the server's memory moves while a batch runs, after its first tenth (input, output and networks are there).

    Rendering a face takes memory for a moment, so the level between faces and the peaks are followed apart: the lowest and
    the highest sample of each ninth of the rest, in the first one's.
    """
    with Image.open(PHOTO) as photo:
        photo.crop((96, 0, 352, 256)).resize((SIDE, SIDE)).save(base / "input/small.png")
    prompt = build.batch()
    prompt["1"]["inputs"]["image"] = "small.png"
    prompt["2"]["inputs"]["amount"] = frames
    start = time.perf_counter()
    with watched(host.pid) as samples:
        entry = build.run(prompt, host, wait=0.05)
    end = time.perf_counter()
    windows = parts([mb for at, mb in samples if at > start + 0.1 * (end - start)], 9)
    rest, peaks = [min(w) for w in windows], [max(w) for w in windows]
    saved = sum(i["type"] == "output" for out in entry["outputs"].values() for i in out.get("images", []))
    return {"frames": frames, "saved": saved, "side": SIDE, "seconds": end - start, "rest_mb": rest[0], "peak_mb": peaks[0],
            "rest": [level / rest[0] for level in rest], "peaks": [level / peaks[0] for level in peaks]}  # fmt: skip


def previewed(seed: int, steps: int) -> build.Prompt:
    """Template composable whose diffusion shows each step."""
    prompt = build.composable()
    prompt["6"]["inputs"]["seed"] = seed
    prompt["8"]["inputs"] |= {"steps": steps, "step_previews": True, "attempts": 1}
    return prompt


def interrupted(host: Address, prompt: build.Prompt, after: float) -> float | None:
    """Seconds from an interrupt to the end of the run, by ComfyUI's own note of it; None when it had ended before.

    Until somebody hears of it, ComfyUI may collect garbage for half a second: that is not the node's time.
    """
    started = build.queue(prompt, host)
    time.sleep(after)
    start = time.time()
    urllib.request.urlopen(urllib.request.Request(f"{host}/interrupt", b"")).close()
    messages = dict(build.finished(started, host)["status"]["messages"])
    stopped = messages.get("execution_interrupted")
    return None if stopped is None else stopped["timestamp"] / 1000 - start


def interrupts(host: Address, count: int) -> dict[str, Any]:
    """How soon an interrupt is answered: among diffusion steps that are shown, and anywhere in template simple."""
    few, many = (timed_prompt(host, previewed(900 + steps, steps))[0] for steps in (2, 22))
    step = (many - few) / 20
    simple = timed_prompt(host, seeded(899))[0]
    shown = [interrupted(host, previewed(1000 + i, 100), few + i * step) for i in range(count)]
    anywhere = [interrupted(host, seeded(2000 + i), simple * (i + 0.5) / count) for i in range(count)]
    found: dict[str, Any] = {"step_s": step, "simple_s": simple}
    for name, answers in (("among_steps", shown), ("anywhere", anywhere)):
        seconds = [s for s in answers if s is not None]
        found[name] = {"n": len(seconds), "median_s": statistics.median(seconds), "worst_s": max(seconds)}
    return found


def loads(base: Path) -> int:
    """How often ComfyUI has put our networks into memory."""
    return (base / "log.txt").read_text(encoding="utf-8", errors="replace").count("Requested to load ModuleList")


def weights_of_five_nodes(host: Address, base: Path) -> dict[str, Any]:
    """Template composable, whose five nodes take the model, on a fresh server, then template simple without a loader."""
    build.run(build.composable(), host)
    after_first, memory = loads(base), memory_of(host.pid)
    build.run(seeded(1), host)
    users = sum(part["inputs"].get("model") == ["2", 0] for part in build.composable().values())
    return {"nodes": users, "loads": after_first, "loads_after_another_graph": loads(base),
            "memory_mb": memory, "memory_after_another_graph_mb": memory_of(host.pid)}  # fmt: skip


def import_seconds(base: Path) -> float:
    """What ComfyUI says the pack took, torch being there."""
    log = (base / "log.txt").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"([\d.]+) seconds[^\n]*custom_nodes/id2face", log)
    if not found:
        raise SystemExit(f"the pack did not load: {log[-1000:]}")
    return float(found[1])


def measure(comfyui: Path, args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """All figures, each when it is there."""
    yield "machine", {"threads": os.environ.get("OMP_NUM_THREADS"), "cpus": os.cpu_count()}
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        (base / "input").mkdir()
        shutil.copy(PHOTO, base / "input/photo.jpg")
        imports = list[float]()
        for i in range(args.starts):
            with running(comfyui, base) as host:
                imports.append(import_seconds(base))
                if i == 0:
                    yield "weights", weights_of_five_nodes(host, base)
        yield "import_s", imports
        with running(comfyui, base) as host:
            yield "template_simple", against_command_line(host, base, args.repeat)
            yield "interrupts", interrupts(host, args.interrupts)
            yield "batch", memory_over_a_batch(host, base, args.frames)


def main() -> int:
    """Print the figures, and write them when asked."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("comfyui", type=Path)
    p.add_argument("--repeat", type=int, default=7)
    p.add_argument("--frames", type=int, default=200)
    p.add_argument("--starts", type=int, default=5)
    p.add_argument("--interrupts", type=int, default=12)
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    found = dict[str, Any]()
    for name, figures in measure(args.comfyui, args):
        found[name] = figures
        print(json.dumps({name: figures}, indent=1), flush=True)
        if args.json:
            args.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
