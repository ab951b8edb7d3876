"""C3D: which clips it takes, and the file that ends before the classifier."""

from __future__ import annotations

import pytest
import torch

from actionlib import convert, create_model, model_info
from actionlib.errors import CheckpointError, RecipeError
from actionlib.evaluation import Scorer
from actionlib.models.c3d import LAST_MAP, Pools, c3d
from actionlib.transforms import normalise

SPORTS1M = "c3d_16x1_sports1m"


def last_map(pooling: list[torch.nn.Module], size: list[int]) -> tuple[int, ...]:
    """What the pools alone leave of a clip; nothing where that is an error."""
    x = torch.zeros(1, 1, *size)
    try:
        for pool in pooling:
            x = pool(x)
    except RuntimeError:
        return ()
    return tuple(x.shape[2:])


@pytest.mark.parametrize("pools", LAST_MAP)
def test_the_stated_clips_are_those_that_fit(pools: Pools) -> None:
    last = LAST_MAP[pools]
    with torch.device("meta"):  # pools have no weights
        pooling: list[torch.nn.Module] = [m for m in c3d(pools=pools).backbone if "Pool" in type(m).__name__]
    limits = (last.frames, last.pixels, last.pixels)
    for axis, (low, high) in enumerate(limits):
        size = [limit[1] for limit in limits]
        fits = []
        for size[axis] in range(max(low - 1, 1), high + 2):
            if last_map(pooling, size) == (1, last.side, last.side):
                fits.append(size[axis])
        assert fits == list(range(low, high + 1)), axis


@pytest.mark.parametrize("pools", LAST_MAP)
def test_other_clips_are_refused_in_words(pools: Pools) -> None:
    last = LAST_MAP[pools]
    with torch.device("meta"):
        model = c3d(pools=pools).eval()
        assert model(torch.empty(2, 3, last.frames[1], last.pixels[0], last.pixels[1])).shape == (2, 487)
        assert model.maps(torch.empty(1, 3, 16, 112, 112)).shape == (1, 512, 1, last.side, last.side)
        for frames, height, width in ((32, 112, 112), (16, 128 + 1, 112), (16, 112, 64)):
            with pytest.raises(RecipeError, match=f"not {frames}x{height}x{width}"):
                model(torch.empty(1, 3, frames, height, width))


def test_the_file_for_sports1m_has_no_classifier() -> None:
    weights = create_model(SPORTS1M).state_dict()
    with pytest.raises(CheckpointError, match=r"head\.fc\.weight is not 0 throughout"):
        convert.to_upstream(weights, model=SPORTS1M, upstream="mmaction")

    weights["head.fc.weight"].zero_()
    theirs = convert.to_upstream(weights, model=SPORTS1M, upstream="mmaction")
    assert next(iter(theirs)) == "conv1a.weight" and list(theirs)[-1] == "fc7.bias"
    back = convert.from_upstream(theirs, model=SPORTS1M, upstream="mmaction")
    assert back["head.fc.weight"].shape == (487, 4096) and not back["head.fc.weight"].any()
    assert all(torch.equal(back[name], value) for name, value in weights.items())


@torch.inference_mode()
def test_maps_are_averaged_over_views_before_the_first_layer() -> None:
    """As GluonCV does; the mean of the logits of single views is another one."""
    info = model_info("c3d_16x2_k400_gcvmx")
    assert info.protocol.average == "maps"
    torch.manual_seed(0)
    model = c3d(pools="padded", num_classes=7, dropout=0.5).eval()
    model.backbone = torch.nn.Sequential(torch.nn.AvgPool3d((16, 24, 24)), torch.nn.Conv3d(3, 512, 1))
    views = torch.randint(0, 256, (2, 3, 3, 16, 96, 96), dtype=torch.uint8)
    found = Scorer(model, info.recipe, info.protocol, torch.device("cpu"), loaders=0).average(views)
    x = normalise(views, info.recipe.statistics)
    maps = torch.stack([model.maps(x[:, view]) for view in range(3)]).mean(0)
    expected = model.head(model.neck(maps.flatten(1)))
    torch.testing.assert_close(found, expected)
    assert (found - torch.stack([model(x[:, view]) for view in range(3)]).mean(0)).abs().max() > 1e-6
    with pytest.raises(RecipeError, match="one layer"):
        small = create_model("r3d_tiny_8x4")
        Scorer(small, info.recipe, info.protocol, torch.device("cpu"), loaders=0)


def test_dropout_is_behind_both_layers() -> None:
    with torch.device("meta"):
        model = create_model("c3d_l16", dropout=0.25)
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == [0.25, 0.25]
