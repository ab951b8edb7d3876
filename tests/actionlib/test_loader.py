"""Training clips of classes that have a direction."""

from __future__ import annotations

import dataclasses

import torch

from actionlib.dataset import Dataset
from actionlib.loader import TrainClips
from actionlib.recipes import Recipe, Sampling


def test_a_mirrored_clip_has_the_label_of_the_mirrored_class(small_dataset: Dataset) -> None:
    """Classes 0 and 2 are a pair, 1 must not be mirrored, 3 looks the same either way."""
    recipe = Recipe(
        sampling=Sampling("uniform", frames=2),
        train_crop="centre",
        train_crop_px=32,
        train_short_side_px=(32, 32),
    )
    document = {**small_dataset.document, "mirrored": {"pairs": [[0, 2]], "never": [1]}}
    directed = Dataset(small_dataset.uri, document, small_dataset.version)
    videos = small_dataset.indices("train")
    labels = small_dataset.labels(videos).tolist()
    keys = [(0, position) for position in range(len(videos))]
    assert set(labels) == {0, 1, 2, 3}

    def clips(data: Dataset, flip_prob: float) -> list[tuple[torch.Tensor, int]]:
        return TrainClips(
            data, videos, dataclasses.replace(recipe, flip_prob=flip_prob), seed=1
        ).__getitems__(keys)

    plain, mirrored = clips(directed, 0.0), clips(directed, 1.0)
    assert [label for _, label in plain] == labels
    assert [label for _, label in mirrored] == [{0: 2, 2: 0}.get(label, label) for label in labels]
    for (before, label), (after, _) in zip(plain, mirrored, strict=True):
        assert torch.equal(after, before if label == 1 else before.flip(-1))
    assert [label for _, label in clips(small_dataset, 1.0)] == labels, (
        "a dataset that says nothing of mirrors"
    )
