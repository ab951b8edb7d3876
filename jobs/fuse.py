#!/usr/bin/env python3
"""Fuse the scores of several evaluations, such as RGB and flow. See docs/evaluate.md."""

from __future__ import annotations

import sys

from jobs import cli
from pipelines import scores
from pipelines.fuse import FuseConfig, fuse


def main(config: FuseConfig) -> None:
    fusion = fuse(config)
    for uri, weight, metrics in zip(config.evaluations, fusion.weights, fusion.single, strict=True):
        print(f"{scores.summary(metrics)}  alone, counts {weight:.3f}: {uri}")
    print(f"{scores.summary(fusion.metrics)}  fused: {fusion.output}")


if __name__ == "__main__":
    sys.exit(cli.run(main, FuseConfig))
