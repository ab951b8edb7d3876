"""Joining Ray: a running cluster where there is one for us, this machine otherwise."""

from __future__ import annotations

import logging
import os

# Ray reads these when it is imported or started: no usage report leaves the machine, and its own lines stay out of
# the way of ours.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

import ray


def connect(cpus: int | None = None) -> None:
    """Join the cluster named by `RAY_ADDRESS` (set inside a submitted job), or start Ray on this machine.

    A cluster that merely happens to run on this machine is not joined: who wants it sets `RAY_ADDRESS`.
    Does nothing where this process is connected already.

    Args:
        cpus: of a Ray started here; by default as many as the machine has. A cluster keeps its own number.
    """
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        ray.init(logging_level=logging.WARNING, log_to_driver=False)
        return
    ray.init(
        address="local",
        num_cpus=cpus,
        include_dashboard=False,
        logging_level=logging.WARNING,
        log_to_driver=False,
    )
