"""The V3 names that the pack imports."""

from . import InputImpl, Types, io, ui


class ComfyExtension:
    async def on_load(self) -> None: ...


__all__ = ["ComfyExtension", "InputImpl", "Types", "io", "ui"]
