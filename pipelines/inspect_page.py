"""A report as one HTML file that needs nothing else: no script, no style sheet, no picture from outside.

Class names, ids and reasons come from files of others: `inspect_markup` escapes everything that was not built here, and
a content security policy in the page forbids scripts on top of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from pipelines.inspect_markup import COLOURS, CSS, Markup, chart, join, share_bar, table, tag, text
from pipelines.inspect_report import QUANTITIES
from pipelines.inspect_sheet import Shown
from pipelines.inspect_text import amount, damage_line, number, seconds, short, size

_QUANTILES = ("min", "q05", "q25", "median", "q75", "q95", "max")
_COUNTS = ("nominal", "stored", "rejected", "missing", "pending")
_ID = 40  # characters of an id below a picture; the whole one shows under the pointer
_SPLIT_COLUMNS = 6  # of the class table; more make it unreadable

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
"""


def render(report: dict[str, Any], sheet: Sequence[Shown], left_out: int) -> str:
    """The page.

    Args:
        sheet: pictures in the order of their classes. left_out: classes with stored videos that have no picture.
    """
    title = f"{report['name']} {report['version'] or 'unfinished'}"
    sections = [
        _top(report),
        _findings(report),
        _verification(report["verification"]),
        _splits(report),
        _quantities(report),
        _sources(report),
        _wrong_lines(report["wrong_lines"]),
        _reasons("Rejected", report["rejected"]),
        _reasons("Missing", report["missing"]),
        _reasons("Stored with a note", report["notes"]),
        _balance(report),
        _classes(report),
        _sheet(report, sheet, left_out),
    ]
    head = f"{_HEAD}{tag('title', title)}<style>{CSS}</style></head>"
    return f"{head}<body>{tag('main', *sections)}</body></html>\n"


def _top(report: dict[str, Any]) -> Markup:
    videos, storage, shards = report["videos"], report["storage"], report["shards"]
    length = report["quantities"]["seconds"]["quantiles"].get("sum", 0)
    frames = report["quantities"]["frames"]["quantiles"].get("sum", 0)
    tiles = [
        (f"{videos['stored']:,}", f"of {videos['nominal']:,} annotated videos stored"),
        (f"{len(report['classes']):,}", "classes"),
        (seconds(length), f"{frames:,.0f} frames"),
        (size(shards["bytes"].get("sum", 0)), f"in {shards['count']:,} shards"),
        (f"{storage['resize']}", f"{storage['encoding']}, ffmpeg {storage['ffmpeg']}"),
    ]
    tiles += [(f"{entry['rows']:,}", f"rows of {name}") for name, entry in report["tables"].items()]
    return join(
        [
            tag("h1", report["name"]),
            tag(
                "div", f"version {report['version']}" if report["version"] else "not published", class_="soft"
            ),
            tag("code", report["uri"]),
            tag(
                "div",
                *(tag("div", tag("b", big), small, class_="tile") for big, small in tiles),
                class_="tiles",
            ),
        ]
    )


def _findings(report: dict[str, Any]) -> Markup:
    found = report["stands_out"]
    if not found:
        return tag("p", "Nothing stands out.", class_="soft")
    items = tag("ul", *(tag("li", line) for line in found))
    return tag("section", tag("h2", "What stands out"), tag("div", items, class_="warn"))


def _verification(found: dict[str, Any] | None) -> Markup:
    if found is None:
        return Markup("")
    said = (
        f"{found['shards']:,} shards ({size(found['bytes'])}) and {found['videos']:,} videos hashed, "
        f"{found['decoded']:,} videos with {found['frames']:,} frames decoded: "
    )
    if not found["damage"]:
        return tag("section", tag("h2", "Verified"), tag("p", said + "all as it was stored."))
    items = tag("ul", *(tag("li", damage_line(damage)) for damage in found["damage"][:200]))
    box = tag("div", tag("p", f"{said}{len(found['damage'])} things are wrong."), items, class_="warn bad")
    return tag("section", tag("h2", "Damaged"), box)


def _splits(report: dict[str, Any]) -> Markup:
    key = [
        join([tag("i", style=f"background:{colour}"), status])
        for status, colour in COLOURS.items()
        if report["videos"][status]
    ]
    columns = [column for column in _COUNTS if column != "pending" or report["progress"] is not None]
    rows = [
        (name, *(f"{counts[column]:,}" for column in columns), share_bar(counts, counts["nominal"]))
        for name, counts in [*report["splits"].items(), ("all videos", report["videos"])]
    ]
    found = table(("split", *columns, ""), rows, frozenset(range(1, len(columns) + 1)))
    return tag("section", tag("h2", "Splits"), found, tag("p", *key, class_="key small soft"))


def _quantities(report: dict[str, Any]) -> Markup:
    rows, cards = [], []
    for name, title in QUANTITIES.items():
        found = report["quantities"][name]
        quantiles, drawn = found["quantiles"], found["histogram"]
        if not quantiles:
            continue
        rows.append((title, *(amount(name, quantiles[key]) for key in _QUANTILES)))

        def label(value: float, name: str = name) -> str:
            return amount(name, value)

        picture = chart(drawn["counts"], drawn["edges"], label)
        cards.append(tag("div", tag("h3", title), picture, class_="card"))
    if not rows:
        return Markup("")
    drawn = report["shards"]["histogram"]
    picture = chart(drawn["counts"], drawn["edges"], size, COLOURS["pending"])
    cards.append(tag("div", tag("h3", "shards, bytes"), picture, class_="card"))
    quantile_titles = ("", "min", "5 %", "25 %", "median", "75 %", "95 %", "max")
    note = (
        "Number of stored videos (of shards in the last) between two values; the last bar holds the top 1 %."
    )
    return tag(
        "section",
        tag("h2", "Stored videos"),
        tag("div", *cards, class_="grid"),
        tag("p", note, class_="small soft"),
        table(quantile_titles, rows, frozenset(range(1, 8))),
        _shards(report["shards"]),
    )


def _shards(shards: dict[str, Any]) -> Markup:
    rows, length = shards["rows"], shards["bytes"]
    said = (
        f"{shards['count']:,} shards of {size(length['min'])} to {size(length['max'])} (median "
        f"{size(length['median'])}) with {rows['min']:,.0f} to {rows['max']:,.0f} videos each (median "
        f"{rows['median']:,.0f})."
    )
    return tag("p", said)


def _sources(report: dict[str, Any]) -> Markup:
    sources = report["sources"]
    parts = [
        ("codec", sources["codecs"], len(sources["codecs"])),
        ("size", sources["sizes"], sources["different_sizes"]),
        ("frames per second", sources["rates"], sources["different_rates"]),
        ("kind", sources["kinds"] if len(sources["kinds"]) > 1 else [], len(sources["kinds"])),
        ("changed or left out by rule", report["adjusted"], len(report["adjusted"])),
    ]
    parts = [part for part in parts if part[1]]
    if not parts:
        return Markup("")
    cards = []
    for title, counts, different in parts:
        rows = [(value, f"{count:,}") for value, count in counts]
        if different > len(counts):
            rows.append((f"and {different - len(counts)} others", ""))
        cards.append(table((title, "videos"), rows, frozenset({1})))
    odd = (
        ("rotated", "had a rotation, which was applied"),
        ("pixels_not_square", "had pixels that are not square, which were made so"),
        ("fewer_frames_than_promised", "held fewer frames than their header promised"),
    )
    lines = [tag("p", f"{sources[key]:,} sources {said}.") for key, said in odd if sources[key]]
    if sources["bytes"]:
        lines.insert(0, tag("p", f"The sources of the stored videos are {size(sources['bytes'])} in all."))
    return tag("section", tag("h2", "Sources"), tag("div", *cards, class_="grid"), *lines)


def _wrong_lines(lines: list[str]) -> Markup:
    if not lines:
        return Markup("")
    listed = tag("ul", *(tag("li", tag("code", line)) for line in lines))
    return tag("section", tag("h2", "Wrong lines of the annotation files, such as"), listed)


def _reasons(title: str, kinds: list[dict[str, Any]]) -> Markup:
    if not kinds:
        return Markup("")
    rows = []
    for kind in kinds:
        shown = [
            join(
                [
                    tag("code", example["id"]),
                    "" if example["text"] == kind["kind"] else f": {example['text']}",
                    Markup("<br>"),
                ]
            )
            for example in kind["examples"]
        ]
        rows.append((f"{kind['count']:,}", kind["kind"], join(shown)))
    total = sum(kind["count"] for kind in kinds)
    found = table(("videos", "reason (N stands for a number)", "such as"), rows, frozenset({0}))
    return tag("section", tag("h2", f"{title}: {total:,}"), tag("div", found, class_="scroll"))


def _balance(report: dict[str, Any]) -> Markup:
    """Stored videos of the classes, largest first."""
    counts = sorted((entry["stored"] for entry in report["classes"]), reverse=True)
    if len(counts) < 2:
        return Markup("")
    picture = chart(counts, range(len(counts) + 1), lambda place: f"{place:.0f} classes", width=1120)
    middle = counts[len(counts) // 2]
    said = f"Stored videos of each class, largest first: {counts[0]:,}, median {middle:,}, smallest {counts[-1]:,}."
    return tag(
        "section", tag("h2", "Balance of the classes"), tag("p", said), tag("div", picture, class_="card")
    )


def _classes(report: dict[str, Any]) -> Markup:
    most = max([1, *(entry["nominal"] for entry in report["classes"])])
    splits = list(report["splits"])[:_SPLIT_COLUMNS]
    rows = [
        (
            entry["index"],
            entry["name"],
            f"{entry['stored']:,}",
            f"{entry['nominal']:,}",
            *("{:,} of {:,}".format(*entry["splits"][name]) for name in splits),
            number(entry["hours"]),
            share_bar(entry, most),
        )
        for entry in report["classes"]
    ]
    headings = ("", "class", "stored", "nominal", *splits, "hours", "")
    numeric = frozenset({0, *range(2, len(splits) + 5)})
    found = tag("div", table(headings, rows, numeric), class_="scroll")
    return tag("section", tag("h2", f"Classes: {len(rows):,}"), found)


def _sheet(report: dict[str, Any], sheet: Sequence[Shown], left_out: int) -> Markup:
    if not sheet:
        return Markup("")
    cards = []
    for label, shown in groupby(sheet, key=lambda one: one.label):
        entry = report["classes"][label]
        counts = f"{entry['stored']:,} of {entry['nominal']:,} stored"
        pictures = [part for one in shown for part in _video(one)]
        name = tag("h3", f"{entry['index']}  {entry['name']}")
        cards.append(
            tag("div", name, tag("div", counts, class_="small soft"), *pictures, class_="card class")
        )
    said = "Frames from four equal parts of each video, in time order; videos as the shuffled manifest gives them."
    if left_out:
        said += f" {left_out} classes are left out; --thumbnails shows more."
    return tag(
        "section",
        tag("h2", "Contact sheet"),
        tag("p", said, class_="soft"),
        tag("div", *cards, class_="grid"),
    )


def _video(shown: Shown) -> list[Markup]:
    row = shown.row
    rate = row["fps_num"] / row["fps_den"]
    facts = (
        f"{', '.join(row['splits'])}; {number(row['frames'] / rate)} s, {row['frames']} frames, "
        f"{row['width']}x{row['height']}, source {row['source_width']}x{row['source_height']} {row['codec']}"
    )
    if row["note"]:
        facts += f"; {row['note']}"
    picture = (
        tag("div", f"cannot be read: {shown.failure}", class_="failed small")
        if shown.failure
        else Markup(f'<img src="{shown.picture}" alt="{text(row["id"])}">')
    )
    return [
        picture,
        tag("div", tag("code", short(row["id"], _ID)), title=row["id"]),
        tag("div", facts, class_="small soft"),
    ]
