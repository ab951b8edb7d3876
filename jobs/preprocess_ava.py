#!/usr/bin/env python3
"""Preprocess AVA 2.1 or 2.2, or a set in its files. See docs/datasets/ava.md."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass

from actionlib import labels
from jobs import cli
from jobs.official import OfficialConfig
from pipelines.annotation_files import local_copy, local_lists
from pipelines.prepare import prepare


@dataclass(frozen=True, kw_only=True)
class Config(OfficialConfig):
    """Store the annotated quarter of an hour of AVA's films at 30 fps, with boxes, actions and proposals as tables.

    A film is the file with its name and any suffix, anywhere below --source; those that are not there are recorded as
    missing. The three kinds of files are given as split=file.
    """

    annotations: tuple[str, ...]
    """Boxes and actions, such as train=ava_train_v2.2.csv val=ava_val_v2.2.csv."""
    label_map: str
    """Action names and ids, such as ava_action_list_v2.2_for_activitynet_2019.pbtxt: its ids are the classes."""
    excluded: tuple[str, ...] = ()
    """Excluded timestamps, such as val=ava_val_excluded_timestamps_v2.2.csv, kept as the table excluded."""
    proposals: tuple[str, ...] = ()
    """Pickles of person boxes, such as val=ava_dense_proposals_val.FAIR.recall_93.9.pkl: the table proposals."""
    start_s: float = 900.0
    """Where the stored part of every film begins, in seconds."""
    end_s: float = 1800.0
    """Where it ends; a shorter film is stored to its end."""
    person_ids: bool = True
    """Whether the annotations have a person id as eighth column; files without one are refused unless told so."""
    fps: str | None = "30"
    """Frame rate, such as 30 or 30000/1001: of frames in folders; videos are resampled to it (None: kept as they are)."""
    name: str = "ava"
    """Name of the data set, kept in the dataset and shown in results."""


def main(config: Config) -> None:
    span = labels.Span(config.start_s, config.end_s, config.person_ids)
    with ExitStack() as stack:
        label_map = stack.enter_context(local_copy(config.label_map, "--label-map"))
        boxes = stack.enter_context(local_lists(config.annotations, "--annotations"))
        excluded = stack.enter_context(local_lists(config.excluded, "--excluded"))
        proposals = stack.enter_context(local_lists(config.proposals, "--proposals"))
        prepare(
            config,
            lambda listing: config.checked(
                "ava", labels.ava(boxes, label_map, excluded, proposals, listing(), span)
            ),
        )


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
