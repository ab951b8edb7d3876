"""One scale of TV-L1 for one pair on one CPU core: warps, outer and inner iterations, and the stopping rule."""

from __future__ import annotations

import numpy as np
from numba import njit

from actionlib.errors import InputError
from actionlib.flow.median import median5
from actionlib.flow.tvl1_iterate import PAD, PITCHES, PLANES, U, V, iterate
from actionlib.flow.tvl1_warp import warp

# Iterations in one walk down the picture: their rows stay in a level 2 cache.
_TOGETHER = 8


def pitch_of(width: int) -> int:
    """Floats between two planes of a row.

    Raises:
        InputError: a picture wider than any pitch.
    """
    for pitch in PITCHES:
        if width <= pitch - 2 * PAD:
            return pitch
    raise InputError(
        f"flow of frames {width} pixels wide: the limit is {PITCHES[-1] - 2 * PAD}; make them smaller"
    )


def scratch_size(height: int, width: int) -> int:
    """Floats of scratch memory that `solve_scale` needs for a picture of this size."""
    return ((height + 2) * PLANES + height * 6 + _TOGETHER) * pitch_of(width)


@njit(cache=True, nogil=True, error_model="numpy")
def _until_allowed(change, count, width, allowed):
    """How many of `count` iterations the stopping rule lets happen, and the summed change of the last two of them."""
    last = np.inf
    for k in range(count):
        before, last = last, 0.0
        for x in range(width):  # one order of summing, so the same bits whatever runs beside
            last += change[k, x]
        if last <= allowed:
            return k + 1, before, last
    return count, before, last


@njit(cache=True, nogil=True, error_model="numpy")
def _ahead(before, last, allowed):
    """How many iterations to do together next: one more than are left if the change went on shrinking at its last rate.

    Only time depends on it. The rate slows down, so this seldom goes too far, which would cost doing them again.
    """
    if not last < before or last <= allowed:
        return _TOGETHER
    steps = np.log(allowed / last) / np.log(last / before)
    return min(max(int(steps), 0) + 1, _TOGETHER)


# The pitch becomes a constant of the compiled code, one version of it for each.
@njit(cache=True, nogil=True, error_model="numpy")
def _iterate(work, saved, again, change, pitch, height, width, count, limit, theta, taut):
    if pitch == 544:
        iterate(work, saved, again, change, 544, height, width, count, limit, theta, taut)
    else:
        iterate(work, saved, again, change, 4128, height, width, count, limit, theta, taut)


@njit(cache=True, nogil=True, error_model="numpy")
def solve_scale(first, second, flow, pitch, warps, inner, outer, median, limit, theta, taut, allowed, memory):
    """Refine `flow` (2, H, W) of one scale in place.

    Args:
        first, second: pictures with the border of `pad`.
        pitch: from `pitch_of`.
        limit: lambda times theta. taut: tau over theta. allowed: summed squared change at which a warp ends.
        memory: float32 scratch, at least `scratch_size(H, W)`.
    """
    height, width = flow.shape[1:]
    size = (height + 2) * PLANES * pitch
    work = memory[:size]
    saved = memory[size : size + height * 6 * pitch]
    rest = size + height * 6 * pitch
    change = memory[rest : rest + _TOGETHER * pitch].reshape(_TOGETHER, pitch)
    work[:] = np.float32(0)
    rows = work.reshape(height + 2, PLANES, pitch)[1 : height + 1]
    rows[:, U, PAD : PAD + width] = flow[0]
    rows[:, V, PAD : PAD + width] = flow[1]
    total = 2 * _TOGETHER
    for _ in range(warps):
        warp(first, second, rows)
        error = np.inf
        together = min(max(total // 2, 2), _TOGETHER)  # a warp takes fewer iterations than the one before
        total = 0
        for _ in range(outer):
            if error <= allowed:
                break
            if median:
                median5(rows, U, width)
                median5(rows, V, width)
            done = 0
            while error > allowed and done < inner:
                count = min(together, inner - done)
                again = False
                while True:  # a second time if the stopping rule was met before the last of them
                    _iterate(work, saved, again, change, pitch, height, width, count, limit, theta, taut)
                    used, previous, error = _until_allowed(change, count, width, allowed)
                    if used == count:
                        break
                    count, again = used, True
                done += used
                total += used
                together = _ahead(previous, error, allowed)
    flow[0] = rows[:, U, PAD : PAD + width]
    flow[1] = rows[:, V, PAD : PAD + width]
