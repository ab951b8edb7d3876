"""The torch version against the CPU kernels, and its independence of the batch. On a GPU with `-m gpu`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from actionlib.errors import InputError
from actionlib.flow import FAST, TVL1, tvl1
from actionlib.flow.tvl1_torch import tvl1_torch
from tests.actionlib.flow.pictures import texture

CLIP = np.stack([texture(48, 66, 1.3 * t, -0.4 * t * t) for t in range(5)])


def check(device: str, compiled: bool | None = None) -> None:
    frames = torch.from_numpy(CLIP).to(device)
    for parameters in (FAST, TVL1(scales=2, warps=2, outer=2, inner=12)):
        found = tvl1_torch(frames, parameters, compiled=compiled)
        expected = tvl1(CLIP, parameters)
        # the square root, sums and fused multiply-adds differ in the last bit; a stop may come one iteration apart
        assert np.abs(found.cpu().numpy() - expected).mean() < 2e-3
        for batch in (1, 3):
            assert torch.equal(tvl1_torch(frames, parameters, batch=batch, compiled=compiled), found)
        chosen = tvl1_torch(frames, parameters, pairs=torch.tensor([3, 0], device=device), compiled=compiled)
        assert torch.equal(chosen, found[[3, 0]])


def test_on_the_cpu() -> None:
    check("cpu")


@pytest.mark.slow
def test_compiled() -> None:
    """As it is on a GPU."""
    check("cpu", compiled=True)


@pytest.mark.gpu
def test_on_a_gpu() -> None:
    check("cuda")


def test_no_motion_and_no_pairs() -> None:
    assert not tvl1_torch(torch.from_numpy(CLIP[[1, 1]]), FAST).any()
    assert tvl1_torch(torch.from_numpy(CLIP[:1]), FAST).shape == (0, 2, 48, 66)
    with pytest.raises(InputError):
        tvl1_torch(torch.zeros(2, 8, 40))
