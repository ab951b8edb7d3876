#!/usr/bin/env python3
"""Make optical flow of a stored dataset. See docs/flow.md."""

from __future__ import annotations

import sys

from jobs import cli
from pipelines.extract_flow import ExtractFlowConfig, extract_flow


def main(config: ExtractFlowConfig) -> None:
    extract_flow(config)


if __name__ == "__main__":
    sys.exit(cli.run(main, ExtractFlowConfig))
