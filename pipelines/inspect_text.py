"""A report for a terminal: what matters first, long tables cut in the middle."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pipelines.inspect_report import QUANTITIES

_WIDTH = 110
_CLASSES = 10  # of the largest, and of the smallest
_FINDINGS = 12
_BAR = 24
_NAME = 36


def plain(text: object) -> str:
    """Text that cannot steer a terminal: class names and reasons come from files of others."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def short(text: object, width: int) -> str:
    """`plain`, cut in the middle to `width` characters."""
    line = plain(text)
    if len(line) <= width:
        return line
    return f"{line[: width - width // 3 - 1]}…{line[len(line) - width // 3 :]}"


def number(value: float) -> str:
    """Three or four digits that count: 0.0321, 29.97, 1,234, 12,345."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 10 else f"{value:.3g}"


def size(count: float) -> str:
    """Bytes with a unit of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.4g} TB"


def amount(name: str, value: float) -> str:
    return size(value) if name == "bytes" else number(value)


def seconds(value: float) -> str:
    """A length of time in the unit it is read in."""
    return f"{value / 3600:,.1f} h" if value >= 3600 else f"{value / 60:.1f} min"


def render(report: dict[str, Any], all_classes: bool) -> str:
    """The whole report; `all_classes` prints every class instead of the largest and smallest."""
    parts = [
        _head(report),
        _splits(report),
        _findings(report),
        _quantities(report),
        _sources(report),
        _wrong_lines(report["wrong_lines"]),
        _reasons("rejected", report["rejected"]),
        _reasons("missing", report["missing"]),
        _reasons("stored with a note", report["notes"]),
        _classes(report, all_classes),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _head(report: dict[str, Any]) -> list[str]:
    videos, storage, shards = report["videos"], report["storage"], report["shards"]
    length = report["quantities"]["seconds"]["quantiles"].get("sum", 0)
    frames = report["quantities"]["frames"]["quantiles"].get("sum", 0)
    state = (
        f"version {report['version']}"
        if report["version"]
        else "NOT PUBLISHED, it is being made or was stopped"
    )
    lines = [
        f"{plain(report['name'])}  {state}  {plain(report['uri'])}",
        f"{videos['stored']:,} of {videos['nominal']:,} videos stored, {len(report['classes'])} classes, "
        f"{seconds(length)}, {frames:,.0f} frames",
        f"{storage['resize']} {storage['encoding']} by ffmpeg {plain(storage['ffmpeg'])}",
    ]
    if shards["count"]:
        lines.append(
            f"{shards['count']:,} shards, {size(shards['bytes']['sum'])}: {size(shards['bytes']['min'])} to "
            f"{size(shards['bytes']['max'])} (median {size(shards['bytes']['median'])}), "
            f"{shards['rows']['min']:.0f} to {shards['rows']['max']:.0f} videos each"
        )
    if report["sources"]["bytes"]:
        lines.append(f"made from {size(report['sources']['bytes'])} of sources")
    if len(report["sources"]["kinds"]) > 1:
        lines.append(_common("kinds", report["sources"]["kinds"], len(report["sources"]["kinds"])))
    tables = [f"{plain(name)} ({entry['rows']:,} rows)" for name, entry in report["tables"].items()]
    if tables:
        lines.append(f"{'annotations':<14}{', '.join(tables)}")
    swapped, never = report["mirrored"]["pairs"], report["mirrored"]["never"]
    if swapped or never:
        lines.append(f"{'mirrored':<14}{swapped} pairs of classes swap, {never} classes must not be mirrored")
    return lines + [f"adjusted      {count:,} {plain(rule)}" for rule, count in report["adjusted"]]


def _splits(report: dict[str, Any]) -> list[str]:
    columns = ["stored", "rejected", "missing"] + (["pending"] if report["videos"]["pending"] else [])
    width = max([10, *(len(short(name, _NAME)) for name in report["splits"])])
    lines = [f"{'split':<{width}}{'nominal':>10}" + "".join(f"{name:>10}" for name in columns)]
    for name, counts in [*report["splits"].items(), ("all videos", report["videos"])]:
        cells = "".join(f"{counts[column]:>10,}" for column in columns)
        lines.append(f"{short(name, _NAME):<{width}}{counts['nominal']:>10,}{cells}")
    return lines


def _findings(report: dict[str, Any]) -> list[str]:
    found = report["stands_out"]
    if not found:
        return ["nothing stands out"]
    more = [f"  and {len(found) - _FINDINGS} more; --output writes all"] if len(found) > _FINDINGS else []
    return ["what stands out", *(f"  - {plain(text)}" for text in found[:_FINDINGS]), *more]


def _quantities(report: dict[str, Any]) -> list[str]:
    names = ("min", "q05", "q25", "median", "q75", "q95", "max")
    titles = ("min", "5 %", "25 %", "median", "75 %", "95 %", "max")
    lines = [f"{'stored videos':<24}" + "".join(f"{title:>11}" for title in titles)]
    for name, title in QUANTITIES.items():
        found = report["quantities"][name]["quantiles"]
        if found:
            lines.append(f"{title:<24}" + "".join(f"{amount(name, found[key]):>11}" for key in names))
    return lines if len(lines) > 1 else []


def _sources(report: dict[str, Any]) -> list[str]:
    sources = report["sources"]
    lines = [
        _common("codecs", sources["codecs"], len(sources["codecs"])),
        _common("source sizes", sources["sizes"], sources["different_sizes"]),
        _common("frames per s", sources["rates"], sources["different_rates"]),
    ]
    odd = [
        f"{sources[key]:,} {text}"
        for key, text in (
            ("rotated", "rotated"),
            ("pixels_not_square", "with pixels that are not square"),
            ("fewer_frames_than_promised", "with fewer frames than their header promised"),
        )
        if sources[key]
    ]
    return [line for line in (*lines, f"{'sources':<14}{', '.join(odd)}" if odd else "") if line]


def _common(title: str, counts: Sequence[Sequence[Any]], different: int, most: int = 6) -> str:
    if not counts:
        return ""
    shown = ", ".join(f"{plain(value)} ({count:,})" for value, count in counts[:most])
    rest = f" and {different - most} others" if different > most else ""
    return f"{title:<14}{shown}{rest}"


def _wrong_lines(lines: list[str], most: int = 5) -> list[str]:
    """Lines of annotation files that gave no row."""
    if not lines:
        return []
    return [
        "wrong lines of the annotation files, such as",
        *(f"  {short(line, _WIDTH)}" for line in lines[:most]),
    ]


def _reasons(title: str, kinds: list[dict[str, Any]], most: int = 10) -> list[str]:
    if not kinds:
        return []
    lines = [f"{title}: {sum(kind['count'] for kind in kinds):,}"]
    for kind in kinds[:most]:
        examples = [example["id"] for example in kind["examples"][:2]]
        lines.append(f"{kind['count']:>10,}  {short(kind['kind'], _WIDTH - 12)}")
        if examples:
            lines.append(f"{'':>12}such as {', '.join(short(id, 46) for id in examples)}")
    if len(kinds) > most:
        lines.append(f"{'':>12}and {len(kinds) - most} more kinds; --output writes all")
    return lines


def _classes(report: dict[str, Any], all_classes: bool) -> list[str]:
    order = sorted(report["classes"], key=lambda c: (-c["stored"], c["index"]))
    if not order:
        return []
    most = max(1, order[0]["stored"])
    width = min(_NAME, max(len(plain(entry["name"])) for entry in order)) + 2
    lines = [f"{'class':<{width + 6}}{'stored':>8} of nominal"]
    cut = not all_classes and len(order) > 2 * _CLASSES + 2
    chosen = [*order[:_CLASSES], None, *order[-_CLASSES:]] if cut else order
    for entry in chosen:
        if entry is None:
            lines.append(f"{'':6}… {len(order) - 2 * _CLASSES} more; --classes prints all")
            continue
        bar = "█" * round(_BAR * entry["stored"] / most) or ("▏" if entry["stored"] else "")
        name = short(entry["name"], _NAME)
        counts = f"{entry['stored']:>8,} of {entry['nominal']:<8,}"
        lines.append(f"{entry['index']:>5} {name:<{width}}{counts} {bar}".rstrip())
    return lines


def verification(found: dict[str, Any]) -> list[str]:
    """What `--verify` looked at and found."""
    lines = [
        f"verified: {found['shards']:,} shards ({size(found['bytes'])}) and {found['videos']:,} videos hashed, "
        f"{found['decoded']:,} videos ({found['frames']:,} frames) decoded; {len(found['damage'])} things are wrong"
    ]
    return lines + [f"  {damage_line(damage)}" for damage in found["damage"]]


def damage_line(damage: dict[str, Any]) -> str:
    what = "" if damage["id"] is None else f" {damage['id']}"
    return plain(re.sub(r"\s+", " ", f"{damage['path']}{what}: {damage['what']}"))
