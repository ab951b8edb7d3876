#!/usr/bin/env python3
"""Preprocess THUMOS'14. See docs/datasets/thumos14.md."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass

from actionlib import labels
from jobs import cli
from jobs.official import OfficialConfig
from pipelines.annotation_files import local_copies, local_copy
from pipelines.prepare import prepare


@dataclass(frozen=True, kw_only=True)
class Config(OfficialConfig):
    """Store the temporally annotated videos of THUMOS'14, whole, with their segments.

    Splits are val (200 videos) and test (213). A video is the file with its name and any suffix, anywhere below
    --source; those that are not there are recorded as missing.
    """

    annotations: str
    """Folder with <Class>_val.txt and <Class>_test.txt, and where you have them durations and avoid lists."""
    proposals: tuple[str, ...] = ()
    """TAG/SSN lists, normalised or in frames, or folders of BSN/BMN files: tables proposals and proposal_actions."""
    name: str = "thumos14"
    """Name of the data set, kept in the dataset and shown in results."""


def main(config: Config) -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(local_copy(config.annotations, "--annotations"))
        lists = stack.enter_context(local_copies(config.proposals, "--proposals"))
        prepare(
            config,
            lambda listing: config.checked("thumos14", labels.thumos14(folder, listing(), lists)),
        )


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
