"""Look into a dataset, finished or being made: text for a terminal, a page with pictures, and a check of its bytes.

    manifest (or plan and records) -> statistics -> report -> text, inspect.json, inspect.html
    shards -> Ray Data: one task, one shard: hash, compare, decode a sample -> what is damaged

Without `--verify` no shard is read but for the few videos of the contact sheet, and Ray is not started.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actionlib import storage
from actionlib.errors import InputError, ShardError
from pipelines import inspect_page, inspect_report, inspect_sheet, inspect_source, inspect_text
from pipelines.inspect_source import Source
from pipelines.inspect_statistics import Statistics
from pipelines.progress import Ticker

_NAMED = 5  # damaged things in the error at the end; all are in the list before it


@dataclass(frozen=True)
class InspectConfig:
    """Say what a dataset holds. The first word may be its location: jobs/inspect.py s3://data/k400"""

    data: str
    """Dataset made by a preprocess job, finished or being made: local path or s3://bucket/prefix."""
    output: str | None = None
    """Folder for inspect.html (with pictures) and inspect.json: local path or s3://bucket/prefix (default: text only)."""
    classes: bool = False
    """Print every class, not only the ten with most and the ten with fewest stored videos."""
    thumbnails: int = 800
    """Most videos in the contact sheet of the page, 1 to 4 of each class; each is read and takes about 10 kB. 0: none."""
    verify: bool = False
    """Read all shards, compare the sha256 of each and of every stored video, and decode some. Exit code 1 for damage."""
    decode: str = "16"
    """With --verify: how many videos to decode whole, spread over all shards; or all."""
    workers: int | None = None
    """With --verify: CPU cores to use (default: all of the machine or cluster)."""

    def __post_init__(self) -> None:
        if self.decode != "all" and not self.decode.isdecimal():
            raise InputError(f"--decode {self.decode}: it is a number or all")
        if self.thumbnails < 0:
            raise InputError(f"--thumbnails {self.thumbnails}: it is at least 0")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"--workers {self.workers}: it is at least 1")


def inspect(config: InspectConfig, show: Callable[[str], None] = print) -> dict[str, Any]:
    """Inspect a dataset; prints and writes what is asked for and returns the report.

    Raises:
        InputError: no dataset is there, or nothing can be written to `output`.
        ShardError: something of it is damaged. Said after everything was written.
    """
    if config.output is not None:
        storage.check_writable(storage.check_uri(config.output, "--output"), "--output")
    source = inspect_source.find(config.data)
    classes = source.data.classes
    per_class = inspect_sheet.per_class(config.thumbnails if config.output else 0, len(classes))
    statistics = Statistics(classes, per_class)
    for table in source.batches():
        statistics.add(table)
    report = inspect_report.make(source, statistics)
    show(inspect_text.render(report, config.classes))
    if config.verify:
        from pipelines.inspect_verify import verify  # starts with Ray, which the rest does without

        report["verification"] = verify(source, config.decode, config.workers, show)
        show("\n".join(inspect_text.verification(report["verification"])))
    if config.output is not None:
        _write(config, source, statistics, report, show)
    _complain(report)
    return report


def _write(
    config: InspectConfig,
    source: Source,
    statistics: Statistics,
    report: dict[str, Any],
    show: Callable[[str], None],
) -> None:
    """Draw the contact sheet and write page and document; videos that cannot be read are noted in the report."""
    output = storage.check_uri(config.output or "", "--output")
    with_videos = [rows for rows in statistics.samples if rows]
    drawn = statistics.samples
    if len(with_videos) > config.thumbnails:  # more classes than pictures: those of the first classes
        seen = 0
        drawn = [rows if (seen := seen + bool(rows)) <= config.thumbnails else [] for rows in drawn]
    left_out = len(with_videos) - sum(map(bool, drawn))
    count = sum(map(len, drawn))
    ticker = Ticker("videos drawn", count, show)
    sheet = list(inspect_sheet.draw(source.data, drawn, lambda: ticker.advance(1)))
    failed = [one for one in sheet if one.failure]
    report["unreadable"] = [{"id": one.row["id"], "what": one.failure} for one in failed]
    if failed:
        report["stands_out"].insert(
            0,
            f"{len(failed)} of the {count} videos of the contact sheet cannot be read, such as {failed[0].row['id']}: "
            f"{failed[0].failure}; --verify finds everything that is damaged",
        )
    page = inspect_page.render(report, sheet, left_out).encode()
    storage.write(storage.join(output, "inspect.json"), json.dumps(report, indent=1).encode())
    storage.write(storage.join(output, "inspect.html"), page)
    show(
        f"page: {storage.join(output, 'inspect.html')} ({inspect_text.size(len(page))}, {count} videos drawn)"
    )


def _complain(report: dict[str, Any]) -> None:
    """Raises ShardError if anything was found that is not as it was stored."""
    verification = report["verification"] or {"damage": []}
    lines = [inspect_text.damage_line(one) for one in verification["damage"]]
    if not lines and report["unreadable"]:
        lines = [inspect_text.plain(report["stands_out"][0])]
    if not lines:
        return
    more = f"\n  and {len(lines) - _NAMED} more, listed above" if len(lines) > _NAMED else ""
    mend = (
        "Restore the shards from an older version of the bucket (aws s3api list-object-versions shows them), or "
        "preprocess again to a new --output"
        if report["progress"] is None
        else "Remove the records of these shards in _shards/ and run the same preprocess command again"
    )
    shown = "\n  ".join(lines[:_NAMED])
    raise ShardError(f"{report['uri']}: damaged:\n  {shown}{more}\n{mend}")
