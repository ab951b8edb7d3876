#!/usr/bin/env python3
"""Preprocess HMDB51. See docs/datasets/hmdb51.md."""

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
    """Store HMDB51 as a dataset of encoded shards.

    Splits are train1, test1, train2, ... Listed videos that are not there are recorded as missing. Those that no
    split uses (code 0) are stored too, in no split.
    """

    annotations: str
    """The testTrainMulti_7030_splits folder: local path or s3://bucket/prefix."""
    name: str = "hmdb51"
    """Name of the data set, kept in the dataset and shown in results."""


def main(config: Config) -> None:
    with local_copy(config.annotations, "--annotations") as folder:
        prepare(config, lambda listing: config.checked("hmdb51", labels.hmdb51(folder)))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
