"""Frame networks of TSN that are no ResNets: sizes behind pools that round up, copies of one network, stacked frames."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

import actionlib
from actionlib.models.blocks import freeze_batch_norm
from actionlib.models.inception2d import COPIES, CopyName, bn_inception, inception_v1, inception_v3
from actionlib.models.tsn import Differences, Tsn


def side(network: nn.Module, pixels: int) -> int:
    """Side of the last map, found without arithmetic; RuntimeError where branches do not fit together."""
    maps: torch.Tensor = network(torch.empty(1, 3, pixels, pixels, device="meta"))
    return maps.shape[2]


def on_meta(build: Any, *arguments: Any) -> nn.Module:
    with torch.device("meta"):
        network: nn.Module = build(3, *arguments)[0]
    return network.eval()


# --- sizes ------------------------------------------------------------------------------------------------


def test_bn_inception_sizes() -> None:
    """By hand for 70: the stem makes 35, 17 and 8 of it, the halving blocks 4 and 2. For 71: 36, 18 and 9, of which a
    halving block's convolutions make 5 and its pool 4."""
    network = on_meta(bn_inception)
    for pixels, expected in ((31, 1), (38, 1), (63, 2), (70, 2), (224, 7), (256, 8)):
        assert side(network, pixels) == expected
    for pixels in (30, 39, 62, 71, 231):
        with pytest.raises(RuntimeError):
            side(network, pixels)


def test_inception_v1_sizes() -> None:
    """By hand for 75: 38, 19 (rounding down would make it 18), 9, 4, and 2 by the pool without overlap."""
    network = on_meta(inception_v1)
    for pixels, expected in ((50, 1), (75, 2), (224, 7), (256, 8)):
        assert side(network, pixels) == expected


def test_inception_v3_sizes() -> None:
    """By hand for 80: 39 and 37 pixels, pooled to 18, 16, pooled to 7, or 8 where that is rounded up, which the next
    block cannot halve."""
    gluoncv, caffe = on_meta(inception_v3), on_meta(inception_v3, "caffe")
    for pixels, expected in ((75, 1), (80, 1), (299, 8)):
        assert side(gluoncv, pixels) == expected
    for pixels, expected in ((69, 1), (76, 1), (101, 2), (299, 8)):
        assert side(caffe, pixels) == expected
    for pixels in (68, 77, 80, 100):
        with pytest.raises(RuntimeError):
            side(caffe, pixels)


# --- copies of Inception-V3 -------------------------------------------------------------------------------


@torch.inference_mode()
def test_exchanged_kernels_see_a_transposed_picture() -> None:
    """With weights transposed, and pools alike, the copy does to a picture what the other does to its transpose."""
    plain, _ = inception_v3(3)
    copy, _ = inception_v3(3, "caffe")
    copy.mixed7c.branch3.pool = nn.AvgPool2d(3, 1, 1)
    for one, other in zip(plain.modules(), copy.modules(), strict=True):
        if isinstance(one, nn.Conv2d) and isinstance(other, nn.Conv2d):
            other.weight.copy_(one.weight.transpose(2, 3))
        elif isinstance(one, nn.BatchNorm2d) and isinstance(other, nn.BatchNorm2d):
            assert (one.eps, other.eps) == (1e-3, 1e-5)
            other.eps = one.eps
    x = torch.randn(1, 3, 107, 75)  # odd where it counts: both ways of rounding agree
    got = copy.eval()(x.transpose(2, 3)).transpose(2, 3)
    torch.testing.assert_close(got, plain.eval()(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("copy", "expected"), [("gluoncv", 1 / 9), ("caffe", 1.0)])
def test_last_pool(copy: CopyName, expected: float) -> None:
    """One bright pixel in the corner of the last block's input, seen from the pixel beside it."""
    network, _ = inception_v3(3, copy)
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 0, 0] = 1
    pool: Any = network.mixed7c.branch3.pool  # type: ignore[union-attr]
    before: Any = network.mixed7b.branch3.pool  # type: ignore[union-attr]
    assert pool(x)[0, 0, 1, 1].item() == pytest.approx(expected)
    assert pool(x)[0, 0, 0, 0].item() == pytest.approx(expected)  # zeros around count, too
    assert before(x)[0, 0, 1, 1].item() == pytest.approx(1 / 9)


def test_biases_stand_before_batch_norms_in_caffe_only() -> None:
    for network, biases in (
        (on_meta(bn_inception), True),
        (on_meta(inception_v1), False),
        *((on_meta(inception_v3, name), copy.bias) for name, copy in COPIES.items()),
    ):
        assert all((m.bias is not None) == biases for m in network.modules() if isinstance(m, nn.Conv2d))


# --- the segment network ----------------------------------------------------------------------------------


def test_a_neck_comes_before_the_mean_over_segments() -> None:
    """A ReLU between, so that the order shows: frames 1 and -1 give 0.5, their mean would give 0."""
    neck = nn.Sequential(nn.Flatten(), nn.ReLU())
    model = Tsn(nn.Identity(), channels=1, num_classes=2, dropout=0.0, neck=neck)
    x = torch.tensor([[1.0, -1.0], [3.0, 1.0]]).view(2, 1, 2, 1, 1)
    assert model.features(x).tolist() == [[0.5], [2.0]]


def test_differences_by_hand() -> None:
    """Three RGB frames of one pixel; of each channel the later value less the earlier one."""
    x = torch.tensor([1.0, 10, 100, 2, 30, 600, 7, 20, 0]).view(1, 9, 1, 1)
    assert Differences()(x).flatten().tolist() == [1, 20, 500, 5, -10, -600]


def test_differences_do_not_see_what_stands_still() -> None:
    model = actionlib.create_model("tsn_bninception_rgbdiff_seg7_ucf101_yjxiong", num_classes=3).eval()
    still = torch.randn(1, 3, 2, 32, 32).repeat(1, 6, 1, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(model(still), model(torch.zeros_like(still)))
        assert not torch.equal(model(still.cumsum(1)), model(still))


def test_stacks_are_channels_of_the_input() -> None:
    flow, rgbdiff = "tsn_bninception_flow_seg3_ucf101", "tsn_bninception_rgbdiff_seg7_ucf101_yjxiong"
    assert actionlib.model_info(flow).input == (10, 3, 224, 224)
    assert actionlib.model_info(rgbdiff).input == (18, 7, 224, 224)
    with torch.device("meta"):
        conv = actionlib.create_model(rgbdiff).backbone.conv1.conv  # type: ignore[union-attr]
        assert conv.in_channels == 15
        assert actionlib.create_model(flow, in_channels=20).backbone.conv1.conv.in_channels == 20  # type: ignore[union-attr]


def test_partial_batch_norm_leaves_the_first_one() -> None:
    """The first one in the order of the data, which is why the rest may be found by order."""
    for build in (bn_inception, inception_v1, inception_v3):
        network = on_meta(build)
        freeze_batch_norm(network, partial=True, frozen=False)
        free = [n for n, p in network.named_parameters() if p.requires_grad and ".norm." in n]
        first = next(itertools.islice(network.named_children(), 1))[0]
        assert free == [f"{first}.norm.weight", f"{first}.norm.bias"]
