"""What the figures do: two sets of actions as key poses, how they run in time, and the skeleton they move.

Actions come in pairs that differ only in the direction of time: a `StandUp` is a `SitDown` played backwards. Every
action repeats for as long as the camera runs and is filmed from a random moment, so at any place of a video a pose
is equally likely, and as likely in one member of a pair as in the other: no frame, not even one known to be the
first, tells them apart. What does is the direction of the stroke, which jumps back to its start to begin again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float]
Pose = Mapping[str, float]


@dataclass(frozen=True)
class Action:
    """One class, or a pair of classes made of the same videos forwards and backwards.

    Attributes:
        name: the class.
        twin: the class of the same frames in reverse order, or None for an action that looks the same both ways.
        motion: `stroke` goes through `keys` and starts again, `swing` to and fro alike, `cycle` round and
            round through `keys`, the last of which poses like the first.
        keys: poses, each a mapping of joint to degrees. Limb angles are measured in the picture from straight
            down, positive to the right (the figure faces right); `elbow` and `knee` are relative to the limb
            above; `lean` tilts the trunk; `lift` raises the feet, in hundredths of the body's height.
            `near_` limbs are drawn in front. Joints left out are 0.
        front: seen from the front (shoulders and hips have width), not from the side.
        prop: what else is in the picture: `seat` below the last key's pelvis, `box` in the hands.
        turns: the figure may also face left; not for actions whose name states a direction in the picture.
        travel: body heights a second by which the ground passes under a camera that follows the figure.
    """

    name: str
    twin: str | None
    motion: Literal["stroke", "swing", "cycle"]
    keys: tuple[Pose, ...]
    front: bool = False
    prop: Literal["seat", "box"] | None = None
    turns: bool = True
    travel: float = 0.0


def _both(**joints: float) -> dict[str, float]:
    """The same angles for the near and the far limb."""
    return {f"{side}_{joint}": angle for joint, angle in joints.items() for side in ("near", "far")}


def _mirrored(**joints: float) -> dict[str, float]:
    """The near limb as given, the far one as its mirror image: a figure seen from the front."""
    return {
        f"{side}_{joint}": sign * a
        for joint, a in joints.items()
        for side, sign in (("near", 1), ("far", -1))
    }


FIRST = (
    Action(
        "SitDown",
        "StandUp",
        "stroke",
        (
            {"lean": -6, **_both(shoulder=-10, elbow=5, hip=0, knee=0)},
            {"lean": 30, **_both(shoulder=45, elbow=10, hip=50, knee=-75)},
            {"lean": 12, **_both(shoulder=95, elbow=5, hip=96, knee=-100)},
        ),
        prop="seat",
        turns=False,
    ),
    Action(
        "Push",
        "Pull",
        "stroke",
        (
            {"lean": -14, **_both(shoulder=-40, elbow=125), "near_hip": 14, "far_hip": -22, "near_knee": -12},
            {"lean": 30, **_both(shoulder=84, elbow=5), "near_hip": 52, "far_hip": -38, "near_knee": -52},
        ),
        prop="box",
        turns=False,
    ),
    Action(
        "WaveLeft",
        "WaveRight",
        "stroke",
        (
            {"lean": 16, **_both(shoulder=115, elbow=-5), **_mirrored(hip=10)},
            {"lean": -16, **_both(shoulder=245, elbow=5), **_mirrored(hip=10)},
        ),
        front=True,
        turns=False,
    ),
    Action(
        "RaiseArms",
        "LowerArms",
        "stroke",
        (_mirrored(shoulder=12, elbow=4, hip=7), _mirrored(shoulder=168, elbow=-4, hip=7)),
        front=True,
    ),
    Action(
        "JumpingJack",
        None,
        "swing",
        (
            {"lift": 0, **_mirrored(shoulder=10, hip=3)},
            {"lift": 8, **_mirrored(shoulder=80, hip=18)},
            {"lift": 0, **_mirrored(shoulder=150, hip=32)},
        ),
        front=True,
    ),
    Action("Bow", None, "swing", ({"lean": -4, **_both(shoulder=0)}, {"lean": 82, **_both(shoulder=12)})),
)

SECOND = (
    Action(
        "ArmCounterclockwise",
        "ArmClockwise",
        "cycle",
        ({"near_shoulder": 0, **_mirrored(hip=9)}, {"near_shoulder": 360, **_mirrored(hip=9)}),
        front=True,
        turns=False,
    ),
    Action(
        "PickUp",
        "PutDown",
        "stroke",
        (
            {"lean": 78, **_both(shoulder=12, elbow=0, hip=42, knee=-62)},
            {"lean": 30, **_both(shoulder=20, elbow=25, hip=14, knee=-22)},
            {"lean": -4, **_both(shoulder=30, elbow=80, hip=2, knee=-3)},
        ),
        prop="box",
    ),
    Action(
        "WalkLeft",
        "WalkRight",
        "cycle",
        (
            {"near_hip": 28, "far_hip": -28, "near_shoulder": -28, "far_shoulder": 28},
            {"near_hip": -28, "far_hip": 28, "near_shoulder": 28, "far_shoulder": -28},
            {"near_hip": 28, "far_hip": -28, "near_shoulder": -28, "far_shoulder": 28},
        ),
        turns=False,
        travel=-0.75,
    ),
    Action(
        "Kick",
        None,
        "swing",
        (
            {"lean": 4, "near_hip": -35, "near_knee": -40, **_mirrored(shoulder=20)},
            {"lean": -10, "near_hip": 85, "near_knee": 0, **_mirrored(shoulder=35)},
        ),
    ),
    Action(
        "Clap",
        None,
        "swing",
        (_mirrored(shoulder=85, elbow=0, hip=6), _mirrored(shoulder=55, elbow=-120, hip=6)),
        front=True,
    ),
)


def classes(actions: tuple[Action, ...]) -> list[str]:
    """Class names in alphabetical order, both members of a pair."""
    return sorted(name for a in actions for name in (a.name, a.twin) if name)


def pairs(actions: tuple[Action, ...]) -> list[tuple[str, str]]:
    """Classes that only the direction of time tells apart."""
    return [(a.name, a.twin) for a in actions if a.twin]


def progress(motion: str, t_s: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """How far along its key poses an action is at each moment of a video, in [0, 1].

    Phase and length of a repetition are random. `t_s`: the moments, in seconds.
    """
    lasts_s = rng.uniform(1.4, 1.8) if motion == "stroke" else rng.uniform(1.4, 2.1)
    phase = np.mod(rng.uniform() + t_s / lasts_s, 1.0)
    if motion == "swing":
        return 0.5 - 0.5 * np.cos(2 * math.pi * phase)
    return _eased(phase) if motion == "stroke" else phase


def _eased(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Start and end gently: half way between a straight line and the cubic with zero slope at both ends."""
    return 0.5 * p + 0.5 * (3 * p**2 - 2 * p**3)


def pose(action: Action, along: float, jitter: Pose) -> dict[str, float]:
    """Joint angles at `along` in [0, 1] of the action's keys, in degrees, with this clip's `jitter` added."""
    place = along * (len(action.keys) - 1)
    index = min(int(place), len(action.keys) - 2)
    share = place - index
    before, after = action.keys[index], action.keys[index + 1]
    joints = {*before, *after, *jitter}
    return {
        j: (1 - share) * before.get(j, 0.0) + share * after.get(j, 0.0) + jitter.get(j, 0.0)
        for j in sorted(joints)
    }


@dataclass(frozen=True)
class Build:
    """Lengths of the parts of one body, which is about 1 high; `head` and `shoulder` are measured from the middle."""

    head: float
    shoulder: float
    trunk: float
    upper_arm: float
    forearm: float
    thigh: float
    shin: float


def skeleton(angles: Pose, build: Build, front: bool) -> dict[str, Point]:
    """Joint positions (x to the right, y up, in body heights); x = 0 is below the feet, y = 0 the ground.

    The feet are the anchor, the lower one most, so that the pelvis moves when knees bend, as bodies do.
    `front` sets shoulders and hips apart.
    """
    at: dict[str, Point] = {"pelvis": (0.0, 0.0)}
    lean = angles.get("lean", 0.0)
    at["neck"] = _limb(at["pelvis"], 180 - lean, build.trunk)
    at["head"] = _limb(at["neck"], 180 - 0.7 * lean, 1.25 * build.head)
    for side, sign in (("near", 1), ("far", -1)):
        hip, shoulder = angles.get(f"{side}_hip", 0.0), angles.get(f"{side}_shoulder", 0.0)
        apart = sign * build.shoulder if front else 0.0
        at[f"{side}_hip"] = at["pelvis"][0] + 0.5 * apart, at["pelvis"][1]
        at[f"{side}_knee"] = _limb(at[f"{side}_hip"], hip, build.thigh)
        at[f"{side}_foot"] = _limb(at[f"{side}_knee"], hip + angles.get(f"{side}_knee", 0.0), build.shin)
        at[f"{side}_shoulder"] = at["neck"][0] + apart, at["neck"][1]
        at[f"{side}_elbow"] = _limb(at[f"{side}_shoulder"], shoulder, build.upper_arm)
        at[f"{side}_hand"] = _limb(
            at[f"{side}_elbow"], shoulder + angles.get(f"{side}_elbow", 0.0), build.forearm
        )
    near, far = at["near_foot"], at["far_foot"]
    lowest = min(near[1], far[1])
    weights = [1 / (0.03 + foot[1] - lowest) for foot in (near, far)]
    dx = -(weights[0] * near[0] + weights[1] * far[0]) / sum(weights)
    dy = angles.get("lift", 0.0) / 100 - lowest
    return {name: (x + dx, y + dy) for name, (x, y) in at.items()}


def _limb(start: Point, angle: float, length: float) -> Point:
    """The end of a limb that starts at `start` and points `angle` degrees away from straight down."""
    a = math.radians(angle)
    return start[0] + length * math.sin(a), start[1] - length * math.cos(a)
