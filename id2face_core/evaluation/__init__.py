"""Figures of privacy and utility, with controls. Uses the core; the core never imports it."""
