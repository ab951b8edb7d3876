"""The inner iteration of TV-L1 on a CPU core: several iterations in one walk down the picture.

One iteration reads and writes about 64 bytes a pixel, so a loop over whole planes runs at the speed of the memory
behind the caches. Iteration k + 1 of a row needs nothing below the row that iteration k has just finished, so `count`
iterations follow each other down the picture one row apart, and each row comes from memory once for all of them.
What the rows were before is kept in `saved`, for the case that the stopping rule is met half way.

Layout, float32 (height + 2, 10, pitch): the ten planes of a row lie side by side, so that all a row needs has one base
and constant distances, which is what lets the compiler use vectors without testing for overlap. Row y of the picture
is row y + 1, column x is at `PAD + x`. Planes: u, v (the flow), pu_x, pu_y, pv_x, pv_y (its dual), and the terms of
`tvl1_warp`. The duals are 0 above and left of the picture. Columns from the width to the next multiple of 16 hold
numbers that nothing reads, so that no loop has a remainder.
"""

from __future__ import annotations

import numpy as np
from numba import njit

PAD = 16
PLANES = 10
U, V, PU_X, PU_Y, PV_X, PV_Y, GX, GY, RHO, INVERSE = range(PLANES)
_STATE = 6  # planes that iterations change

# Pitches to choose from: a compiled version each. None is near a multiple of 1024, which would put the planes of a
# row on the same cache lines.
PITCHES = (544, 4128)

_ONE = np.float32(1)
_ZERO = np.float32(0)

# Contraction to fused multiply-add is allowed, reordering is not; frames are finite and so is everything here.
FAST = {"contract", "nnan", "ninf", "nsz"}


@njit(nogil=True, fastmath=FAST, error_model="numpy", forceinline=True)
def _row(two, change, pitch, columns, limit, theta, taut):
    """Flow of the lower of two rows, then dual of the upper one, which needs the lower one's new flow.

    Thresholding step and divergence give the flow, forward differences of the flow the dual; one division serves both
    components of the dual. Adds the squared change of the flow to `change`.
    """
    up = PAD
    at = PAD + PLANES * pitch
    for x in range(columns):
        u, v = two[at + U * pitch + x], two[at + V * pitch + x]
        gx, gy = two[at + GX * pitch + x], two[at + GY * pitch + x]
        pu_y, pv_y = two[up + PU_Y * pitch + x], two[up + PV_Y * pitch + x]
        step = -(two[at + RHO * pitch + x] + (gx * u + gy * v)) * two[at + INVERSE * pitch + x]
        step = limit if step > limit else step
        step = -limit if step < -limit else step
        spread_u = (two[at + PU_X * pitch + x] - two[at - 1 + PU_X * pitch + x]) + (
            two[at + PU_Y * pitch + x] - pu_y
        )
        spread_v = (two[at + PV_X * pitch + x] - two[at - 1 + PV_X * pitch + x]) + (
            two[at + PV_Y * pitch + x] - pv_y
        )
        du = step * gx + theta * spread_u
        dv = step * gy + theta * spread_v
        change[x] += du * du + dv * dv
        u += du
        v += dv
        two[at + U * pitch + x] = u
        two[at + V * pitch + x] = v
        up_u, up_v = two[up + U * pitch + x], two[up + V * pitch + x]
        ux, uy = two[up + 1 + U * pitch + x] - up_u, u - up_u
        vx, vy = two[up + 1 + V * pitch + x] - up_v, v - up_v
        norm_u = _ONE + taut * np.sqrt(ux * ux + uy * uy)
        norm_v = _ONE + taut * np.sqrt(vx * vx + vy * vy)
        both = _ONE / (norm_u * norm_v)
        scale_u, scale_v = norm_v * both, norm_u * both
        two[up + PU_X * pitch + x] = (two[up + PU_X * pitch + x] + taut * ux) * scale_u
        two[up + PU_Y * pitch + x] = (pu_y + taut * uy) * scale_u
        two[up + PV_X * pitch + x] = (two[up + PV_X * pitch + x] + taut * vx) * scale_v
        two[up + PV_Y * pitch + x] = (pv_y + taut * vy) * scale_v


@njit(nogil=True, error_model="numpy", forceinline=True)
def _copy(source, target, planes, pitch, columns):
    """The first planes of a row."""
    for plane in range(planes):
        begin = PAD + plane * pitch
        old, new = source[begin : begin + columns], target[begin : begin + columns]
        for x in range(columns):
            new[x] = old[x]


@njit(nogil=True, error_model="numpy", forceinline=True)
def iterate(work, saved, again, change, pitch, height, width, count, limit, theta, taut):
    """`count` iterations on `work` in place; row k of `change` gets iteration k's change, summed down each column.

    Args:
        work: (height + 2) * 10 * pitch, flat. saved: 6 * height * pitch, flat: the state before.
        again: begin at `saved` instead of saving.
        change: (at least count, pitch).
        limit: lambda times theta. taut: tau over theta.
    """
    columns = (width + 15) // 16 * 16
    size = PLANES * pitch
    state = _STATE * pitch
    change[:count] = _ZERO
    for time in range(height + count):
        for k in range(max(0, time - height), min(count, time + 1)):
            y = time - k
            upper = y * size
            lower = upper + size
            if k == 0 and y < height:
                now, then = work[lower : lower + state], saved[y * state : (y + 1) * state]
                if again:
                    _copy(then, now, _STATE, pitch, columns)
                else:
                    _copy(now, then, _STATE, pitch, columns)
            if y == height:  # no difference across the lower edge, and no dual there to change this row
                _copy(work[upper : upper + size], work[lower : lower + size], 2, pitch, columns)
            _row(work[upper : upper + 2 * size], change[k], pitch, columns, limit, theta, taut)
            if y == 0:
                for x in range(columns):
                    work[PAD + PU_Y * pitch + x] = _ZERO
                    work[PAD + PV_Y * pitch + x] = _ZERO
            # nor across the right edge
            edge = lower + PAD + width
            work[edge + U * pitch] = work[edge - 1 + U * pitch]
            work[edge + V * pitch] = work[edge - 1 + V * pitch]
