"""Progress and interrupts: what every loop of a node asks of ComfyUI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import comfy.model_management
import comfy.utils
import numpy as np
from PIL import Image

from id2face_core.errors import Id2FaceError

from .own_core import missing_packages, remedy

T = TypeVar("T")
PREVIEW_SIDE = 512


def stop_if_interrupted() -> None:
    """Raise ComfyUI's own interrupt when the user has asked for it."""
    comfy.model_management.throw_exception_if_processing_interrupted()


def interrupted() -> bool:
    """As the core asks; it raises rather than answer True, so that ComfyUI reports an interrupt and not an error."""
    stop_if_interrupted()
    return False


class Progress:
    """A bar over a known number of steps, with an optional picture beside it."""

    def __init__(self, total: int) -> None:
        self.total, self.done = max(total, 1), 0
        self._bar = comfy.utils.ProgressBar(self.total)

    def step(self, count: int = 1, preview: np.ndarray | None = None) -> None:
        """Move on; `preview` (uint8 [H, W, 3]) is shown in the node: only ever a face of nobody."""
        stop_if_interrupted()
        self.done = min(self.done + count, self.total)
        picture = None if preview is None else ("JPEG", Image.fromarray(preview), PREVIEW_SIDE)
        self._bar.update_absolute(self.done, self.total, picture)

    def over(self, items: Iterable[T]) -> Iterator[T]:
        """Iterate, moving on after each item."""
        for item in items:
            stop_if_interrupted()
            yield item
            self.step()


@contextmanager
def core_ready() -> Iterator[None]:
    """Turn a missing package into an error that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = missing_packages()
        if not missing:
            raise
        raise Id2FaceError(remedy(missing)) from error
