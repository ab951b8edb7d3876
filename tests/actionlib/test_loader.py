"""Training clips of classes that have a direction."""

from __future__ import annotations

import dataclasses

import torch

from actionlib.dataset import Dataset
from actionlib.loader import TrainClips
from actionlib.recipes import ColourJitter, Recipe, Sampling


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


def test_maps_of_colours_come_with_clips_where_the_recipe_changes_colours(small_dataset: Dataset) -> None:
    sampling = Sampling("uniform", frames=2)
    plain = Recipe(
        sampling=sampling, train_crop="centre", train_crop_px=32, train_short_side_px=(32, 32), flip_prob=0.0
    )
    jitter = dataclasses.replace(plain, colour=ColourJitter(brightness=20.0, lighting_std=0.1))
    videos = small_dataset.indices("train")
    keys = [(0, 0), (1, 0), (0, 1)]
    without = TrainClips(small_dataset, videos, plain, seed=1).__getitems__(keys)
    first, again = (TrainClips(small_dataset, videos, jitter, seed=1).__getitems__(keys) for _ in range(2))
    for (clip, label), (same_clip, same_label, maps), (_, _, same_maps) in zip(
        without, first, again, strict=True
    ):
        assert torch.equal(clip, same_clip) and label == same_label
        assert maps.shape == (2, 3, 4) and torch.equal(maps, same_maps)
    assert not torch.equal(first[0][2], first[1][2]), "another epoch, other colours"
    assert not torch.equal(first[0][2], first[2][2]), "another video, other colours"
