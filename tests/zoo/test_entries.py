"""One body for every entry of the zoo, and the three functions that use the table."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import nn

import actionlib
from actionlib import cli
from actionlib.errors import CheckpointError, RecipeError
from actionlib.models.blocks import channels_last
from actionlib.models.non_local import NonLocal
from actionlib.objective import freeze_unlearned, training_loss
from actionlib.zoo import load_backbone
from actionlib.zoo_table import CLASSES, ZOO, Entry
from tests.zoo import fixtures

# Learnable numbers by network and class count. They are sums over the key lists of the original projects' networks
# (the fixtures, which test_parameters_are_the_originals counts again where they are at hand); `r3d_tiny` is ours:
# stem 3*16*49 + 2*16, stages 27*(16*16*2) + 4*16, 27*(16*24 + 24*24) + 16*24 + 6*24, 27*(24*40 + 40*40) + 24*40 + 6*40,
# 27*(40*64 + 64*64) + 40*64 + 6*64, head 8*64 + 8.
PARAMETERS = {
    "tsn_r18_*_k400_*": 11_381_712,
    "tsn_r34_*_k400_*": 21_489_872,
    "tsn_r50_*_k400*": 24_327_632,
    "tsn_r101_*_k400_*": 43_319_760,
    "tsn_r152_*_k400_*": 58_963_408,
    "tsn_r50_*_hmdb51_*": 23_612_531,
    "tsn_r50_*_sthv2_*": 23_864_558,
    "tsn_inceptionv1_*_k400_*": 6_009_904,
    "tsn_inceptionv3_*_k400_*": 22_605_168,
    "tsn_inceptionv3_*_ucf101_*": 21_992_517,
    "tsn_vgg16_*_ucf101_*": 134_674_341,
    "tsn_bninception_seg3_ucf101": 10_373_765,
    "tsn_bninception_flow_seg3_ucf101": 10_395_717,
    "tsn_bninception_rgbdiff_*": 10_411_397,
    "ssn_bninception_thumos14": 10_476_145,
    "ssn_bninception_thumos14_yjxiong": 10_599_025,
    "ssn_bninception_flow_thumos14_yjxiong": 10_620_977,
    # its fixture has 200 classes: 28_359_233 - 180 * (2049 + 3 * 10241)
    "ssn_inceptionv3_thumos14_yjxiong": 22_460_273,
    "slowfast_nl5_r50_4x16_k400_*": 41_838_680,
    "slowfast_r50_4x16_k400_*": 34_480_216,
    "slowfast_r50_4x16*": 35_134_648,
    "slowfast_r50_8x8_*": 34_566_488,
    "slowfast_r101_50_50_*": 53_774_808,
    "slowfast_r101_*": 62_826_968,
    "tpn_r50_*": 91_498_336,
    "tpn_r101_*": 119_403_360,
    "tsm_tpn_r50_*": 82_445_724,
    "tsm_r50_*f_sthv*": 23_864_558,
    "tsm_r50_8f_flow_k400": 24_349_584,
    "tsm_r50_*_k400": 24_327_632,
    "tsm_nl5_r50_8f_dense_k400": 31_686_096,
    "tsm_r101_8f_sthv2": 42_856_686,
    "tsm_mobilenetv2_8f_k400": 2_736_272,
    # its fixture has 174 classes: 10_448_590 + 226 * 1025
    "tsm_bninception_8f_k400": 10_680_240,
    "slowonly_r101_*_k700_*": 60_973_820,
    "slowonly_nl5_r50_*": 39_812_560,
    "slowonly_r50_*": 32_454_096,
    "slowonly_r101_*": 60_359_120,
    "r2plus1d_18_16x2_*": 31_505_325,
    "r2plus1d_34_16x2_*": 61_831_661,
    "r2plus1d_50_16x2_*": 53_949_691,
    "r2plus1d_152_*": 118_226_785,
    "r2plus1d_pool_152_*": 118_226_785,
    "r2plus1d_v1_101_*": 99_913_475,
    "r2plus1d_v1_152_*": 137_770_491,
    "r2plus1d_18_l*": 33_370_839,
    "r2plus1d_34_l32_flow_*": 63_694_970,
    "r2plus1d_34_*": 63_697_175,
    "r3d_18_*": 33_371_472,
    "r2d_18_l8": 11_447_568,
    "r2d_18_l16": 11_522_832,
    "fr2d_18_*": 11_381_712,
    "mc2_18_*": 11_400_528,
    "mc3_18_*": 11_695_440,
    "mc4_18_*": 12_727_632,
    "mc5_18_*": 16_856_400,
    "rmc2_18_*": 33_352_656,
    "rmc3_18_*": 33_057_744,
    "rmc4_18_*": 32_025_552,
    "rmc5_18_*": 27_896_784,
    "c3d_16x1_sports1m": 79_991_015,
    "c3d_16x1_sports1m_ucf101": 78_409_573,
    "c3d_16x2_*": 79_634_576,
    "c3d_l16": 64_960_016,
    "i3d_inceptionv1_twostream_*_ucf101": 24_759_525,
    "i3d_inceptionv1_twostream_*_hmdb51": 24_657_075,
    "i3d_inceptionv1_twostream_*": 25_372_176,
    "i3d_inceptionv1_flow_*_ucf101": 12_368_837,
    "i3d_inceptionv1_flow_*_hmdb51": 12_317_587,
    "i3d_inceptionv1_flow_*": 12_675_312,
    "i3d_inceptionv1_*_ucf101": 12_390_789,
    "i3d_inceptionv1_*_hmdb51": 12_339_539,
    "i3d_inceptionv1_*_k600_*": 12_902_264,
    "i3d_inceptionv1_*": 12_697_264,
    "i3d_inceptionv3_*": 72_963_120,
    "i3d_r50_*_ucf101_*": 27_430_821,
    "i3d_r50_*_hmdb51_*": 27_328_371,
    "i3d_r50_*_sthv2_*": 27_580_398,
    "i3d_r50_*": 28_043_472,
    "i3d_r101_*": 51_754_192,
    "i3d_nl5_r50_*": 35_401_936,
    "i3d_nl10_r50_*": 42_760_400,
    "i3d_nl5_r101_*": 59_112_656,
    "i3d_nl10_r101_*": 66_471_120,
    "c2d_*": 24_327_632,
    "p3d_r50_*": 25_745_232,
    "p3d_r101_*": 48_088_400,
    "ircsn_152_*": 29_703_568,
    "ircsn_50_*": 13_131_152,
    "ipcsn_152_*": 33_016_592,  # the authors' form; MMAction's dense one has 121_498_832
    "fast_rcnn_*": 34_748_305,
    "x3d_m_*": 3_794_322,
    "r3d_tiny_8x4": 296_216,
    "r3d_tiny_flow_8x4": 295_432,
}

# (frames, height, width) of two clips, for networks that do not take the common small ones
CLIPS = {
    "c3d_16x1_*": ((1, 97, 100), (2, 99, 97)),
    "c3d_*": ((16, 96, 98), (17, 97, 96)),
    "i3d_inceptionv1_32x2_*": ((5, 20, 24), (9, 32, 18)),
    "i3d_inceptionv3_*": ((4, 75, 80), (3, 78, 75)),
    "tsn_inceptionv1_*": ((4, 48, 40), (3, 37, 50)),
    "tsn_inceptionv3_*": ((4, 75, 80), (3, 78, 75)),
    "ssn_inceptionv3_*": ((4, 75, 70), (3, 69, 76)),
    "*s[mn]_bninception_*": ((4, 32, 65), (3, 69, 31)),
    "tsn_vgg16_*": ((2, 32, 40), (1, 50, 33)),
    "i3d_r[0-9]*": ((9, 20, 24), (5, 32, 18)),
    "*_nl*": ((9, 40, 48), (13, 33, 34)),  # a pooled non-local block needs several positions to choose from
    "p3d_*": ((24, 20, 24), (35, 32, 18)),
    "ipcsn_*": ((4, 40, 48), (3, 34, 33)),  # a bias before a batch norm shows at borders only
}


def small_clips(name: str) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    for pattern, clips in CLIPS.items():
        if name in actionlib.list_models(pattern):
            return clips
    folded = dict(getattr(ZOO[name].build, "keywords", {})).get("fold_frames")  # R2D takes one length only
    frames = actionlib.model_info(name).input[1]
    return (folded or min(frames, 4), 20, 24), (folded or 3, 32, 18)


def small_input(name: str) -> torch.Tensor:
    return torch.randn(2, actionlib.model_info(name).input[0], *small_clips(name)[0])


LABELS = torch.tensor([1, 3])


def expected_parameters(name: str) -> int:
    return next(count for pattern, count in PARAMETERS.items() if name in actionlib.list_models(pattern))


def _but_for_classes(entry: Entry) -> tuple[object, ...]:
    builder, arguments, _, modality = fixtures.network_of(entry)
    return builder, arguments, modality


# one entry of each distinct network, whatever its class count
DISTINCT = list({_but_for_classes(entry): name for name, entry in reversed(ZOO.items())}.values())


def counted(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# what the loss of classes does not reach: MMAction's connection that nothing calls, SSN's borders of proposals
LEARNS_NOTHING = ("backbone.spare_lateral", "head.regression.weight", "head.regression.bias")
# many seconds each: C3D, whose smallest clip is nearly the published one, and depths that others stand for
SLOW = ("c3d_16x2_k400_gcvmx", "c3d_l16", "r2plus1d_v1_101_gcvpt", "r2plus1d_v1_152_gcvpt")
QUICK = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in DISTINCT]


@pytest.fixture(scope="module", params=QUICK)
def network(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    """A name and its network, for all tests of it; in this mode PyTorch puts NaN into memory that nothing writes."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)
    try:
        return request.param, actionlib.create_model(request.param, num_classes=5, dropout=0.0)
    finally:
        torch.use_deterministic_algorithms(False)


def test_every_weight_is_drawn(network: tuple[str, nn.Module]) -> None:
    assert [name for name, value in network[1].state_dict().items() if not value.isfinite().all()] == []


def test_bf16_and_channels_last(network: tuple[str, nn.Module]) -> None:
    """Logits stay float32 and near those of float32 arithmetic; the backward pass reaches everything.

    Gradients are not looked at: PyTorch 2.13's bf16 convolutions on CPUs leave some of them unwritten on maps as small
    as these, another one in each run.
    """
    name, model = network[0], network[1].eval()
    x = small_input(name)
    with torch.no_grad():
        exact = model(x)
    channels_last(model)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x)
        assert (logits - exact).norm() <= 0.1 * exact.norm()
        loss, logits = training_loss(model.train(), x, LABELS, actionlib.model_info(name).recipe)
    assert loss.dtype == logits.dtype == torch.float32
    loss.backward()
    learned = (p for p in model.parameters() if p.requires_grad)
    assert next(learned).grad is not None  # the first one is reached last


def test_network(network: tuple[str, nn.Module]) -> None:
    """Shape out, two clip lengths, a gradient of the training loss for everything that learns."""
    name, model = network[0], network[1].train()
    recipe = dataclasses.replace(ZOO[name].recipe, partial_bn=False, frozen_bn=False)
    freeze_unlearned(model, recipe)
    for block in model.modules():
        if isinstance(block, NonLocal):  # starts at nothing, so that what is before has no gradient yet
            nn.init.ones_(block.norm.weight)
    model.zero_grad(set_to_none=True)
    loss, logits = training_loss(model, small_input(name), LABELS, recipe)
    assert logits.shape == (2, 5) and logits.dtype == torch.float32
    loss.backward()
    for parameter_name, parameter in model.named_parameters():
        if parameter_name in LEARNS_NOTHING:
            assert not parameter.requires_grad and parameter.grad is None, parameter_name
            continue
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        # a softmax over positions cancels the bias of what they are compared by
        assert parameter.grad.any() or parameter_name.endswith("non_local.phi.bias"), parameter_name

    with torch.no_grad():
        other = torch.randn(2, actionlib.model_info(name).input[0], *small_clips(name)[1])
        assert model(other).shape == (2, 5)


@pytest.mark.parametrize("name", ZOO)
def test_entry(name: str) -> None:
    """Every line of the table: it builds, its numbers fit together, its source is complete."""
    info, entry = actionlib.model_info(name), ZOO[name]
    with torch.device("meta"):
        model = actionlib.create_model(name)
    assert counted(model) == expected_parameters(name)
    assert model.head.fc.out_features == CLASSES[entry.dataset]
    assert info.num_classes == CLASSES[entry.dataset]
    assert info.input[1] == entry.recipe.sampling.clip_frames
    assert len(entry.recipe.statistics.mean) * entry.recipe.sampling.stack == info.input[0]
    assert set(field.split(".")[0] for field in entry.recipe.assumed) <= {
        f.name for f in dataclasses.fields(entry.recipe)
    }
    assert entry.recipe.source and entry.source.upstream


def test_costs_are_the_published_ones() -> None:
    """Multiply-adds and conv + FC weights of one clip (VMZ, X3D); some are rounded to a decimal, some cut off."""
    wrong = {}
    for name, entry in ZOO.items():
        if entry.published.gflops is None or entry.published.params_m is None:
            continue
        with torch.device("meta"):
            model = actionlib.create_model(name)
        weights_m = (
            sum(p.numel() for n, p in model.named_parameters() if p.ndim > 1 or n.startswith("head.")) / 1e6
        )
        _, gmacs = cli.cost(name)
        if abs(gmacs - entry.published.gflops) > 0.1 or abs(weights_m - entry.published.params_m) > 0.1:
            wrong[name] = (gmacs, weights_m)
    assert wrong == {}


@pytest.mark.parity
@pytest.mark.skipif(not fixtures.FOLDER.is_dir(), reason=fixtures.MISSING)
def test_parameters_are_the_originals() -> None:
    checked = set()
    for case in fixtures.cases():
        fixture = json.loads(case.path.read_text())
        classifier = 487 * 4097 if case.entry == "c3d_16x1_sports1m" else 0  # that file ends before it
        count = fixtures.learnable(fixture) + classifier
        if (
            case.entry == (fixture.get("catalogue_ids") or [""])[0]
        ):  # further ones may have another class count
            if case.id == "ipcsn_152_32x2_ig65m":  # the dense form of that network
                count -= 27 * sum(n * (p * p - p) for n, p in ((3, 64), (8, 128), (36, 256), (3, 512)))
            assert count == expected_parameters(case.entry), case
            checked |= set(fixture["catalogue_ids"])
        elif count == expected_parameters(case.entry):  # fixtures of no row may have another class count
            checked.add(case.entry)
    networks = {fixtures.network_of(ZOO[name]) for name in checked & set(ZOO)}
    checked |= {name for name in ZOO if fixtures.network_of(ZOO[name]) in networks}
    assert set(ZOO) - checked == {name for name, entry in ZOO.items() if entry.fused_from} | {
        "r3d_tiny_8x4",
        "r3d_tiny_flow_8x4",
        "i3d_inceptionv1_64x1_k600_deepmind",  # its fixture has no scales of batch norms
        "ssn_inceptionv3_thumos14_yjxiong",  # its fixture has other classes
        "tsm_bninception_8f_k400",  # its fixture has other classes
    }


def test_other_classes_channels_and_one_frame() -> None:
    model = actionlib.create_model("r3d_tiny_8x4", num_classes=5, in_channels=2, dropout=0.3)
    assert model(torch.randn(1, 2, 1, 48, 64)).shape == (1, 5)
    assert model.head.dropout.p == 0.3


def test_logits_are_float32_under_autocast() -> None:
    model = actionlib.create_model("r3d_tiny_8x4")
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(torch.randn(1, 3, 4, 64, 64))
    assert logits.dtype == torch.float32


def test_features_enter_the_classifier() -> None:
    for name in ("r3d_tiny_8x4", "tsn_r18_seg7_k400_gcvpt"):
        model = actionlib.create_model(name).eval()
        x = torch.randn(2, 3, 3, 64, 64)
        torch.testing.assert_close(model.head.fc(model.features(x)), model(x))


def test_segments_of_a_video_do_not_mix_with_another() -> None:
    model = actionlib.create_model("tsn_r18_seg7_k400_gcvpt").eval()
    x = torch.randn(2, 3, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(x)[1:], model(x[1:]))
        torch.testing.assert_close(model(x), model(x.flip(2)))  # a mean has no order
        by_frame = torch.stack([model(x[:, :, t : t + 1]) for t in range(3)]).mean(0)
        torch.testing.assert_close(model(x), by_frame)


def test_unknown_names_suggest_near_ones() -> None:
    with pytest.raises(RecipeError, match="slowonly_r50_8x8"):
        actionlib.create_model("slowonly_r50_8x9")
    with pytest.raises(RecipeError, match="zoo list"):
        actionlib.model_info("transformer")


def test_list_models() -> None:
    assert actionlib.list_models() == sorted(ZOO)
    assert actionlib.list_models("slowonly_r50_8x8*") == ["slowonly_r50_8x8", "slowonly_r50_8x8_in1k"]
    assert actionlib.list_models("nothing*") == []
    assert actionlib.list_models(family="ssn", dataset="thumos14", modality="flow") == [
        "ssn_bninception_flow_thumos14_yjxiong"
    ]
    best = actionlib.list_models(dataset="kinetics400", min_top1=83.0)
    assert best == [
        name
        for name in sorted(ZOO)
        if ZOO[name].dataset == "kinetics400" and (ZOO[name].published.top1 or 0) >= 83
    ]
    assert 0 < len(best) < 20


def test_backbone_is_kept_and_the_head_is_new() -> None:
    trained = actionlib.create_model("r3d_tiny_8x4", num_classes=8)
    model = actionlib.create_model("r3d_tiny_8x4", num_classes=8)
    head = model.head.fc.weight.clone()

    left = load_backbone(model, trained.state_dict())

    assert left == ["head.fc.bias", "head.fc.weight"]
    assert torch.equal(model.head.fc.weight, head)
    for name, value in trained.backbone.state_dict().items():
        assert torch.equal(model.backbone.state_dict()[name], value), name


def test_another_backbone_is_refused_with_both_sides() -> None:
    weights = actionlib.create_model("r3d_tiny_8x4").state_dict()
    weights["backbone.stage9.weight"] = weights.pop("backbone.stem.norm.weight")
    weights["backbone.stem.conv.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        load_backbone(actionlib.create_model("r3d_tiny_8x4"), weights)
    message = str(caught.value)
    assert "3 differences" in message
    assert "missing: backbone.stem.norm.weight (16,)" in message
    assert "unknown: backbone.stage9.weight (16,)" in message
    assert "shape: backbone.stem.conv.weight is (1,), the model has (16, 3, 1, 7, 7)" in message


@pytest.mark.parametrize(
    ("partial", "frozen", "free"), [(False, False, 9), (True, False, 1), (False, True, 0)]
)
def test_freezing_batch_norms(partial: bool, frozen: bool, free: int) -> None:
    model = actionlib.create_model("r3d_tiny_8x4", partial_bn=partial, frozen_bn=frozen).eval().train()
    norms = {n: m for n, m in model.named_modules() if isinstance(m, nn.BatchNorm3d)}
    before = {n: m.running_mean.clone() for n, m in norms.items() if m.running_mean is not None}
    model(torch.randn(2, 3, 2, 64, 64)).sum().backward()
    moved = [n for n, m in norms.items() if not torch.equal(before[n], m.running_mean)]
    learning = [n for n, m in norms.items() if m.weight.grad is not None]
    assert moved == learning
    assert len(moved) == (len(norms) if free == 9 else free)
    assert free != 1 or moved == ["backbone.stem.norm"]
