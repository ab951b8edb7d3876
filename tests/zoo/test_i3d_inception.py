"""I3D on Inception: the borders, in which the projects differ, and the layout of DeepMind's file."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from actionlib import convert, create_model
from actionlib.errors import CheckpointError
from actionlib.models.i3d_inception import PADDINGS, PaddingRule, i3d_inception_v1, window_means
from actionlib.models.padding import Pad3d, same_sides
from actionlib.zoo_table import ZOO

DEEPMIND = "i3d_inceptionv1_64x1_k400_deepmind"


def v1(padding: PaddingRule) -> Any:
    return i3d_inception_v1(padding=padding, num_classes=5, in_channels=1).eval()


# --- zeros around -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "sides"),
    [
        (224, 7, 2, (2, 3)),
        (225, 7, 2, (3, 3)),
        (112, 3, 2, (0, 1)),
        (113, 3, 2, (1, 1)),
        (5, 2, 2, (0, 1)),
        (4, 2, 2, (0, 0)),
        (9, 1, 1, (0, 0)),
        (9, 3, 1, (1, 1)),
    ],
)
def test_same_by_hand(size: int, kernel: int, stride: int, sides: tuple[int, int]) -> None:
    assert same_sides(size, kernel, stride) == sides


def test_same_gives_a_window_for_every_step() -> None:
    for size, kernel, stride in product(range(1, 40), range(1, 8), (1, 2, 3)):
        before, behind = same_sides(size, kernel, stride)
        windows = (size + before + behind - kernel) // stride + 1
        assert windows == (size + stride - 1) // stride, (size, kernel, stride)
        assert behind - before in (0, 1)


def test_axes_are_time_height_width() -> None:
    padded = Pad3d(((1, 0), (0, 2), None), (1, 1, 3), (1, 1, 2))(torch.ones(1, 1, 2, 3, 5))
    assert padded.shape == (1, 1, 3, 5, 7)
    assert padded[0, 0, 1:, :3, 1:6].eq(1).all() and padded.sum() == 2 * 3 * 5


# A pool of three with stride two over 1, 2, ..., n: the last number in each window.
POOLED = {
    "same": {5: [2, 4, 5], 6: [3, 5, 6]},
    "static": {5: [3, 5, 5], 6: [3, 5, 6]},  # in space; in time as `same`
    "ceil": {5: [3, 5], 6: [3, 5, 6]},
    "half": {5: [2, 4, 5], 6: [2, 4, 6]},
}


@pytest.mark.parametrize(("rule", "size"), [(rule, size) for rule in PADDINGS for size in (5, 6)])
def test_pools_by_hand(rule: PaddingRule, size: int) -> None:
    with torch.device("meta"):  # a pool has no weights
        pool = v1(rule).backbone.pool4a
    numbers = torch.arange(1.0, size + 1).expand(1, 1, size, size, size)
    for axis in (2, 3, 4):
        pooled = pool(numbers.transpose(axis, 4)).transpose(axis, 4)
        by = "same" if rule == "static" and axis == 2 else rule
        assert pooled[0, 0, 0, 0].tolist() == POOLED[by][size], axis


# Where the middle of the first window of the first convolution lies, in time and in space, and how many windows.
FIRST = {
    "same": {15: ((0, 8), (0, 8)), 16: ((1, 8), (1, 8))},
    "static": {15: ((0, 8), (1, 7)), 16: ((1, 8), (1, 8))},
    "ceil": {15: ((1, 8), (1, 8)), 16: ((1, 8), (1, 8))},
    "half": {15: ((0, 8), (0, 8)), 16: ((0, 8), (0, 8))},
}


@pytest.mark.parametrize(("rule", "size"), [(rule, size) for rule in PADDINGS for size in (15, 16)])
def test_first_convolution_by_hand(rule: PaddingRule, size: int) -> None:
    with torch.device("meta"):
        layer = v1(rule).backbone.conv1a
    layer.to_empty(device="cpu")
    with torch.no_grad():
        layer.conv.weight.zero_()
        layer.conv.weight[0, 0, 3, 3, 3] = 1.0  # lets the middle of the window through
        numbers = torch.arange(1.0, size + 1)
        in_time = layer.conv(layer.pad(numbers.view(1, 1, size, 1, 1).expand(1, 1, size, size, size)))
        in_space = layer.conv(layer.pad(numbers.expand(1, 1, size, size, size)))
    for (start, count), row in zip(
        FIRST[rule][size], (in_time[0, 0, :, 1, 1], in_space[0, 0, 1, 1]), strict=True
    ):
        # positions beyond the last number hold zeros
        assert row.tolist() == [n if n <= size else 0 for n in range(start + 1, start + 1 + 2 * count, 2)]


@torch.inference_mode()
def test_projects_agree_where_sizes_divide() -> None:
    torch.manual_seed(0)
    weights = v1("same").state_dict()
    scores = {}
    for rule, size in product(PADDINGS, ((8, 32, 64), (9, 33, 45))):
        with torch.device("meta"):
            model = v1(rule)
        model.load_state_dict(weights, assign=True)
        torch.manual_seed(1)
        scores[rule, size[0]] = model.features(torch.randn(1, 1, *size))
    for rule in ("static", "ceil"):
        torch.testing.assert_close(scores[rule, 8], scores["same", 8])
        assert not torch.allclose(scores[rule, 9], scores["same", 9], rtol=1e-3)
    assert not torch.allclose(scores["half", 8], scores["same", 8], rtol=1e-3)


# --- the mean over windows --------------------------------------------------------------------------------


def test_windows_count_the_ends_less() -> None:
    maps = torch.tensor([1.0, 10.0, 100.0]).view(1, 1, 3, 1, 1).expand(1, 1, 3, 7, 7)
    assert window_means(maps, (2, 7, 7)).flatten().tolist() == pytest.approx([5.5, 55.0])
    space = torch.zeros(1, 1, 2, 8, 8)
    space[..., 0, 0] = 49.0  # only one of the four windows sees the corner
    assert window_means(space, (2, 7, 7)).flatten().tolist() == pytest.approx([1.0, 0.0, 0.0, 0.0])


def test_a_map_smaller_than_the_window_is_one_window() -> None:
    maps = torch.arange(12.0).view(1, 1, 1, 3, 4)
    assert window_means(maps, (2, 7, 7)).flatten().tolist() == [5.5]


# --- numbers of the entries -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "eps"),
    [
        ("i3d_inceptionv1_64x1", 1e-5),
        ("i3d_inceptionv1_flow_64x1_hmdb51", 1e-5),
        (DEEPMIND, 1e-3),
        ("i3d_inceptionv1_64x1_k400_hassony2", 1e-3),
        ("i3d_inceptionv1_32x2_k400_gcvmx", 1e-3),
        ("i3d_inceptionv3_32x2_k400_gcvmx", 1e-3),
    ],
)
def test_epsilon_of_every_norm(name: str, eps: float) -> None:
    with torch.device("meta"):
        model = create_model(name)
    assert {m.eps for m in model.modules() if isinstance(m, torch.nn.BatchNorm3d)} == {eps}


def test_inception_v3_needs_75_pixels() -> None:
    with torch.device("meta"):
        model = create_model("i3d_inceptionv3_32x2_k400_gcvmx").eval()
        assert model.maps(torch.empty(1, 3, 32, 299, 299)).shape == (1, 2048, 4, 8, 8)
        assert model.maps(torch.empty(1, 3, 1, 75, 106)).shape == (1, 2048, 1, 1, 1)
        with pytest.raises(RuntimeError):
            model.maps(torch.empty(1, 3, 1, 75, 74))


def test_mean_pools_count_the_zeros_around() -> None:
    pool = i3d_v3_block("mixed5b").branch3.pool
    corner = pool(torch.ones(1, 1, 3, 3, 3))[0, 0]
    assert corner[0, 0, 0].item() == pytest.approx(8 / 27) and corner[1, 1, 1] == 1


def i3d_v3_block(name: str) -> Any:
    with torch.device("meta"):
        return getattr(create_model("i3d_inceptionv3_32x2_k400_gcvmx").backbone, name)


# --- DeepMind's file --------------------------------------------------------------------------------------


def test_layout_of_the_tensorflow_file() -> None:
    model = create_model(DEEPMIND)
    weights = model.state_dict()
    theirs = convert.to_upstream(weights, model=DEEPMIND, upstream="i3d_deepmind")

    stored = theirs["RGB/inception_i3d/Conv3d_1a_7x7/conv_3d/w"]
    assert stored.shape == (7, 7, 7, 3, 64)
    ours = weights["backbone.conv1a.conv.weight"]
    assert stored[1, 2, 3, 0, 63] == ours[63, 0, 1, 2, 3]
    classifier = theirs["RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d/w"]
    assert torch.equal(classifier[0, 0, 0], weights["head.fc.weight"].T)
    assert "RGB/inception_i3d/Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w" in theirs  # so in the file
    assert "RGB/inception_i3d/Mixed_5c/Branch_2/Conv3d_0b_3x3/conv_3d/w" in theirs
    assert not [name for name in theirs if "gamma" in name]

    back = convert.from_upstream(theirs, model=DEEPMIND, upstream="i3d_deepmind")
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name], value) for name, value in weights.items())


def test_a_scale_that_the_file_has_no_place_for_is_refused() -> None:
    weights = create_model(DEEPMIND).state_dict()
    weights["backbone.mixed4d.branch1.unit0.norm.weight"][3] = 2.0
    with pytest.raises(CheckpointError, match=r"mixed4d\.branch1\.unit0\.norm\.weight is not 1 throughout"):
        convert.to_upstream(weights, model=DEEPMIND, upstream="i3d_deepmind")


def test_the_file_for_kinetics_600() -> None:
    name = "i3d_inceptionv1_64x1_k600_deepmind"
    weights = create_model(name).state_dict()
    theirs = convert.to_upstream(weights, model=name, upstream="i3d_deepmind")
    assert theirs["Conv3d_1a_7x7/batch_norm/moving_mean"].shape == (1, 1, 1, 1, 64)
    assert theirs["Logits/Conv3d_0c_1x1/conv_3d/b"].shape == (600,)

    slots = {f"{key}/Momentum": torch.zeros(value.shape) for key, value in theirs.items()}
    back = convert.from_upstream({**theirs, **slots}, model=name, upstream="i3d_deepmind")
    assert all(torch.equal(back[key], value) for key, value in weights.items())
    with pytest.raises(CheckpointError, match="unknown: Conv3d_1a_7x7/w/Adam"):
        extra = {"Conv3d_1a_7x7/w/Adam": torch.zeros(1)}
        convert.from_upstream({**theirs, **extra}, model=name, upstream="i3d_deepmind")


def test_only_the_shape_of_the_layout_is_taken() -> None:
    theirs = convert.to_upstream(create_model(DEEPMIND).state_dict(), model=DEEPMIND, upstream="i3d_deepmind")
    name = "RGB/inception_i3d/Conv3d_2b_1x1/conv_3d/w"
    theirs[name] = theirs[name].reshape(64, 64, 1, 1, 1)
    with pytest.raises(CheckpointError, match=r"is \(64, 64, 1, 1, 1\), ours \(1, 1, 1, 64, 64\)"):
        convert.from_upstream(theirs, model=DEEPMIND, upstream="i3d_deepmind")


def test_a_port_fits_its_own_padding_only() -> None:
    assert ZOO["i3d_inceptionv1_64x1_k400_hassony2"].build.keywords["padding"] == "static"  # type: ignore[attr-defined]
    assert ZOO[DEEPMIND].build.keywords["padding"] == "same"  # type: ignore[attr-defined]
