"""SlowFast: which frames the slow pathway takes, and what tells the projects' networks apart."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from actionlib import convert, create_model, list_models, model_info
from actionlib.models.slowfast import SlowFast, SlowFrames, slow_frames, slowfast

LENGTHS = range(1, 70)


def test_slow_frames_by_hand() -> None:
    assert slow_frames(32, 8, "first") == [0, 8, 16, 24]
    assert slow_frames(32, 8, "last") == [7, 15, 23, 31]
    assert slow_frames(32, 8, "spread") == [0, 10, 20, 31]
    assert slow_frames(32, 4, "spread") == [0, 4, 8, 13, 17, 22, 26, 31]
    # a clip that alpha does not divide
    assert slow_frames(11, 8, "first") == [0, 8]
    assert slow_frames(11, 8, "last") == [7, 10]
    assert slow_frames(11, 8, "spread") == [0, 10]
    assert [slow_frames(1, 8, rule) for rule in ("first", "last", "spread")] == [[0], [0], [0]]


@pytest.mark.parametrize("slow_stride", [8, 16])
def test_last_is_what_the_mxnet_loader_reads(slow_stride: int) -> None:
    """It counts the 64 frames of a window from 1 and keeps the multiples of 2 and, of those, of the slow stride."""
    fast = [frame for frame in range(1, 65) if frame % 2 == 0]
    slow = [frame for frame in fast if frame % slow_stride == 0]
    assert [fast.index(frame) for frame in slow] == slow_frames(32, slow_stride // 2, "last")


@pytest.mark.parametrize("alpha", [4, 8])
def test_spread_is_the_truncated_linspace_of_pyslowfast(alpha: int) -> None:
    for frames in range(alpha, 129, alpha):
        expected = torch.linspace(0, frames - 1, frames // alpha).long().tolist()
        assert slow_frames(frames, alpha, "spread") == expected, frames


@pytest.mark.parametrize("alpha", [4, 8])
@pytest.mark.parametrize("rule", ["first", "last", "spread"])
def test_as_many_frames_as_the_lateral_connections_put_out(alpha: int, rule: SlowFrames) -> None:
    for kernel in (5, 7):
        lateral = nn.Conv3d(1, 1, (kernel, 1, 1), (alpha, 1, 1), (kernel // 2, 0, 0))
        for frames in LENGTHS:
            chosen = slow_frames(frames, alpha, rule)
            assert chosen == sorted(chosen) and chosen[0] >= 0 and chosen[-1] < frames
            assert len(chosen) == lateral(torch.zeros(1, 1, frames, 1, 1)).shape[2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("slowfast_r50_4x16", [0, 8, 16, 24]),
        ("slowfast_r50_4x16_k400_gcvpt", [0, 8, 16, 24]),
        ("slowfast_r50_4x16_k400_gcvmx", [7, 15, 23, 31]),
        ("slowfast_r50_8x8_k400_gcvmx", [3, 7, 11, 15, 19, 23, 27, 31]),
    ],
)
def test_the_slow_pathway_sees_the_frames_of_its_project(name: str, expected: list[int]) -> None:
    model = create_model(name).eval()
    seen: list[torch.Tensor] = []
    model.backbone.slow.stem.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))  # type: ignore[union-attr]
    x = torch.randn(1, 3, 32, 8, 8)
    with torch.no_grad():
        slow, fast = model.maps(x)  # type: ignore[operator]
    assert torch.equal(seen[0], torch.stack([x[:, :, t] for t in expected], dim=2))
    assert slow.shape[:3] == (1, 2048, len(expected)) and fast.shape[:3] == (1, 256, 32)


@pytest.mark.parametrize("name", list_models("slowfast_*"))
def test_the_clip_is_the_fast_pathways(name: str) -> None:
    """A name says frames x stride of the slow pathway, in frames of the video."""
    found = re.search(r"_(\d+)x(\d+)", name)
    assert found is not None
    frames, stride = int(found[1]), int(found[2])
    sampling = model_info(name).recipe.sampling
    with torch.device("meta"):
        model = create_model(name)
    assert isinstance(model, SlowFast)
    assert (sampling.kind, sampling.stride) == ("dense", 2)
    chosen = slow_frames(sampling.frames, model.alpha, model.slow_frames)
    assert len(chosen) == frames and model.alpha * sampling.stride == stride


def test_the_feature_is_slow_before_fast() -> None:
    model = create_model("slowfast_r50_4x16").eval()
    x = torch.randn(1, 3, 8, 16, 16)
    with torch.no_grad():
        slow, fast = model.maps(x)  # type: ignore[operator]
        feature = model.features(x)  # type: ignore[operator]
    torch.testing.assert_close(feature[0, :2048], slow[0].flatten(1).mean(1))
    torch.testing.assert_close(feature[0, 2048:], fast[0].flatten(1).mean(1))


def test_temporal_kernels() -> None:
    """ "101_50_50": the third stage sees neighbouring frames in six blocks only."""
    with torch.device("meta"):
        model = slowfast(depth=101, alpha=4, temporal_blocks=6)
    sizes = {
        path: [
            [block.branch.conv1.kernel_size[0] for block in stage]
            for stage in list(getattr(model.backbone, path))[1:]
        ]
        for path in ("slow", "fast")
    }
    third = [3] * 6 + [1] * 17
    assert sizes["slow"] == [[1] * 3, [1] * 4, third, [3] * 3]
    assert sizes["fast"] == [[3] * 3, [3] * 4, third, [3] * 3]


def test_lateral_connections() -> None:
    with torch.device("meta"):
        bare = slowfast(depth=50, alpha=8, lateral_norm=False)
        long = slowfast(depth=50, alpha=4, lateral_frames=7)
    kinds = [[type(layer) for layer in lateral] for lateral in bare.backbone.lateral]
    assert kinds == [[nn.Conv3d]] * 4
    for lateral, channels in zip(long.backbone.lateral, (8, 32, 64, 128), strict=True):
        conv, norm, relu = lateral
        assert conv.weight.shape == (2 * channels, channels, 7, 1, 1)
        assert conv.stride == (4, 1, 1) and isinstance(norm, nn.BatchNorm3d) and isinstance(relu, nn.ReLU)


@torch.no_grad()
def test_the_lateral_that_mmaction_never_calls_is_kept_and_does_nothing() -> None:
    model = create_model("slowfast_r50_4x16").eval()
    spare = model.get_parameter("backbone.spare_lateral")
    assert spare.shape == (512, 256, 5, 1, 1) and not spare.requires_grad
    x = torch.randn(1, 3, 8, 16, 16)
    before = model(x)
    nn.init.normal_(spare)
    assert torch.equal(model(x), before)
    theirs = convert.to_upstream(model.state_dict(), model="slowfast_r50_4x16", upstream="mmaction")
    assert torch.equal(theirs["backbone.slow_path.layer4_lateral.weight"], spare)
    assert "backbone.spare_lateral" not in create_model("slowfast_r50_4x16_k400_gcvpt").state_dict()
