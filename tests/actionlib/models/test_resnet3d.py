"""Facts that tell the residual networks apart, worked out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import actionlib
from actionlib.errors import RecipeError
from actionlib.models.blocks import Stage, pointwise, residual_stage
from actionlib.models.resnet2d import conv_3x3
from actionlib.models.resnet3d import r2plus1d, r3d, r3d_tiny, slowonly


def middle_widths(network: nn.Module, stage: int) -> list[int]:
    blocks = network.get_submodule(f"backbone.stage{stage}")
    return [
        m.out_channels
        for n, m in blocks.named_modules()
        if n.endswith("spatial") and isinstance(m, nn.Conv3d)
    ]


def test_middle_widths_of_factored_convolutions() -> None:
    """27*64*128 // (9*64 + 3*128) = 230 for 64 -> 128, 27*128*128 // (9*128 + 3*128) = 288 for 128 -> 128."""
    with torch.device("meta"):
        assert middle_widths(r2plus1d(depth=18, widths="convolution"), 2) == [230, 288, 288, 288]
        assert middle_widths(r2plus1d(depth=18, widths="block"), 2) == [230, 230, 288, 288]
        # a bottleneck's block is 256 wide outside: 27*256*64 // (9*256 + 3*64) = 177
        assert middle_widths(r2plus1d(depth=50, widths="block"), 1) == [144, 177, 177]


@pytest.mark.parametrize(
    ("network", "size"),
    [
        # frames of 8, pixels of 64: only what convolves over time may shorten it
        (lambda: r3d(depth=18), (1, 4, 4)),
        (lambda: r2plus1d(depth=18), (1, 4, 4)),
        (lambda: r2plus1d(depth=34, pool=True), (1, 2, 2)),
        (lambda: r3d(depth=18, temporal=(True, True, False, False, False)), (8, 4, 4)),
        (lambda: r3d(depth=18, temporal=(False, False, False, True, True)), (2, 4, 4)),
        (lambda: r3d(depth=18, temporal=(False,) * 5, fold_frames=8), (1, 4, 4)),
        (lambda: slowonly(depth=50), (8, 2, 2)),
        (lambda: r3d_tiny(planes=(16, 24, 40, 64)), (8, 2, 2)),
    ],
)
def test_size_of_the_last_maps(network: object, size: tuple[int, int, int]) -> None:
    with torch.device("meta"):
        maps = network().maps(torch.empty(1, 3, 8, 64, 64))  # type: ignore[operator]
    assert tuple(maps.shape[2:]) == size


def test_slowonly_convolves_over_time_in_its_last_two_stages_only() -> None:
    with torch.device("meta"):
        model = slowonly(depth=50)
    temporal = {
        n.split(".")[1] for n, m in model.named_modules() if isinstance(m, nn.Conv3d) and m.kernel_size[0] > 1
    }
    assert temporal == {"stage3", "stage4"}


def test_makers_are_taken_in_turn() -> None:
    used: list[str] = []

    def noting(name: str):  # type: ignore[no-untyped-def]
        def make(*widths: int, stride: tuple[int, ...], block: tuple[int, int]) -> nn.Module:
            used.append(name)
            return conv_3x3(*widths, stride=stride, block=block)

        return make

    stage = Stage(3, 4, (2, 2), (noting("a"), noting("b")), (pointwise,))
    network, channels = residual_stage(8, stage, bottleneck=True, norm=nn.BatchNorm2d)
    assert used == ["a", "b", "a"] and channels == 16
    assert network(torch.randn(1, 8, 6, 6)).shape == (1, 16, 3, 3)


def test_unknown_depth() -> None:
    with pytest.raises(RecipeError, match="18, 34, 50, 101, 152"):
        slowonly(depth=51)


def moving_squares(count: int, frames: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Squares that move left (0) or right (1) from anywhere, wrapping round: no single frame tells which."""
    clips = 0.2 * torch.randn(count, 3, frames, 64, 64, generator=generator)
    labels = torch.randint(0, 2, (count,), generator=generator)
    starts, rows = torch.randint(0, 56, (2, count), generator=generator).tolist()
    for i in range(count):
        for t in range(frames):
            column = (starts[i] + (2 * int(labels[i]) - 1) * 3 * t) % 56
            clips[i, :, t, rows[i] : rows[i] + 8, column : column + 8] += 1
    return clips, labels


@pytest.mark.parametrize(("frames", "low", "high"), [(8, 0.95, 1.0), (1, 0.0, 0.7)])
def test_the_small_model_sees_motion_and_needs_it(frames: int, low: float, high: float) -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    model = actionlib.create_model("r3d_tiny_8x4", num_classes=2).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    for _ in range(40):
        clips, labels = moving_squares(12, frames, generator)
        loss = nn.functional.cross_entropy(model(clips), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    clips, labels = moving_squares(128, frames, generator)
    with torch.no_grad():
        accuracy = (model.eval()(clips).argmax(1) == labels).float().mean().item()
    assert low <= accuracy <= high
