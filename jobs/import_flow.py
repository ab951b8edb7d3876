#!/usr/bin/env python3
"""Make a flow dataset of flow that others computed. See docs/flow.md."""

from __future__ import annotations

import sys

from jobs import cli
from pipelines.import_flow import ImportFlowConfig, import_flow


def main(config: ImportFlowConfig) -> None:
    import_flow(config)


if __name__ == "__main__":
    sys.exit(cli.run(main, ImportFlowConfig))
