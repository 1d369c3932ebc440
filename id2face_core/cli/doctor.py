"""`id2face doctor`: what is installed, which device, which files are in order, and what to do about the others."""

from __future__ import annotations

import argparse
import importlib.metadata as metadata
import platform

from ..assets import ASSETS, PACKAGES, model_folder, status, weights_digest
from ..assets.weights import LICENCE, weights_status
from ..errors import Id2FaceError
from .main import FAILED, OK, VERSION

NEEDED = (
    "torch", "diffusers", "safetensors", "numpy", "pillow", "scipy", "einops", "onnxruntime", "ai-edge-litert",
    "cryptography", "tqdm",
)  # fmt: skip
OPTIONAL = ("insightface", "openvino", "accelerate", "matplotlib")


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0 when everything needed is in order, else 1."""
    print(f"id2face {VERSION}, Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    problems = [*_packages(), *_device(), *_third_party(), *_weights()]
    print("\nLicences")
    print("  code of id2face: MIT")
    print(f"  weights of id2face: {LICENCE}")
    for package in PACKAGES:
        print(f"  {package.name} {package.version}: {package.licence}; {package.source}")
    print("\n" + ("Everything is in order." if not problems else "To do:"))
    for problem in dict.fromkeys(problems):
        print(f"  {problem}")
    return FAILED if problems else OK


def _packages() -> list[str]:
    print("\nPython packages")
    problems = []
    for name in (*NEEDED, *OPTIONAL):
        try:
            print(f"  {name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            optional = name in OPTIONAL
            print(f"  {name}: not installed{' (optional)' if optional else ''}")
            problems += [] if optional else [f"run: pip install {name}"]
    return problems


def _device() -> list[str]:
    print("\nDevice")
    try:
        from ..devices import available, probe

        choice = probe()
    except (ImportError, Id2FaceError) as error:
        print(f"  cannot be asked: {error}")
        return ["install torch; see https://pytorch.org"]
    print(f"  {choice.device}, {str(choice.dtype).removeprefix('torch.')} ({choice.reason})")
    print(f"  to choose from: {', '.join(available())}")
    return []


def _third_party() -> list[str]:
    print(f"\nThird-party files in {model_folder()}")
    bad = False
    for asset in ASSETS:
        health = status(asset)
        bad |= health != "ok"
        print(f"  {health:8}{asset.relative} ({asset.what}; from {asset.package})")
    return ["run: id2face setup"] if bad else []


def _weights() -> list[str]:
    print("\nWeights of id2face")
    try:
        rows, digest = weights_status(), weights_digest()
    except Id2FaceError as error:
        print(f"  {error}")
        return [str(error)]
    for file, (sha256, health) in rows.items():
        print(f"  {health:8}{file} {sha256}")
    print(f"  all together: {digest}")
    bad = [file for file, (_, health) in rows.items() if health != "ok"]
    return [f"install the package again, or train: {', '.join(bad)}"] if bad else []
