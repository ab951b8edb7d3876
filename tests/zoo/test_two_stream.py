"""Fusions: a two-stream network gives the weighted sum of what its streams give."""

from __future__ import annotations

import pytest
import torch

from actionlib import convert, create_model, model_info
from actionlib.errors import RecipeError
from actionlib.models.two_stream import fuse
from actionlib.zoo_table import ZOO

FUSIONS = [name for name, entry in ZOO.items() if entry.fused_from]


@torch.inference_mode()
def test_logits_are_the_weighted_sum() -> None:
    name = "i3d_inceptionv1_twostream_64x1_hmdb51"
    torch.manual_seed(0)
    rgb, flow = (create_model(stream).eval() for stream in ZOO[name].fused_from)
    with torch.device("meta"):
        model = create_model(name).eval()
    x = torch.randn(2, 5, 8, 48, 40)
    of_rgb, of_flow = rgb(x[:, :3]), flow(x[:, 3:])
    for weights in ((0.5, 0.5), (1.0, 1.0), (1.0, 1.5)):
        model.load_state_dict(fuse(rgb.state_dict(), flow.state_dict(), weights), assign=True)
        # sums of a thousand float32 features in another order
        wanted = weights[0] * of_rgb + weights[1] * of_flow
        torch.testing.assert_close(model(x), wanted, rtol=1e-4, atol=1e-4)
    features = torch.cat([rgb.features(x[:, :3]), flow.features(x[:, 3:])], 1)
    torch.testing.assert_close(model.features(x), features)
    torch.testing.assert_close(model.maps(x).mean(dim=(2, 3, 4)), features)


def test_a_mean_by_default() -> None:
    one = {"head.fc.weight": torch.full((2, 3), 1.0), "head.fc.bias": torch.tensor([2.0, 4.0])}
    other = {"head.fc.weight": torch.full((2, 1), 3.0), "head.fc.bias": torch.tensor([4.0, 8.0])}
    fused = fuse(one, other)
    assert fused["head.fc.weight"].tolist() == [[0.5, 0.5, 0.5, 1.5]] * 2
    assert fused["head.fc.bias"].tolist() == [3.0, 6.0]


@pytest.mark.parametrize("name", FUSIONS)
def test_streams_fit_together(name: str) -> None:
    fusion = ZOO[name]
    rgb, flow = (ZOO[stream] for stream in fusion.fused_from)
    assert (rgb.modality, flow.modality, fusion.modality) == ("rgb", "flow", "two_stream")
    assert rgb.dataset == flow.dataset == fusion.dataset
    assert rgb.recipe.sampling == flow.recipe.sampling == fusion.recipe.sampling
    assert rgb.recipe.protocol == flow.recipe.protocol == fusion.recipe.protocol
    statistics = fusion.recipe.statistics
    assert statistics.mean == rgb.recipe.statistics.mean + flow.recipe.statistics.mean
    assert statistics.std == rgb.recipe.statistics.std + flow.recipe.statistics.std
    assert statistics.inverted == tuple(3 + channel for channel in flow.recipe.statistics.inverted)
    with torch.device("meta"):
        networks = [create_model(part) for part in fusion.fused_from]
        joined = create_model(name)
    fused = fuse(*(network.state_dict() for network in networks))
    assert {k: v.shape for k, v in fused.items()} == {k: v.shape for k, v in joined.state_dict().items()}
    assert model_info(name).input[0] == 5


def test_a_fusion_has_no_checkpoint_of_its_own() -> None:
    with pytest.raises(
        RecipeError, match="convert those of i3d_inceptionv1_64x1 and i3d_inceptionv1_flow_64x1"
    ):
        convert.from_upstream({}, model="i3d_inceptionv1_twostream_64x1", upstream="mmaction")


def test_both_streams_need_channels() -> None:
    with pytest.raises(RecipeError, match="3 of RGB"):
        create_model("i3d_inceptionv1_twostream_64x1", in_channels=3)
