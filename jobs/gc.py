#!/usr/bin/env python3
"""List what killed runs left in a dataset or a training run, and remove it. See docs/gc.md."""

from __future__ import annotations

import sys

from jobs import cli
from pipelines.garbage import GcConfig, collect


def main(config: GcConfig) -> None:
    collect(config)


if __name__ == "__main__":
    sys.exit(cli.run(main, GcConfig))
