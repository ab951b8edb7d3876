"""Random changes of colour in training: brightness, contrast, saturation, hue, and lighting (Krizhevsky et al. 2012).

As in TPN's project (mmaction/datasets/transforms.py, GroupColorJitter), which published weights were trained with. Its
peculiarities are kept: the amounts are drawn once for a clip, but whether a change applies is drawn for every frame;
nothing is clipped to [0, 255]; luma and hue take the channels of BGR frames for those of RGB. That it also draws
whether contrast comes before the other two makes no difference: it is one factor for all colours.

Each change is an affine map of the three colours, and so are several in a row. The decoding process draws one 3 x 4
matrix a frame, and the device applies it: the clip itself stays uint8 until there.
"""

from __future__ import annotations

import numpy as np
import torch

from actionlib.recipes import ColourJitter

_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_LUMA, [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
_FROM_YIQ = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])
# principal components of the colours of ImageNet, RGB, and how much colours vary along each
_COMPONENTS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
_VARIANCES = np.array([55.46, 4.794, 1.148])


def draw(jitter: ColourJitter, frames: int, rng: np.random.Generator) -> torch.Tensor:
    """A map of colours for each frame of a clip.

    Returns:
        float32 `(frames, 3, 4)`: RGB levels v become `m[:, :3] @ v + m[:, 3]`.
    """
    brightness = rng.uniform(-jitter.brightness, jitter.brightness)
    contrast, saturation = rng.uniform(*jitter.contrast), rng.uniform(*jitter.saturation)
    angle = np.pi * rng.uniform(-jitter.hue, jitter.hue)
    lighting = _COMPONENTS @ (rng.normal(0, jitter.lighting_std, 3) * _VARIANCES)
    steps = (
        contrast * np.eye(3),
        # towards the luma of the colour; rows are what each channel becomes
        saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1)),
        _FROM_YIQ @ _rotation(angle) @ _TO_YIQ,
    )
    maps = np.empty((frames, 3, 4))
    for frame in range(frames):
        linear, offset = np.eye(3), np.zeros(3)
        if rng.random() < jitter.prob:
            offset += brightness
        for step in steps:
            if rng.random() < jitter.prob:
                linear, offset = step @ linear, step @ offset
        # so far of BGR colours
        maps[frame, :, :3], maps[frame, :, 3] = linear[::-1, ::-1], offset[::-1] + lighting
    return torch.from_numpy(maps.astype(np.float32))


def _rotation(angle: float) -> np.ndarray:
    """Of the two chroma components of YIQ."""
    u, w = np.cos(angle), np.sin(angle)
    return np.array([[1, 0, 0], [0, u, -w], [0, w, u]])


def apply(x_NCTHW: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
    """Map the colours of every frame.

    Args:
        x_NCTHW: RGB levels `(N, 3, T, H, W)` of any type.
        maps: `(N, T, 3, 4)` as `draw` gives them.

    Returns:
        float32 of the shape of x.
    """
    linear, offset = maps[..., :3], maps[..., 3]
    moved = torch.einsum("ntij,njthw->nithw", linear, x_NCTHW.to(torch.float32))
    return moved + offset.transpose(1, 2)[..., None, None]
