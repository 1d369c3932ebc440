"""Native libraries greet on stderr when they load. Whoever reads stderr for errors must not have to know that."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Nothing reaches the file descriptor of stderr in the block, also not from C++. Exceptions pass."""
    try:
        descriptor = sys.__stderr__.fileno() if sys.__stderr__ is not None else -1
        kept = os.dup(descriptor)
    except (OSError, ValueError):  # there is no such descriptor: nothing to keep quiet
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
        os.close(sink)
