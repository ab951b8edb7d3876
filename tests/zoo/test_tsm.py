"""TSM: which channels move where, what a shortcut carries, and how clips lie in the published test."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from actionlib import create_model, model_info
from actionlib.models.blocks import channels_last
from actionlib.models.non_local import NonLocal
from actionlib.models.tpn import tsm_tpn
from actionlib.models.tsm import PerFrame, ShiftedResidual, each_frame, shift, tsm_resnet
from actionlib.sampling import view_indices


def test_shift_by_hand() -> None:
    x = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 3, 1, 1).expand(1, 8, 3, 1, 1)
    rows = shift(x)[0, :, :, 0, 0].tolist()
    assert rows == [[2, 3, 0], [0, 1, 2], *[[1, 2, 3]] * 6]


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_shift_frame_by_frame(frames: int) -> None:
    x = torch.randn(2, 21, frames, 3, 4)  # 21 // 8 = 2 channels each way
    expected = torch.zeros_like(x)
    for t in range(frames):
        if t + 1 < frames:
            expected[:, 0:2, t] = x[:, 0:2, t + 1]
        if t > 0:
            expected[:, 2:4, t] = x[:, 2:4, t - 1]
        expected[:, 4:, t] = x[:, 4:, t]
    assert torch.equal(shift(x), expected)
    by_memory = x.contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(shift(by_memory), expected)


@pytest.mark.parametrize(
    ("identity", "shift_projection", "shifts", "shifted"),
    [
        (True, True, True, False),
        (True, False, True, False),
        (False, True, True, True),
        (False, False, True, False),
        (False, True, False, False),
    ],
)
def test_what_the_shortcut_carries(
    identity: bool, shift_projection: bool, shifts: bool, shifted: bool
) -> None:
    branch, projection = nn.Conv2d(8, 8, 1, bias=False), nn.Conv2d(8, 8, 1, bias=False)
    nn.init.zeros_(branch.weight)
    nn.init.dirac_(projection.weight)
    shortcut = nn.Identity() if identity else projection
    block = ShiftedResidual(branch, shortcut, shifts=shifts, shift_projection=shift_projection)
    x = torch.randn(2, 8, 3, 4, 4)
    torch.testing.assert_close(block(x), torch.relu(shift(x) if shifted else x))


def test_the_branch_takes_shifted_frames() -> None:
    branch, shortcut = nn.Conv2d(8, 8, 1, bias=False), nn.Conv2d(8, 8, 1, bias=False)
    nn.init.dirac_(branch.weight)
    nn.init.zeros_(shortcut.weight)
    x = torch.randn(2, 8, 3, 4, 4)
    block = ShiftedResidual(branch, shortcut, shift_projection=False)
    torch.testing.assert_close(block(x), torch.relu(shift(x)))


def test_videos_of_a_batch_do_not_mix_and_frames_do() -> None:
    model = tsm_resnet(depth=18, num_classes=5).eval()
    x = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(x)[1:], model(x[1:]), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(model(x), model(x.flip(2)), rtol=1e-3)


@torch.inference_mode()
def test_memory_order_of_gpus() -> None:
    """2D and 3D convolutions in one network, each with weights in its order; scores do not change."""
    model = tsm_tpn(depth=50, tempos=(4, 4), num_classes=5).eval()
    x = torch.randn(1, 3, 4, 48, 48)
    expected = model(x)
    channels_last(model)
    assert model.backbone.stem.conv.weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[union-attr, operator]
    assert model.neck.down.weight.is_contiguous(memory_format=torch.channels_last_3d)  # type: ignore[operator]
    folded: list[torch.Tensor] = []
    model.backbone.stage4[1].branch.conv2.register_forward_pre_hook(
        lambda _, inputs: folded.append(inputs[0])
    )  # type: ignore[union-attr, index]
    scores = model(x.contiguous(memory_format=torch.channels_last_3d))
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-4)
    assert folded[0].is_contiguous(memory_format=torch.channels_last)


def test_folding_back_copies_nothing() -> None:
    x = torch.randn(2, 3, 4, 5, 6)
    maps = each_frame(nn.ReLU(), x)
    folded: list[torch.Tensor] = []
    again = PerFrame(nn.Identity())
    again[0].register_forward_pre_hook(lambda _, inputs: folded.append(inputs[0]))
    assert torch.equal(again(maps), x.relu())
    assert folded[0].data_ptr() == maps.data_ptr() and folded[0].shape == (8, 3, 5, 6)


@torch.inference_mode()
def test_the_authors_non_local_blocks_pool_what_they_projected() -> None:
    """Softmax of dot products with the 1x2x2 maxima of keys and values, position by position."""
    torch.manual_seed(1)
    block = NonLocal(4, affinity="softmax", pool=True, pool_projected=True, norm=nn.BatchNorm3d).eval()
    nn.init.ones_(block.norm.weight)  # type: ignore[arg-type]
    x = torch.randn(1, 4, 2, 4, 5)

    def maxima(maps: torch.Tensor) -> torch.Tensor:
        corners = [maps[..., row : row + 2, column : column + 2] for row in (0, 2) for column in (0, 2)]
        return torch.stack([corner.amax((-2, -1)) for corner in corners], dim=-1).flatten(
            2
        )  # odd column left

    keys, values = maxima(block.phi(x)), maxima(block.g(x))
    expected = torch.empty(1, 2, 2, 4, 5)
    for t, row, column in np.ndindex(2, 4, 5):
        weights = (block.theta(x)[0, :, t, row, column] @ keys[0]).softmax(0)
        expected[0, :, t, row, column] = values[0] @ weights
    torch.testing.assert_close(block(x), x + block.norm(block.out(expected)), rtol=1e-4, atol=1e-5)


def test_non_local_blocks_of_the_authors() -> None:
    with torch.device("meta"):
        model = create_model("tsm_nl5_r50_8f_dense_k400")
    stages = list(model.backbone)[1:]  # type: ignore[arg-type]
    followed = [[hasattr(block, "non_local") for block in stage] for stage in stages]
    assert [[i for i, yes in enumerate(blocks) if yes] for blocks in followed] == [[], [0, 2], [0, 2, 4], []]


def test_every_other_block_shifts_in_the_authors_resnet_101() -> None:
    with torch.device("meta"):
        model = tsm_resnet(depth=101, every=2)
    shifts = [[block.shifts for block in stage] for stage in list(model.backbone)[1:]]
    assert shifts == [[index % 2 == 0 for index in range(blocks)] for blocks in (3, 4, 23, 3)]


@pytest.mark.parametrize("name", ["tsm_r50_8f_sthv1", "tsm_tpn_r50_8f_sthv2"])
def test_the_published_test_reads_16_frames_as_two_clips(name: str) -> None:
    """One frame of each of 16 equal parts; the even ones are the first clip, the odd ones the second."""
    info = model_info(name)
    protocol = info.protocol
    assert (protocol.clips, protocol.crops, protocol.crop_px, protocol.average) == (2, 3, 256, "softmax")
    frames = [int(160 / 16 / 2 + 160 / 16 * part) for part in range(16)]  # 5 15 25 ... 155
    first, second = view_indices(160, protocol.sampling(info.recipe.sampling), protocol.clips).tolist()
    assert first == frames[::2] and second == frames[1::2]
