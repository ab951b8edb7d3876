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
HEAVY = 28e12  # input numbers times weights
MISSING = f"no parity fixtures at {FOLDER}; set ACTIONLIB_PARITY"

# fixture id -> entry, for networks that the project publishes no catalogue row of
SAME_NETWORK = {
    "tv_r2plus1d_18_*": "r2plus1d_18_16x2_k400_gcvpt",
    "tv_r3d_18_*": "r3d_18_torchvision",
    "tv_mc3_18_*": "mc3_18_torchvision",
    "vmz_pt_r2plus1d_34_*": "r2plus1d_34_l32",
    "vmz_pt_r2plus1d_152_*": "r2plus1d_pool_152_ig65m_vmz",
    "vmz_*_ircsn_152_*": "ircsn_152_32x2_ig65m",
    "vmz_*_ir_csn_152_*": "ircsn_152_32x2_ig65m",
    "vmz_*_ipcsn_152_*": "ipcsn_152_32x2_ig65m",
    "vmz_*_ip_csn_152_*": "ipcsn_152_32x2_ig65m",
    "vmz_c2_ircsn_50_*": "ircsn_50_32x2_ig65m_vmz",
    "vmz_c2_r2plus1d_34_*_flow": "r2plus1d_34_l32_flow_sports1m",
    "vmz_c2_r2plus1d_34_*": "r2plus1d_34_l32",
    "vmz_c2_r2plus1d_152_*": "r2plus1d_152_ig65m_k400_gcvpt",
    "tsn_r50_5seg_k400": "tsn_r50_seg3_k400",
    "tsn_bninception_tsmrepo": "tsn_bninception_seg3_ucf101",
    "tsn_bninception_rgb_seg3": "tsn_bninception_seg3_ucf101",
    "tsn_bninception_flow_seg3": "tsn_bninception_flow_seg3_ucf101",
    "tsn_bninception_rgbdiff_seg3": "tsn_bninception_rgbdiff_seg7_ucf101_yjxiong",
    "ssn_bninception_thumos14_rgb_*": "ssn_bninception_thumos14_yjxiong",
    "ssn_bninception_thumos14_flow_*": "ssn_bninception_flow_thumos14_yjxiong",
    "ssn_inceptionv3_anet_*": "ssn_inceptionv3_thumos14_yjxiong",
    "i3d_tf_rgb_*": "i3d_inceptionv1_64x1_k400_deepmind",
    "i3d_tf_flow_*": "i3d_inceptionv1_flow_64x1_k400_deepmind",
    "i3d_tf_rgb600_*": "i3d_inceptionv1_64x1_k600_deepmind",
    "i3d_hassony2_rgb_*": "i3d_inceptionv1_64x1_k400_hassony2",
    "i3d_hassony2_flow_*": "i3d_inceptionv1_flow_64x1_k400_hassony2",
    "i3d_piergiaj_flow_*": "i3d_inceptionv1_flow_64x1_k400_deepmind",
    "i3d_piergiaj_*": "i3d_inceptionv1_64x1_k400_deepmind",
    "*r2plus1d_*resnet101*": "r2plus1d_v1_101_gcvpt",
    "*r2plus1d_*resnet152*": "r2plus1d_v1_152_gcvpt",
    "sf_i3d_r50_8x8": "i3d_r50_8x8_k400_pyslowfast",
    "sf_i3d_nln_r50_8x8": "i3d_nl5_r50_8x8_k400_pyslowfast",
    "sf_c2d_r50_8x8": "c2d_r50_8x8_k400_pyslowfast",
    "sf_c2d_nopool_r50_8x8": "c2d_nopool_r50_8x8_k400_pyslowfast",
    "sf_slow_nln_r50_8x8": "slowonly_nl5_r50_8x8_k400_pyslowfast",
    "sf_slow_r50_4x16": "slowonly_r50_4x16",
    "sf_slow_r50_8x8*": "slowonly_r50_8x8",
    "sf_slowfast_r50_4x16": "slowfast_r50_4x16_k400_pyslowfast",
    "sf_slowfast_r50_8x8": "slowfast_r50_8x8_k400_pyslowfast",
    "sf_slowfast_nln_r50_4x16": "slowfast_nl5_r50_4x16_k400_pyslowfast",
    "sf_slowfast_r101_101_101_8x8": "slowfast_r101_8x8_k400_pyslowfast",
    "sf_slowfast_r101_50_50_8x8": "slowfast_r101_50_50_8x8_k400_pyslowfast",
    "sf_x3d_m": "x3d_m_16x5_k400_pyslowfast",
    "slowfast_4x16_resnet101_*": "slowfast_r101_4x16_k400_gcvpt",
    "slowfast_16x8_resnet101_50_50_*": "slowfast_r101_50_50_16x8_k400_gcvpt",
    "slowfast_16x8_resnet101_*": "slowfast_r101_8x8_k400_gcvpt",
    "slowfast_16x8_resnet50_*": "slowfast_r50_8x8_k400_gcvpt",
    "tsm_r50_8f_k400": "tsm_r50_8f_k400",
    "tsm_r50_16f_sthv2": "tsm_r50_16f_sthv2",
    "tsm_r101_8f_sthv2": "tsm_r101_8f_sthv2",
    "tsm_r50_8f_flow_k400": "tsm_r50_8f_flow_k400",
    "tsm_r50_8f_nl_k400": "tsm_nl5_r50_8f_dense_k400",
    "tsm_mobilenetv2_8f_k400": "tsm_mobilenetv2_8f_k400",
    "tsm_bninception_8f_block": "tsm_bninception_8f_k400",
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
    second_names = {name for name, _ in fixture.get("aliases") or ()}
    kind_of = fill().kind_of
    kinds = fixture.get("kinds") or [kind_of(name, shape) for name, shape in fixture["keys"]]
    return sum(
        math.prod(shape)
        for (name, shape), kind in zip(fixture["keys"], kinds, strict=True)
        if kind in "wgbo" and name not in second_names
    )


def unmapped() -> list[str]:
    """Fixtures of catalogue rows that no entry is tested with."""
    known = {case.path for case in cases()}
    missing = []
    for path in sorted(FOLDER.glob("*/*.json")):
        content = json.loads(path.read_text())
        if isinstance(content, dict) and content.get("catalogue_ids") and path not in known:
            missing.append(f"{path.parent.name}/{path.stem}: {', '.join(content['catalogue_ids'])}")
    return missing


def proofs() -> str:
    """The table of docs/zoo.md that says which fixtures speak for each entry, or why none does."""
    proof: dict[str, list[str]] = {name: [] for name in ZOO}
    by_network: dict[object, list[str]] = {}
    for case in cases():
        shown = f"{case.upstream}/{case.id}" + ("" if case.has_outputs else " (keys)")
        for name in {case.entry, *(n for n in case.read().get("catalogue_ids") or () if n in ZOO)}:
            proof[name].append(shown)
        by_network.setdefault(network_of(ZOO[case.entry])[:2], []).append(case.entry)
    lines = ["| entry | fixtures |", "| --- | --- |"]
    for name in sorted(ZOO):
        entry = ZOO[name]
        same = [n for n in by_network.get(network_of(entry)[:2], ()) if proof[n]]
        if proof[name]:
            text = ", ".join(dict.fromkeys(proof[name]))
        elif entry.fused_from:
            text = f"none: a fusion of {' and '.join(entry.fused_from)}"
        elif same:
            text = f"none of its own: the network of {same[0]}, with other classes or weights"
        else:
            text = "none: a network of our own" if entry.source.upstream == "actionlib" else "none"
        lines.append(f"| {name} | {text} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(proofs())
