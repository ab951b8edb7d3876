"""The table of the zoo against the catalogue of published results, ACTIONLIB_CATALOGUE (default ../shared/zoo/catalogue.csv)."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import pytest

import actionlib
from actionlib.zoo_table import ZOO

FILE = Path(
    os.environ.get("ACTIONLIB_CATALOGUE") or Path(__file__).parents[3] / "shared" / "zoo" / "catalogue.csv"
).absolute()
# The catalogue's figure, where the source contradicts itself and the entry has what made the weights.
OTHERWISE = {
    "tsn_inceptionv3_seg7_k400_gcvmx": (
        1,
        1,
        3,
    ),  # named for 7 segments, trained by its script and log with 3
    "r2plus1d_152_ig65m_k400_gcvpt": (32, 2, 1),  # the page says 16 frames, the configuration 32
}

pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"no catalogue at {FILE}; set ACTIONLIB_CATALOGUE")


def rows() -> list[dict[str, str]]:
    if not FILE.is_file():
        return []
    with FILE.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["id"])
def test_row(row: dict[str, str]) -> None:
    entry = ZOO[row["id"]]
    for name in ("family", "dataset", "pretrained_on", "modality"):
        assert getattr(entry, name) == row[name]
    for name in ("top1", "top5", "clip_top1", "map_05", "gflops", "params_m"):
        assert getattr(entry.published, name) == (float(row[name]) if row[name] else None), name
    if row["hashtag"]:
        assert entry.source.weights == row["hashtag"]
    if row["preprocess"] != "unspecified":
        assert entry.stored == row["preprocess"]
    sampling = entry.recipe.sampling
    if row["family"] != "slowfast":  # the pages quote either pathway
        wanted = OTHERWISE.get(row["id"], tuple(int(row[name]) for name in ("frames", "stride", "segments")))
        assert (sampling.frames, sampling.stride, sampling.segments) == wanted
    if row["input_h"]:
        assert entry.recipe.train_crop_px == int(row["input_h"])
    assert actionlib.model_info(row["id"]).published == entry.published


def test_auxiliary_losses_are_those_of_the_recipes() -> None:
    """The notes of recipes.csv say which configurations have one. GluonCV's weights of TPN are ports of that project's."""
    with FILE.with_name("recipes.csv").open() as file:
        noted = {
            name: float(found[1])
            for row in csv.DictReader(file)
            if (found := re.search(r"aux head weight ([\d.]+)", row["notes"]))
            for name in row["catalogue_ids"].split(";")
        }
    assert len(noted) == 10
    weighed = {name: entry.recipe.auxiliary_weight for name, entry in ZOO.items() if "tpn_" in name[:8]}
    assert {name: weight for name, weight in weighed.items() if not name.endswith("_gcvpt")} == noted
    assert set(weighed.values()) == {0.5}
    assert {name for name, entry in ZOO.items() if entry.recipe.auxiliary_weight} == set(weighed)
