#!/usr/bin/env python3
"""Preprocess Something-Something V1. See docs/datasets/something.md."""

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
    """Store Something-Something V1, folders of JPEG frames, as a dataset of encoded shards.

    The frames were cut at 12 a second. Splits are train, val and test; the test list has no labels. Listed videos
    that are not there are recorded as missing.
    """

    annotations: str
    """Folder of something-something-v1-labels.csv, -train.csv, -validation.csv, -test.csv: path or s3://bucket/prefix."""
    name: str = "something_v1"
    """Name of the data set, kept in the dataset and shown in results."""
    fps: str | None = "12"


def main(config: Config) -> None:
    with local_copy(config.annotations, "--annotations") as folder:
        prepare(config, lambda listing: config.checked("something_v1", labels.frame_lists(folder, listing())))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
