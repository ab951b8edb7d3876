"""Moving pictures whose flow is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def texture(height: int, width: int, x: float = 0.0, y: float = 0.0) -> npt.NDArray[np.uint8]:
    """A smooth picture made of waves, moved by (x, y) pixels: sampled from the formula, so exact at any shift."""
    rng = np.random.default_rng(5)
    ys, xs = np.mgrid[:height, :width]
    xs, ys = xs - x, ys - y
    total = np.zeros((height, width))
    for _ in range(24):
        angle, length, phase = rng.uniform(0, np.pi), rng.uniform(9, 40), rng.uniform(0, 2 * np.pi)
        total += np.sin((np.cos(angle) * xs + np.sin(angle) * ys) * 2 * np.pi / length + phase)
    return np.clip(128 + 18 * total, 0, 255).round().astype(np.uint8)


def inner(flow: npt.NDArray[np.float32], border: int = 16) -> npt.NDArray[np.float32]:
    """Flow without the border, where things come in from outside."""
    return flow[..., border:-border, border:-border]
