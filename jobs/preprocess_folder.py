#!/usr/bin/env python3
"""Preprocess any labelled videos: a folder for every class, or `path label` lists. See docs/preprocess.md."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass

from actionlib import fetch, labels
from actionlib.errors import InputError
from jobs import cli
from pipelines.annotation_files import local_copy, local_lists
from pipelines.prepare import prepare
from pipelines.prepare_config import PrepareConfig


@dataclass(frozen=True, kw_only=True)
class Config(PrepareConfig):
    """Store your own videos as a dataset of encoded shards.

    Without --lists the folders say the labels: source/class/video.mp4, or source/train/class/video.mp4 with the
    splits train, val and test.
    """

    lists: tuple[str, ...] = ()
    """Lists of `path label` lines as split=file, such as train1=fold1_train.txt test1=fold1_test.txt."""
    classes: str | None = None
    """With --lists: file of class names, `number name` or one name a line (default: the numbers themselves)."""


def main(config: Config) -> None:
    if config.classes and not config.lists:
        raise InputError("--classes goes with --lists; without lists the folders are the classes")
    if fetch.is_web(config.source) and not config.lists:
        raise InputError(f"--source {config.source}: a web server lists no files; name them with --lists")
    with ExitStack() as stack:
        classes = stack.enter_context(local_copy(config.classes, "--classes")) if config.classes else None
        lists = stack.enter_context(local_lists(config.lists))
        if lists:
            prepare(config, lambda listing: labels.path_label_lists(lists, classes))
        else:
            prepare(config, lambda listing: labels.folder(listing()))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
