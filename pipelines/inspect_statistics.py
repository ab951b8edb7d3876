"""What the rows of a dataset come to: counts, quantities, reasons, and the few rows that a report shows.

Rows come in tables and leave counts behind. Kept for every stored video are five numbers and eight bytes of its hash
(48 bytes a video, 31 MB for 650,000); everything else is bounded by the number of classes, splits and kinds of reasons.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from actionlib.errors import ShardError

STATUSES = ("stored", "rejected", "missing", "pending")
STORED = STATUSES.index("stored")

_EXAMPLES = 3  # of each kind of reason
_MOST_KINDS = 500  # of reasons; what comes after them is counted together
_OTHER = "other reasons"

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass
class Kinds:
    """Texts counted by kind, where texts that differ only by numbers are of one kind."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # kind -> (id, text)

    def add(self, id: str, text: str) -> None:
        kind = re.sub(r"\d+(\.\d+)?", "N", text)
        if kind not in self.counts and len(self.counts) >= _MOST_KINDS:
            kind = _OTHER
        self.counts[kind] += 1
        kept = self.examples.setdefault(kind, [])
        if len(kept) < _EXAMPLES:
            kept.append((id, text))


class Statistics:
    """Totals over the rows given to `add`.

    Attributes:
        splits: names in the order in which they were met.
        videos: int64 (splits + 1, statuses); the last line counts every row once.
        labelled: int64 (splits + 1, classes, statuses): rows by label, a row with two labels in both.
        without_label, with_several, outside: rows without a label, with several, and labels that name no class.
        hours: float64 (classes,) stored. source_bytes: of the sources of all stored videos.
        codecs, sizes, rates: stored videos by codec, by source size and by frames per second (three decimals).
        kinds: stored videos by kind: trimmed, untrimmed or image.
        rotated, not_square, short_of_header: stored videos whose source was rotated, had pixels that are not square,
            or promised more frames than were found.
        rejected, noted, missing: by kind of reason.
        samples: class -> the first few stored rows in manifest order, which is a shuffled one.
    """

    def __init__(self, classes: Sequence[str], samples_per_class: int) -> None:
        self.classes = tuple(classes)
        self.splits: list[str] = []
        self.videos: Ints = np.zeros((1, len(STATUSES)), np.int64)
        self.labelled: Ints = np.zeros((1, len(classes), len(STATUSES)), np.int64)
        self.without_label = self.with_several = self.outside = 0
        self.hours: Floats = np.zeros(len(classes))
        self.source_bytes = 0
        self.codecs: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()
        self.rates: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.rotated = self.not_square = self.short_of_header = 0
        self.rejected, self.noted, self.missing = Kinds(), Kinds(), Kinds()
        self.samples: list[list[dict[str, Any]]] = [[] for _ in classes]
        self._samples_per_class = samples_per_class
        self._quantities: list[Floats] = []
        self._hashes: list[npt.NDArray[np.uint64]] = []
        self._members: list[npt.NDArray[np.uint64]] = []  # splits of each stored video, one bit each

    def add(self, table: pa.Table) -> None:
        """Count the rows of a manifest table. Raises ShardError for a status that no manifest has."""
        table = table.combine_chunks()
        status = pc.index_in(table.column("status").combine_chunks(), pa.array(STATUSES))
        if status.null_count:
            row = table.filter(status.is_null()).slice(0, 1).to_pylist()[0]
            raise ShardError(f"the manifest row of {row['id']} has the status {row['status']!r}")
        statuses = status.to_numpy().astype(np.int64)
        members = self._add_counts(table, statuses)
        self._add_stored(table.filter(pa.array(statuses == STORED)), members[statuses == STORED])
        for row in table.filter(pa.array(statuses == STATUSES.index("rejected"))).to_pylist():
            self.rejected.add(row["id"], f"{row['stage']}: {row['reason']}")
        for row in table.filter(pc.is_valid(table.column("note"))).select(["id", "note"]).to_pylist():
            self.noted.add(row["id"], row["note"])
        absent = table.filter(pa.array(statuses == STATUSES.index("missing"))).select(["id", "reason"])
        for id, reason in zip(absent["id"].to_pylist(), absent["reason"].to_pylist(), strict=True):
            self.missing.add(str(id), reason or "not stated")

    def quantity(self, name: str) -> Floats:
        """`seconds`, `frames`, `fps`, `bytes` or `pixels` (short side of the source) of every stored video."""
        column = ("seconds", "frames", "fps", "bytes", "pixels").index(name)
        values = np.concatenate(self._quantities)[:, column] if self._quantities else np.zeros(0)
        return values[np.isfinite(values)]

    def identical(self) -> tuple[int, dict[tuple[str, str], int]]:
        """How many stored videos have the bytes of another one, and how many contents two splits of a fold share.

        Videos are compared by 64 bits of their sha256: among a million, two different ones agree by chance with a
        probability of 3e-8.
        """
        if not self._hashes:
            return 0, {}
        hashes, members = np.concatenate(self._hashes), np.concatenate(self._members)
        _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        twice = counts[inverse] > 1
        groups: dict[int, Counter[int]] = {}
        for content, member in zip(inverse[twice].tolist(), members[twice].tolist(), strict=True):
            groups.setdefault(content, Counter())[member] += 1
        shared: Counter[tuple[str, str]] = Counter()
        for group in groups.values():
            shared.update(names for names, bits in self._parts_of_a_fold() if _is_shared(group, *bits))
        return int((counts - 1).sum()), dict(shared)

    def _parts_of_a_fold(self) -> list[tuple[tuple[str, str], tuple[int, int]]]:
        """Pairs of splits that must not share a video, such as train2 and test2, with their numbers.

        Not train1 and test2: every video of UCF101 is in both.
        """
        folds = [(name.rstrip("0123456789"), name) for name in self.splits]
        numbered = list(enumerate((name, name[len(part) :], part) for part, name in folds))
        return [
            ((first[0], second[0]), (i, j))
            for i, first in numbered
            for j, second in numbered
            if i < j < 64 and first[1] == second[1] and first[2] != second[2]
        ]

    def _add_counts(self, table: pa.Table, statuses: Ints) -> npt.NDArray[np.uint64]:
        """Counts by split, class and status; returns the splits of each row as bits."""
        rows, kinds = table.num_rows, len(STATUSES)
        split_rows, split_names = _flat(table, "splits")
        label_rows, labels = _flat(table, "labels")
        per_row = np.bincount(label_rows, minlength=rows)
        self.without_label += int((per_row == 0).sum())
        self.with_several += int((per_row > 1).sum())
        is_class = (labels >= 0) & (labels < len(self.classes))
        self.outside += int((~is_class).sum())
        label_rows, labels = label_rows[is_class], labels[is_class].astype(np.int64)
        members = np.zeros(rows, np.uint64)
        self._take_splits(np.unique(split_names).tolist())
        for number in range(len(self.splits) + 1):
            is_in = np.ones(rows, bool)
            if number < len(self.splits):
                is_in = np.zeros(rows, bool)
                is_in[split_rows[split_names == self.splits[number]]] = True
                if number < 64:
                    members |= is_in.astype(np.uint64) << np.uint64(number)
            self.videos[number] += np.bincount(statuses[is_in], minlength=kinds)
            chosen = is_in[label_rows]
            keys = labels[chosen] * kinds + statuses[label_rows[chosen]]
            counts = np.bincount(keys, minlength=len(self.classes) * kinds)
            self.labelled[number] += counts.reshape(len(self.classes), kinds)
        self._take_samples(table, label_rows, labels, statuses)
        return members

    def _take_splits(self, names: list[str]) -> None:
        new = [name for name in names if name not in self.splits]
        at = len(self.splits)
        self.splits += new
        self.videos = np.insert(self.videos, [at] * len(new), 0, axis=0)
        self.labelled = np.insert(self.labelled, [at] * len(new), 0, axis=0)

    def _take_samples(self, table: pa.Table, label_rows: Ints, labels: Ints, statuses: Ints) -> None:
        wanted = np.array([self._samples_per_class - len(kept) for kept in self.samples], np.int64)
        candidates = (statuses[label_rows] == STORED) & (wanted[labels] > 0)
        for row, label in zip(label_rows[candidates].tolist(), labels[candidates].tolist(), strict=True):
            if len(self.samples[label]) < self._samples_per_class:
                self.samples[label] += table.slice(row, 1).to_pylist()

    def _add_stored(self, table: pa.Table, members: npt.NDArray[np.uint64]) -> None:
        if not table.num_rows:
            return
        names = ("frames", "fps_num", "fps_den", "bytes", "source_width", "source_height")
        frames, num, den, size, width, height = (_floats(table, name) for name in names)
        fps = num / den
        self._quantities.append(
            np.stack([frames / fps, frames, fps, size, np.minimum(width, height)], axis=1)
        )
        self._hashes.append(
            np.array([int(str(text)[:16], 16) for text in table["sha256"].to_pylist()], np.uint64)
        )
        self._members.append(members)
        self.source_bytes += int(np.nansum(_floats(table, "source_bytes")))
        self._add_hours(table, frames / fps / 3600)
        self.codecs.update(_counted(table["codec"].to_pylist()))
        self.kinds.update(_counted(table["kind"].to_pylist()))
        sizes = zip(table["source_width"].to_pylist(), table["source_height"].to_pylist(), strict=True)
        self.sizes.update(_counted([f"{w}x{h}" for w, h in sizes]))
        self.rates.update(_counted([f"{rate:.3f}".rstrip("0").rstrip(".") for rate in fps.tolist()]))
        self.rotated += int((_floats(table, "rotation") > 0).sum())
        aspect = _floats(table, "sar_num") / _floats(table, "sar_den")
        self.not_square += int(((aspect < 1) | (aspect > 1)).sum())
        self.short_of_header += int((_floats(table, "header_frames") > frames).sum())

    def _add_hours(self, table: pa.Table, hours: Floats) -> None:
        rows, labels = _flat(table, "labels")
        is_class = (labels >= 0) & (labels < len(self.classes))
        labels = labels[is_class].astype(np.int64)
        self.hours += np.bincount(labels, weights=hours[rows[is_class]], minlength=len(self.classes))


def quantiles(values: Floats) -> dict[str, float]:
    """Least, 5 %, quarter, median, three quarters, 95 % and largest, sum and mean. Empty for no values."""
    if not values.size:
        return {}
    names = ("min", "q05", "q25", "median", "q75", "q95", "max")
    found = np.quantile(values, (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)).tolist()
    return {**dict(zip(names, found, strict=True)), "sum": float(values.sum()), "mean": float(values.mean())}


def histogram(values: Floats, bins: int = 24) -> dict[str, list[float]]:
    """Counts between `edges`; the last bin holds everything above the 99 % quantile, so that one giant hides nothing."""
    if not values.size:
        return {"edges": [], "counts": []}
    low, high = float(values.min()), float(np.quantile(values, 0.99))
    if high <= low:
        low, high = low - 0.5, low + 0.5
    counts, edges = np.histogram(np.minimum(values, high), bins=bins, range=(low, high))
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def _is_shared(rows: Counter[int], first: int, second: int) -> bool:
    """Whether two rows with the same content, given by their splits as bits, are one in `first` and one in `second`."""
    in_first = [bits for bits in rows if bits >> first & 1]
    in_second = [bits for bits in rows if bits >> second & 1]
    return any(one != other or rows[one] > 1 for one in in_first for other in in_second)


def _flat(table: pa.Table, name: str) -> tuple[Ints, npt.NDArray[Any]]:
    """A list column as row numbers and values, one of each for every item."""
    column = table.column(name).combine_chunks()
    values = pc.list_flatten(column)
    rows = pc.list_parent_indices(column).to_numpy().astype(np.int64)
    return rows, values.to_numpy(zero_copy_only=False)


def _floats(table: pa.Table, name: str) -> Floats:
    """A column as float64; what is not known is NaN."""
    result: Floats = table.column(name).cast(pa.float64(), safe=False).to_numpy()
    return result


def _counted(values: list[Any]) -> Counter[str]:
    return Counter("unknown" if value is None else str(value) for value in values)
