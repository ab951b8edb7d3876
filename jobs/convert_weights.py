#!/usr/bin/env python3
"""Convert a checkpoint that another project published and put it into a zoo. See docs/weights.md."""

from __future__ import annotations

import sys

from jobs import cli
from pipelines.publish import ConvertConfig, convert_weights


def main(config: ConvertConfig) -> None:
    place = convert_weights(config)
    print(f"converted to {place}")
    print(
        f"use it:   ACTIONLIB_ZOO={config.output} and pretrained={place.rsplit('/', 1)[-1]!r} in create_model"
    )


if __name__ == "__main__":
    sys.exit(cli.run(main, ConvertConfig))
