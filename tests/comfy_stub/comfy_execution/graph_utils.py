"""Blocking what follows."""


class ExecutionBlocker:
    def __init__(self, message: str | None):
        self.message = message
