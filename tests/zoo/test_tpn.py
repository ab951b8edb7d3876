"""TPN: neck and auxiliary classifier against a plain reading of the original's steps, loss, test protocol, transfer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from actionlib import convert, create_model, model_info
from actionlib.errors import CheckpointError
from actionlib.evaluation import Scorer
from actionlib.models.tpn import AuxiliaryClassifier, TemporalPyramid, Tpn
from actionlib.objective import training_loss
from actionlib.recipes import Protocol
from actionlib.transforms import normalise
from actionlib.zoo import load_backbone

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


# --- the auxiliary classifier -----------------------------------------------------------------------------


@torch.inference_mode()
def test_the_auxiliary_classifier() -> None:
    """A strided 3x3 convolution of each frame, batch norm, ReLU, mean over frames and positions, linear."""
    torch.manual_seed(2)
    part = AuxiliaryClassifier(num_classes=7, dropout=0.5).eval()
    norm = part.unit.get_submodule("norm")
    assert isinstance(norm, nn.BatchNorm3d)
    for tensor in (norm.weight, norm.bias, norm.running_mean, part.head.fc.bias):
        nn.init.normal_(tensor)  # type: ignore[arg-type]
    third = torch.randn(2, 1024, 3, 5, 4)
    frames = []
    for frame in third.unbind(2):
        maps = functional.conv2d(frame, part.unit.get_parameter("conv.weight")[:, :, 0], stride=2, padding=1)
        assert maps.shape == (2, 2048, 3, 2)
        scale = norm.weight / (norm.running_var + 1e-5).sqrt()  # type: ignore[operator]
        maps = (maps - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]  # type: ignore[index]
        frames.append(maps.clamp(min=0).mean((2, 3)))
    expected = torch.stack(frames).mean(0) @ part.head.fc.weight.T + part.head.fc.bias
    torch.testing.assert_close(part(third), expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def network() -> Tpn:
    torch.manual_seed(0)
    model = create_model("tpn_r50_f8s8", num_classes=5, dropout=0.0)
    assert isinstance(model, Tpn)
    return model


def test_the_loss_is_the_classifiers_and_half_the_auxiliary_ones(network: Tpn) -> None:
    recipe = model_info("tpn_r50_f8s8").recipe
    network.eval()
    x, labels = torch.randn(2, 3, 4, 20, 24), torch.tensor([1, 3])
    with torch.no_grad():
        loss, logits = training_loss(network, x, labels, recipe)
        torch.testing.assert_close(logits, network(x))
        third, _ = network.stages(x)
        auxiliary = network.auxiliary(third)
        assert network.train()(x).shape == (2, 5)
    assert not torch.allclose(auxiliary, logits)
    expected = functional.cross_entropy(logits, labels) + 0.5 * functional.cross_entropy(auxiliary, labels)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize(("upstream", "prefix"), [("tpn", "necks"), ("gluoncv_torch", "TPN_neck")])
def test_the_auxiliary_classifier_is_in_the_file(upstream: str, prefix: str) -> None:
    with torch.device("meta"):
        ours = create_model("tpn_r50_f8s8", num_classes=7).state_dict()
    name = "tpn_r50_f8s8" if upstream == "tpn" else "tpn_r50_f8s8_k400_gcvpt"
    theirs = convert.to_upstream(ours, model=name, upstream=upstream)
    auxiliary = {k for k in theirs if k.startswith(f"{prefix}.aux_head.")}
    assert len(auxiliary) == 8 and theirs[f"{prefix}.aux_head.fc.weight"].shape == (7, 2048)
    assert theirs[f"{prefix}.aux_head.convs.conv.weight"].shape == (2048, 1024, 1, 3, 3)
    without = {k: v for k, v in theirs.items() if k not in auxiliary}
    with pytest.raises(CheckpointError, match=r"missing: \w+\.aux_head\.fc\.bias \(7,\)"):
        convert.from_upstream(without, model=name, upstream=upstream)


def test_new_classes_make_both_classifiers_new(network: Tpn) -> None:
    with torch.device("meta"):
        model = create_model("tpn_r50_f8s8", num_classes=3)
    assert isinstance(model, Tpn)
    assert model.head.fc.out_features == model.auxiliary.head.fc.out_features == 3
    model = model.to_empty(device="cpu")
    left = load_backbone(model, network.state_dict())
    assert left == [f"{part}head.fc.{kind}" for part in ("auxiliary.", "") for kind in ("bias", "weight")]
    name = "auxiliary.unit.conv.weight"
    assert torch.equal(model.state_dict()[name], network.state_dict()[name])
