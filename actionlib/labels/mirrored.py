"""What becomes of a class when its clip is mirrored, read from the class names.

"Pushing something from left to right" seen in a mirror is "Pushing something from right to left". A name with such
words and its mirrored name are a pair. A name with such words whose mirrored name is no class has no right label when
mirrored, so its clips never are. Every other class stays what it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")  # TurnLeft, turn_left and "turn left" are the same
_TURNS = re.compile(r"(?:counter|anti)[ _-]?clockwise", re.IGNORECASE)
_OPPOSITE = {"left": "right", "clockwise": "counterclockwise"} | {
    f"left{end}": f"right{end}" for end in ("ward", "wards", "hand", "handed")
}
_OPPOSITE |= {other: word for word, other in _OPPOSITE.items()}


@dataclass(frozen=True)
class Mirrored:
    """Class numbers: `pairs` become each other when mirrored, `never` must not be mirrored; others keep their label."""

    pairs: tuple[tuple[int, int], ...]
    never: tuple[int, ...]


def mirrored(classes: Sequence[str]) -> Mirrored:
    """The rule at the top of the file, over class names in the order of their numbers."""
    words = [_words(name) for name in classes]
    counts = Counter(words)
    numbers = {name: number for number, name in enumerate(words) if counts[name] == 1}
    partners: dict[int, int | None] = {}
    for number, name in enumerate(words):
        opposite = tuple(_OPPOSITE.get(word, word) for word in name)
        if opposite != name:
            partners[number] = numbers.get(opposite) if name in numbers else None
    pairs = tuple((a, b) for a, b in partners.items() if b is not None and a < b)
    return Mirrored(pairs, tuple(number for number, partner in partners.items() if partner is None))


def _words(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORDS.findall(_TURNS.sub(" counterclockwise ", name)))
