"""Which part of the training data each sample of an endless stream is of, where parts have shares, and which of its samples.

A pure function of the sample's number, exact in fractions, so that any worker at any step finds the same: the first p
samples hold floor(p * s) of the first part with share s, whatever p is. Those that are left are dealt in the same way
between the other parts. So every batch has the shares, to within two samples a part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from actionlib.errors import InputError


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the training videos, and their share of the samples. The shares of all parts add up to 1."""

    videos: int
    share: Fraction


def deal(parts: Sequence[Part], sample: int) -> tuple[int, int]:
    """The number of the part that sample `sample` is of, and how many samples of that part come before it.

    Example: shares 1/2, 1/4, 1/4. Of 8 samples those numbered 1, 3, 5, 7 are of part 0, and 0, 2, 4, 6 are left; of
    these every second one, 2 and 6, is of part 1, and 0 and 4 of part 2.
    """
    left = Fraction(1)
    for number, part in enumerate(parts[:-1]):
        share = part.share / left
        before = sample * share // 1
        if (sample + 1) * share // 1 > before:
            return number, before
        sample, left = sample - before, left - part.share
    return len(parts) - 1, sample


def read_kinds(words: Sequence[str], known: Sequence[str]) -> tuple[tuple[str, ...], tuple[Fraction, ...]]:
    """Kinds of videos and their shares from `kind` or `kind=weight` words; no shares where no weight is given.

    Raises:
        InputError: an unknown kind, one twice, a weight that is not a number above 0, or weights for some only.
    """
    names = tuple(word.partition("=")[0] for word in words)
    texts = [word.partition("=")[2] for word in words if "=" in word]
    unknown = sorted(set(names) - set(known))
    if unknown or len(set(names)) < len(names):
        raise InputError(f"--kinds {' '.join(words)}: each of {', '.join(known)} at most once")
    if texts and (
        len(texts) < len(words)
        or not all(re.fullmatch(r"\d{1,9}(\.\d{1,9})?|\d{1,9}/\d{1,9}", t) for t in texts)
    ):
        raise InputError(
            f"--kinds {' '.join(words)}: give every kind a weight, such as trimmed=0.8 image=0.2, or none"
        )
    try:
        weights = [Fraction(text) for text in texts]
    except ZeroDivisionError:
        weights = [Fraction(0)]
    if not all(weight > 0 for weight in weights):
        raise InputError(f"--kinds {' '.join(words)}: a weight is above 0")
    return names, tuple(weight / sum(weights) for weight in weights)
