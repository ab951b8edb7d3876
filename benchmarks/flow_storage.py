#!/usr/bin/env python3
"""Bytes of stored flow and the error that storing adds, on real videos at 340x256.

    python benchmarks/flow_storage.py --videos DIR

The error is the mean endpoint distance in pixels between the flow before and after storing, clipping included.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from flow import grey_pair  # the file beside this one

from actionlib.flow import FlowFormat, decode_planes, dequantise, encode_planes, flow, quantise

FORMATS = (
    FlowFormat(encoding="png"),
    FlowFormat(encoding="png", rule="truncate"),
    FlowFormat(encoding="png", bound=15),
    FlowFormat(quality=95),
    FlowFormat(quality=90),
    FlowFormat(quality=75),
)


@dataclass(frozen=True)
class Config:
    """Sizes and errors of stored flow."""

    videos: Path
    """Folder of real videos."""
    pairs: int = 8
    """Frame pairs, from as many videos."""


def main(config: Config) -> None:
    paths = sorted(p for p in config.videos.rglob("*") if p.suffix in (".avi", ".mp4"))
    chosen = paths[:: max(1, len(paths) // config.pairs)][: config.pairs]
    pixels = np.concatenate([flow(grey_pair(path, 340, 256)) for path in chosen])
    print("| stored as | bytes a pair | added error, px mean | 99 of 100 below |")
    print("|---|---|---|---|")
    for form in FORMATS:
        data, offsets = encode_planes(quantise(pixels, form.bound, form.rule), form)
        levels = decode_planes(data, offsets, range(len(pixels)))
        error = np.hypot(*(dequantise(levels, form.bound, form.rule) - pixels).transpose(1, 0, 2, 3))
        name = " ".join(f"{key} {value}" for key, value in form.document().items())
        print(
            f"| {name} | {len(data) // len(pixels)} | {error.mean():.3f} | {np.quantile(error, 0.99):.3f} |"
        )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
