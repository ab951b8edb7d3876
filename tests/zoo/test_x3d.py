"""X3D: what the factors make of widths and depths, the squeeze-excitation, and the whole network written out again."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from actionlib import convert, create_model
from actionlib.models.x3d import Plan, SqueezeExcitation, X3d, plans, rounded, x3d

ENTRY = "x3d_m_16x5_k400_pyslowfast"


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (3.375, 8),  # at least 8
        (6.75, 8),
        (11.9, 16),  # nearest is 8, which loses 33 %
        (12.0, 16),  # half way up
        (13.5, 16),
        (17.7, 16),  # nearest is 16, which loses 9.6 %
        (17.8, 24),  # and here 10.1 %
        (27.0, 32),  # nearest is 24, which loses 11 %
        (28.0, 32),
        (43.0, 40),
        (139.2, 136),
    ],
)
def test_rounding_of_widths(width: float, expected: int) -> None:
    assert rounded(width) == expected


def test_factors_by_hand() -> None:
    # M: blocks 2.2, 4.4, 11, 6.6; widths 24, 48, 96, 192, inside 54, 108, 216, 432
    medium = [Plan(3, 24, 54), Plan(5, 48, 108), Plan(11, 96, 216), Plan(7, 192, 432)]
    assert plans(2.0, 2.2, 2.25) == medium
    # the paper's XL: widths 34.8, 69.6, 139.2, 278.4; inside 72, 162, 306, 630
    wide = [Plan(5, 32, 72), Plan(10, 72, 162), Plan(25, 136, 306), Plan(15, 280, 630)]
    assert plans(2.9, 5.0, 2.25) == wide
    # no expansion: inner widths are cut off, 1.55 * 24 = 37.2
    assert plans(1.0, 1.0, 1.55)[:2] == [Plan(1, 16, 24), Plan(2, 24, 37)]


@pytest.mark.parametrize(
    ("depth_factor", "clip", "params_m", "gmacs"),
    [
        (2.2, (4, 160, 160), 3.8, 0.60),
        (2.2, (13, 160, 160), 3.8, 1.96),
        (2.2, (16, 224, 224), 3.8, 4.73),
        (5.0, (16, 312, 312), 6.2, 18.37),
    ],
)
def test_costs_are_those_of_the_model_zoo(
    depth_factor: float, clip: tuple[int, int, int], params_m: float, gmacs: float
) -> None:
    """XS, S, M and L in PySlowFast's MODEL_ZOO.md, each at its training size; 312 pixels become 39, then 20."""
    with torch.device("meta"), torch.no_grad():
        model = x3d(width_factor=2.0, depth_factor=depth_factor, bottleneck_factor=2.25).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, 3, *clip))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(params_m, abs=0.06)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmacs, abs=0.006)


def test_squeeze_excitation_by_loops() -> None:
    torch.manual_seed(0)
    block = SqueezeExcitation(20)
    x = torch.randn(2, 20, 3, 4, 5)
    assert block.fc1.weight.shape == (8, 20, 1, 1, 1)  # 1.25 rounded up to the least width
    with torch.no_grad():
        found = block(x)
    reduce, expand = (layer.weight.flatten(1).tolist() for layer in (block.fc1, block.fc2))
    assert block.fc1.bias is not None and block.fc2.bias is not None
    for n in range(2):
        means = [x[n, c].sum().item() / 60 for c in range(20)]
        hidden = [
            max(0.0, sum(w * m for w, m in zip(row, means, strict=True)) + b)
            for row, b in zip(reduce, block.fc1.bias.tolist(), strict=True)
        ]
        for c, bias in enumerate(block.fc2.bias.tolist()):
            logit = sum(w * h for w, h in zip(expand[c], hidden, strict=True)) + bias
            torch.testing.assert_close(found[n, c], x[n, c] / (1 + math.exp(-logit)))


def test_every_other_block_squeezes() -> None:
    with torch.device("meta"):
        model = create_model(ENTRY)
    assert isinstance(model, X3d)
    for number in range(1, 5):
        stage = getattr(model.backbone, f"stage{number}")
        assert [hasattr(block.branch, "se") for block in stage] == [i % 2 == 0 for i in range(len(stage))]
        strides = [block.branch.conv2.stride for block in stage]
        assert strides == [(1, 2, 2)] + [(1, 1, 1)] * (len(stage) - 1)


def test_time_is_kept_and_odd_sizes_are_halved_upwards() -> None:
    with torch.device("meta"):
        model = create_model(ENTRY).eval()
        maps = model.maps(torch.empty(2, 3, 5, 33, 50))  # type: ignore[operator]
        features = model.features(torch.empty(2, 3, 5, 33, 50))  # type: ignore[operator]
    # 33, 17, 9, 5, 3, 2 and 50, 25, 13, 7, 4, 2
    assert maps.shape == (2, 432, 5, 2, 2) and features.shape == (2, 2048)


def written_out(w: dict[str, torch.Tensor], x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Feature and logits of X3D from PySlowFast's tensors, layer by layer; stages and blocks are read off the names."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        scale = w[f"{name}.weight"] / (w[f"{name}.running_var"] + 1e-5).sqrt()
        shift = w[f"{name}.bias"] - w[f"{name}.running_mean"] * scale
        return x * scale.view(-1, 1, 1, 1) + shift.view(-1, 1, 1, 1)

    def pointwise(x: torch.Tensor, name: str) -> torch.Tensor:
        return torch.einsum("ncthw,dc->ndthw", x, w[f"{name}.weight"].flatten(1))

    spatial, temporal = w["s1.pathway0_stem.conv_xy.weight"], w["s1.pathway0_stem.conv.weight"]
    x = functional.conv3d(x, spatial, stride=(1, 2, 2), padding=(0, 1, 1))
    x = functional.conv3d(x, temporal, padding=(2, 0, 0), groups=len(temporal))
    x = norm(x, "s1.pathway0_stem.bn").relu()
    blocks = {m[1]: None for name in w if (m := re.match(r"(s\d\.pathway0_res\d+)\.", name))}
    for block in blocks:
        step = 2 if block.endswith("res0") else 1
        y = norm(pointwise(x, f"{block}.branch2.a"), f"{block}.branch2.a_bn").relu()
        middle = w[f"{block}.branch2.b.weight"]
        y = functional.conv3d(y, middle, stride=(1, step, step), padding=1, groups=len(middle))
        y = norm(y, f"{block}.branch2.b_bn")
        if f"{block}.branch2.se.fc1.weight" in w:
            fc1, fc2 = f"{block}.branch2.se.fc1", f"{block}.branch2.se.fc2"
            hidden = (y.mean((2, 3, 4)) @ w[f"{fc1}.weight"].flatten(1).T + w[f"{fc1}.bias"]).relu()
            gate = (hidden @ w[f"{fc2}.weight"].flatten(1).T + w[f"{fc2}.bias"]).sigmoid()
            y = y * gate[:, :, None, None, None]
        y = y * y.sigmoid()
        y = norm(pointwise(y, f"{block}.branch2.c"), f"{block}.branch2.c_bn")
        if step == 2:
            x = norm(pointwise(x[..., ::2, ::2], f"{block}.branch1"), f"{block}.branch1_bn")
        x = (x + y).relu()
    x = norm(pointwise(x, "head.conv_5"), "head.conv_5_bn").relu()
    feature = (x.mean((2, 3, 4)) @ w["head.lin_5.weight"].flatten(1).T).relu()
    return feature, feature @ w["head.projection.weight"].T + w["head.projection.bias"]


@torch.no_grad()
def test_the_network_written_out() -> None:
    torch.manual_seed(0)
    model = create_model(ENTRY, num_classes=5).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm3d):
            assert module.running_mean is not None and module.running_var is not None
            for scale in (module.weight, module.running_var):
                nn.init.uniform_(scale, 0.5, 1.5)
            for shift in (module.bias, module.running_mean):
                nn.init.normal_(shift, std=0.3)
        elif isinstance(module, SqueezeExcitation):
            for layer in (module.fc1, module.fc2):
                assert layer.bias is not None
                nn.init.normal_(layer.bias)
    x = torch.randn(2, 3, 4, 37, 40, dtype=torch.float64)

    theirs = convert.to_upstream(model.state_dict(), model=ENTRY, upstream="pyslowfast")
    feature, logits = written_out(theirs, x)

    found = model.features(x)  # type: ignore[operator]
    assert feature.std() > 0
    torch.testing.assert_close(found, feature, rtol=1e-9, atol=1e-9 * float(feature.max()))
    torch.testing.assert_close(model(x), logits.float(), rtol=1e-5, atol=1e-5 * float(logits.abs().max()))
