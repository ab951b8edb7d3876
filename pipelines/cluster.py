"""Joining Ray: a running cluster where there is one for us, this machine otherwise."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

# Read when Ray starts: no usage report leaves the machine, a worker without GPUs keeps CUDA_VISIBLE_DEVICES, and a
# task is not started for ever on a machine without memory (Ray waits 1, 2, 4 s between these tries).
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_task_oom_retries", "3")

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actionlib.errors import ActionlibError

# What they say at every start is no news to the user; their warnings and errors that matter come as exceptions.
_QUIET = {
    "ray._private.authentication.authentication_token_setup": logging.ERROR,
    "ray.data._internal.execution.streaming_executor": logging.WARNING,
    # Ray's frames around what a task raised, with the advice to go on without the shard and to tell Ray's authors.
    "ray.data._internal.execution.streaming_executor_state": logging.CRITICAL,
    "ray.data.exceptions": logging.CRITICAL,
    "ray.data._internal.progress": logging.ERROR,
}


def connect(cpus: int | None = None) -> None:
    """Join the cluster named by `RAY_ADDRESS` (set inside a submitted job), or start Ray on this machine.

    A cluster that merely happens to run on this machine is not joined: who wants it sets `RAY_ADDRESS`.
    Does nothing where this process is connected already.

    Args:
        cpus: of a Ray started here; by default as many as the machine has. A cluster keeps its own number.

    Raises:
        ActionlibError: Ray does not start or the cluster does not answer.
    """
    # Ray 2.60 wants retry limits as named parameters of its Data operations and has none for them.
    warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    if ray.is_initialized():
        return
    if os.environ.get("RAY_ADDRESS"):
        try:
            ray.init(logging_level=logging.WARNING, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ActionlibError(
                f"no Ray cluster answers at RAY_ADDRESS={os.environ['RAY_ADDRESS']}: {error}"
            ) from error
        return
    _start(cpus)
    token = Path.home() / ".ray" / "auth_token"  # Ray makes it, readable by everybody on the machine
    if token.is_file() and token.stat().st_mode & 0o077:
        token.chmod(0o600)


def is_local() -> bool:
    """Whether Ray runs on this machine for this process alone, so that it will not grow."""
    return not os.environ.get("RAY_ADDRESS")


def cores() -> int:
    """CPU cores of the cluster now; one that grows by itself may get more."""
    return int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]


def most_memory_bytes() -> int:
    """Memory that Ray gives to tasks on the node that has most of it."""
    return int(max(node.get("memory", 0) for node in _nodes()))


def room(memory_bytes: int) -> int:
    """How many tasks of one core and so much memory run at once, on the nodes that there are now; at least 1."""
    return max(
        1, sum(int(min(node.get("CPU", 0), node.get("memory", 0) // memory_bytes)) for node in _nodes())
    )


def _nodes() -> list[dict[str, float]]:
    """Resources of the nodes that run tasks: the head of a cluster often has memory and no core. Of all while none do."""
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    return [node for node in alive if node.get("CPU")] or alive


def beside_driver() -> NodeAffinitySchedulingStrategy:
    """Where an actor goes that the driver talks to: its own node, which lives as long as the job does."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def _start(cpus: int | None) -> None:
    """Start Ray on this machine. A machine under load can miss Ray's 30 s for it, so there is a second try."""
    for last in (False, True):
        try:
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                logging_level=logging.WARNING,
                log_to_driver=False,
            )
            return
        except Exception as error:  # Ray raises it bare: "The current node timed out during startup"
            ray.shutdown()
            if last:
                raise ActionlibError(
                    f"Ray did not start on this machine: {error}. The same command tries again"
                ) from error
