"""TSM on MobileNetV2 and on BN-Inception: which layers shift, what a sum carries, and MobileNetV2's own traps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from actionlib import create_model, model_info
from actionlib.models.mobilenet2d import InvertedResidual, mobilenet_v2
from actionlib.models.tsm import shift
from actionlib.models.tsm_frames import ShiftedLayers

# Paper's table 2 by hand: the blocks number 1 of a stage are 1, 2, 4, 7, 11, 14 and 17; the rest are sums.
SUMS = [3, 5, 6, 8, 9, 10, 12, 13, 15, 16]
SHIFTED = {
    "tsm_mobilenetv2_8f_k400": {f"block{number}" for number in SUMS},
    # 12 parts, of which the first, with its pool, never shifts; conv3 and pool2 are in the second
    "tsm_bninception_8f_k400": {
        "conv2",
        *("mixed3a", "mixed3b", "mixed3c"),
        *("mixed4a", "mixed4b", "mixed4c", "mixed4d", "mixed4e"),
        *("mixed5a", "mixed5b"),
    },
}
MODELS = tuple(SHIFTED)


# --- shifts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_which_layers_shift(name: str) -> None:
    with torch.device("meta"):
        backbone: Any = create_model(name).backbone
    assert backbone.shifted == SHIFTED[name]
    assert backbone.shifted < dict(backbone.named_children()).keys()


def traded(frames: list[torch.Tensor]) -> list[torch.Tensor]:
    """The shift, channel by channel, of frames `(N, C, H, W)`."""
    result = []
    for t, frame in enumerate(frames):
        fold = frame.shape[1] // 8
        channels = list(frame.unbind(1))
        for c in range(fold):
            channels[c] = frames[t + 1][:, c] if t + 1 < len(frames) else torch.zeros_like(channels[c])
        for c in range(fold, 2 * fold):
            channels[c] = frames[t - 1][:, c] if t > 0 else torch.zeros_like(channels[c])
        result.append(torch.stack(channels, 1))
    return result


def frame_by_frame(backbone: Any, x: torch.Tensor, shifted: set[str]) -> torch.Tensor:
    """What the network should do, with every frame by itself."""
    frames = list(x.unbind(2))
    for name, layer in backbone.named_children():
        inputs = traded(frames) if name in shifted else frames
        if name.removeprefix("block") in map(str, SUMS):
            frames = [frame + layer.branch(other) for frame, other in zip(frames, inputs, strict=True)]
        else:
            frames = [layer(frame) for frame in inputs]
    return torch.stack(frames, 2)


def spread_norms(network: nn.Module) -> None:
    """Statistics and scales as of a trained network: new ones make later layers nearly nothing in evaluation mode."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.3)
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(2, 3, 3, 64, 64))
    network.eval()


@torch.inference_mode()
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_against_a_loop_over_frames(name: str, frames: int) -> None:
    torch.manual_seed(0)
    model: Any = create_model(name, num_classes=5)
    spread_norms(model)
    x = torch.randn(2, 3, frames, 64, 64)
    expected = frame_by_frame(model.backbone, x, SHIFTED[name])
    torch.testing.assert_close(model.maps(x), expected, rtol=1e-4, atol=1e-4)
    without = frame_by_frame(model.backbone, x, set())
    assert (without - expected).norm() > 0.01 * expected.norm()


@torch.inference_mode()
def test_a_sum_carries_what_did_not_move() -> None:
    """Branches that are the identity: a sum gives x and the shifted x, another layer the shifted x alone."""
    x = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 3, 1, 1).expand(1, 8, 3, 1, 1)
    total, plain = nn.Sequential(InvertedResidual(nn.Identity())), nn.Sequential(nn.Identity())
    rows = ShiftedLayers(total, ["0"])(x)[0, :, :, 0, 0].tolist()
    assert rows == [[3, 5, 3], [1, 3, 5], *[[2, 4, 6]] * 6]
    assert torch.equal(ShiftedLayers(plain, ["0"])(x), shift(x))
    assert torch.equal(ShiftedLayers(plain, [])(x), x)


@torch.inference_mode()
@pytest.mark.parametrize("name", MODELS)
def test_videos_of_a_batch_do_not_mix_and_frames_do(name: str) -> None:
    torch.manual_seed(0)
    model: Any = create_model(name, num_classes=5)
    spread_norms(model)
    x = torch.randn(2, 3, 4, 64, 64)
    torch.testing.assert_close(model(x)[1:], model(x[1:]), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(model(x), model(x.flip(2)), rtol=1e-3)


# --- MobileNetV2 ------------------------------------------------------------------------------------------


def sides(pixels: int) -> list[int]:
    """Sides behind the stem and behind every block, found without arithmetic."""
    with torch.device("meta"):
        network, _ = mobilenet_v2(3)
        x = torch.empty(1, 3, pixels, pixels)
    found = []
    for layer in network.eval():
        x = layer(x)
        found.append(x.shape[2])
    return found


def test_mobilenet_sizes() -> None:
    """By hand: the stem halves, and so do the blocks 2, 4, 7 and 14; odd sides are rounded up."""
    halved = [1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5]  # how often, stem to last
    assert sides(224) == [224 // 2**times for times in halved]
    assert sides(225) == [(113, 57, 29, 15, 8)[times - 1] for times in halved]


def test_mobilenet_widths() -> None:
    """By hand: channels that a block puts out, and the width inside, six times what enters it but in the first."""
    network, channels = mobilenet_v2(3)
    outs = [16, 24, 24, *[32] * 3, *[64] * 4, *[96] * 3, *[160] * 3, 320]
    blocks = [layer for name, layer in network.named_children() if name.startswith("block")]
    branches: list[Any] = [b.branch if isinstance(b, InvertedResidual) else b for b in blocks]
    assert [branch.conv3.out_channels for branch in branches] == outs
    wide = [32, *(6 * width for width in outs[:-1])]
    assert [branch.conv2.in_channels for branch in branches] == wide
    assert [branch.conv2.groups for branch in branches] == wide
    assert channels == 1280


@torch.inference_mode()
def test_wide_maps_end_at_6_and_narrow_ones_nowhere() -> None:
    network, _ = mobilenet_v2(3)
    stem: Any = network.stem
    x = 100 * torch.randn(2, 3, 32, 32)
    wide = stem.eval()(x)
    assert wide.min() == 0 and wide.max() == 6
    block: Any = network.block3
    narrow = block.train()(torch.randn(4, 24, 8, 8))
    assert narrow.min() < 0
    layers = [type(layer) for layer in block.branch]
    unit = [nn.Conv2d, nn.BatchNorm2d, nn.ReLU6]
    assert layers == [*unit, *unit, *unit[:2]]


# --- recipes ----------------------------------------------------------------------------------------------


def test_what_enters() -> None:
    """MobileNetV2 takes what the project's ResNets take, BN-Inception what Caffe's networks do."""
    mobilenet, inception = (model_info(name) for name in MODELS)
    resnet = model_info("tsm_r50_8f_dense_k400")
    assert mobilenet.recipe == resnet.recipe and mobilenet.published.top1 == 69.5
    statistics = inception.recipe.statistics
    assert (statistics.mean, statistics.std, statistics.channel_order) == ((104, 117, 128), (1, 1, 1), "BGR")
    assert inception.input == (3, 8, 224, 224)
    assert inception.published.top1 is None
