"""Accuracy from arrays of scores: what the tables of papers show, and what a confusion matrix adds.

Scores are `(N, K)`, higher is more likely, logits or probabilities alike; labels are class indices `(N,)`.
"""

from __future__ import annotations

import numpy as np

from actionlib.errors import ActionlibError


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of the N samples whose label is among the k highest scores, in [0, 1].

    A tie counts against the sample: its rank is one more than the number of other classes that score at least as
    much, so constant scores give 0, not 1. With k >= K the result is 1.

    Raises:
        ActionlibError: for no samples, shapes or labels that do not fit, scores that are not finite, or k < 1.
    """
    _check(scores, labels)
    if k < 1:
        raise ActionlibError(f"top-{k} accuracy: k is at least 1")
    own = scores[np.arange(len(labels)), labels]
    ahead = (scores >= own[:, None]).sum(axis=1) - 1
    return float((ahead < k).mean())


def mean_class_accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Mean over classes of top-1 accuracy within the class, in [0, 1]; classes without samples are left out.

    A tie goes to the class with the lower index, as in `confusion_matrix`. Raises as `top_k_accuracy` does.
    """
    matrix = confusion_matrix(scores, labels)
    samples = matrix.sum(axis=1)
    there = samples > 0
    return float((matrix.diagonal()[there] / samples[there]).mean())


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Number of samples of class `row` for which `column` scored highest (the lower index of equals): int64 `(K, K)`.

    Raises as `top_k_accuracy` does.
    """
    _check(scores, labels)
    classes = scores.shape[1]
    cells = labels.astype(np.int64) * classes + scores.argmax(axis=1)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def _check(scores: np.ndarray, labels: np.ndarray) -> None:
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ActionlibError(f"scores {scores.shape} and labels {labels.shape} are not (N, K) and (N,)")
    if not len(labels):
        raise ActionlibError("no samples: an accuracy of nothing is not a number")
    if labels.min() < 0 or labels.max() >= scores.shape[1]:
        raise ActionlibError(
            f"labels {labels.min()} to {labels.max()} do not fit scores of {scores.shape[1]} classes"
        )
    if not np.isfinite(scores).all():
        raise ActionlibError("scores are not finite; a NaN would count as a rank")
