"""What a preprocessing job is asked for: every option, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from actionlib import transcode
from actionlib.errors import InputError
from pipelines import forms, shard_task

_MOST_MIB = 2047  # of a stored video: a page of a Parquet file holds less than 2 GiB


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """What to store, from where, to where."""

    source: str
    """Folder of the videos, which the paths in the annotation files start from: local path, s3://bucket/prefix, or
    https://host/path, where a file that the server does not have counts as missing."""
    output: str
    """Where the dataset goes: local path or s3://bucket/prefix. Run the same command again to continue or to check."""
    name: str
    """Name of the data set, kept in the dataset and shown in results."""
    resize: Literal["short256", "340x256"] = "short256"
    """short256: short side 256, aspect kept (Kinetics practice). 340x256: exactly that (UCF101, HMDB51, TSN, TSM)."""
    encoding: Literal["h264", "jpeg"] = "h264"
    """h264: small, for dense clips. jpeg: about three times larger, sparse clips read only their own frames."""
    store: tuple[str, ...] = ()
    """Several forms in one pass, such as short256:h264 340x256:jpeg: datasets of their own at output/short256-h264, ..."""
    fps: str | None = None
    """Frame rate, such as 30 or 30000/1001: of frames in folders; videos are resampled to it (None: kept as they are)."""
    split: tuple[str, ...] = ()
    """Splits to store, such as train1 test1 (default: all)."""
    limit: int | None = None
    """Store at most this many videos, spread evenly over the list, for a trial; the others count as missing."""
    shard_mib: int = 64
    """Target size of a shard file in MiB; small data sets get smaller ones, so that all cores have work."""
    shard_videos: int = 256
    """Most videos in a shard."""
    limit_seconds: float = transcode.Limits().wall_s
    """Most wall-clock seconds of one ffmpeg process; a video that takes longer is rejected. With --retry-rejected it may
    be more than the first time."""
    limit_mib: int = transcode.Limits().output_bytes >> 20
    """Most MiB of a stored video; a larger one is rejected. A task reserves 3.1 times that, and 256 MiB,
    of memory. With --retry-rejected as above."""
    strict: bool = False
    """End before any video is read if a line of the annotation files is wrong (default: report it and go on)."""
    max_rejected: float = 0.05
    """Fail, and publish nothing, if a larger share of the videos that are present cannot be stored."""
    retry_rejected: tuple[str, ...] | None = None
    """Do rejected videos again: those with one of these words in their `stage: reason`, or all if none is given."""
    workers: int | None = None
    """CPU cores to use (default: all of the machine or cluster)."""
    spool_mib: int = shard_task.SPOOL_BYTES >> 20
    """Most disk in MiB that sources fetched from S3 or the web may take for each core; it holds the largest one."""
    flow: bool = False
    """Then make optical flow of what is stored, in a dataset at flow below it, with the settings of
    jobs/extract_flow.py."""
    plan_only: bool = False
    """Print what the run would do and cost, from a few videos done for a trial, and stop; --output stays as it is."""

    def __post_init__(self) -> None:
        for flag in ("limit", "shard_mib", "shard_videos", "limit_mib", "workers", "spool_mib"):
            value = getattr(self, flag)
            if value is not None and value < 1:
                raise InputError(f"--{flag.replace('_', '-')} {value}: it is at least 1")
        if self.limit_mib > _MOST_MIB:
            raise InputError(f"--limit-mib {self.limit_mib}: it is at most {_MOST_MIB}")
        if not 0 < self.limit_seconds < math.inf:
            raise InputError(f"--limit-seconds {self.limit_seconds:g}: it is a number above 0")
        if self.fps is not None and not rate(self.fps):
            raise InputError(f"--fps {self.fps}: it is a number or fraction above 0, at most 1000")
        if self.store:
            forms.parse(self.store)
            given = [
                f"--{flag}"
                for flag in ("resize", "encoding")
                if getattr(self, flag) != getattr(type(self), flag)
            ]
            if given:
                raise InputError(f"--store says how to store; leave out {' and '.join(given)}")
        if self.store and self.retry_rejected is not None:
            raise InputError(
                "--retry-rejected: retry each form by itself, with its --output, --resize and --encoding"
            )
        if not 0 <= self.max_rejected <= 1:
            raise InputError(f"--max-rejected {self.max_rejected}: it is a share from 0 to 1")


def rate(text: str) -> Fraction | None:
    """The frame rate that `text` says, None where it is none."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None
    return rate if 0 < rate <= 1000 else None
