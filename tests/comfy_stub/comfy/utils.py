"""Progress."""


class ProgressBar:
    last: "ProgressBar | None" = None

    def __init__(self, total: int):
        self.total, self.current, self.previews = total, 0, []
        ProgressBar.last = self

    def update_absolute(self, value: int, total: int | None = None, preview: object = None) -> None:
        self.current, self.total = value, total or self.total
        if preview is not None:
            self.previews.append(preview)
