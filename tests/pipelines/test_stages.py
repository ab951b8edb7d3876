"""What a user is told of a task or an actor that fails: what was raised, not how Ray passed it on."""

from __future__ import annotations

import os
import signal

import pytest
import ray
import ray.exceptions

from actionlib.errors import ActionlibError, ShardError
from pipelines import stages

pytestmark = pytest.mark.usefixtures("local_ray")


@ray.remote(max_retries=0)
def fail(kind: str) -> None:
    if kind == "on purpose":
        raise ShardError("part-00003: damaged")
    if kind == "disk":
        raise OSError(5, "Input/output error")
    if kind == "defect":
        raise ZeroDivisionError("three by nought")
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [
        ("on purpose", ShardError, "^part-00003: damaged$"),
        (
            "disk",
            ActionlibError,
            "^no shard: .*Input/output error; once that is mended, run the same command",
        ),
        ("defect", ray.exceptions.RayTaskError, "three by nought"),
        (
            "death",
            ActionlibError,
            "^no shard, its worker died again and again: .* --workers; then run the same",
        ),
    ],
)
def test_an_error_is_told_as_it_was_raised(kind: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text), stages.told("no shard"):
        ray.get(fail.remote(kind))


def test_of_an_actor_that_cannot_be_made_the_cause_is_told() -> None:
    @ray.remote
    class Broken:
        def __init__(self) -> None:
            raise ShardError("part-00003: damaged")

        def work(self) -> None: ...

    with pytest.raises(ray.exceptions.RayError, match="part-00003: damaged"), stages.told("no shard"):
        ray.get(Broken.remote().work.remote())
