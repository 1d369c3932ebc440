"""What output nodes show."""

from __future__ import annotations

from .io import FolderType


class SavedResult(dict):
    def __init__(self, filename: str, subfolder: str, type: FolderType):
        super().__init__(filename=filename, subfolder=subfolder, type=type.value)


class SavedImages:
    def __init__(self, results: list[SavedResult]):
        self.results = results

    def as_dict(self) -> dict:
        return {"images": self.results}


class PreviewVideo:
    def __init__(self, values: list[SavedResult]):
        self.values = values

    def as_dict(self) -> dict:
        return {"images": self.values, "animated": (True,)}
