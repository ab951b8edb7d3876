"""What the jobs of Kinetics-400, 600 and 700 share: their files have one format."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from actionlib import labels
from actionlib.errors import InputError
from jobs.official import OfficialConfig
from pipelines.annotation_files import local_copies, local_copy, local_lists
from pipelines.prepare import prepare


@dataclass(frozen=True, kw_only=True)
class KineticsConfig(OfficialConfig):
    """Store Kinetics as a dataset of encoded shards, from the official CSV files or from `path label` lists.

    With CSV files, videos are found by their name, anywhere below --source: <youtube id>_<start>_<end> with six digits
    each, or with --trim <youtube id>. Splits are train, val and test. Listed videos that are not there are recorded as
    missing.
    """

    annotations: tuple[str, ...] = ()
    """Official CSV files: label,youtube_id,time_start,time_end,split[,is_cc]; a test list may lack the label."""
    trim: bool = False
    """The files are whole downloads; cut each clip out of them by its times."""
    lists: tuple[str, ...] = ()
    """Instead of --annotations: lists of `path label` lines as split=file, such as train=train.txt val=val.txt."""
    classes: str | None = None
    """File of class names, one a line (default: the sorted labels of the CSV files)."""


def main(config: KineticsConfig, release: str) -> None:
    """Run the job; `release` names the pinned class list."""
    if bool(config.annotations) == bool(config.lists):
        raise InputError("give either --annotations with the CSV files or --lists with `path label` lists")
    if config.trim and config.lists:
        raise InputError("--trim goes with --annotations; `path label` lists say no times")
    with ExitStack() as stack:
        classes = stack.enter_context(local_copy(config.classes, "--classes")) if config.classes else None
        files = stack.enter_context(local_copies(config.annotations, "--annotations"))
        lists = stack.enter_context(local_lists(config.lists))
        if lists:
            prepare(config, lambda listing: config.checked(release, labels.path_label_lists(lists, classes)))
        else:
            prepare(
                config,
                lambda listing: config.checked(
                    release, labels.kinetics(files, listing(), classes, trim=config.trim)
                ),
            )
