"""The network of minima and maxima against sorting."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from actionlib.flow.median import median5, median25
from actionlib.flow.tvl1_iterate import PAD, PLANES
from actionlib.flow.tvl1_torch import median5 as median5_torch


def test_every_arrangement_of_zeros_and_ones_in_sorted_columns() -> None:
    """All 6^5 of them; right for these is right for all numbers (Knuth, 5.3.4, theorem Z)."""
    ones = torch.tensor(list(itertools.product(range(6), repeat=5)))
    window = [(ones[:, column] >= 5 - rank).float() for rank in range(5) for column in range(5)]
    expected = (ones.sum(1) >= 13).float()
    assert torch.equal(median25(*window), expected)


def test_filters_agree_with_sorting_windows() -> None:
    rng = np.random.default_rng(0)
    for height, width in ((5, 7), (16, 33), (3, 40)):
        plane = rng.normal(size=(height, width)).astype(np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(plane, 2, mode="edge"), (5, 5))
        expected = np.median(windows, (2, 3))
        rows = np.zeros((height, PLANES, width + 2 * PAD), np.float32)
        rows[:, 1, PAD : PAD + width] = plane
        median5(rows, 1, width)
        np.testing.assert_array_equal(rows[:, 1, PAD : PAD + width], expected)
        assert not rows[:, 0].any() and not rows[:, 2:].any()
        np.testing.assert_array_equal(median5_torch(torch.from_numpy(plane)), expected)
