"""Proof of anonymity for any pair of folders: attacks with controls, gates, a report. It uses the core, never the reverse."""
