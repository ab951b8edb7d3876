#!/usr/bin/env python3
"""Score the videos of a split and write scores and metrics. See docs/evaluate.md."""

from __future__ import annotations

import sys

from jobs import cli
from pipelines.evaluate import EvaluateConfig, evaluate


def main(config: EvaluateConfig) -> None:
    evaluation = evaluate(config)
    print(evaluation.summary())
    print(f"scores and metrics: {evaluation.output}")


if __name__ == "__main__":
    sys.exit(cli.run(main, EvaluateConfig))
