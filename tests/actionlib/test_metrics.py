"""Accuracies against numbers worked by hand and against counting in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionlib.errors import ActionlibError
from actionlib.metrics import confusion_matrix, mean_class_accuracy, top_k_accuracy

SCORES = np.array(
    [
        [0.7, 0.2, 0.1],  # label 0: first
        [0.1, 0.3, 0.6],  # label 1: second
        [0.5, 0.3, 0.2],  # label 2: third
        [0.4, 0.4, 0.2],  # label 1: ties with class 0, so second
    ]
)
LABELS = np.array([0, 1, 2, 1])


def test_by_hand() -> None:
    assert [top_k_accuracy(SCORES, LABELS, k) for k in (1, 2, 3, 5)] == [0.25, 0.75, 1.0, 1.0]
    assert confusion_matrix(SCORES, LABELS).tolist() == [[1, 0, 0], [1, 0, 1], [1, 0, 0]]
    assert mean_class_accuracy(SCORES, LABELS) == pytest.approx((1 + 0 + 0) / 3)


def test_constant_scores_are_never_right() -> None:
    assert top_k_accuracy(np.zeros((5, 4)), np.arange(5) % 4, 1) == 0.0
    assert top_k_accuracy(np.zeros((5, 4)), np.arange(5) % 4, 3) == 0.0
    assert top_k_accuracy(np.zeros((5, 4)), np.arange(5) % 4, 4) == 1.0


def test_classes_without_samples_are_left_out() -> None:
    """Class 0: 3 of 4 right, class 2: 1 of 2, class 1 and 3: none there -> (0.75 + 0.5) / 2."""
    scores = np.eye(4)[[0, 0, 0, 3, 2, 1]]
    labels = np.array([0, 0, 0, 0, 2, 2])
    assert mean_class_accuracy(scores, labels) == 0.625
    assert top_k_accuracy(scores, labels, 1) == pytest.approx(4 / 6)


@given(st.data(), st.integers(1, 6), st.integers(1, 20))
def test_agrees_with_counting(data: st.DataObject, classes: int, samples: int) -> None:
    score = st.lists(st.integers(-3, 3), min_size=classes, max_size=classes)
    scores = data.draw(st.lists(score, min_size=samples, max_size=samples))
    labels = data.draw(st.lists(st.integers(0, classes - 1), min_size=samples, max_size=samples))
    array, target = np.array(scores, dtype=np.float32), np.array(labels)
    for k in range(1, classes + 1):
        hits = sum(
            sum(other >= row[label] for c, other in enumerate(row) if c != label) < k
            for row, label in zip(scores, labels, strict=True)
        )
        assert top_k_accuracy(array, target, k) == pytest.approx(hits / samples)
    matrix = confusion_matrix(array, target)
    assert matrix.sum() == samples and matrix.shape == (classes, classes)
    for row, label in zip(scores, labels, strict=True):
        matrix[label, row.index(max(row))] -= 1
    assert not matrix.any()


@pytest.mark.parametrize(
    ("scores", "labels", "k", "message"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), 1, "no samples"),
        (np.zeros((2, 3)), np.zeros(3, int), 1, r"\(2, 3\) and labels \(3,\)"),
        (np.zeros((2, 3)), np.array([0, 3]), 1, "labels 0 to 3 do not fit scores of 3"),
        (np.zeros((2, 3)), np.array([-1, 0]), 1, "labels -1 to 0"),
        (np.array([[np.nan, 1.0]]), np.array([0]), 1, "not finite"),
        (np.zeros((1, 2)), np.array([0]), 0, "k is at least 1"),
    ],
)
def test_wrong_input(scores: np.ndarray, labels: np.ndarray, k: int, message: str) -> None:
    with pytest.raises(ActionlibError, match=message):
        top_k_accuracy(scores, labels, k)
