"""Which people are never trained on."""

from __future__ import annotations

import hashlib


def is_held_out(group_or_name: str) -> bool:
    """True for a fixed tenth of all groups (of one identity) or names, by SHA-256 of the text."""
    return int(hashlib.sha256(str(group_or_name).encode()).hexdigest(), 16) % 10 == 0
