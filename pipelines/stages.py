"""What all stages on Ray Data have in common: the progress shown is ours, a task may take as long as it needs, and what
it raises reaches the user as it was raised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray.data
import ray.exceptions

from actionlib.errors import ActionlibError

RETRIES = 3  # of a task whose worker died; Ray Data's own default is for ever, which turns a deadly video into a hang


def from_items(items: Sequence[Any], per_task: int = 1) -> ray.data.Dataset:
    """The items as the input of a stage, so many of them for each of its tasks."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.raise_original_map_exception = True
    context.execution_no_progress_timeout_s = -1  # a task may say nothing before its end
    return ray.data.from_items(list(items), override_num_blocks=-(-len(items) // per_task))


@contextmanager
def told(what: str) -> Iterator[None]:
    """Around waiting for tasks: an error of one is raised without Ray's frames around it.

    Args:
        what: that was not done then, such as "a shard could not be made".

    Raises:
        ActionlibError: what a task raised on purpose; what a disk said; that workers died again and again.
        RayTaskError: a defect, as Ray tells it, with the traceback.
    """
    try:
        yield
    except ray.exceptions.RayError as error:
        raise _cause(error, what) from error


def _cause(error: ray.exceptions.RayError, what: str) -> Exception:
    cause = getattr(error, "cause", None)
    if isinstance(cause, ActionlibError):
        # Ray Data appends how to have it try again what fails, and that would mend nothing.
        cause.args = (str(cause).partition("\nFailed to apply UDF transform")[0],)
        return cause
    if isinstance(cause, OSError):
        return ActionlibError(f"{what}: {cause}; once that is mended, run the same command again")
    if isinstance(error, ray.exceptions.RayTaskError) or "creation task" in str(error):
        return error  # of an actor that could not be made it is a text, with the traceback
    reason = str(error).partition("\n")[0]  # Ray adds what it knows of the machine, which is in its log
    return ActionlibError(
        f"{what}, its worker died again and again: {reason}. If memory ran out, give fewer --workers; then run the same "
        "command again"
    )
