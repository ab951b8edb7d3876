"""I3D on ResNets, non-local blocks, P3D and CSN: what tells them apart, against hand-worked numbers and plain loops."""

from __future__ import annotations

import copy
import math
import re
from functools import partial

import pytest
import torch
from torch import nn

from actionlib import convert, create_model
from actionlib.errors import CheckpointError
from actionlib.models.csn import InteractionPreserved, csn
from actionlib.models.i3d_resnet import c2d_resnet, i3d_resnet
from actionlib.models.non_local import Affinity, NonLocal, NonLocals
from actionlib.models.p3d import P3dUnit, p3d
from actionlib.models.resnet3d import ResNet3d
from actionlib.zoo import load_backbone

NORM = partial(nn.BatchNorm3d, eps=1e-5)


def sizes(network: ResNet3d, frames: int) -> list[int]:
    """Frames after each layer of the backbone."""
    x, found = torch.empty(1, 3, frames, 64, 64, device="meta"), []
    for layer in network.backbone:
        x = layer(x)
        found.append(x.shape[2])
    return found


def test_where_frames_become_fewer() -> None:
    """Worked by hand: a kernel of 5 padded by 2 keeps ceil(T / stride), a pool of 2 keeps T // 2."""
    with torch.device("meta"):
        # stem (twice), stage 1, pool, stages 2 to 4
        assert sizes(i3d_resnet(depth=50), 32) == [8, 8, 4, 4, 4, 4]
        assert sizes(i3d_resnet(depth=50), 13) == [4, 4, 2, 2, 2, 2]  # 13 -> 7 -> 4 -> 2
        assert sizes(i3d_resnet(depth=50), 5) == [2, 2, 1, 1, 1, 1]
        assert sizes(i3d_resnet(depth=50, stem_stride=1), 9) == [9, 9, 4, 4, 4, 4]
        assert sizes(c2d_resnet(depth=50), 8) == [8, 8, 4, 4, 4, 4]
        assert sizes(c2d_resnet(depth=50, halve=False), 8) == [8, 8, 8, 8, 8]
        # stem, then stage and pool in turn, and the 2D stage
        assert sizes(p3d(depth=50), 16) == [8, 8, 4, 4, 2, 2, 1, 1]
        assert sizes(p3d(depth=50), 39) == [19, 19, 9, 9, 4, 4, 2, 2]
        assert sizes(csn(depth=50, interaction="reduced"), 9) == [9, 9, 5, 3, 2]


def kernels(network: nn.Module, name: str) -> list[int]:
    """Kernels over time of the convolutions of that name, in order."""
    return [
        m.kernel_size[0] for n, m in network.named_modules() if n.endswith(name) and isinstance(m, nn.Conv3d)
    ]


def test_which_blocks_of_i3d_see_neighbouring_frames() -> None:
    with torch.device("meta"):
        i3d, c2d = i3d_resnet(depth=101), c2d_resnet(depth=101)
    assert kernels(i3d, "branch.conv1") == [3] * 3 + [3, 1] * 2 + [3, 1] * 11 + [3] + [1, 3, 1]
    assert kernels(i3d, "stem.conv") == [5]
    assert set(kernels(i3d, "branch.conv2")) == {1}
    assert set(kernels(c2d, "conv") + kernels(c2d, "conv1")) == {1}


# --- non-local blocks -------------------------------------------------------------------------------------


def one_by_one(block: NonLocal, x_CTHW: torch.Tensor) -> torch.Tensor:
    """A non-local block in evaluation, one position after the other, from its weights alone."""
    channels, frames, height, width = x_CTHW.shape
    seen = []
    step = 2 if isinstance(block.pool, nn.MaxPool3d) else 1
    for t in range(frames):
        for i in range(height // step):
            for j in range(width // step):
                cell = x_CTHW[:, t, step * i : step * (i + 1), step * j : step * (j + 1)]
                seen.append(cell.flatten(1).amax(1))

    def linear(layer: nn.Conv3d, vector: torch.Tensor) -> torch.Tensor:
        assert layer.bias is not None
        return layer.weight.flatten(1) @ vector + layer.bias

    out = torch.empty_like(x_CTHW)
    for t in range(frames):
        for i in range(height):
            for j in range(width):
                query = linear(block.theta, x_CTHW[:, t, i, j])
                products = [float(query @ linear(block.phi, other)) for other in seen]
                if block.affinity == "mean":
                    weights = [p / len(products) for p in products]
                else:
                    scale = math.sqrt(channels // 2) if block.affinity == "scaled_softmax" else 1
                    powers = [math.exp(p / scale) for p in products]
                    weights = [p / sum(powers) for p in powers]
                gathered = sum(w * linear(block.g, other) for w, other in zip(weights, seen, strict=True))
                assert isinstance(gathered, torch.Tensor)
                out[:, t, i, j] = linear(block.out, gathered)
    return x_CTHW + block.norm(out[None])[0]


@pytest.mark.parametrize("affinity", ["softmax", "scaled_softmax", "mean"])
@pytest.mark.parametrize("pool", [False, True])
def test_non_local_block_against_loops(affinity: Affinity, pool: bool) -> None:
    torch.manual_seed(0)
    block = NonLocal(6, affinity=affinity, pool=pool, norm=NORM).eval().double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 6, 2, 5, 4, dtype=torch.float64)  # an odd row, which the pool leaves out
    with torch.no_grad():
        expected = torch.stack([one_by_one(block, clip) for clip in x])
        torch.testing.assert_close(block(x), expected)


def test_a_fresh_non_local_block_changes_nothing() -> None:
    x = torch.randn(2, 8, 2, 4, 4)
    block = NonLocal(8, affinity="scaled_softmax", pool=True, norm=NORM).train()
    assert torch.equal(block(x), x)


def test_where_non_local_blocks_stand() -> None:
    with torch.device("meta"):
        network = create_model("i3d_nl5_r101_32x2_k400_gcvpt")
        detector_like = i3d_resnet(depth=50, non_local=NonLocals((1, 3), (1, 3, 5), "softmax", pool=True))
    places = [n for n, m in network.named_modules() if isinstance(m, NonLocal)]
    assert places == [f"backbone.stage{place}.non_local" for place in ("2.1", "2.3", "3.6", "3.13", "3.20")]
    kinds = {(m.affinity, type(m.pool)) for m in detector_like.modules() if isinstance(m, NonLocal)}
    assert kinds == {("softmax", nn.MaxPool3d)}


def test_any_name_of_a_tensor_is_enough() -> None:
    """MXNet's files have up to four names for one tensor; each alone does, two that differ do not."""
    name, project = "i3d_nl5_r50_32x2_k400_gcvmx", "gluoncv_mxnet"
    with torch.device("meta"):
        wanted = create_model(name).state_dict()
    ours = {
        k: torch.zeros((), dtype=v.dtype) if k.endswith("tracked") else torch.tensor(float(i)).expand(v.shape)
        for i, (k, v) in enumerate(wanted.items())
    }
    theirs = convert.to_upstream(ours, model=name, upstream=project)
    weight = ours["backbone.stage2.1.non_local.out.weight"]
    group = [k for k, v in theirs.items() if v is weight]
    assert sorted(group) == [
        "res_layers.1.1.bottleneck.8.W.weight",
        "res_layers.1.1.bottleneck.8.W_bn.0.weight",
        "res_layers.1.1.nonlocal_block.W.weight",
        "res_layers.1.1.nonlocal_block.W_bn.0.weight",
    ]
    files = [{k: v for k, v in theirs.items() if k not in group or k == kept} for kept in group]
    by_place = re.compile(r"first_stage|head|.*(bottleneck|downsample)")
    files.append({k: v for k, v in theirs.items() if by_place.match(k)})
    for file in files:
        back = convert.from_upstream(file, model=name, upstream=project)
        assert all(torch.equal(back[k], ours[k]) for k in ours)
    with pytest.raises(CheckpointError, match=r"not equal: .*W_bn"):
        convert.from_upstream({**theirs, group[1]: theirs[group[1]] + 1}, model=name, upstream=project)


# --- P3D --------------------------------------------------------------------------------------------------


def test_arrangements_alternate_through_the_network() -> None:
    with torch.device("meta"):
        network = p3d(depth=50)
    arrangements = [m.arrangement for m in network.modules() if isinstance(m, P3dUnit)]
    assert "".join(arrangements) == "ABC" * 4 + "A"  # 3 + 4 + 6 blocks, none in the 2D stage


@pytest.mark.parametrize("arrangement", ["A", "B", "C"])
def test_arrangements_by_hand(arrangement: str) -> None:
    """One channel, all weights at the centre: S doubles and T triples, both cut at 0 by the ReLU."""
    unit = P3dUnit(1, arrangement, NORM).eval()  # type: ignore[arg-type]
    for part, factor in ((unit.spatial, 2.0), (unit.temporal, 3.0)):
        nn.init.dirac_(part.conv.weight)
        part.conv.weight.data *= factor * math.sqrt(1 + 1e-5)  # the batch norm divides by that
    x = torch.tensor([1.0, -1.0]).view(1, 1, 1, 1, 2)
    expected = {"A": 6.0, "B": 5.0, "C": 8.0}[arrangement]  # 3(2x), 2x + 3x, 2x + 3(2x)
    torch.testing.assert_close(unit(x).flatten(), torch.tensor([expected, 0.0]))


def test_p3d_strides_in_the_first_convolution() -> None:
    with torch.device("meta"):
        network = p3d(depth=50)
    strided = [
        n
        for n, m in network.named_modules()
        if isinstance(m, nn.Conv3d) and max(m.stride) > 1 and "stage" in n
    ]
    assert strided == [
        f"backbone.stage{stage}.0.{part}" for stage in (2, 3, 4) for part in ("branch.conv1", "shortcut.conv")
    ]


def test_the_last_stage_of_p3d_works_frame_by_frame() -> None:
    torch.manual_seed(0)
    stage = p3d(depth=50).eval().backbone[-1]
    x = torch.randn(1, 1024, 3, 4, 4)
    with torch.no_grad():
        by_frame = torch.cat([stage(x[:, :, t : t + 1]) for t in range(3)], dim=2)
        torch.testing.assert_close(stage(x), by_frame)


# --- CSN --------------------------------------------------------------------------------------------------


def test_csn_sees_one_channel_at_a_time() -> None:
    with torch.device("meta"):
        networks = [csn(depth=50, interaction=i) for i in ("reduced", "preserved")]  # type: ignore[arg-type]
    for network in networks:
        wide = [m for m in network.modules() if isinstance(m, nn.Conv3d) and m.kernel_size == (3, 3, 3)]
        assert len(wide) == 16 and all(m.groups == m.in_channels for m in wide)
    mixing = sum(64 * 64 * 4**stage * n for stage, n in enumerate((3, 4, 6, 3)))
    scales = sum(2 * 64 * 2**stage * n for stage, n in enumerate((3, 4, 6, 3)))
    reduced, preserved = (sum(p.numel() for p in network.parameters()) for network in networks)
    assert preserved - reduced == mixing + scales


def made_dense(module: InteractionPreserved) -> InteractionPreserved:
    """The same numbers in MMAction's form: the channelwise weight on the diagonal, zeros beside it."""
    weights = module.state_dict()
    own = weights["mixed.weight"]
    dense = torch.zeros(len(own), len(own), *own.shape[2:])
    dense[range(len(own)), range(len(own))] = own[:, 0]
    result = copy.deepcopy(module)
    result.load_state_dict({**weights, "mixed.weight": dense})
    return result


def test_weights_decide_the_form_of_ip_csn() -> None:
    """On the diagonal of a dense convolution, the channelwise one differs by the ReLU before it alone."""
    torch.manual_seed(0)
    module = InteractionPreserved(4, (1, 2, 2), NORM).eval()
    dense = made_dense(module)
    assert dense.mixed.groups == 1 and dense.mixed.stride == (1, 2, 2)
    x = torch.randn(2, 4, 3, 5, 5)
    with torch.no_grad():
        before = module.norm(module.pointwise(x))
        torch.testing.assert_close(dense(x), module.mixed(before.relu()))
        torch.testing.assert_close(module(x), module.mixed(before))
        dense.load_state_dict(module.state_dict())  # and back
        torch.testing.assert_close(dense(x), module(x))
    wrong = {**module.state_dict(), "mixed.weight": torch.zeros(4, 2, 3, 3, 3)}
    with pytest.raises(RuntimeError, match="size mismatch"):
        module.load_state_dict(wrong)


def test_one_name_takes_both_forms_of_ip_csn() -> None:
    name = "ipcsn_152_32x2_ig65m"
    with torch.device("meta"):
        model = create_model(name)
    ours = {k: torch.empty(v.shape, device="meta") for k, v in model.state_dict().items()}
    weights = [k for k in ours if k.endswith(".mixed.weight")]
    dense = {**ours, **{k: torch.empty(len(ours[k]), len(ours[k]), 3, 3, 3, device="meta") for k in weights}}

    theirs = convert.to_upstream(dense, model=name, upstream="mmaction")
    back = convert.from_upstream(theirs, model=name, upstream="mmaction")
    model.load_state_dict(back, strict=True, assign=True)
    assert sum(p.numel() for p in model.parameters()) == 121_498_832
    load_backbone(model, ours)
    assert sum(p.numel() for p in model.parameters()) == 33_016_592

    mixed = {**dense, weights[3]: ours[weights[3]]}
    with pytest.raises(CheckpointError, match=r"49 differences"):
        convert.to_upstream(mixed, model=name, upstream="mmaction")


def test_letters_of_long_stages() -> None:
    with torch.device("meta"):
        state_dict = create_model("ircsn_152_32x2_ig65m").state_dict()
    theirs = convert.to_upstream(state_dict, model="ircsn_152_32x2_ig65m", upstream="mmaction")
    blocks = list(dict.fromkeys(name.split(".")[2] for name in theirs if ".layer3." in name))
    assert blocks[:3] == ["aa", "ab", "ac"] and blocks[25:28] == ["az", "ba", "bb"] and len(blocks) == 36
    assert {name.split(".")[2] for name in theirs if ".layer2." in name} == set("abcdefgh")
