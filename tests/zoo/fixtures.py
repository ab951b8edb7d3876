"""The parity fixtures: runs of the original projects' code, found by themselves in the folder of ACTIONLIB_PARITY.

A fixture speaks for the catalogue rows in its `catalogue_ids`. Those without one hold a network of the zoo under
another project's names: `SAME_NETWORK` says which entry that is.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib.util
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from actionlib.zoo_table import ZOO, Entry

FOLDER = Path(
    os.environ.get("ACTIONLIB_PARITY") or Path(__file__).parents[3] / "shared" / "parity"
).absolute()
HEAVY = 36e12  # input numbers times weights
MISSING = f"no parity fixtures at {FOLDER}; set ACTIONLIB_PARITY"

# fixture id -> entry, for networks that the project publishes no catalogue row of
SAME_NETWORK = {
    "tv_r2plus1d_18_*": "r2plus1d_18_16x2_k400_gcvpt",
    "vmz_pt_r2plus1d_34_*": "r2plus1d_34_l32",
    "vmz_c2_r2plus1d_34_*_flow": "r2plus1d_34_l32_flow_sports1m",
    "vmz_c2_r2plus1d_34_*": "r2plus1d_34_l32",
    "vmz_c2_r2plus1d_152_*": "r2plus1d_152_ig65m_k400_gcvpt",
    "tsn_r50_5seg_k400": "tsn_r50_seg3_k400",
    "sf_slow_r50_4x16": "slowonly_r50_4x16",
    "sf_slow_r50_8x8*": "slowonly_r50_8x8",
}


@dataclass(frozen=True)
class Case:
    """A fixture and an entry whose network it describes."""

    path: Path
    id: str
    entry: str
    has_outputs: bool
    heavy: bool
    """Too long for the plain run: many weights to draw for a large input."""

    @property
    def upstream(self) -> str:
        return self.path.parent.name

    def read(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.path.read_text())
        return content


def network_of(entry: Entry) -> tuple[object, ...]:
    """What tells two networks apart: builder, its arguments, data set and modality."""
    keywords = getattr(entry.build, "keywords", {})
    return (
        getattr(entry.build, "func", entry.build),
        repr(sorted(keywords.items())),
        entry.dataset,
        entry.modality,
    )


@functools.cache
def cases() -> tuple[Case, ...]:
    """Every fixture with every distinct network of the zoo that it speaks for."""
    found = []
    for path in sorted(FOLDER.glob("*/*.json")):
        content = json.loads(path.read_text())
        if not isinstance(content, dict) or "keys" not in content:
            continue
        names = [n for n in content.get("catalogue_ids") or [] if n in ZOO]
        if not names and not content.get("catalogue_ids"):
            names = [e for pattern, e in SAME_NETWORK.items() if fnmatch.fnmatchcase(content["id"], pattern)][
                :1
            ]
        entries = {network_of(ZOO[n]): n for n in reversed(names)}.values()
        shape = (content.get("input") or {}).get("shape") or [0]
        heavy = math.prod(shape) * sum(math.prod(size) for _, size in content["keys"]) > HEAVY
        outputs = bool(content.get("expected"))
        found += [Case(path, content["id"], entry, outputs, heavy) for entry in entries]
    return tuple(found)


@functools.cache
def fill() -> ModuleType:
    """The generator of weights and inputs that lies beside the fixtures."""
    spec = importlib.util.spec_from_file_location("parity_fill", FOLDER / "fill.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def learnable(fixture: dict[str, Any]) -> int:
    """Learnable numbers of the original network: weights, biases, scales and shifts, each tensor once."""
    second = {name for name, _ in fixture.get("aliases") or ()}
    kind_of = fill().kind_of
    kinds = fixture.get("kinds") or [kind_of(name, shape) for name, shape in fixture["keys"]]
    return sum(
        math.prod(shape)
        for (name, shape), kind in zip(fixture["keys"], kinds, strict=True)
        if kind in "wgbo" and name not in second
    )
