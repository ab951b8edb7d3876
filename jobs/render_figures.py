#!/usr/bin/env python3
"""Draw a set of videos of figures in action. See docs/demo_data.md."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from actionlib import figures
from jobs import cli
from pipelines.progress import Ticker


@dataclass(frozen=True, kw_only=True)
class Config:
    """Draw videos of figures in action, as H.264 files with split files in the layout of UCF101."""

    output: str
    """A folder that does not exist, is empty, or holds this very set from an earlier run."""
    set: Literal["first", "second"] = "first"
    """first: 10 classes, painted look; second: 8 other classes, drawn on paper."""
    videos: int | None = None
    """Videos a class, by default as many as in `make demo`."""
    seed: int = 0
    """The same seed gives the same frames."""


def main(config: Config) -> None:
    output = Path(config.output).absolute()
    videos = figures.DEMO_VIDEOS[config.set] if config.videos is None else config.videos
    ticker = None
    for done, total in figures.render(output, config.set, videos, config.seed):
        ticker = ticker or Ticker("videos drawn", total)
        ticker.advance(done - ticker.done)
    print(f"{output}: {videos} videos a class; split files in {output / 'ucfTrainTestlist'}")


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
