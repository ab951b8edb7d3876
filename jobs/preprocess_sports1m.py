#!/usr/bin/env python3
"""Preprocess Sports-1M. See docs/datasets/sports1m.md."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from actionlib import labels
from jobs import cli
from jobs.official import OfficialConfig
from pipelines.annotation_files import local_copy
from pipelines.prepare import prepare


@dataclass(frozen=True, kw_only=True)
class Config(OfficialConfig):
    """Store Sports-1M as a dataset of encoded shards.

    Splits are train and test, and a video may have several labels. Files are named for the YouTube id of their address.
    Listed videos that are not there are recorded as missing.
    """

    annotations: str
    """Folder of labels.txt and [original/]train_partition.txt and test_partition.txt: path or s3://bucket/prefix."""
    name: str = "sports1m"
    """Name of the data set, kept in the dataset and shown in results."""


def main(config: Config) -> None:
    with local_copy(config.annotations, "--annotations") as folder:
        prepare(config, lambda listing: config.checked("sports1m", labels.sports1m(folder, listing())))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
