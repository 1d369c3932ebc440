"""One family of errors. Each message names the offending value and the remedy, and never a face or a key."""

from __future__ import annotations


class Id2FaceError(Exception):
    """Base of all errors that this package raises on purpose."""


class ShapeError(Id2FaceError, ValueError):
    """A tensor or array does not have the documented shape."""


class ConfigError(Id2FaceError, ValueError):
    """An option has a value that cannot be used."""


class PictureError(Id2FaceError):
    """A picture cannot be read, or is refused (too large, damaged, not a picture)."""


class AssetMissingError(Id2FaceError, FileNotFoundError):
    """A weight file is not there. The message says which command fetches it."""


class AssetCorruptError(Id2FaceError):
    """A weight file is there and is not what the registry says (size, SHA-256, keys)."""


class KeyFileError(Id2FaceError):
    """A key file cannot be used. The message never contains the key."""


class FaceRejectedError(Id2FaceError):
    """One face cannot be anonymized faithfully; the pipeline withholds it. `reason` is a short code."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class Interrupted(Id2FaceError):
    """The caller asked to stop. Nothing half done is returned."""
