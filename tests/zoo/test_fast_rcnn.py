"""Boxes: RoIAlign and NMS against plain loops and hand-worked numbers, and the detector that uses them."""

from __future__ import annotations

import math

import pytest
import torch

from actionlib import create_model
from actionlib.models.fast_rcnn import FastRcnn
from actionlib.models.roi import nms, overlaps, roi_align
from actionlib.zoo import load_backbone


def sample(plane: list[list[float]], y: float, x: float) -> float:
    """One point of a map, as MMAction's CUDA kernel has it: 0 far outside, the border near it, else linear between."""
    height, width = len(plane), len(plane[0])
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = max(y, 0.0), max(x, 0.0)
    top, left = int(y), int(x)
    if top >= height - 1:
        top, y = height - 1, float(height - 1)
    if left >= width - 1:
        left, x = width - 1, float(width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    return (
        plane[top][left] * (1 - down) * (1 - across)
        + plane[top][right] * (1 - down) * across
        + plane[bottom][left] * down * (1 - across)
        + plane[bottom][right] * down * across
    )


def slow_roi_align(
    plane: list[list[float]], box: list[float], stride: int, bins: int, samples: int
) -> list[list[float]]:
    left, top, right, bottom = box[0] / stride, box[1] / stride, (box[2] + 1) / stride, (box[3] + 1) / stride
    high, wide = max(bottom - top, 0) / bins, max(right - left, 0) / bins
    result = []
    for row in range(bins):
        line = []
        for column in range(bins):
            values = [
                sample(
                    plane,
                    top + row * high + (i + 0.5) * high / samples,
                    left + column * wide + (j + 0.5) * wide / samples,
                )
                for i in range(samples)
                for j in range(samples)
            ]
            line.append(sum(values) / len(values))
        result.append(line)
    return result


BOXES = [
    [10.5, 8.25, 90.0, 100.75],
    [0.0, 0.0, 111.0, 79.0],  # the whole frame
    [-40.0, -25.0, 30.0, 20.0],  # partly outside
    [60.0, 40.0, 175.0, 130.0],
    [50.0, 30.0, 50.0, 30.0],  # one pixel
    [70.0, 60.0, 20.0, 10.0],  # the wrong way round
    [300.0, 300.0, 400.0, 400.0],  # all outside
]


@pytest.mark.parametrize(("bins", "samples"), [(16, 2), (7, 3), (1, 1)])
def test_roi_align_against_loops(bins: int, samples: int) -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 2, 5, 7, dtype=torch.float64)  # 80 x 112 pixels
    clips = torch.tensor([0, 1, 0, 1, 1, 0, 0])
    boxes = torch.tensor(BOXES, dtype=torch.float64)
    expected = [
        [slow_roi_align(plane.tolist(), box, 16, bins, samples) for plane in maps[clip]]
        for box, clip in zip(BOXES, clips, strict=True)
    ]
    result = roi_align(maps, boxes, clips, stride=16, bins=bins, samples=samples)
    torch.testing.assert_close(result, torch.tensor(expected, dtype=torch.float64))
    assert not result[-1].any()
    torch.testing.assert_close(
        roi_align(maps.float(), boxes.float(), clips, stride=16, bins=bins, samples=samples),
        result.float(),
        rtol=1e-5,
        atol=1e-5,
    )


def test_roi_align_by_hand() -> None:
    """A row of cells 0 10 20 30, the same in all rows; the points of two bins as in the function's own example."""
    maps = torch.tensor([0.0, 10.0, 20.0, 30.0]).expand(1, 1, 4, 4)
    one = torch.tensor([0])

    def cut(left: float, right: float) -> list[float]:
        box = torch.tensor([[left, 0.0, right, 63.0]])
        return list(roi_align(maps, box, one, stride=16, bins=2, samples=2)[0, 0, 0].tolist())

    assert cut(16, 47) == [15.0, 25.0]
    # cells 0 to 4: points 0.5, 1.5 | 2.5, 3.5, the last one past the centre of the last cell: 5 15 | 25 30
    assert cut(0, 63) == [10.0, 27.5]
    # cells -2 to 6: points -1, 1 | 3, 5; -1 is still the border, 5 is more than a cell beyond it: 0 10 | 30 0
    assert cut(-32, 95) == [5.0, 15.0]


def test_roi_align_lets_gradients_through_to_the_maps() -> None:
    maps = torch.randn(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[3.0, 2.0, 60.0, 50.0]], dtype=torch.float64)

    def cut(m: torch.Tensor) -> torch.Tensor:
        return roi_align(m, boxes, torch.tensor([0]), stride=16, bins=3, samples=2)

    assert torch.autograd.gradcheck(cut, (maps,))


def test_overlaps_by_hand() -> None:
    """Boxes of 10x10 pixels, ends included: half of one in common is 50 of 150."""
    box = torch.tensor([[0.0, 0.0, 9.0, 9.0]])
    others = torch.tensor(
        [[0.0, 0.0, 9.0, 9.0], [5.0, 0.0, 14.0, 9.0], [9.0, 9.0, 9.0, 9.0], [10.0, 0.0, 19.0, 9.0]]
    )
    torch.testing.assert_close(overlaps(box, others), torch.tensor([[1.0, 50 / 150, 1 / 100, 0.0]]))


def slow_nms(boxes: torch.Tensor, scores: torch.Tensor, overlap: float) -> list[int]:
    left = sorted(range(len(scores)), key=lambda i: (-float(scores[i]), i))
    kept = []
    while left:
        best = left.pop(0)
        kept.append(best)
        left = [i for i in left if float(overlaps(boxes[best : best + 1], boxes[i : i + 1])) <= overlap]
    return kept


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5, 1.0])
def test_nms_against_loops(overlap: float) -> None:
    generator = torch.Generator().manual_seed(3)
    for count in (0, 1, 2, 30):
        corner = torch.randint(0, 40, (count, 2), generator=generator).float()
        boxes = torch.cat([corner, corner + torch.randint(5, 30, (count, 2), generator=generator)], dim=1)
        scores = torch.randint(0, 10, (count,), generator=generator) / 10  # with equal ones
        assert nms(boxes, scores, overlap=overlap).tolist() == slow_nms(boxes, scores, overlap)


def test_nms_by_hand() -> None:
    """The second best overlaps the best; the third overlaps the second only, which is gone by then."""
    boxes = torch.tensor([[0.0, 0.0, 9.0, 9.0], [5.0, 0.0, 14.0, 9.0], [10.0, 0.0, 19.0, 9.0]])
    assert nms(boxes, torch.tensor([0.9, 0.8, 0.7]), overlap=0.3).tolist() == [0, 2]
    assert nms(boxes, torch.tensor([0.1, 0.8, 0.7]), overlap=0.3).tolist() == [1]
    assert nms(boxes, torch.tensor([0.1, 0.8, 0.7]), overlap=0.34).tolist() == [1, 2, 0]


# --- the detector -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def detector() -> FastRcnn:
    torch.manual_seed(0)
    model = create_model("fast_rcnn_nl_i3d_r50_32x2_ava", num_classes=5).eval()
    assert isinstance(model, FastRcnn)
    torch.nn.init.normal_(model.head.fc.weight, std=0.5)
    return model


@torch.inference_mode()
def test_boxes_of_several_clips(detector: FastRcnn) -> None:
    torch.manual_seed(1)
    x = torch.randn(3, 3, 4, 64, 96)
    boxes = [
        torch.tensor([[0.0, 0.0, 95.0, 63.0], [10.0, 5.0, 40.0, 60.0]]),
        torch.zeros(0, 4),
        torch.tensor([[10.0, 5.0, 40.0, 60.0]]),
    ]
    together = detector(x, boxes)
    assert together.shape == (3, 5)
    alone = [detector(x[i : i + 1], [boxes[i]]) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(together[1], together[2])  # the same box of another clip
    whole = detector(x)  # without boxes: the whole frame of each
    assert whole.shape == (3, 5)
    torch.testing.assert_close(whole[0], together[0], rtol=1e-4, atol=1e-4)


def test_the_backbone_of_a_recogniser_fits() -> None:
    """The published detector started from a non-local I3D of Kinetics: one stage of it works on boxes here."""
    recogniser = create_model("i3d_nl5_r50_32x2_k400_gcvpt")
    start = create_model("fast_rcnn_nl_i3d_r50_32x2_ava")
    assert load_backbone(start, recogniser.state_dict()) == ["head.fc.bias", "head.fc.weight"]
    for name, value in recogniser.backbone.state_dict().items():
        assert torch.equal(start.backbone.state_dict()[name], value), name


@torch.inference_mode()
def test_the_path_of_a_box_step_by_step(detector: FastRcnn) -> None:
    """Mean over time, then RoIAlign, then the last stage, then the maximum; the steps are written out here."""
    x = torch.randn(1, 3, 6, 48, 64)
    layers = dict(detector.backbone.named_children())
    assert list(layers) == ["stem", "stage1", "pool1", "stage2", "stage3", "stage4"]
    maps = x
    for name in ("stem", "stage1", "pool1", "stage2", "stage3"):
        maps = layers[name](maps)
    assert maps.shape == (1, 1024, 3, 3, 4)  # frames are halved once, pixels are 16 to a cell
    box = [5.0, 3.0, 50.0, 47.0]
    mean = maps[0].sum(1) / 3
    cut = torch.tensor([slow_roi_align(plane.tolist(), box, 16, 16, 2) for plane in mean[:8]])
    whole = roi_align(mean[None], torch.tensor([box]), torch.tensor([0]), stride=16, bins=16, samples=2)
    torch.testing.assert_close(whole[0, :8], cut, rtol=1e-4, atol=1e-4)
    last = layers["stage4"](whole[:, :, None])
    assert last.shape == (1, 2048, 1, 8, 8)
    expected = detector.head.fc(last.flatten(2).max(2).values)
    torch.testing.assert_close(detector(x, [torch.tensor([box])]), expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_detections_are_ordered_by_the_person_column(detector: FastRcnn) -> None:
    x = torch.randn(2, 3, 4, 64, 64)
    boxes = [
        torch.tensor([[0.0, 0.0, 20.0 + 6 * i, 63.0] for i in range(6)]),
        torch.tensor([[8.0, 8.0, 60.0, 60.0]]),
    ]
    logits = detector(x, boxes)
    first, second = detector.detect(x, boxes, limit=4)
    assert first.boxes.shape == (4, 4) and second.scores.shape == (1, 5)
    persons = first.scores[:, 0].tolist()
    assert persons == sorted(logits[:6, 0].sigmoid().tolist(), reverse=True)[:4]
    assert math.isclose(float(second.scores[0, 3]), float(logits[6, 3].sigmoid()), rel_tol=1e-5)
    few = detector.detect(x, boxes, overlap=0.1)[0]
    assert len(few.boxes) == 1  # all of them overlap
