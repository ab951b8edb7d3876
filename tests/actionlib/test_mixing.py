"""Dealing samples between parts by their shares, and what training on mixed kinds reads."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionlib.errors import InputError
from actionlib.mixing import Part, deal, read_kinds
from actionlib.samples import KINDS
from actionlib.training import BatchPlan


def test_the_example_by_hand() -> None:
    parts = [Part(9, Fraction(1, 2)), Part(9, Fraction(1, 4)), Part(9, Fraction(1, 4))]
    assert [deal(parts, sample) for sample in range(8)] == [
        *[(2, 0), (0, 0), (1, 0), (0, 1)],
        *[(2, 1), (0, 2), (1, 1), (0, 3)],
    ]


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=4), st.integers(0, 3000), st.integers(1, 60))
def test_every_stretch_has_the_shares_and_no_sample_of_a_part_is_left_out(
    weights: list[int], start: int, length: int
) -> None:
    parts = [Part(1, Fraction(weight, sum(weights))) for weight in weights]
    dealt = [deal(parts, sample) for sample in range(start, start + length)]
    for number, part in enumerate(parts):
        indices = [index for which, index in dealt if which == number]
        assert indices == list(range(indices[0], indices[0] + len(indices))) if indices else True
        assert abs(len(indices) - length * part.share) < 3
        assert all(abs(index - start * part.share) < length * part.share + 3 for index in indices)


def test_batches_of_mixed_parts() -> None:
    """10 videos of one part and 4 of another, half and half: the small one is used again and again, in whole passes."""
    parts = (Part(10, Fraction(1, 2)), Part(4, Fraction(1, 2)))
    plan = BatchPlan(14, 4, 2, 10, seed=3, parts=parts)
    assert plan.steps == 35
    samples = [plan.samples(step) for step in range(plan.steps)]
    assert all(sum(position < 10 for _, position in batch) == 2 for batch in samples)
    used = Counter((position, epoch) for batch in samples for epoch, position in batch)
    assert set(used.values()) == {1}, "a video is used once in a pass"
    for first, count in ((0, 10), (10, 4)):
        passes = Counter(epoch for position, epoch in used if first <= position < first + count)
        assert passes == {epoch: count for epoch in range(70 // count)} | (
            {70 // count: 70 % count} if 70 % count else {}
        )
    both = [plan.micro_batches(7, rank, 2) for rank in (0, 1)]
    assert [*both[0][0], *both[1][0]] == samples[7], "workers share the same batch"


def test_without_parts_the_order_is_as_it_was() -> None:
    """The first batches of runs made before kinds existed: numpy's permutation of (seed, epoch)."""
    plan = BatchPlan(5, 2, 1, 2, seed=7)
    found = [sample for step in range(plan.steps) for sample in plan.samples(step)]

    wanted = [(epoch, int(p)) for epoch in (0, 1) for p in np.random.default_rng([7, epoch]).permutation(5)]
    assert found == wanted


def test_kinds_and_their_weights() -> None:
    assert read_kinds(["image=1", "trimmed=3"], KINDS) == (
        ("image", "trimmed"),
        (Fraction(1, 4), Fraction(3, 4)),
    )
    assert read_kinds(["trimmed=0.8", "image=0.2"], KINDS)[1] == (Fraction(4, 5), Fraction(1, 5))
    assert read_kinds(["untrimmed"], KINDS) == (("untrimmed",), ()) and read_kinds([], KINDS) == ((), ())
    for words, reason in (
        (["pictures"], "each of trimmed, untrimmed, image"),
        (["image", "image"], "at most once"),
        (["image=0.5", "trimmed"], "give every kind a weight"),
        (["image=x"], "give every kind a weight"),
        (["image="], "give every kind a weight"),
        (["image=0"], "above 0"),
        (["image=1/0"], "above 0"),
    ):
        with pytest.raises(InputError, match=reason):
            read_kinds(words, KINDS)
