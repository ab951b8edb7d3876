#!/usr/bin/env python3
"""Preprocess Kinetics-400, or another Kinetics in the same format. See docs/preprocess.md."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass

from actionlib import labels
from actionlib.errors import InputError
from jobs import cli
from pipelines.annotation_files import local_copies, local_copy, local_lists
from pipelines.prepare import PrepareConfig, prepare


@dataclass(frozen=True, kw_only=True)
class Config(PrepareConfig):
    """Store Kinetics as a dataset of encoded shards, from the official CSV files or from `path label` lists.

    With CSV files, videos are found by the name of a trimmed file, <youtube id>_<start>_<end> with six digits each,
    anywhere below --source. Splits are train, val and test. Listed videos that are not there are recorded as missing.
    """

    annotations: tuple[str, ...] = ()
    """Official CSV files: label,youtube_id,time_start,time_end,split[,is_cc]; a test list may lack the label."""
    lists: tuple[str, ...] = ()
    """Instead of --annotations: lists of `path label` lines as split=file, such as train=train.txt val=val.txt."""
    classes: str | None = None
    """File of class names, one a line (default: the sorted labels of the CSV files)."""
    name: str = "k400"
    """Name of the data set, kept in the dataset and shown in results."""


def main(config: Config) -> None:
    if bool(config.annotations) == bool(config.lists):
        raise InputError("give either --annotations with the CSV files or --lists with `path label` lists")
    with ExitStack() as stack:
        classes = stack.enter_context(local_copy(config.classes, "--classes")) if config.classes else None
        files = stack.enter_context(local_copies(config.annotations, "--annotations"))
        lists = stack.enter_context(local_lists(config.lists))
        if lists:
            prepare(config, lambda listing: labels.path_label_lists(lists, classes))
        else:
            prepare(config, lambda listing: labels.kinetics(files, listing(), classes))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
