"""Converted checkpoints of the original projects give the original numbers."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from actionlib import convert, create_model
from actionlib.errors import CheckpointError, RecipeError
from tests.zoo import fixtures, runs
from tests.zoo.fixtures import Case

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(not fixtures.FOLDER.is_dir(), reason=fixtures.MISSING),
]


def _name(case: Case) -> str:
    return f"{case.upstream}-{case.id}-{case.entry}"


WITH_OUTPUTS = [
    pytest.param(case, id=_name(case), marks=[pytest.mark.slow] if case.heavy else [])
    for case in fixtures.cases()
    if case.has_outputs
]


@torch.inference_mode()
@pytest.mark.parametrize("case", WITH_OUTPUTS)
def test_scores_are_the_originals(case: Case) -> None:
    fixture = case.read()
    state_dict = convert.from_upstream(
        fixtures.fill().state_dict(fixture), model=case.entry, upstream=case.upstream
    )
    with torch.device("meta"):
        model = create_model(case.entry, num_classes=len(state_dict["head.fc.bias"])).eval()
    model.load_state_dict(state_dict, strict=True, assign=True)

    scores, feature = runs.run(model, case, fixture)

    rows = fixtures.fill().compare(fixture, scores, feature)
    assert rows
    assert not [
        f"{what}: {deviation:.1e} > {limit:.1e}" for what, deviation, limit in rows if not deviation <= limit
    ]


def test_every_fixture_of_a_catalogue_row_is_mapped() -> None:
    assert fixtures.unmapped() == []


def _numbered(fixture: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A checkpoint with the fixture's names and shapes, of numbers that count up through a tensor; each tensor begins
    at another one. They are windows into one long count, so that a large network takes little memory.
    """
    first = dict(fixture.get("aliases") or ())
    begin = {name: index for index, (name, _) in enumerate(fixture["keys"])}
    longest = max(math.prod(shape) for _, shape in fixture["keys"])
    count = torch.arange(longest + len(begin), dtype=torch.int32)
    return {
        name: count[begin[first.get(name, name)] :][: math.prod(shape)].view(shape)
        for name, shape in fixture["keys"]
    }


@pytest.mark.parametrize("case", fixtures.cases(), ids=_name)
def test_round_trip(case: Case) -> None:
    """Every key of the original comes back with every number at its place."""
    original = _numbered(case.read())

    ours = convert.from_upstream(original, model=case.entry, upstream=case.upstream)
    back = convert.to_upstream(ours, model=case.entry, upstream=case.upstream)

    assert back.keys() == original.keys()
    assert [name for name, value in original.items() if not torch.equal(back[name], value)] == []


def test_every_mismatch_is_listed_from_both_sides() -> None:
    case = next(c for c in fixtures.cases() if c.entry == "slowonly_r50_8x8")
    original = _numbered(case.read())
    names = list(original)
    broken = {k: v for k, v in original.items() if k != names[0]}
    broken["backbone.extra.weight"] = torch.zeros(3)
    broken[names[1]] = torch.zeros(65)

    with pytest.raises(CheckpointError) as caught:
        convert.from_upstream(broken, model=case.entry, upstream=case.upstream)

    message = str(caught.value)
    assert "3 differences" in message
    assert f"missing: {names[0]}" in message and "backbone.stem.conv.weight" in message
    assert f"shape: {names[1]} is (65,), ours (64,)" in message
    assert "unknown: backbone.extra.weight (3,)" in message


def test_a_second_name_may_be_missing_but_not_differ() -> None:
    case = next(c for c in fixtures.cases() if c.entry == "slowonly_r101_f16s4_k700_gcvmx")
    original = _numbered(case.read())
    whole = convert.from_upstream(original, model=case.entry, upstream=case.upstream)
    for name in ("fc.bias", "head.1.bias"):
        one = {k: v for k, v in original.items() if k != name}
        assert convert.from_upstream(one, model=case.entry, upstream=case.upstream).keys() == whole.keys()
    with pytest.raises(CheckpointError, match="not equal"):
        different = {**original, "fc.bias": original["fc.bias"] + 1}
        convert.from_upstream(different, model=case.entry, upstream=case.upstream)


def test_only_this_networks_tensors_go_back() -> None:
    weights = create_model("slowonly_r50_8x8").state_dict()
    del weights["backbone.stem.norm.bias"]
    with pytest.raises(CheckpointError, match=r"missing: backbone\.stem\.norm\.bias"):
        convert.to_upstream(weights, model="slowonly_r50_8x8", upstream="mmaction")


def test_a_project_without_a_map_is_named() -> None:
    with pytest.raises(RecipeError, match="mmaction"):
        convert.from_upstream({}, model="slowonly_r50_8x8", upstream="i3d_deepmind")
