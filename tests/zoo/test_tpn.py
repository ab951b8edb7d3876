"""TPN: the neck against a plain reading of the original's steps, its test protocol, what conversion leaves out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from actionlib import convert, create_model, model_info
from actionlib.errors import CheckpointError
from actionlib.evaluation import Scorer
from actionlib.models.tpn import TemporalPyramid
from actionlib.recipes import Protocol
from actionlib.transforms import normalise

TENSOR = torch.Tensor


def _random_neck(tempos: tuple[int, int]) -> TemporalPyramid:
    torch.manual_seed(1)
    neck = TemporalPyramid(tempos).eval()
    for module in neck.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return neck


def _maximum(x: TENSOR, frames: int) -> TENSOR:
    """Of each group of frames, one group after the other."""
    groups = [x[:, :, start : start + frames].amax(2) for start in range(0, x.shape[2], frames)]
    return torch.stack(groups, dim=2)


def _reference(neck: TemporalPyramid, third: TENSOR, last: TENSOR, *, overwrite: bool) -> TENSOR:
    """The steps of the original with its list of levels; `overwrite=False` keeps the levels for the way up."""
    state = neck.state_dict()

    def conv(name: str, x: TENSOR, **options: object) -> TENSOR:
        return functional.conv3d(x, state[f"{name}.weight"], None, **options)  # type: ignore[arg-type]

    def unit(name: str, x: TENSOR, **options: object) -> TENSOR:
        norm = [state[f"{name}.norm.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(conv(f"{name}.conv", x, **options), *norm, eps=1e-5).clamp(min=0)

    def fusion(name: str, levels: list[TENSOR]) -> TENSOR:
        pooled = [_maximum(levels[0], neck.tempos[1] // neck.tempos[0]), levels[1]]
        parts = [unit(f"{name}.levels.{i}", level, groups=32) for i, level in enumerate(pooled)]
        return unit(f"{name}.join", torch.cat(parts, 1))

    levels = [unit("spatial", third, stride=(1, 2, 2), padding=(0, 1, 1)), last]
    levels = [
        _maximum(conv(f"temporal.{i}", level, padding=(1, 0, 0), groups=32), neck.tempos[i])
        for i, level in enumerate(levels)
    ]
    untouched = list(levels)
    levels[0] = levels[0] + levels[1]  # one frame is added to two by broadcasting
    top_down = fusion("top_down", levels)
    levels = levels if overwrite else untouched
    levels[1] = levels[1] + _maximum(
        conv("down", levels[0], padding=(1, 0, 0)), neck.tempos[1] // neck.tempos[0]
    )
    return unit("join", torch.cat([top_down, fusion("bottom_up", levels)], 1))


@pytest.mark.parametrize(("tempos", "frames"), [((8, 8), 8), ((4, 8), 8), ((4, 8), 6), ((4, 8), 3)])
@torch.inference_mode()
def test_neck(tempos: tuple[int, int], frames: int) -> None:
    neck = _random_neck(tempos)
    third, last = torch.randn(2, 1024, frames, 5, 4).relu(), torch.randn(2, 2048, frames, 3, 2).relu()
    out = neck(third, last)
    assert out.shape == (2, 2048, 1, 3, 2)
    torch.testing.assert_close(out, _reference(neck, third, last, overwrite=True), rtol=1e-4, atol=1e-4)
    other = _reference(neck, third, last, overwrite=False)
    assert (out - other).abs().max() > 0.01 * out.abs().max()


@torch.inference_mode()
def test_longer_clips_keep_more_steps() -> None:
    neck = _random_neck((4, 8))
    for frames, steps in ((8, 1), (9, 2), (24, 3)):
        out = neck(torch.randn(1, 1024, frames, 2, 2), torch.randn(1, 2048, frames, 1, 1))
        assert out.shape[2] == steps


def test_protocols() -> None:
    for name in ("tpn_r50_f8s8", "tpn_r101_f32s2", "tpn_r50_f8s8_mmdata"):
        assert model_info(name).protocol == Protocol(10, 3, 256, 256, "softmax")
    assert model_info("tpn_r50_f8s8_k400_gcvpt").protocol.average == "logits"


@torch.inference_mode()
def test_fully_convolutional_testing_is_the_softmax_average() -> None:
    """The classifier at every position, mean over positions, softmax, mean over views: what TPN's project runs."""
    model = create_model("r3d_tiny_8x4").eval()
    recipe = model_info("r3d_tiny_8x4").recipe
    protocol = Protocol(clips=2, crops=3, short_side_px=72, crop_px=72, average="softmax")
    views = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (2, 6, 3, 4, 72, 72), np.uint8))

    scores = Scorer(model, recipe, protocol, torch.device("cpu"), loaders=0).average(views)

    expected = []
    for video in views:
        maps = model.maps(normalise(video, recipe.statistics))  # type: ignore[operator]
        kernel = model.head.fc.weight[:, :, None, None, None]  # type: ignore[union-attr, index]
        positions = functional.conv3d(maps, kernel, model.head.fc.bias)  # type: ignore[union-attr, arg-type]
        assert positions[0, 0].numel() > 1
        expected.append(positions.mean((2, 3, 4)).softmax(1).mean(0))
    torch.testing.assert_close(scores, torch.stack(expected))
    torch.testing.assert_close(scores.sum(1), torch.ones(2))


@pytest.mark.parametrize(("upstream", "prefix"), [("tpn", "necks"), ("gluoncv_torch", "TPN_neck")])
def test_the_auxiliary_classifier_is_left_out_but_known(upstream: str, prefix: str) -> None:
    with torch.device("meta"):
        ours = create_model("tpn_r50_f8s8", num_classes=7).state_dict()
    name = "tpn_r50_f8s8" if upstream == "tpn" else "tpn_r50_f8s8_k400_gcvpt"
    theirs = convert.to_upstream(ours, model=name, upstream=upstream)
    auxiliary = {k for k in theirs if k.startswith(f"{prefix}.aux_head.")}
    assert len(auxiliary) == 8 and theirs[f"{prefix}.aux_head.fc.weight"].shape == (7, 2048)
    assert convert.from_upstream(theirs, model=name, upstream=upstream).keys() == ours.keys()
    without = {k: v for k, v in theirs.items() if k not in auxiliary}
    assert convert.from_upstream(without, model=name, upstream=upstream).keys() == ours.keys()
    with pytest.raises(CheckpointError, match=r"aux_head\.fc\.bias is \(8,\), should be \(7,\)"):
        wrong = {**theirs, f"{prefix}.aux_head.fc.bias": torch.zeros(8)}
        convert.from_upstream(wrong, model=name, upstream=upstream)
