#!/usr/bin/env python3
"""Put the weights of a run into a zoo, named by their hash. See docs/weights.md."""

from __future__ import annotations

import sys

from jobs import cli
from pipelines.publish import PublishConfig, publish


def main(config: PublishConfig) -> None:
    place = publish(config)
    print(f"published {place}")
    print(f"use it:   ACTIONLIB_ZOO={config.zoo} and pretrained={place.rsplit('/', 1)[-1]!r} in create_model")


if __name__ == "__main__":
    sys.exit(cli.run(main, PublishConfig))
