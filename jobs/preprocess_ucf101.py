#!/usr/bin/env python3
"""Preprocess UCF101, or any set in its layout. See docs/datasets/ucf101.md."""

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
    """Store UCF101 (or any set with classInd.txt, trainlist0N.txt and testlist0N.txt) as a dataset of encoded shards.

    Splits are train1, test1, train2, ... Listed videos that are not there are recorded as missing.
    """

    annotations: str
    """The ucfTrainTestlist folder: local path or s3://bucket/prefix."""
    name: str = "ucf101"
    """Name of the data set, kept in the dataset and shown in results."""


def main(config: Config) -> None:
    with local_copy(config.annotations, "--annotations") as folder:
        prepare(config, lambda listing: config.checked("ucf101", labels.ucf101(folder)))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
