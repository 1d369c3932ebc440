"""Untrusted picture files become RGB arrays, and arrays become files without any metadata."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .assets.hashing import write_atomically
from .errors import PictureError, ShapeError

MAX_MEGAPIXELS = 120.0
MAX_BYTES = 2**30  # no picture within the limit of pixels needs more; a larger file is not even read
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF"}
# What a folder is searched for. Formats that cannot be read are listed on purpose: they must be reported.
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .tif .tiff .gif .ppm .pgm .heic .heif .avif .jp2 .jxl".split()
)
READABLE = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "GIF")


def search_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Pictures below a folder, and links to other folders: those are not followed, since they may lead in a circle."""
    found: list[Path] = []
    links: list[Path] = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links += [Path(root, name) for name in folders if Path(root, name).is_symlink()]
        found += [
            Path(root, name) for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES
        ]  # fmt: skip
    return found, links


def read_picture(source: str | Path | bytes, max_megapixels: float = MAX_MEGAPIXELS) -> np.ndarray:
    """Decode one picture.

    EXIF rotation is applied; 16 bits are scaled to 8; CMYK, palette and grey become RGB; transparency lies on white.

    Returns:
        uint8 [H, W, 3].

    Raises:
        PictureError: not a picture, damaged, empty, animated or too large. OSError: the file cannot be opened.
    """
    name = "picture" if isinstance(source, bytes) else Path(source).name
    data = source if isinstance(source, bytes) else _read_file(Path(source))
    if not data:
        raise PictureError(f"{name} has 0 bytes; give a picture file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit speaks below
            image = Image.open(io.BytesIO(data), formats=READABLE)
            _check_size(image, name, max_megapixels)
            frames = getattr(image, "n_frames", 1)
            if frames > 1:
                raise PictureError(f"{name} is animated ({frames} frames); give single frames, one file each")
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError(f"{name} is not a picture of a known format ({', '.join(READABLE)})") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"{name} is far beyond {max_megapixels:g} megapixels: scale it down first") from error
    except Exception as error:  # decoders of damaged files raise nearly every kind
        raise PictureError(f"{name} is damaged or truncated ({type(error).__name__}); it was not read") from error


def _read_file(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise PictureError(f"{path.name} is not a regular file; give a picture file")  # a pipe would wait for ever
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise PictureError(f"{path.name} has {size / 2**20:.0f} MiB; the limit is {MAX_BYTES / 2**20:.0f} MiB")
    return path.read_bytes()


def _check_size(image: Image.Image, name: str, max_megapixels: float) -> None:
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        size = f"{width}x{height} ({width * height / 1e6:.0f} megapixels)"
        raise PictureError(f"{name} has {size}; the limit is {max_megapixels:g} megapixels: scale it down first")


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        values = np.nan_to_num(np.asarray(image).astype(np.float64))
        brightest = float(values.max(initial=0))
        sixteen = image.mode.startswith("I;16") or (image.mode == "I" and 255 < brightest <= 65535)
        top = 65535.0 if sixteen else max(255.0, brightest)
        grey = np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def write_picture(picture: np.ndarray, path: str | Path, quality: int = 95) -> None:
    """Write uint8 [H, W, 3] in the format of the file name, without metadata, all or nothing.

    Raises:
        PictureError: a format that is not written. ShapeError: not such an array. OSError: the folder cannot be written.
    """
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        raise ShapeError(f"picture is {picture.dtype} {picture.shape}; expected uint8 [H, W, 3]")
    path = Path(path)
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise PictureError(f"{path.name}: cannot write {path.suffix or 'a file without ending'}; use {', '.join(FORMATS)}")
    options = {"JPEG": {"quality": quality, "subsampling": 0}, "WEBP": {"quality": quality}}.get(kind, {})
    encoded = io.BytesIO()  # not the file itself: the encoders overlook that a full disk took only a part
    Image.fromarray(picture).save(encoded, format=kind, **options)
    write_atomically(path, encoded.getvalue())
