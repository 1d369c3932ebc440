"""Workflows and pictures that can be given away: what ComfyUI stores about a user and his files is taken out."""

from .clean import Shared, share_workflow
from .rules import Removal, Rules, load_rules

__all__ = ["Removal", "Rules", "Shared", "load_rules", "share_workflow"]
