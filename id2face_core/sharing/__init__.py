"""Workflows and pictures that can be given away: what ComfyUI stores about a user and his files is taken out."""

from .clean import Shared, share_workflow
from .rules import Finding, Removal, Rules, grouped, load_rules

__all__ = ["Finding", "Removal", "Rules", "Shared", "grouped", "load_rules", "share_workflow"]
