"""Median of 5 x 5 pixels as a network of minima and maxima.

A column of five pixels is sorted once and used by the five windows that it lies in: 18 minima and maxima. What is left
for a window takes 88; it was found by taking away from sorting networks every comparison whose absence changes no
median over the 6^5 arrangements of zeros and ones in sorted columns (a network of minima and maxima that is right for
zeros and ones is right for all numbers, the 0-1 principle). No branch depends on a pixel, so it runs in vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numba.extending import overload

from actionlib.flow.tvl1_iterate import FAST, PAD

if TYPE_CHECKING:
    from torch import Tensor


def lo(a: Tensor, b: Tensor) -> Tensor:
    """The smaller of two; numbers in compiled code, tensors elsewhere."""
    return a.minimum(b)


def hi(a: Tensor, b: Tensor) -> Tensor:
    """The larger of two."""
    return a.maximum(b)


@overload(lo, jit_options={"fastmath": FAST})
def _lo(a, b):
    return lambda a, b: a if a < b else b


@overload(hi, jit_options={"fastmath": FAST})
def _hi(a, b):
    return lambda a, b: b if a < b else a


def sort5(a: Any, b: Any, c: Any, d: Any, e: Any) -> Any:
    """Five values in ascending order."""
    a, d = lo(a, d), hi(a, d)
    b, e = lo(b, e), hi(b, e)
    a, c = lo(a, c), hi(a, c)
    b, d = lo(b, d), hi(b, d)
    a, b = lo(a, b), hi(a, b)
    c, e = lo(c, e), hi(c, e)
    b, c = lo(b, c), hi(b, c)
    d, e = lo(d, e), hi(d, e)
    c, d = lo(c, d), hi(c, d)
    return a, b, c, d, e


# fmt: off
def median25(
    a0: Any, a1: Any, a2: Any, a3: Any, a4: Any, b0: Any, b1: Any, b2: Any, b3: Any, b4: Any, c0: Any, c1: Any, c2: Any,
    c3: Any, c4: Any, d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, e0: Any, e1: Any, e2: Any, e3: Any, e4: Any,
) -> Any:
    """Median of 25 values in five sorted columns: a0..a4 are the smallest of each, e0..e4 the largest."""
    a0, a3 = lo(a0, a3), hi(a0, a3)
    a1, a4 = lo(a1, a4), hi(a1, a4)
    a2 = hi(a0, a2)
    a3 = hi(a1, a3)
    a2, a4 = lo(a2, a4), hi(a2, a4)
    a3, a4 = lo(a3, a4), hi(a3, a4)
    a3 = hi(a2, a3)
    b1, b4 = lo(b1, b4), hi(b1, b4)
    b0, b3 = lo(b0, b3), hi(b0, b3)
    b2, b4 = lo(b2, b4), hi(b2, b4)
    b1, b3 = lo(b1, b3), hi(b1, b3)
    b3, b4 = lo(b3, b4), hi(b3, b4)
    b2 = hi(b0, b2)
    b2, b3 = lo(b2, b3), hi(b2, b3)
    b2 = hi(b1, b2)
    c1, c4 = lo(c1, c4), hi(c1, c4)
    c0, c3 = lo(c0, c3), hi(c0, c3)
    c2, c4 = lo(c2, c4), hi(c2, c4)
    c1, c3 = lo(c1, c3), hi(c1, c3)
    c3 = lo(c3, c4)
    c0, c2 = lo(c0, c2), hi(c0, c2)
    c2, c3 = lo(c2, c3), hi(c2, c3)
    c1 = hi(c0, c1)
    c1, c2 = lo(c1, c2), hi(c1, c2)
    d1, d4 = lo(d1, d4), hi(d1, d4)
    d0, d3 = lo(d0, d3), hi(d0, d3)
    d1, d3 = lo(d1, d3), hi(d1, d3)
    d3 = lo(d3, d4)
    d0, d2 = lo(d0, d2), hi(d0, d2)
    d2 = lo(d2, d3)
    d0, d1 = lo(d0, d1), hi(d0, d1)
    d1, d2 = lo(d1, d2), hi(d1, d2)
    e0, e3 = lo(e0, e3), hi(e0, e3)
    e1, e4 = lo(e1, e4), hi(e1, e4)
    e0, e2 = lo(e0, e2), hi(e0, e2)
    e1 = lo(e1, e3)
    e0, e1 = lo(e0, e1), hi(e0, e1)
    e2 = lo(e2, e4)
    e1 = lo(e1, e2)
    c1 = hi(a4, c1)
    c1, c2 = lo(c1, c2), hi(c1, c2)
    e1 = lo(e1, c2)
    d0 = hi(c1, d0)
    d2 = lo(d2, c3)
    b3, e1 = lo(b3, e1), hi(b3, e1)
    b3, d0 = lo(b3, d0), hi(b3, d0)
    b2 = hi(b3, b2)
    e1 = lo(e1, e0)
    b2 = hi(e1, b2)
    d2 = lo(d2, b4)
    d2, d0 = lo(d2, d0), hi(d2, d0)
    d2, b2 = lo(d2, b2), hi(d2, b2)
    d1 = hi(d2, d1)
    d0 = lo(d0, d1)
    a3 = hi(d0, a3)
    b2 = lo(b2, a3)
    return b2
# fmt: on


_sort5 = njit(fastmath=FAST, forceinline=True)(sort5)
_median25 = njit(fastmath=FAST, forceinline=True)(median25)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _sort_columns(r0, r1, r2, r3, r4, s0, s1, s2, s3, s4):
    for x in range(s0.size):
        s0[x], s1[x], s2[x], s3[x], s4[x] = _sort5(r0[x], r1[x], r2[x], r3[x], r4[x])


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _medians(a, b, c, d, e, result):
    for x in range(result.size):
        result[x] = _median25(
            a[x], a[x + 1], a[x + 2], a[x + 3], a[x + 4],
            b[x], b[x + 1], b[x + 2], b[x + 3], b[x + 4],
            c[x], c[x + 1], c[x + 2], c[x + 3], c[x + 4],
            d[x], d[x + 1], d[x + 2], d[x + 3], d[x + 4],
            e[x], e[x + 1], e[x + 2], e[x + 3], e[x + 4],
        )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def median5(rows, plane, width):
    """5 x 5 median of a plane in place, edges repeated; `rows` are those of the picture, as in `tvl1_iterate`."""
    height = rows.shape[0]
    # rows y - 2 to y + 2 as they were
    window = np.empty((5, width + 4), np.float32)
    ranks = np.empty((5, width + 4), np.float32)
    for y in range(-2, height):
        below = min(y + 2, height - 1)
        if y + 2 < height:
            row = window[below % 5]
            row[2 : width + 2] = rows[below, plane, PAD : PAD + width]
            row[:2] = row[2]
            row[width + 2 :] = row[width + 1]
        if y >= 0:
            _sort_columns(
                window[max(y - 2, 0) % 5],
                window[max(y - 1, 0) % 5],
                window[y % 5],
                window[min(y + 1, height - 1) % 5],
                window[below % 5],
                ranks[0],
                ranks[1],
                ranks[2],
                ranks[3],
                ranks[4],
            )
            _medians(ranks[0], ranks[1], ranks[2], ranks[3], ranks[4], rows[y, plane, PAD : PAD + width])
