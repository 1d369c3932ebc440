"""All nodes of the pack."""

from __future__ import annotations

from .anonymize import AnonymizeFaces
from .loader import LoadModel

NODES = (AnonymizeFaces, LoadModel)
