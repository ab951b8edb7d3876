#!/usr/bin/env python3
"""Preprocess Kinetics-600. See docs/datasets/kinetics.md."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from jobs import cli, kinetics


@dataclass(frozen=True, kw_only=True)
class Config(kinetics.KineticsConfig):
    __doc__ = kinetics.KineticsConfig.__doc__

    name: str = "k600"
    """Name of the data set, kept in the dataset and shown in results."""


def main(config: Config) -> None:
    kinetics.main(config, "k600")


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
