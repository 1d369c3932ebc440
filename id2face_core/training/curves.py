"""Loss curves and gates as pictures."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

from ..diffusion.style_space import GROUP_NAMES  # noqa: E402

SMOOTH = 0.05  # of the rows: window of the running mean


def read_losses(path: Path) -> dict[str, np.ndarray]:
    """Columns of a losses.csv: step, seconds, loss and the terms, float64 [N]. Raises OSError, ValueError."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in (rows[0] if rows else {})}


def draw_curves(output: Path, stage: str, networks: Sequence[str]) -> Path | None:
    """pictures/<stage>.png: a panel for each network with its loss and the terms; None when nothing was logged."""
    files = {name: output / "train" / name / "losses.csv" for name in networks}
    logs = {name: read_losses(path) for name, path in files.items() if path.is_file()}
    logs = {name: columns for name, columns in logs.items() if len(columns.get("step", ())) > 1}
    if not logs:
        return None
    figure, axes = plt.subplots(1, len(logs), figsize=(5.5 * len(logs), 3.6), squeeze=False, layout="constrained")
    for panel, (name, columns) in zip(axes[0], logs.items(), strict=True):
        for term in list(columns)[2:]:
            values = columns[term]
            taken = values != 0 if term != "loss" else np.ones(len(values), dtype=bool)  # rare terms are 0 in between
            if taken.sum() > 1:
                style = {"color": "black", "linewidth": 1.6} if term == "loss" else {"linewidth": 1.0}
                panel.plot(columns["step"][taken], running_mean(values[taken]), label=term, **style)
        panel.set(title=name, xlabel="step", yscale="log")
        panel.grid(alpha=0.25)
        panel.legend(fontsize=7)
    path = output / "pictures" / f"{stage}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path


def running_mean(values: np.ndarray) -> np.ndarray:
    """Centred mean over `SMOOTH` of the rows, shorter at the ends."""
    half = max(1, int(SMOOTH * len(values))) // 2
    total = np.concatenate([[0.0], np.cumsum(values)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    mean: np.ndarray = (total[high] - total[low]) / (high - low)
    return mean


def draw_gates(gates: np.ndarray, path: Path) -> Path:
    """The harmonizer's mean gates [depth, groups]: which scale of the face listens to identity (1) or to attributes (0)."""
    figure, axis = plt.subplots(figsize=(4.2, 0.6 * len(gates) + 1.6), layout="constrained")
    image = axis.imshow(gates, vmin=0, vmax=1, cmap="coolwarm", aspect="auto")
    for (row, column), value in np.ndenumerate(gates):
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=9)
    axis.set_xticks(range(len(GROUP_NAMES)), GROUP_NAMES)
    axis.set_yticks(range(len(gates)), [f"block {i + 1}" for i in range(len(gates))])
    figure.colorbar(image, label="gate: 1 = identity")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
