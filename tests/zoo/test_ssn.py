"""Structured segment networks: stages and parts by hand, the way over ticks against loops and against the other way."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import actionlib
from actionlib.models.ssn import (
    FLAT,
    HALVES,
    Pyramid,
    Ssn,
    proposal_ticks,
    pyramid_features,
    stages,
    tick_weights,
)
from actionlib.zoo import load_backbone

QUARTERS: Pyramid = ((1, 2), (1, 2, 4), (2,))


def small(pyramid: Pyramid, channels: int = 3, classes: int = 2) -> Ssn:
    """Frames are their own features; weights that differ from each other."""
    torch.manual_seed(0)
    model = Ssn(nn.Identity(), channels, pyramid=pyramid, num_classes=classes, dropout=0.0)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model.double().eval()


def as_clip(features: torch.Tensor) -> torch.Tensor:
    """Features `(N, T, channels)` as frames of one pixel."""
    return features.transpose(1, 2)[..., None, None]


# --- stages and parts -------------------------------------------------------------------------------------


def test_stages_by_hand() -> None:
    assert stages(9) == ((0, 2), (2, 7), (7, 9))
    assert stages(18) == ((0, 4), (4, 14), (14, 18))
    assert stages(3) == ((0, 1), (1, 2), (2, 3))
    assert stages(1) == ((0, 1), (0, 1), (0, 1))


def test_every_stage_has_a_frame() -> None:
    for frames in range(1, 60):
        spans = stages(frames)
        assert all(0 <= low < high <= frames for low, high in spans)
        assert frames < 3 or [span[1] for span in spans[:2]] == [span[0] for span in spans[1:]]


def test_pyramid_by_hand() -> None:
    """Frames 0 to 8. Of the course, 2 to 6, whole and halves count a third each; the halves are 2, 3 and 4, 5, 6."""
    frames = torch.arange(9.0).view(1, 9, 1)
    plain = pyramid_features(frames, HALVES)[0].tolist()
    assert plain == pytest.approx([0.5, 4 / 3, 2.5 / 3, 5 / 3, 7.5])
    scaled = pyramid_features(frames, HALVES, torch.tensor([[0.5, 0.1]]))[0].tolist()
    assert scaled == pytest.approx([0.25, 4 / 3, 2.5 / 3, 5 / 3, 0.75])
    assert pyramid_features(frames, FLAT)[0].tolist() == pytest.approx([0.5, 4, 7.5])


def test_proposal_ticks_by_hand() -> None:
    """In the middle: an eighth around, all of it there. At the start and at the end that side is cut off."""
    spans = torch.tensor([[0.25, 0.5], [0.0, 0.5], [0.75, 1.0], [0.125, 0.625]], dtype=torch.float64)
    ticks, scaling = proposal_ticks(spans, 16)
    assert ticks.tolist() == [[2, 4, 8, 10], [0, 0, 8, 12], [10, 12, 16, 16], [0, 2, 10, 14]]
    assert scaling.tolist() == [[1, 1], [0, 1], [1, 0], [0.5, 1]]


def loops(ticks: list[int], scaling: list[float], pyramid: Pyramid, count: int) -> list[list[float]]:
    """Weights of the ticks in each part of a proposal, one after the other."""
    rows = []
    for stage, levels in enumerate(pyramid):
        left, right = ticks[stage], max(ticks[stage] + 1, ticks[stage + 1])
        factor = (scaling[0], 1.0, scaling[1])[stage]
        for level in levels:
            for part in range(level):
                begin = int(left + part * (right - left) / level)
                end = int(left + (part + 1) * (right - left) / level)
                inside = [tick for tick in range(begin, end) if tick < count]
                rows.append([factor / len(inside) if tick in inside else 0.0 for tick in range(count)])
    return rows


@pytest.mark.parametrize("pyramid", [FLAT, HALVES, QUARTERS])
def test_tick_weights_are_those_of_loops(pyramid: Pyramid) -> None:
    generator = torch.Generator().manual_seed(0)
    ticks = torch.randint(0, 12, (300, 4), generator=generator).sort(1).values
    scaling = torch.rand(300, 2, generator=generator, dtype=torch.float64)
    got = tick_weights(ticks, scaling, pyramid, 11)
    expected = [
        loops(one, two, pyramid, 11) for one, two in zip(ticks.tolist(), scaling.tolist(), strict=True)
    ]
    torch.testing.assert_close(got, torch.tensor(expected, dtype=torch.float64))


# --- scores -----------------------------------------------------------------------------------------------


def test_both_ways_agree_where_the_ticks_are_the_frames() -> None:
    model = small(FLAT)
    frames = torch.randn(1, 9, 3, dtype=torch.float64)
    one = model.proposals(as_clip(frames))
    scores = model.tick_scores(frames[0])
    other = model.pooled(scores, torch.tensor([[0, 2, 7, 9]]), torch.ones(1, 2))
    for left, right in zip(one, other, strict=True):
        torch.testing.assert_close(left, right)
    assert [tuple(part.shape) for part in other] == [(1, 3), (1, 2), (1, 2, 2)]


def test_the_bias_is_scaled_over_ticks_only() -> None:
    """Nothing before and behind: in training all of the bias stays, over ticks a third of it is left."""
    model = small(FLAT)
    frames = torch.randn(1, 9, 3, dtype=torch.float64)
    one = model.proposals(as_clip(frames), torch.zeros(1, 2))
    other = model.pooled(model.tick_scores(frames[0]), torch.tensor([[0, 2, 7, 9]]), torch.zeros(1, 2))
    expected = (2 / 3 * model.head.fc.bias).float()[None]
    torch.testing.assert_close(one.completeness - other.completeness, expected, rtol=1e-4, atol=1e-5)


def test_tick_scores_follow_the_heads() -> None:
    """The folded layer is made of the parameters of the three, so that it learns with them."""
    model = small(HALVES)
    frame = torch.randn(1, 3, dtype=torch.float64)
    before = model.tick_scores(frame)[0]
    assert len(before) == 3 + 5 * 2 + 5 * 4
    with torch.no_grad():
        model.head.fc.weight[1, 3 * 3 : 4 * 3] += 1  # class 1, part 3
    changed = (model.tick_scores(frame)[0] - before).nonzero().flatten().tolist()
    assert changed == [3 + 3 * 2 + 1]


def test_a_stage_beyond_the_video_counts_nothing() -> None:
    model = small(FLAT)
    scores = model.tick_scores(torch.randn(4, 3, dtype=torch.float64))
    ticks, scaling = torch.tensor([[1, 2, 4, 4]]), torch.tensor([[1.0, 0.7]])
    assert torch.equal(
        model.pooled(scores, ticks, scaling).regression,
        model.pooled(scores, ticks, 0 * scaling + 1).regression,
    )


def test_called_as_a_network_it_gives_the_score_of_detections() -> None:
    model = small(HALVES)
    x = as_clip(torch.randn(5, 9, 3, dtype=torch.float64))
    scores = model.proposals(x)
    expected = scores.activity[:, 1:].softmax(1) * scores.completeness.exp()
    torch.testing.assert_close(model(x).exp(), expected)
    torch.testing.assert_close(model.features(x), pyramid_features(model.frame_features(x), HALVES))


def test_the_three_scores_reach_every_parameter() -> None:
    """Of which the score of detections alone leaves out the borders."""
    model = small(HALVES).train()
    scores = model.proposals(as_clip(torch.randn(2, 9, 3, dtype=torch.float64)))
    sum(part.square().sum() for part in scores).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_new_classes_make_all_three_heads_new() -> None:
    trained = actionlib.create_model("ssn_bninception_thumos14")
    model = actionlib.create_model("ssn_bninception_thumos14", num_classes=3)
    left = load_backbone(model, trained.state_dict())
    assert left == [
        f"head.{name}.{kind}" for name in ("activity", "fc", "regression") for kind in ("bias", "weight")
    ]
