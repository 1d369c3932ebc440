"""What a recogniser is, written in a small TOML file: which file, how its crop is made, and its measured thresholds.

    name = "mine"
    file = "mine.onnx"        # beside the TOML file
    sha256 = "..."            # optional; checked where it is given
    mean = 127.5              # one number, or three in the order of the channels, on 0..255
    std = 127.5
    side = 112                # of the ArcFace-aligned square
    crop_columns = 0          # taken off on each side of it (8 for networks of 112 x 96)
    order = "RGB"             # or "BGR"
    layout = "NCHW"           # or "NHWC"
    [thresholds]              # optional: scores above which two faces count as one person, measured on real strangers
    "0.001" = 0.25
    impostor_pairs = 235191
    pool = "which pictures"

Unknown keys are errors.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from ..assets.hashing import sha256_of
from ..errors import AssetCorruptError, ConfigError
from .recognisers import Recipe

KEYS = {"name", "file", "sha256", "mean", "std", "side", "crop_columns", "order", "layout", "trained", "thresholds"}
MEASURED = {"impostor_pairs", "pool"}


@dataclass(frozen=True)
class FixedThresholds:
    """scores: FAR -> score above which two faces are one person; impostor_pairs: how many real pairs fixed them."""

    scores: Mapping[float, float]
    impostor_pairs: int
    pool: str


@dataclass(frozen=True)
class Description:
    """One recogniser: its recipe, the hash its file must have (None: any), thresholds (None: not measured)."""

    recipe: Recipe = field(repr=False)
    sha256: str | None
    thresholds: FixedThresholds | None


def parse(text: str, source: str) -> Description:
    """Read a description. Raises ConfigError that names the key and `source`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source} is not TOML: {error}") from None
    unknown = sorted(table.keys() - KEYS)
    if unknown:
        raise ConfigError(f"{source} has the unknown key {unknown[0]!r}; known: {', '.join(sorted(KEYS))}")
    for key in ("name", "file"):
        if not isinstance(table.get(key), str) or not table[key]:
            raise ConfigError(f"{source} lacks {key} = \"...\"")
    if Path(table["file"]).name != table["file"]:
        raise ConfigError(f"{source}: file is {table['file']!r}; give a file name beside the description, not a path")
    side, columns = _whole(table, "side", 112, source), _whole(table, "crop_columns", 0, source)
    if not 16 <= side <= 1024 or not 0 <= 2 * columns < side:
        raise ConfigError(f"{source}: side is {side}, crop_columns {columns}; side is 16 to 1024, columns below half of it")
    recipe = Recipe(
        table["name"], table["file"], _channels(table, "mean", source), _channels(table, "std", source), columns,
        bool(table.get("trained", False)), side, _one_of(table, "order", ("RGB", "BGR"), source) == "BGR",
        _one_of(table, "layout", ("NCHW", "NHWC"), source) == "NHWC",
    )  # fmt: skip
    return Description(recipe, table.get("sha256"), _thresholds(table.get("thresholds"), source))


def read(path: Path) -> Description:
    """Read a file and check the hash of the network beside it, where one is given. Raises ConfigError, AssetCorruptError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {type(error).__name__}") from None
    found = parse(text, path.name)
    network = path.parent / found.recipe.file
    if found.sha256 is not None and network.is_file() and sha256_of(network) != found.sha256:
        raise AssetCorruptError(f"{network.name} is not the file that {path.name} describes (SHA-256 differs)")
    return found


def packaged() -> dict[str, Description]:
    """Descriptions that come with the package, by SHA-256 of the file that they describe."""
    folder = resources.files(__package__) / "descriptions"
    texts = [(f.name, f.read_text(encoding="utf-8")) for f in folder.iterdir() if f.name.endswith(".toml")]
    return {d.sha256: d for d in (parse(text, name) for name, text in texts) if d.sha256}


def _whole(table: Mapping[str, Any], key: str, default: int, source: str) -> int:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{source}: {key} is {value!r}; give a whole number")
    return value


def _channels(table: Mapping[str, Any], key: str, source: str) -> np.ndarray:
    value = table.get(key, 127.5)
    numbers = np.atleast_1d(np.asarray(value, dtype=object))
    if numbers.shape not in ((1,), (3,)) or not all(type(v) in (int, float) for v in numbers):
        raise ConfigError(f"{source}: {key} is {value!r}; give one number or three")
    channels = np.broadcast_to(numbers.astype(np.float64), 3).copy()
    if not np.isfinite(channels).all() or (key == "std" and (channels <= 0).any()):
        raise ConfigError(f"{source}: {key} is {value!r}; numbers must be finite, deviations above 0")
    return channels


def _one_of(table: Mapping[str, Any], key: str, choices: tuple[str, ...], source: str) -> str:
    value = table.get(key, choices[0])
    if value not in choices:
        raise ConfigError(f"{source}: {key} is {value!r}; choose {' or '.join(choices)}")
    return str(value)


def _thresholds(table: Mapping[str, Any] | None, source: str) -> FixedThresholds | None:
    if table is None:
        return None
    try:
        scores = {float(key): float(value) for key, value in table.items() if key not in MEASURED}
        pairs = int(table["impostor_pairs"])
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{source}: [thresholds] holds \"FAR\" = score rows and impostor_pairs = N") from None
    if not scores or any(not 0 < far < 1 or pairs * far < 1 for far in scores):
        raise ConfigError(f"{source}: {pairs} impostor pairs cannot fix a threshold at each of FAR {sorted(scores)}")
    return FixedThresholds(scores, pairs, str(table.get("pool", "not named")))
