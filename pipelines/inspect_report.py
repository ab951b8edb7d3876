"""Statistics of a dataset as one plain document: what the text, the page and `inspect.json` all show."""

from __future__ import annotations

from typing import Any

import numpy as np

from actionlib.dataset import Dataset
from actionlib.errors import ShardError
from pipelines.inspect_source import Source
from pipelines.inspect_statistics import STATUSES, STORED, Kinds, Statistics, histogram, quantiles

_MOST_COMMON = 12  # codecs, sizes and rates, each
_MOST_REASONS = 30
_MOST_NAMED = 5  # classes in a sentence

# A clip of F frames, one every S, needs F * S of them: 8x8 and 32x2 are the commonest in the zoo.
_CLIP_FRAMES = 64

QUANTITIES = {
    "seconds": "duration [s]",
    "frames": "frames",
    "fps": "frames per second",
    "bytes": "stored bytes",
    "pixels": "source, short side [px]",
}


def make(source: Source, statistics: Statistics) -> dict[str, Any]:
    """The report: plain values only, the same for the same dataset."""
    document, s = source.data.document, statistics
    report: dict[str, Any] = {
        "uri": source.data.uri,
        "name": source.data.name,
        "version": source.data.version or None,
        "progress": source.progress,
        "storage": {key: document.get(key) for key in ("resize", "encoding", "encoder", "ffmpeg")},
        "videos": _counts(s.videos[-1]),
        "splits": {name: _counts(s.videos[i]) for name, i in sorted(_numbered(s.splits))},
        "labels": {"without": s.without_label, "several": s.with_several, "outside": s.outside},
        "classes": [_class(s, number) for number in range(len(s.classes))],
        "quantities": {name: _quantity(s, name) for name in QUANTITIES},
        "sources": {
            "kinds": s.kinds.most_common(_MOST_COMMON),
            "codecs": s.codecs.most_common(_MOST_COMMON),
            "sizes": s.sizes.most_common(_MOST_COMMON),
            "bytes": s.source_bytes,
            "different_sizes": len(s.sizes),
            "rates": s.rates.most_common(_MOST_COMMON),
            "different_rates": len(s.rates),
            "rotated": s.rotated,
            "pixels_not_square": s.not_square,
            "fewer_frames_than_promised": s.short_of_header,
        },
        "tables": {
            name: {key: entry[key] for key in ("rows", "bytes")}
            for name, entry in sorted(document.get("tables", {}).items())
        },
        "wrong_lines": _wrong_lines(source.data),
        "mirrored": {"pairs": len(source.data.mirrored.pairs), "never": len(source.data.mirrored.never)},
        "adjusted": [[rule, count] for count, rule in document.get("adjusted", [])],
        "notes": _kinds(s.noted),
        "rejected": _kinds(s.rejected),
        "missing": _kinds(s.missing),
        "shards": _shards(source.shards),
        "verification": None,
        "unreadable": [],
    }
    count, shared = s.identical()
    report["identical"] = {
        "videos": count,
        "shared": [[first, second, number] for (first, second), number in sorted(shared.items())],
    }
    report["stands_out"] = stands_out(report, statistics)
    return report


def stands_out(report: dict[str, Any], statistics: Statistics) -> list[str]:
    """What costs accuracy, or looks like a mistake: one sentence each, the gravest first."""
    unfinished = [] if report["progress"] is None else _unfinished(report["progress"], report["videos"])
    return unfinished + _of_lists(report, statistics) + _of_videos(report, statistics)


def _of_lists(report: dict[str, Any], statistics: Statistics) -> list[str]:
    """What the annotation files and their splits are like."""
    found = []
    wrong = report["tables"].get("wrong_lines")
    if wrong:
        found.append(f"{wrong['rows']:,} lines of the annotation files were wrong and left out")
    for first, second, number in report["identical"]["shared"]:
        found.append(
            f"{number} stored videos are in {first} and, byte for byte, in {second} under another id: a leak"
        )
    labels = report["labels"]
    if labels["outside"]:
        found.append(f"{labels['outside']} labels lie outside the class list: the lists do not fit together")
    if labels["without"]:
        found.append(f"{labels['without']} videos have no label and cannot be trained on or scored")
    for name, counts in report["splits"].items():
        absent = counts["nominal"] - counts["stored"] - counts["pending"]
        if absent > 0.01 * counts["nominal"]:
            effect = (
                "" if name.startswith("train") else "; scores on it are of fewer videos than published ones"
            )
            found.append(
                f"{name}: {absent:,} of {counts['nominal']:,} videos ({absent / counts['nominal']:.1%}) are not stored "
                f"({counts['missing']:,} missing, {counts['rejected']:,} rejected){effect}"
            )
        found += _balance(report, statistics, name)
    return found


def _of_videos(report: dict[str, Any], statistics: Statistics) -> list[str]:
    """What the stored videos are like."""
    stored, found = report["videos"]["stored"], []
    if report["identical"]["videos"]:
        found.append(
            f"{report['identical']['videos']:,} stored videos are byte for byte equal to another one"
        )
    frames = statistics.quantity("frames")
    frames = frames[frames > 1]  # still pictures are no short videos
    short = int((frames < _CLIP_FRAMES).sum())
    if short > 0.01 * frames.size:
        found.append(
            f"{short:,} stored videos ({short / frames.size:.1%}) have fewer than {_CLIP_FRAMES} frames: a clip of 8x8 or "
            "32x2 does not fit into them"
        )
    fps = report["quantities"]["fps"]["quantiles"]
    if fps and fps["q95"] > 1.5 * fps["q05"]:
        found.append(
            f"frame rates differ widely ({fps['q05']:.3g} to {fps['q95']:.3g} fps between the 5 % and 95 % quantiles): "
            "a clip of so many frames covers different times"
        )
    worst = report["shards"]["most_rejected"]
    if worst and worst["rejected"] > 5 + 5 * report["shards"]["rejected"]["mean"]:
        found.append(
            f"{worst['path']}: {worst['rejected']} of its {worst['rejected'] + worst['rows']} videos were rejected, "
            f"{report['shards']['rejected']['mean']:.3g} in the mean shard: was something wrong with a machine?"
        )
    noted = sum(kind["count"] for kind in report["notes"])
    if noted > 0.01 * stored:
        found.append(
            f"{noted:,} stored videos ({noted / stored:.1%}) have a note: their sources were damaged or unusual"
        )
    return found


def _unfinished(progress: dict[str, Any], videos: dict[str, int]) -> list[str]:
    done, shards = progress["shards_done"], progress["shards"]
    present = videos["nominal"] - videos["missing"]
    found = [
        f"not published: {done} of {shards} shards are done, {present - videos['pending']} of {present} videos; "
        + (
            "the same preprocess command continues"
            if done < shards
            else "the same preprocess command publishes it, or says why not (too many rejected, --max-rejected)"
        )
    ]
    return found + [f"a record cannot be used: {text}" for text in progress["unreadable_records"]]


def _balance(report: dict[str, Any], statistics: Statistics, split: str) -> list[str]:
    """Classes of a split without a stored video, and how uneven the others are."""
    labelled = statistics.labelled[statistics.splits.index(split)]
    stored, pending = labelled[:, STORED], labelled[:, STATUSES.index("pending")]
    found = []
    empty = np.flatnonzero((labelled.sum(axis=1) > 0) & (stored + pending == 0))
    if empty.size:
        found.append(
            f"{split}: {empty.size} of {len(stored)} classes have no stored video: {_named(report, empty)}"
        )
    some = stored[stored > 0]
    if split.startswith("train") and some.size > 1 and some.max() > 10 * some.min():
        largest = int(stored.argmax())
        found.append(
            f"{split}: the classes are uneven, from {some.min()} to {some.max()} stored videos; always answering "
            f"{report['classes'][largest]['name']!r} is right for {some.max() / some.sum():.1%} of it"
        )
    return found


def _named(report: dict[str, Any], classes: np.ndarray) -> str:
    names = [report["classes"][int(number)]["name"] for number in classes[:_MOST_NAMED]]
    return ", ".join(names) + (", ..." if len(classes) > _MOST_NAMED else "")


def _numbered(names: list[str]) -> list[tuple[str, int]]:
    return [(name, number) for number, name in enumerate(names)]


def _counts(line: np.ndarray) -> dict[str, int]:
    return {
        "nominal": int(line.sum()),
        **{status: int(n) for status, n in zip(STATUSES, line, strict=True)},
    }


def _class(s: Statistics, number: int) -> dict[str, Any]:
    return {
        "index": number,
        "name": s.classes[number],
        **_counts(s.labelled[-1, number]),
        "hours": round(float(s.hours[number]), 6),
        "splits": {
            name: [int(s.labelled[i, number, STORED]), int(s.labelled[i, number].sum())]
            for name, i in sorted(_numbered(s.splits))
        },
    }


def _quantity(s: Statistics, name: str) -> dict[str, Any]:
    values = s.quantity(name)
    return {"quantiles": quantiles(values), "histogram": histogram(values)}


def _wrong_lines(data: Dataset) -> list[str]:
    """The first lines of annotation files that gave no row; the table of them is small."""
    if "wrong_lines" not in data.tables:
        return []
    try:
        rows = data.table("wrong_lines").slice(0, _MOST_REASONS).to_pylist()
    except ShardError as error:
        return [str(error)]
    return [": ".join(map(str, row.values())) for row in rows]


def _kinds(kinds: Kinds) -> list[dict[str, Any]]:
    """The commonest kinds of reasons with examples; the rest as one line."""
    listed = kinds.counts.most_common(_MOST_REASONS)
    result = [
        {
            "kind": kind,
            "count": count,
            "examples": [{"id": id, "text": text} for id, text in kinds.examples[kind]],
        }
        for kind, count in listed
    ]
    rest = kinds.counts.total() - sum(count for _, count in listed)
    if rest:
        result.append({"kind": "other reasons", "count": rest, "examples": []})
    return result


def _shards(shards: list[dict[str, Any]]) -> dict[str, Any]:
    counted = [shard for shard in shards if "rejected" in shard]  # of published datasets
    rejected = np.array([shard["rejected"] for shard in counted], float)
    worst = counted[int(rejected.argmax())] if counted else None
    rows = np.array([shard["rows"] for shard in shards], float)
    size = np.array([shard["bytes"] for shard in shards], float)
    return {
        "count": len(shards),
        "rows": quantiles(rows),
        "bytes": quantiles(size),
        "histogram": histogram(size),
        "seconds": quantiles(np.array([shard["seconds"] for shard in counted], float)),
        "rejected": quantiles(rejected),
        "most_rejected": {key: worst[key] for key in ("path", "rejected", "rows")} if worst else None,
    }
