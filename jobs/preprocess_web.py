#!/usr/bin/env python3
"""Preprocess web images, trimmed clips and untrimmed videos together. See docs/datasets/web.md."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import dataclass

from jobs import cli
from pipelines.annotation_files import local_copy, local_lists
from pipelines.prepare import prepare
from pipelines.web_sources import WebConfig, annotate


@dataclass(frozen=True, kw_only=True)
class Config(WebConfig):
    """Store web data of three kinds under one class list, untrimmed videos cut into clips.

    Every kind has lists of `path label` lines, given as split=file. Training chooses and mixes kinds with --kinds.
    """

    trimmed: tuple[str, ...] = ()
    """Lists of trimmed clips, such as train=k400_train.txt val=k400_val.txt."""
    untrimmed: tuple[str, ...] = ()
    """Lists of untrimmed videos, such as train=web_videos.txt."""
    images: tuple[str, ...] = ()
    """Lists of still pictures, such as train=web_images.txt; each becomes a video of one frame."""
    classes: str | None = None
    """File of class names, `number name` or one name a line (default: the numbers themselves)."""
    name: str = "web"
    """Name of the data set, kept in the dataset and shown in results."""


def main(config: Config) -> None:
    with ExitStack() as stack:
        classes = stack.enter_context(local_copy(config.classes, "--classes")) if config.classes else None
        kinds = {"trimmed": config.trimmed, "untrimmed": config.untrimmed, "image": config.images}
        lists = {
            kind: stack.enter_context(local_lists(given, "--images" if kind == "image" else f"--{kind}"))
            for kind, given in kinds.items()
        }
        prepare(config, annotate(config, lists, classes))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
