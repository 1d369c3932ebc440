"""Hand labels of children among generated faces."""

from __future__ import annotations

import numpy as np

from id2face_core.training.children import ADULT, LOOKED_AT, SHARES, chances, face_numbers, label, read_hand_labels


def test_hand_labels_are_of_faces_that_were_looked_at() -> None:
    known = read_hand_labels()
    assert len(known) >= 50 and all(0 <= face < LOOKED_AT and 0 < age < ADULT for face, age in known.items())


def test_numbers_do_not_depend_on_the_size_of_shards() -> None:
    assert face_numbers(np.array(["shard00000/3", "shard00002/1"]), 64).tolist() == [3, 129]
    assert face_numbers(np.array(["shard00000/129"]), 1024).tolist() == [129]


def test_children_get_their_age_and_adults_what_is_read() -> None:
    child = min(read_hand_labels())
    adult = next(n for n in range(LOOKED_AT) if n not in read_hand_labels())
    numbers = np.array([child, adult, adult, LOOKED_AT + 5])
    labels, found = label(numbers, np.array([[40, 1, 1], [12, 0.95, 0], [50, 0.6, 0], [30, 1, 0]], dtype=np.float32))
    assert found.tolist() == [True, False, False, False]
    assert labels[0, 0] == read_hand_labels()[child] and np.isnan(labels[0, 1])  # the sex of a child nobody asks for
    assert labels[1].tolist()[:2] == [ADULT, 1.0] and labels[2, 0] == 50 and np.isnan(labels[2, 1])
    assert np.isnan(labels[3]).all() and np.isnan(labels[:, 2]).all()


def test_shares_are_as_wished() -> None:
    photograph, child = np.arange(100) < 80, (np.arange(100) >= 80) & (np.arange(100) < 83)
    odds = chances(photograph, child)
    assert abs(odds.sum() - 1) < 1e-9
    assert abs(odds[child].sum() - SHARES[0]) < 1e-9 and abs(odds[~photograph & ~child].sum() - SHARES[1]) < 1e-9
