#!/usr/bin/env python3
"""Train, fine-tune or transfer an entry of the zoo on a stored dataset. See docs/train.md."""

from __future__ import annotations

import sys

from jobs import cli
from pipelines.train import train
from pipelines.train_plan import TrainConfig


def main(config: TrainConfig) -> None:
    result = train(config)
    best = result.best["metrics"]
    if "val_top1" in best:
        print(
            f"best checkpoint: step {result.best['step']}, validation top-1 {best['val_top1']:.3f} (1 view)"
        )
    print(f"weights: {result.run_uri} (best.json names the best checkpoint, latest.json the last)")
    print(f"next:    python jobs/evaluate.py --weights {result.run_uri} --data {config.data}")


if __name__ == "__main__":
    sys.exit(cli.run(main, TrainConfig))
