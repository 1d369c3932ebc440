"""Children among generated faces: the generator draws them, and the labelled photographs are of adults.

A network that has seen no child reads 37 years off one, and whoever asks for an adult is given a child. The first faces of every
run are the same, so that hand labels of them hold; a few dozen bring 37 to 22 years on others.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

HAND_LABELS = Path(__file__).with_name("children.csv")  # number of a generated face, its age to the eye
LOOKED_AT = 640  # generated faces 0 to 639; whoever is not in the file looks adult
ADULT = 18.0  # years
SHARES = (0.10, 0.08)  # of what is drawn: children, other generated faces, so that not every rendering is one
SURE = 0.4  # distance of a reading of sex from .5


def face_numbers(names: np.ndarray, shard: int) -> np.ndarray:
    """Numbers of generated faces by their names in features, `shard<number>/<i>`; shard: faces in one. int64 [N]."""
    pairs = (str(name).removeprefix("shard").split("/") for name in names)
    return np.array([int(number) * shard + int(i) for number, i in pairs], dtype=np.int64)


def read_hand_labels(path: Path = HAND_LABELS) -> dict[int, float]:
    """Number of a generated face -> age."""
    with path.open(newline="") as file:
        return {int(row["face"]): float(row["age"]) for row in csv.DictReader(file)}


def label(numbers: np.ndarray, read: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels of generated faces that were looked at.

    Args:
        numbers: [N] of the faces; read: [N, 3], age, sex and glasses that a network reads off them.

    Returns:
        labels [N, 3], NaN where nothing is known: children have the age of the hand label, the others what was read, but adult;
        and which are children, bool [N].
    """
    known = read_hand_labels()
    child = np.array([int(n) in known for n in numbers], dtype=bool)
    labels = np.full((len(numbers), 3), np.nan, dtype=np.float32)
    adult = ~child & (numbers < LOOKED_AT)
    labels[adult, 0] = read[adult, 0].clip(ADULT)
    sure = adult & (np.abs(read[:, 1] - 0.5) > SURE)
    labels[sure, 1] = read[sure, 1] > 0.5
    labels[child, 0] = [known[int(n)] for n in numbers[child]]
    return labels, child


def chances(labelled: np.ndarray, child: np.ndarray) -> np.ndarray:
    """How often rows are drawn, [N]. labelled: bool [N], rows of photographs; child: bool [N], children among the other rows."""
    out = np.zeros(len(labelled))
    for rows, share in ((child, SHARES[0]), (~labelled & ~child, SHARES[1]), (labelled, 1 - sum(SHARES))):
        if rows.any():
            out[rows] = share / rows.sum()
    return out
