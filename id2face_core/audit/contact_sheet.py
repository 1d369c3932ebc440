"""Contact sheets: before | after (| the new face alone)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

LABEL_HEIGHT = 14


def face_window(picture: np.ndarray, points: np.ndarray, side: int) -> np.ndarray:
    """Upright square around a face (hair and chin in it), [side, side, 3]; black outside the picture."""
    centre = points.mean(axis=0)
    reach = 2.2 * max(
        float(np.linalg.norm(points[1] - points[0])), float(np.linalg.norm(points[3:].mean(0) - points[:2].mean(0)))
    )
    box = tuple(float(v) for v in (*(centre - reach), *(centre + reach)))
    image = Image.fromarray(picture).transform((side, side), Image.Transform.EXTENT, box, Image.Resampling.BICUBIC)
    return np.asarray(image)


def contact_sheet(cells: Sequence[tuple[str, Sequence[np.ndarray]]], columns: int = 8, side: int = 128) -> np.ndarray:
    """One sheet.

    Args:
        cells: (label, pictures side by side), pictures uint8 [side', side', 3] of any size; same number in each cell.
        columns: cells in a row.

    Returns:
        uint8 [H, W, 3].
    """
    if not cells:
        return np.full((LABEL_HEIGHT, side, 3), 255, dtype=np.uint8)
    each = max(len(pictures) for _, pictures in cells)
    width, height = each * side + 6, side + LABEL_HEIGHT
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (min(columns, len(cells)) * width, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (label, pictures) in enumerate(cells):
        x, y = (i % columns) * width, (i // columns) * height
        draw.text((x + 2, y + 1), label[: each * side // 6], fill="black")
        for j, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(picture).resize((side, side)), (x + j * side, y + LABEL_HEIGHT))
    return np.asarray(sheet)
