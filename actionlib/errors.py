"""One exception tree.

`InputError` and what is below it mean that the caller's input, flags or environment are wrong and that
running again unchanged cannot help: jobs end with exit code 2. Every other `ActionlibError` means that the
work itself failed: exit code 1, or 3 where another run is at it already. A message says what, where, and what to do.
"""


class ActionlibError(Exception):
    """Base of every error this project raises on purpose."""


class InputError(ActionlibError):
    """The caller's input is wrong: a flag, a location, a file they wrote."""


class LabelError(InputError):
    """An annotation file is wrong; the message names file and line."""


class RecipeError(InputError):
    """A recipe value is impossible or an unknown name was given."""


class LocationError(InputError):
    """A path or bucket is missing, unreadable, unwritable or not versioned."""


class DecodeError(ActionlibError):
    """A video cannot be decoded. Becomes a manifest row, never the end of a job.

    Attributes:
        stage: the step that failed: `fetch`, `probe`, `transcode`, `verify` or `flow`.
        reason: one line for the manifest, without paths of this machine.
    """

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reason = reason

    def __reduce__(self) -> tuple[type["DecodeError"], tuple[str, str]]:
        return type(self), (self.stage, self.reason)  # survives the way through a worker process


class SourceMissingError(ActionlibError):
    """A source turned out not to be there when it was fetched. Becomes a manifest row, never the end of a job.

    The message is its reason, one line for the manifest.
    """


class ShardError(ActionlibError):
    """A stored dataset is damaged or differs from what its manifest promises."""


class CheckpointError(ActionlibError):
    """A checkpoint is damaged, incomplete, or does not fit the model."""


class ConflictError(ActionlibError):
    """Another process changed an object between our read and our conditional write."""


class StorageError(ActionlibError):
    """The storage refuses, does not answer, or damages what passes through it.

    Attributes:
        reason: the same in one line for the manifest, without names of this place.
        may_pass: whether the same may go well later, as after an outage or with more room on the disk.
    """

    def __init__(self, message: str, reason: str = "", may_pass: bool = False) -> None:
        super().__init__(message)
        self.reason = reason or message
        self.may_pass = may_pass


class AlreadyRunningError(ActionlibError):
    """Another run works at the same place. Jobs end with exit code 3: nothing is wrong, and nothing is to be mended."""


class LeaseLostError(ConflictError):
    """Another run took this place over while ours made no sign of life; ours must stop and cannot publish."""
