"""Scores of an evaluation as files: written by evaluation and fusion, read by fusion and reports.

<output>/scores.parquet   id, label, scores, one row per video in manifest order
<output>/metrics.json     accuracy, n evaluated of N nominal, and what was scored by which protocol; written last
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from actionlib import storage
from actionlib.errors import InputError
from actionlib.metrics import confusion_matrix, mean_class_accuracy, top_k_accuracy
from actionlib.scratch import scratch_folder

_SCORES, _METRICS = "scores.parquet", "metrics.json"


@dataclass(frozen=True)
class Scores:
    """A stored evaluation: ids in manifest order, labels int64 `(N,)`, scores float32 `(N, classes)`, its metrics."""

    uri: str
    ids: tuple[str, ...]
    labels: np.ndarray
    scores: np.ndarray
    metrics: dict[str, Any]


def metrics_at(output: str) -> dict[str, Any] | None:
    """`metrics.json` of a finished evaluation, None where there is none."""
    try:
        metrics: dict[str, Any] = json.loads(storage.read(storage.join(output, _METRICS)))
    except FileNotFoundError:
        return None
    return metrics


def read(uri: str, flag: str) -> Scores:
    """A stored evaluation.

    Raises:
        InputError: there is none, or its files are damaged.
    """
    uri = storage.check_uri(uri, flag)
    try:
        metrics = metrics_at(uri)
        if metrics is None:
            raise InputError(f"{flag} {uri}: no {_METRICS}; it is not the output of jobs/evaluate.py")
        table = pq.read_table(pa.BufferReader(storage.read(storage.join(uri, _SCORES))))
        return Scores(
            uri,
            tuple(str(video) for video in table["id"].to_pylist()),
            table["label"].to_numpy(),
            np.array(table["scores"].to_pylist(), np.float32),
            metrics,
        )
    except (ValueError, KeyError, FileNotFoundError, pa.ArrowException) as error:
        raise InputError(f"{flag} {uri}: damaged ({error}); evaluate again to another --output") from error


def write(
    output: str, ids: Sequence[str], labels: np.ndarray, scores: np.ndarray, metrics: dict[str, Any]
) -> None:
    """Store an evaluation, `metrics.json` last: without it the evaluation is not there."""
    table = pa.table(
        {
            "id": pa.array(ids, pa.string()),
            "label": pa.array(labels, pa.int64()),
            "scores": pa.FixedSizeListArray.from_arrays(pa.array(scores.reshape(-1)), scores.shape[1]),
        }
    )
    with scratch_folder("actionlib-scores-") as folder:
        path = folder / _SCORES
        pq.write_table(table, path)
        storage.upload(path, storage.join(output, _SCORES))
    storage.write(storage.join(output, _METRICS), json.dumps(metrics, indent=1).encode())


def accuracy(scores: np.ndarray, labels: np.ndarray, classes: Sequence[str], nominal: int) -> dict[str, Any]:
    """The numbers of `metrics.json`: top-1, top-5, mean class, per class, and how many of the nominal videos."""
    matrix = confusion_matrix(scores, labels)
    return {
        "evaluated": len(scores),
        "nominal": nominal,
        "top1": top_k_accuracy(scores, labels, 1),
        "top5": top_k_accuracy(scores, labels, 5),
        "mean_class": mean_class_accuracy(scores, labels),
        "per_class": {
            name: {"right": int(matrix[i, i]), "of": int(matrix[i].sum())} for i, name in enumerate(classes)
        },
    }


def summary(metrics: dict[str, Any]) -> str:
    """One line: the accuracies and n of N."""
    return (
        f"top-1 {metrics['top1']:.3f}  top-5 {metrics['top5']:.3f}  mean class {metrics['mean_class']:.3f}  "
        f"on {metrics['evaluated']} of {metrics['nominal']} videos"
    )
