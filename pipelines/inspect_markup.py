"""The few pieces of HTML and SVG that a report is built from. What is not `Markup` is text and gets escaped."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence

from pipelines.inspect_text import plain

COLOURS = {"stored": "#2f7d5b", "rejected": "#c2452d", "missing": "#b9b4a8", "pending": "#6f8fc0"}

CSS = """
:root{--ink:#1f2421;--soft:#6b716d;--line:#e3e0d8;--paper:#fbfaf7;--card:#fff;--green:#2f7d5b;--warn:#9a5b13}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 28px 80px}
h1{font-size:30px;margin:0 0 2px;overflow-wrap:anywhere}
h2{font-size:19px;margin:44px 0 12px;padding-bottom:6px;border-bottom:2px solid var(--ink)}
h3{font-size:15px;margin:0 0 6px;overflow-wrap:anywhere}
.soft,.soft td{color:var(--soft)}
.small{font-size:13px}
code{font:13px ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:12px;margin:22px 0 8px}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 14px}
.tile b{display:block;font-size:24px;line-height:1.2;font-variant-numeric:tabular-nums}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(345px,1fr));gap:12px;align-items:start}
.warn{border-left:4px solid var(--warn);background:#fdf6ea;border-radius:4px;padding:10px 16px;margin:0}
.warn.bad{border-color:#c2452d;background:#fcefec}
.warn ul{margin:0;padding-left:18px}
table{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--line);font-size:14px}
th,td{text-align:left;padding:5px 10px;border-top:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
th{background:#f3f1eb;font-weight:600;border-top:0;white-space:nowrap}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.scroll{max-height:560px;overflow:auto;border:1px solid var(--line)}
.scroll table{border:0}
.scroll th{position:sticky;top:0;z-index:1}
.share{display:flex;height:12px;width:100%;min-width:110px;background:#eee;border-radius:3px;overflow:hidden;margin-top:5px}
.key i{display:inline-block;width:11px;height:11px;border-radius:2px;margin:0 5px 0 14px}
svg{display:block;width:100%;height:auto}
.class{content-visibility:auto;contain-intrinsic-size:auto 160px}
.class img{display:block;max-width:100%;height:auto;border-radius:4px;margin-top:8px;background:#eee}
.failed{background:#fcefec;border-radius:4px;padding:8px;margin-top:8px}
"""


class Markup(str):
    """Text that is HTML already, made here."""

    __slots__ = ()


def text(value: object) -> Markup:
    """A value as HTML: escaped unless it is `Markup`; control characters are made visible."""
    return value if isinstance(value, Markup) else Markup(html.escape(plain(value), quote=True))


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element; children and attribute values are escaped. `class_` stands for `class`, `font_size` for `font-size`."""
    names = {key: key.rstrip("_").replace("_", "-") for key in attributes}
    given = "".join(f' {names[key]}="{text(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{''.join(text(child) for child in children)}</{name}>")


def join(parts: Iterable[object]) -> Markup:
    return Markup("".join(text(part) for part in parts))


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], numeric: frozenset[int]) -> Markup:
    """A table; columns in `numeric` are set to the right."""

    def cells(kind: str, values: Sequence[object]) -> Markup:
        return join(
            tag(kind, value, class_="n") if column in numeric else tag(kind, value)
            for column, value in enumerate(values)
        )

    body = join(tag("tr", cells("td", row)) for row in rows)
    return tag("table", tag("thead", tag("tr", cells("th", headings))), tag("tbody", body))


def share_bar(counts: dict[str, int], whole: int) -> Markup:
    """A bar of coloured parts: how many of `whole` have which status."""
    parts = [
        tag(
            "span",
            style=f"width:{100 * counts[status] / max(1, whole):.3f}%;background:{colour}",
            title=status,
        )
        for status, colour in COLOURS.items()
        if counts.get(status)
    ]
    return tag("span", *parts, class_="share")


def chart(
    counts: Sequence[float],
    edges: Sequence[float],
    label: Callable[[float], str],
    colour: str = COLOURS["stored"],
    width: int = 320,
) -> Markup:
    """A bar chart as SVG, `width` x 112 units, with the first, middle and last edge below and the largest count above.

    Args:
        counts: of things between two neighbours of `edges`, which are one more. label: an edge as text.
    """
    if not counts:
        return Markup("")
    step, height, top, most = width / len(counts), 80, 14, max(1, *counts)
    gap = min(0.4, step / 8)
    bars = []
    for place, count in enumerate(counts):
        if count:
            high = max(1.0, height * count / most)
            said = tag("title", f"{label(edges[place])} to {label(edges[place + 1])}: {count:,.0f}")
            corner = {"x": f"{place * step + gap:.2f}", "y": f"{top + height - high:.2f}"}
            extent = {"width": f"{step - 2 * gap:.2f}", "height": f"{high:.2f}"}
            bars.append(tag("rect", said, **corner, **extent, fill=colour))
    line = tag("line", x1="0", x2=width, y1=top + height, y2=top + height, stroke="#8a8f8b")
    middle = len(counts) // 2
    places = ((0, 0, "start"), (middle * step, middle, "middle"), (width, len(counts), "end"))
    words = [
        tag("text", label(edges[at]), x=f"{x:.1f}", y="108", fill="#6b716d", text_anchor=anchor)
        for x, at, anchor in places[: 1 if len(counts) == 1 else None]
    ]
    words.append(tag("text", f"{most:,.0f}", x=width, y="10", fill="#6b716d", text_anchor="end"))
    return tag("svg", *bars, line, *words, viewBox=f"0 0 {width} 112", font_size="10")
