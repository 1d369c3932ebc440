"""Which recognisers judge: found by name or file, and refused when they took part in the training of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..assets.folder import model_folder
from ..assets.hashing import sha256_of
from ..assets.weights import read_registry
from ..errors import AssetMissingError, ConfigError
from ..identity.recognisers import InsightFaceRecognizer
from .descriptions import Description, FixedThresholds, packaged, read
from .recognisers import Auditor, DlibAuditor, EncoderAuditor, OnnxAuditor, dlib_file

# SHA-256 of recognisers that trained the bundled weights, in every form in which they are about.
TEACHERS = {
    "b7120c095d60094f28a4a54ba6a8bf51b297a6273fb40ef6350dfec1f63d9507": "MobileFaceNet MS1M (foamliu), ONNX",
    "90a00ba1d8b0b688af3deb731ed53dca582e6106805d1bc3cfdef55f570493f4": "MobileFaceNet MS1M (foamliu), PyTorch",
}
FOLDER = "recognisers"  # of the model folder: descriptions that every audit takes
PACK = "insightface:"
INSTALL = "pip install 'id2face[audit]' brings dlib; or give --recognizer FILE.toml"


@dataclass(frozen=True)
class Judge:
    """A recogniser that may judge. spec: how a worker loads it again; sha256: of its file; thresholds: measured before."""

    name: str
    spec: str
    sha256: str
    thresholds: FixedThresholds | None = field(repr=False)


def refuse_trained(sha256: str, name: str) -> None:
    """Raises ConfigError for a file that took part in the training: it would judge its own pupil."""
    ours = {row["sha256"]: part for part, row in read_registry().items()}
    taught = TEACHERS.get(sha256) or ours.get(sha256)
    if taught is not None:
        raise ConfigError(f"recogniser {name!r} took part in the training of the model ({taught}) and cannot judge it")


def find_judges(names: Sequence[str] = ()) -> list[Judge]:
    """Recognisers by name (`dlib`, `insightface:PACK`, a description in the model folder), TOML file or known ONNX file.

    No names: all that are here. Raises AssetMissingError (none, or one that is not here), ConfigError (unknown, or it
    took part in the training).
    """
    chosen = list(names) or _present()
    if not chosen:
        raise AssetMissingError(f"there is no recogniser to judge with; {INSTALL}")
    judges = [_find(name) for name in chosen]
    seen: dict[str, str] = {}
    for judge in judges:
        if judge.name in seen or judge.sha256 in seen.values():
            raise ConfigError(f"recogniser {judge.name!r} is given twice; the same judge twice proves nothing more")
        seen[judge.name] = judge.sha256
    return judges


def load_judge(judge: Judge) -> Auditor:
    """The network of a judge. Raises as `find_judges`."""
    if judge.spec == "dlib":
        return DlibAuditor()
    if judge.spec.startswith(PACK):
        return EncoderAuditor(InsightFaceRecognizer(judge.spec.removeprefix(PACK)))
    path, description = _described(Path(judge.spec))
    return OnnxAuditor(description.recipe, path.parent)


def _present() -> list[str]:
    names = [str(path) for path in sorted((model_folder() / FOLDER).glob("*.toml"))]
    try:
        dlib_file()
        names.insert(0, "dlib")
    except AssetMissingError:
        pass
    packs = Path.home() / ".insightface" / "models"
    if packs.is_dir():
        names += [PACK + folder.name for folder in sorted(packs.iterdir()) if _pack_file(folder.name) is not None]
    return names


def _find(name: str) -> Judge:
    if name == "dlib":
        digest = sha256_of(dlib_file())
        known = packaged().get(digest)
        return Judge("dlib", name, digest, None if known is None else known.thresholds)
    if name.startswith(PACK):
        file = _pack_file(name.removeprefix(PACK))
        if file is None:
            raise AssetMissingError(f"there is no recogniser in ~/.insightface/models/{name.removeprefix(PACK)}")
        return _judge(name, file, None, name)
    path = Path(name)
    if not path.suffix:
        path = model_folder() / FOLDER / f"{name}.toml"
        if not path.is_file():
            raise ConfigError(f"recogniser {name!r} is unknown; give dlib, {PACK}PACK, FILE.toml or a file in {path.parent}")
    file, description = _described(path)
    return _judge(description.recipe.name, file, description, str(path), description.recipe.trained)


def _judge(name: str, file: Path, description: Description | None, spec: str, trained: bool = False) -> Judge:
    digest = sha256_of(file)
    refuse_trained(digest, name)
    if trained:
        raise ConfigError(f"recogniser {name!r} says of itself that it took part in the training; it cannot judge")
    known = description if description is not None and description.thresholds is not None else packaged().get(digest)
    return Judge(name, spec, digest, None if known is None else known.thresholds)


def _described(path: Path) -> tuple[Path, Description]:
    """(network file, description) of a TOML file, or of an ONNX file that the package knows."""
    if not path.is_file():
        raise AssetMissingError(f"there is no recogniser at {path}")
    if path.suffix.lower() == ".toml":
        found = read(path)
        file = path.parent / found.recipe.file
        if not file.is_file():
            raise AssetMissingError(f"{path.name} describes {found.recipe.file}, which does not lie beside it")
        return file, found
    digest = sha256_of(path)
    refuse_trained(digest, path.name)
    known = packaged().get(digest)
    if known is None or path.suffix.lower() != ".onnx":
        raise ConfigError(f"{path.name} is not known here: describe it in a TOML file (see audit/descriptions.py) and give that")
    return path, replace(known, recipe=replace(known.recipe, file=path.name))


def _pack_file(pack: str) -> Path | None:
    """The recogniser of an InsightFace pack: the file of a known name."""
    folder = Path.home() / ".insightface" / "models" / pack
    return next((p for p in sorted(folder.glob("*.onnx")) if p.stem.startswith(("w600k", "glintr", "ms1mv3", "webface"))), None)
