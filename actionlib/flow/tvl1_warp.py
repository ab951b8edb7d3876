"""Pictures of TV-L1 on a CPU core: the pyramid, and the bicubic warp that linearises the data term.

The warped gradient is taken from the warped picture's own 6 x 6 neighbourhood: the centred difference of a picture
and the bicubic interpolation are both linear, so one pass over 32 neighbours gives the value and both derivatives
that three interpolations of three planes with 48 would. Borders as in OpenCV's DualTVL1: samples outside the picture
count 0 and the difference at an edge is half of the one-sided one, which is the centred one where the edge repeats.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from actionlib.flow.tvl1_iterate import FAST, GX, GY, INVERSE, PAD, RHO, U, V

# Replicated pixels around a picture: the neighbourhood of a sample that lies just outside.
BORDER = 6

_VECTOR = 8
# columns of the scratch line of a row, and what its five parts hold
_LINE = 4160
_AT_X, _AT_Y, _VALUE, _SLOPE_X, _SLOPE_Y = range(5)
_A = np.float32(-0.75)  # cubic of OpenCV's INTER_CUBIC
_ONE = np.float32(1)
_HALF = np.float32(0.5)
_ZERO = np.float32(0)
_TINY = np.float32(1e-12)
_LEAST = np.float32(-4)  # a sample at -3 or less touches no pixel
# OpenCV interpolates at multiples of 1/32 pixel.
_STEPS = np.float32(32)
_STEP = np.float32(1 / 32)


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def pad(picture):
    """A picture (H, W) with `BORDER` replicated pixels on each side."""
    height, width = picture.shape
    padded = np.empty((height + 2 * BORDER, width + 2 * BORDER), np.float32)
    for row in range(padded.shape[0]):
        y = min(max(row - BORDER, 0), height - 1)
        padded[row, BORDER : BORDER + width] = picture[y]
        padded[row, :BORDER] = picture[y, 0]
        padded[row, BORDER + width :] = picture[y, width - 1]
    return padded


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def resize(picture, height, width, step_y, step_x):
    """Bilinear resize, pixel centres at half positions, edges repeated, no smoothing (OpenCV's INTER_LINEAR).

    Args:
        step_y, step_x: source pixels a target pixel.
    """
    source_height, source_width = picture.shape
    left = np.empty(width, np.int64)
    share = np.empty(width, np.float32)
    for x in range(width):
        at = np.float32((x + 0.5) * step_x - 0.5)
        left[x] = min(max(np.int64(np.floor(at)), 0), source_width - 2)
        share[x] = min(max(at - np.float32(left[x]), _ZERO), _ONE)
    result = np.empty((height, width), np.float32)
    for y in range(height):
        at = np.float32((y + 0.5) * step_y - 0.5)
        top = min(max(np.int64(np.floor(at)), 0), source_height - 2)
        down = min(max(at - np.float32(top), _ZERO), _ONE)
        upper, lower = picture[top], picture[top + 1]
        for x in range(width):
            a = upper[left[x]] + share[x] * (upper[left[x] + 1] - upper[left[x]])
            b = lower[left[x]] + share[x] * (lower[left[x] + 1] - lower[left[x]])
            result[y, x] = a + down * (b - a)
    return result


@njit(inline="always")
def _cubic(at):
    """Weights of the pixels at -1, 0, 1, 2 for a sample at `at`, from 0 to below 1."""
    far = at + _ONE
    near = _ONE - at
    w0 = ((_A * far - np.float32(5) * _A) * far + np.float32(8) * _A) * far - np.float32(4) * _A
    w1 = ((_A + np.float32(2)) * at - (_A + np.float32(3))) * at * at + _ONE
    w2 = ((_A + np.float32(2)) * near - (_A + np.float32(3))) * near * near + _ONE
    return w0, w1, w2, _ONE - w0 - w1 - w2


@njit(inline="always")
def _inside(weight, at, size):
    return weight if 0 <= at < size else _ZERO


@njit(inline="always")
def _along(row, x, w0, w1, w2, w3):
    """Interpolated value, and interpolated centred difference, along a row of the 6 x 6 pixels that begin at x."""
    a, b, c, d, e, f = row[x], row[x + 1], row[x + 2], row[x + 3], row[x + 4], row[x + 5]
    value = w0 * b + w1 * c + w2 * d + w3 * e
    return value, _HALF * (w0 * (c - a) + w1 * (d - b) + w2 * (e - c) + w3 * (f - d))


@njit(inline="always")
def _sample(r0, r1, r2, r3, r4, r5, x, w0, w1, w2, w3, v0, v1, v2, v3):
    """Value, x slope and y slope from 6 x 6 pixels and the weights of the inner 4 x 4."""
    h0, _ = _along(r0, x, w0, w1, w2, w3)
    h1, s1 = _along(r1, x, w0, w1, w2, w3)
    h2, s2 = _along(r2, x, w0, w1, w2, w3)
    h3, s3 = _along(r3, x, w0, w1, w2, w3)
    h4, s4 = _along(r4, x, w0, w1, w2, w3)
    h5, _ = _along(r5, x, w0, w1, w2, w3)
    value = v0 * h1 + v1 * h2 + v2 * h3 + v3 * h4
    slope_x = v0 * s1 + v1 * s2 + v2 * s3 + v3 * s4
    return value, slope_x, _HALF * (v0 * (h2 - h0) + v1 * (h3 - h1) + v2 * (h4 - h2) + v3 * (h5 - h3))


@njit(inline="always")
def _six_rows(padded, ix, iy):
    """The rows of the picture from the neighbourhood of a sample on."""
    x, y = ix - 2 + BORDER, iy - 2 + BORDER
    return (
        padded[y, x:],
        padded[y + 1, x:],
        padded[y + 2, x:],
        padded[y + 3, x:],
        padded[y + 4, x:],
        padded[y + 5, x:],
    )


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _run(r0, r1, r2, r3, r4, r5, line, count):
    """Samples that lie side by side in the picture and inside it, in vectors.

    Args:
        r0 to r5: rows of the picture from the first sample's neighbourhood on.
        line: flat `_LINE` columns from the first sample on, see `warp`.
    """
    for x in range(count):
        w0, w1, w2, w3 = _cubic(line[x + _AT_X * _LINE])
        v0, v1, v2, v3 = _cubic(line[x + _AT_Y * _LINE])
        value, slope_x, slope_y = _sample(r0, r1, r2, r3, r4, r5, x, w0, w1, w2, w3, v0, v1, v2, v3)
        line[x + _VALUE * _LINE] = value
        line[x + _SLOPE_X * _LINE] = slope_x
        line[x + _SLOPE_Y * _LINE] = slope_y


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _anywhere(padded, ix, iy, height, width, line, x):
    """One sample, whose pixels count 0 outside the picture."""
    w0, w1, w2, w3 = _cubic(line[x + _AT_X * _LINE])
    v0, v1, v2, v3 = _cubic(line[x + _AT_Y * _LINE])
    if not (1 <= ix < width - 2 and 1 <= iy < height - 2):
        w0, w1 = _inside(w0, ix - 1, width), _inside(w1, ix, width)
        w2, w3 = _inside(w2, ix + 1, width), _inside(w3, ix + 2, width)
        v0, v1 = _inside(v0, iy - 1, height), _inside(v1, iy, height)
        v2, v3 = _inside(v2, iy + 1, height), _inside(v3, iy + 2, height)
    r0, r1, r2, r3, r4, r5 = _six_rows(padded, ix, iy)
    value, slope_x, slope_y = _sample(r0, r1, r2, r3, r4, r5, 0, w0, w1, w2, w3, v0, v1, v2, v3)
    line[x + _VALUE * _LINE] = value
    line[x + _SLOPE_X * _LINE] = slope_x
    line[x + _SLOPE_Y * _LINE] = slope_y


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _positions(u, v, y, width, height, ix, iy, line):
    """Where the sample of each pixel of row y lies: whole pixels and the rest. Far outside becomes just outside."""
    most_x, most_y = np.float32(width + 2), np.float32(height + 2)
    for x in range(width):
        fx = np.float32(x) + u[x]
        fy = np.float32(y) + v[x]
        fx = _LEAST if fx < _LEAST else fx
        fy = _LEAST if fy < _LEAST else fy
        fx = np.floor((most_x if fx > most_x else fx) * _STEPS + _HALF) * _STEP
        fy = np.floor((most_y if fy > most_y else fy) * _STEPS + _HALF) * _STEP
        left, top = np.floor(fx), np.floor(fy)
        ix[x], iy[x] = np.int32(left), np.int32(top)
        line[x + _AT_X * _LINE], line[x + _AT_Y * _LINE] = fx - left, fy - top


@njit(nogil=True, error_model="numpy", forceinline=True)
def _run_length(ix, iy, x, height, width):
    """How many samples from x on lie side by side in the picture, all their 4 x 4 pixels inside it."""
    row, shift = iy[x], ix[x] - x
    if not (1 <= row < height - 2 and ix[x] >= 1):
        return 0
    end = x
    last = min(width, width - 2 - shift)
    while end < last and iy[end] == row and ix[end] - end == shift:
        end += 1
    return end - x


@njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")
def _terms(line, picture, u, v, gx, gy, rho, inverse):
    """The terms of a row from its samples."""
    for x in range(picture.size):
        slope_x, slope_y = line[x + _SLOPE_X * _LINE], line[x + _SLOPE_Y * _LINE]
        square = slope_x * slope_x + slope_y * slope_y
        gx[x] = slope_x
        gy[x] = slope_y
        rho[x] = line[x + _VALUE * _LINE] - slope_x * u[x] - slope_y * v[x] - picture[x]
        inverse[x] = _ONE / (square if square > _TINY else _TINY)


@njit(cache=True, nogil=True, error_model="numpy")
def warp(first, second, rows):
    """Fill the terms in `rows`: gradient of the warped second picture, constant part, inverse of its square.

    Args:
        first, second: pictures with the border of `pad`.
        rows: the rows of the picture, as in `tvl1_iterate`.
    """
    height, width = first.shape[0] - 2 * BORDER, first.shape[1] - 2 * BORDER
    end = PAD + width
    ix, iy = np.empty(width, np.int32), np.empty(width, np.int32)
    line = np.empty(5 * _LINE, np.float32)  # one base and constant distances, as there
    for y in range(height):
        u, v = rows[y, U, PAD:end], rows[y, V, PAD:end]
        _positions(u, v, y, width, height, ix, iy, line)
        x = 0
        while x < width:
            count = _run_length(ix, iy, x, height, width)
            if count < _VECTOR:
                _anywhere(second, ix[x], iy[x], height, width, line, x)
                x += 1
                continue
            whole = count // _VECTOR * _VECTOR
            r0, r1, r2, r3, r4, r5 = _six_rows(second, ix[x], iy[x])
            _run(r0, r1, r2, r3, r4, r5, line[x:], whole)
            x += count
            if whole < count:  # the last ones once more, so that there is no remainder
                r0, r1, r2, r3, r4, r5 = _six_rows(second, ix[x - _VECTOR], iy[x - _VECTOR])
                _run(r0, r1, r2, r3, r4, r5, line[x - _VECTOR :], _VECTOR)
        _terms(
            line,
            first[BORDER + y, BORDER : BORDER + width],
            u,
            v,
            rows[y, GX, PAD:end],
            rows[y, GY, PAD:end],
            rows[y, RHO, PAD:end],
            rows[y, INVERSE, PAD:end],
        )
