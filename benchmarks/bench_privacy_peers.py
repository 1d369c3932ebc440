"""The same pictures through this package, `deface`, PrivateFrame and nothing at all, judged by the same audit.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install deface onnxruntime 'insightface[privateframe]'
    python benchmarks/bench_privacy_peers.py ORIGINALS --pairs PEOPLE.csv --output DIR --peers /tmp/peers/bin
        [--ours DIR] [--recognizer NAME|FILE ...] [--attacks A1,A2,A3,A13]

`--ours` names a folder that was anonymized before; without it that is done first. The peers live in an environment of
their own, since they bring other libraries. deface's blur, mosaic and solid replacement run with their defaults. InsightFace's
PrivateFrame takes videos only and downloads the model that finds faces: its own redaction runs with its settings, on the
boxes of this package's detector. PEOPLE.csv has the columns original and person.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

DEFACE = ("blur", "mosaic", "solid")
PRIVATEFRAME = ("gaussian", "mosaic")
ATTACKS = "A1,A2,A3,A13"
SUFFIX = "_anonymized"


def anonymize_with_deface(command: str, replacement: str, originals: Path, output: Path) -> None:
    """Run deface on copies: it writes beside its inputs."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        copies = [shutil.copy(path, temporary) for path in sorted(originals.iterdir()) if path.is_file()]
        subprocess.run([command, "--replacewith", replacement, *copies], check=True, capture_output=True)
        for copy in map(Path, copies):
            shutil.move(copy.with_name(copy.stem + SUFFIX + copy.suffix), output / copy.name)


def redact_with_privateframe(python: Path, method: str, originals: Path, output: Path) -> None:
    """PrivateFrame's redaction inside the boxes that CenterFace finds."""
    from id2face_core.assets import model_folder
    from id2face_core.components import load_detector
    from id2face_core.pictures import read_picture

    output.mkdir(parents=True, exist_ok=True)
    detector = load_detector(("centerface",), model_folder())
    pictures = {path.name: read_picture(path) for path in sorted(originals.iterdir()) if path.is_file()}
    boxes = {name: [[float(v) for v in f.box] for f in detector.detect(picture)] for name, picture in pictures.items()}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as table:
        json.dump(boxes, table)
        table.flush()
        script = Path(__file__).with_name("privateframe_redaction.py")
        subprocess.run([str(python), str(script), method, table.name, str(originals), str(output)], check=True)


def copy_all(originals: Path, output: Path) -> None:
    """Nothing is done: what every row is compared with."""
    shutil.copytree(originals, output, dirs_exist_ok=True)


def anonymize_with_ours(originals: Path, output: Path, preset: str) -> None:
    """`id2face anonymize`; a withheld face (status 3) is a result too."""
    done = subprocess.run([
        sys.executable, "-m", "id2face_core.cli.main", "anonymize", str(originals), "--output", str(output), "--seed", "1",
        "--preset", preset, "--no-progress",
    ])  # fmt: skip
    if done.returncode not in (0, 3):
        raise SystemExit(f"anonymize ended with {done.returncode}")


def audit(originals: Path, anonymized: Path, people: Path, output: Path, more: Sequence[str]) -> dict[str, str]:
    """{attack: worst figure in words} of one folder."""
    table = output / "pairs.csv"
    output.mkdir(parents=True, exist_ok=True)
    with people.open(newline="") as handle, table.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["original", "anonymized", "person"])
        for row in csv.DictReader(handle):
            made = row["original"] if (anonymized / row["original"]).exists() else ""
            writer.writerow([row["original"], made, row["person"]])
    subprocess.run([
        sys.executable, "-m", "id2face_core.cli.main", "audit", str(originals), str(anonymized), "--pairs", str(table),
        "--output", str(output), "--no-progress", *more,
    ], stderr=subprocess.DEVNULL)  # fmt: skip
    found = json.loads((output / "audit.json").read_text())
    return {f["attack"]: f["gate"]["value"] for f in found["findings"] if f["gate"]}


def main() -> int:
    """Print a table: a row a method, a column an attack."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("originals", type=Path)
    p.add_argument("--pairs", type=Path, required=True)
    p.add_argument("--output", type=Path, required=True)
    p.add_argument("--peers", type=Path, required=True, metavar="DIR", help="bin folder of the environment with the peers")
    p.add_argument("--ours", type=Path)
    p.add_argument("--preset", default="balanced")
    p.add_argument("--recognizer", action="append", default=[])
    p.add_argument("--attacks", default=ATTACKS)
    args = p.parse_args()
    more = ["--attacks", args.attacks, *(part for name in args.recognizer for part in ("--recognizer", name))]
    ours = args.ours or args.output / "pictures" / "id2face"
    if args.ours is None:
        anonymize_with_ours(args.originals, ours, args.preset)
    folders, made = {f"id2face {args.preset}": ours}, args.output / "pictures"
    for replacement in DEFACE:
        folders[f"deface {replacement}"] = made / f"deface_{replacement}"
        anonymize_with_deface(str(args.peers / "deface"), replacement, args.originals, made / f"deface_{replacement}")
    for method in PRIVATEFRAME:
        folders[f"PrivateFrame {method}"] = made / f"privateframe_{method}"
        redact_with_privateframe(args.peers / "python", method, args.originals, made / f"privateframe_{method}")
    folders["nothing"] = made / "nothing"
    copy_all(args.originals, made / "nothing")
    results = {name: audit(args.originals, f, args.pairs, args.output / f.name, more) for name, f in folders.items()}
    columns = sorted({attack for figures in results.values() for attack in figures})
    print("| method | " + " | ".join(columns) + " |\n|" + "---|" * (len(columns) + 1))
    for name, figures in results.items():
        print(f"| {name} | " + " | ".join(figures.get(column, "-") for column in columns) + " |")
    (args.output / "peers.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
