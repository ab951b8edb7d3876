#!/usr/bin/env python3
"""List the checkpoints of a run, or roll `latest` or `best` back to an earlier one. See docs/checkpoints.md."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from actionlib import checkpoints, storage
from actionlib.checkpoints import Pointer, Run
from actionlib.errors import CheckpointError, InputError
from jobs import cli


@dataclass(frozen=True)
class CheckpointsConfig:
    """Show what `latest` and `best` of a run named over time; change them with --roll-back."""

    checkpoints: str
    """Where runs keep their checkpoints: a local folder or s3://bucket/prefix."""
    run: str
    """Name of the run below --checkpoints."""
    pointer: Pointer = "latest"
    """The pointer that --roll-back changes."""
    roll_back: str | None = None
    """Version id, from the list: let --pointer name again what this version named, once it verifies."""
    verify: bool = False
    """Read every checkpoint and check its hashes; exit code 1 if one is damaged."""


def main(config: CheckpointsConfig) -> None:
    root = storage.check_uri(config.checkpoints, "--checkpoints")
    run = Run(storage.join(root, config.run))
    if run.target("latest") is None and not run.names():
        raise InputError(f"no run {config.run} with checkpoints at {root}")
    if config.roll_back is not None:
        target = run.roll_back(config.pointer, config.roll_back)
        print(f"{config.pointer} now names {target['checkpoint']} (step {target['step']})")
    there = set(run.names())
    for pointer in checkpoints.POINTERS:
        print(f"{pointer}:")
        for version, named in run.history(pointer):
            what = f"{named['checkpoint']}  {named['metrics']}" if named else "damaged"
            if named and named["checkpoint"] not in there:
                what += "  (deleted by --keep)"
            print(f"  {'*' if version.current else ' '} {version.id}  {version.modified}  {what}")
    if config.verify:
        _verify(run)


def _verify(run: Run) -> None:
    damaged = 0
    for name in run.names():
        try:
            checkpoints.load(storage.join(run.uri, name))
            print(f"{name}: intact")
        except CheckpointError as error:
            damaged += 1
            print(f"{name}: {error}")
    if damaged:
        raise CheckpointError(
            f"{damaged} damaged checkpoints in {run.uri}; a training skips them when it resumes"
        )


if __name__ == "__main__":
    sys.exit(cli.run(main, CheckpointsConfig))
