"""Draw a clip of a figure in action: a random body, clothes, scene and camera, anti-aliased, as RGB frames.

Everything random comes from the generator handed in, in a fixed order, so the same seed gives the same pixels.
Legend of axes: T time, H height, W width, C channel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from actionlib.figures.actions import Action, Build, Point, pose, progress, skeleton

Colour = tuple[int, int, int]
Look = Literal["painted", "paper"]
Track = NDArray[np.floating[Any]]  # one number a frame

SCALE = 2  # figures are drawn at twice the size and averaged down; scenes are smooth already
_PAD = 0.5  # the scene reaches this part of a frame beyond each side, for the camera to move over


@dataclass(frozen=True)
class Actor:
    """What stays the same in all videos of one group: body, clothes, scene, picture size, frame rate.

    `scene` is larger than the frame by `_PAD` of it on each side; `size` is (width, height) in pixels; `fps` is
    (numerator, denominator).
    """

    look: Look
    build: Build
    thickness: float
    skin: Colour
    shirt: Colour
    trousers: Colour
    prop: Colour
    scene: Image.Image
    size: tuple[int, int]
    fps: tuple[int, int]


# Real cameras' small sizes and rates; a transcoder has to cope with fractions.
_SIZES = ((160, 120), (176, 144), (168, 128), (192, 144))
_RATES = ((15000, 1001), (16, 1), (50, 3), (17500, 1001), (18, 1))


def make_actor(look: Look, rng: np.random.Generator) -> Actor:
    """A random figure in a random scene."""
    size = _SIZES[rng.integers(len(_SIZES))]
    fps = _RATES[rng.integers(len(_RATES))]
    legs = rng.uniform(0.94, 1.06)
    arms = rng.uniform(0.9, 1.12)
    build = Build(
        head=rng.uniform(0.07, 0.1),
        shoulder=rng.uniform(0.05, 0.075),
        trunk=rng.uniform(0.29, 0.34),
        upper_arm=0.18 * arms,
        forearm=0.18 * arms,
        thigh=0.235 * legs,
        shin=0.235 * legs,
    )
    scene = _painted_scene(size, rng) if look == "painted" else _paper_scene(size, rng)
    low, high = (150, 256) if look == "painted" else (0, 110)
    return Actor(
        look,
        build,
        rng.uniform(0.07, 0.095),
        skin=_colour(rng, low, high),
        shirt=_colour(rng, low, high),
        trousers=_colour(rng, low, high),
        prop=_colour(rng, low, high),
        scene=scene,
        size=size,
        fps=fps,
    )


def draw_clip(action: Action, actor: Actor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Frames (T, H, W, 3) uint8 of one random take of the action, 2.25 to 2.7 s long.

    For an action with a twin, the twin's video is the same frames in reverse order.
    """
    fps = actor.fps[0] / actor.fps[1]
    frames = round(fps * rng.uniform(2.25, 2.7))
    along = progress(action.motion, np.arange(frames) / fps, rng)
    jitter = {
        j: float(rng.normal(0, 4)) for j in sorted({name for key in action.keys for name in key} - {"lift"})
    }
    camera = _camera(actor, action, frames, fps, rng)
    mirror = bool(action.turns and rng.integers(2))
    seat = _seat(action, actor, jitter)
    out = np.empty((frames, actor.size[1], actor.size[0], 3), dtype=np.uint8)
    for t in range(frames):
        bones = skeleton(pose(action, float(along[t]), jitter), actor.build, action.front)
        canvas = camera.scene_at(t)
        _draw_figure(canvas, actor, bones, action, seat, camera, t, mirror)
        out[t] = np.asarray(canvas.reduce(SCALE))
    return out


# --- camera -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Camera:
    """Maps body heights to pixels of the enlarged canvas, one place, zoom and tilt a frame.

    `x_px`, `y_px`: where the ground below the figure is; `height_px`: of the body; `tilt`: radians;
    `ground_px`: how far the scene has passed beneath a camera that follows.
    """

    scene: Image.Image
    canvas: tuple[int, int]
    x_px: Track
    y_px: Track
    height_px: Track
    tilt: Track
    ground_px: Track

    def to_canvas(self, point: Point, t: int, mirror: bool) -> Point:
        x, y = (-point[0] if mirror else point[0]), -point[1]
        cos, sin, size = math.cos(self.tilt[t]), math.sin(self.tilt[t]), self.height_px[t]
        return self.x_px[t] + size * (cos * x - sin * y), self.y_px[t] + size * (sin * x + cos * y)

    def scene_at(self, t: int) -> Image.Image:
        """What the camera sees behind the figure: the scene moves with the figure's ground point."""
        width, height = self.canvas[0] // SCALE, self.canvas[1] // SCALE
        zoom = self.height_px[t] / self.height_px.mean()
        cos, sin = math.cos(self.tilt[t]) / zoom, math.sin(self.tilt[t]) / zoom
        # frame pixel (x, y) shows scene pixel: rotated back about the ground point, then shifted into the scene
        x0 = (self.x_px.mean() + self.ground_px[t]) / SCALE + _PAD * width
        y0 = self.y_px.mean() / SCALE + _PAD * height
        x, y = self.x_px[t] / SCALE, self.y_px[t] / SCALE
        matrix = (cos, sin, x0 - cos * x - sin * y, -sin, cos, y0 + sin * x - cos * y)
        seen = self.scene.transform(
            (width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
        return seen.resize(self.canvas, Image.Resampling.NEAREST)


def _camera(actor: Actor, action: Action, frames: int, fps: float, rng: np.random.Generator) -> _Camera:
    """A camera whose movement is as likely forwards as backwards, so that it says nothing about the class."""
    width, height = actor.size[0] * SCALE, actor.size[1] * SCALE
    t_s = (np.arange(frames) - (frames - 1) / 2) / fps
    body = height * rng.uniform(0.72, 0.8)
    shake = rng.choice([0.0, 0.002, 0.004]) * height
    zoom = 1 + rng.uniform(-0.05, 0.05) * t_s
    return _Camera(
        actor.scene,
        (width, height),
        x_px=width * rng.uniform(0.45, 0.55) + _wobble(t_s, rng) * shake,
        y_px=height * rng.uniform(0.93, 0.97) + _wobble(t_s, rng) * shake,
        height_px=body * zoom,
        tilt=np.radians(rng.uniform(-5, 5) + _wobble(t_s, rng) * shake / height * 60),
        ground_px=action.travel * body * t_s,
    )


def _wobble(t_s: Track, rng: np.random.Generator) -> Track:
    """A hand's tremor: two slow waves with random phase, within [-1, 1]."""
    total = np.zeros_like(t_s)
    for _ in range(2):
        total += 0.5 * np.sin(2 * math.pi * (rng.uniform(0.4, 2.0) * t_s + rng.uniform()))
    return total


# --- figure -----------------------------------------------------------------------------------------------


def _seat(action: Action, actor: Actor, jitter: dict[str, float]) -> Point | None:
    """Where a seat's middle top is: below the pelvis of the last key pose."""
    if action.prop != "seat":
        return None
    x, y = skeleton(pose(action, 1.0, jitter), actor.build, action.front)["pelvis"]
    return x, y - 0.6 * actor.thickness


def _draw_figure(
    canvas: Image.Image,
    actor: Actor,
    bones: dict[str, Point],
    action: Action,
    seat: Point | None,
    camera: _Camera,
    t: int,
    mirror: bool,
) -> None:
    """Far limbs first and darker, then seat, trunk and head, near limbs, and what the hands hold."""
    at = {name: camera.to_canvas(point, t, mirror) for name, point in bones.items()}
    draw = ImageDraw.Draw(canvas)
    unit = float(camera.height_px[t])
    width = actor.thickness * unit
    trunk = 1.5 * width + (actor.build.shoulder * unit if action.front else 0)
    edge = 0.016 * unit if actor.look == "paper" else 0.0

    def limb(names: tuple[str, str, str], colours: tuple[Colour, Colour], thick: float) -> None:
        for start, end, colour in ((names[0], names[1], colours[0]), (names[1], names[2], colours[1])):
            _capsule(draw, at[start], at[end], thick, colour, edge)

    def side(which: str, shade: float) -> None:
        skin, shirt, trousers = (_shaded(c, shade) for c in (actor.skin, actor.shirt, actor.trousers))
        limb((f"{which}_hip", f"{which}_knee", f"{which}_foot"), (trousers, trousers), width)
        if which == "near":
            _capsule(draw, at["pelvis"], at["neck"], trunk, actor.shirt, edge)
            _disc(draw, at["head"], actor.build.head * unit, actor.skin, edge)
        limb((f"{which}_shoulder", f"{which}_elbow", f"{which}_hand"), (shirt, skin), 0.8 * width)

    if seat is not None:
        _seat_block(draw, seat, actor, camera, t, mirror)
    side("far", 1.0 if action.front else 0.72)
    side("near", 1.0)
    if action.prop == "box":
        hands = [bones["near_hand"], bones["far_hand"]]
        middle = (hands[0][0] + hands[1][0]) / 2 + 0.08, (hands[0][1] + hands[1][1]) / 2
        corners = [
            (middle[0] + 0.1 * dx, middle[1] + 0.1 * dy) for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]
        draw.polygon([camera.to_canvas(c, t, mirror) for c in corners], fill=actor.prop, outline=(30, 30, 30))


def _seat_block(
    draw: ImageDraw.ImageDraw, top: Point, actor: Actor, camera: _Camera, t: int, mirror: bool
) -> None:
    x, y = top
    corners = [(x - 0.12, 0.0), (x + 0.1, 0.0), (x + 0.1, y), (x - 0.12, y)]
    draw.polygon([camera.to_canvas(c, t, mirror) for c in corners], fill=actor.prop, outline=(30, 30, 30))


def _capsule(
    draw: ImageDraw.ImageDraw, a: Point, b: Point, width: float, colour: Colour, edge: float
) -> None:
    """A line with round ends, with a dark edge around it where `edge` pixels are asked for."""
    if edge:
        _capsule(draw, a, b, width + 2 * edge, (25, 25, 30), 0.0)
    draw.line([a, b], fill=colour, width=max(1, round(width)))
    for end in (a, b):
        _disc(draw, end, width / 2, colour, 0.0)


def _disc(draw: ImageDraw.ImageDraw, at: Point, radius: float, colour: Colour, edge: float) -> None:
    if edge:
        _disc(draw, at, radius + edge, (25, 25, 30), 0.0)
    draw.ellipse([at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius], fill=colour)


# --- colours and scenes -----------------------------------------------------------------------------------


def _colour(rng: np.random.Generator, low: int = 0, high: int = 256) -> Colour:
    red, green, blue = (int(v) for v in rng.integers(low, high, 3))
    return red, green, blue


def _shaded(colour: Colour, factor: float) -> Colour:
    red, green, blue = (round(factor * v) for v in colour)
    return red, green, blue


def _scene_size(size: tuple[int, int]) -> tuple[int, int]:
    return round(size[0] * (1 + 2 * _PAD)), round(size[1] * (1 + 2 * _PAD))


def _painted_scene(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Wall and floor in soft textured gradients with blurred clutter, as behind amateur videos."""
    width, height = _scene_size(size)
    coarse = rng.uniform(40, 100, 3) + rng.uniform(-25, 25, (5, 7, 3))
    image = Image.fromarray(coarse.clip(0, 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(image)
    floor = height * rng.uniform(0.58, 0.7)
    draw.rectangle([0, floor, width, height], fill=_colour(rng, 30, 110))
    _scatter(draw, (width, height), (0.02, 0.16), int(rng.integers(6, 16)), rng, low=20, high=125)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.8, 2.5)))
    grain = rng.normal(0, rng.uniform(2, 9), (height // 2, width // 2))
    coarse_grain = Image.fromarray((128 + grain).clip(0, 255).astype(np.uint8))
    fine_grain = (
        np.asarray(coarse_grain.resize((width, height), Image.Resampling.BILINEAR), dtype=np.int16) - 128
    )
    pixels = np.asarray(image, dtype=np.int16) + fine_grain[:, :, None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _paper_scene(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Flat pastel paper with scattered shapes in pale tones and a drawn ground line."""
    width, height = (SCALE * side for side in _scene_size(size))
    image = Image.new("RGB", (width, height), _colour(rng, 175, 250))
    draw = ImageDraw.Draw(image)
    _scatter(draw, (width, height), (0.01, 0.06), int(rng.integers(25, 60)), rng, low=140, high=250)
    ground = height * rng.uniform(0.66, 0.72)
    draw.line([0, ground, width, ground], fill=(90, 90, 95), width=2 * SCALE)
    return image.reduce(SCALE)


def _scatter(
    draw: ImageDraw.ImageDraw,
    area: tuple[int, int],
    extent: tuple[float, float],
    count: int,
    rng: np.random.Generator,
    low: int,
    high: int,
) -> None:
    """Rectangles and ellipses of random colour; `extent` is the range of their sides as a share of the width."""
    for _ in range(count):
        x, y = rng.uniform(0, area[0]), rng.uniform(0, area[1])
        w, h = rng.uniform(*extent, 2) * area[0]
        shape = draw.rectangle if rng.integers(2) else draw.ellipse
        shape([x, y, x + w, y + h], fill=_colour(rng, low, high))
