#!/usr/bin/env python3
"""The main job on this machine, on drawn videos or your own. See docs/demo.md."""

from __future__ import annotations

import sys
from pathlib import Path

from jobs import cli
from pipelines.demo import DemoConfig, demo, stop


def main(config: DemoConfig) -> None:
    if config.stop:
        stop(Path(config.folder).absolute())
    else:
        demo(config)


if __name__ == "__main__":
    sys.exit(cli.run(main, DemoConfig))
