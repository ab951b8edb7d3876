"""Flow that PIL wrote becomes a dataset that training takes; what does not fit a video costs that video alone."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from actionlib import loader, storage, zoo
from actionlib.dataset import Dataset
from actionlib.errors import ActionlibError, InputError
from actionlib.transforms import normalise
from pipelines import import_flow
from pipelines.flow_plan import opened
from pipelines.import_flow import ImportFlowConfig
from pipelines.inspect_dataset import InspectConfig, inspect
from tests.pipelines.job_process import Job

PAIRS = 19  # of 20 frames
WIDTH, HEIGHT = 61, 47  # not those of the stored videos
MODEL = "r3d_tiny_flow_8x4"


@pytest.fixture(scope="module")
def source(small_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of JPEG pictures for every stored video, `class/number`, numbers from 1; x and y drift apart."""
    root = tmp_path_factory.mktemp("others")
    rng = np.random.default_rng(0)
    for index in small_dataset.stored():
        folder = root / Path(small_dataset.row(int(index))["path"]).with_suffix("")
        folder.mkdir(parents=True)
        ground = rng.integers(0, 12, (HEIGHT, WIDTH), np.uint8)
        for pair in range(PAIRS):
            for axis, level in (("x", 100 - 2 * pair), ("y", 150 + 2 * pair)):
                Image.fromarray(ground + np.uint8(level)).save(folder / f"flow_{axis}_{pair + 1:05d}.jpg")
    return root


def config_of(data: Dataset, source: Any, output: Any, **changes: Any) -> ImportFlowConfig:
    given = {"bound": 15.0, "rule": "truncate", "shard_pairs": 100, **changes}
    return ImportFlowConfig(data=data.uri, source=str(source), output=str(output), **given)


@pytest.fixture(scope="module")
def flow(small_dataset: Dataset, source: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    output = tmp_path_factory.mktemp("out") / "flow"
    import_flow.import_flow(config_of(small_dataset, source, output))
    return Dataset.open(str(output))


def tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "_lease.json"
    }


def test_every_video_has_the_bytes_of_its_files(small_dataset: Dataset, source: Path, flow: Dataset) -> None:
    for index in flow.stored():
        row = flow.row(int(index))
        folder = source / Path(row["path"]).with_suffix("")
        files = [folder / f"flow_{axis}_{n:05d}.jpg" for n in range(1, PAIRS + 1) for axis in "xy"]
        assert flow.read(int(index)).data == b"".join(file.read_bytes() for file in files)
        assert (row["frames"], row["width"], row["height"]) == (PAIRS, WIDTH, HEIGHT)
        assert row["source_bytes"] == row["bytes"]
    assert flow.document["flow"] == {
        "of_version": small_dataset.version,
        "method": "imported",
        "bound": 15.0,
        "rule": "truncate",
        "encoding": "jpeg",
        "quality": 95,
        "shard_pairs": 100,
    }
    assert (flow.modality, flow.videos_version) == ("flow", small_dataset.version)
    assert [flow.counts(split) for split in flow.splits] == [
        small_dataset.counts(split) for split in flow.splits
    ]
    assert len(flow.document["shards"]) > 2
    report = inspect(InspectConfig(flow.uri, verify=True, decode="all", workers=2), lambda text: None)
    assert report["verification"]["damage"] == [] and report["verification"]["decoded"] == 24


def test_training_and_testing_read_it(flow: Dataset) -> None:
    """Of another size than the videos. x falls as y rises; a mirrored clip has 255 - x."""
    entry = zoo.model_info(MODEL)
    model = zoo.create_model(MODEL, num_classes=len(flow.classes))
    train = flow.indices("train")
    plain, mirrored = (
        torch.stack([clip for clip, _ in clips.__getitems__([(0, position) for position in range(8)])])
        for flip_prob in (0.0, 1.0)
        for clips in [loader.TrainClips(flow, train, replace(entry.recipe, flip_prob=flip_prob), seed=1)]
    )
    assert plain.dtype == torch.uint8 and plain.shape[1] == 2
    x, y = (
        plain.float().mean((3, 4)).unbind(1)
    )  # (N, T); of pair t, but for the ground, 100 - 2 t and 150 + 2 t
    assert (x.diff() + y.diff()).abs().max() < 1 and x.diff().abs().max() > 7
    assert (y[:, 0] - x[:, 0]).min() > 49
    assert torch.equal(mirrored[:, 0], 255 - plain[:, 0].flip(-1))
    assert torch.equal(mirrored[:, 1], plain[:, 1].flip(-1))
    assert model(normalise(plain, entry.recipe.statistics)).shape == (8, 4)
    views = loader.TestViews(flow, flow.indices("val"), entry.recipe.sampling, entry.protocol)
    (clips_NCTHW, label), *_ = views.__getitems__([0])
    assert clips_NCTHW.shape[1] == 2 and label == flow.labels(flow.indices("val"))[0]
    assert model(normalise(clips_NCTHW, entry.recipe.statistics)).isfinite().all()


def test_a_run_that_was_broken_off_is_continued_to_the_same_bytes(
    small_dataset: Dataset, source: Path, flow: Dataset, tmp_path: Path, capsys: Any
) -> None:
    config = config_of(small_dataset, source, tmp_path / "flow")
    finished = shutil.ignore_patterns(".versions", "_versions", "manifest-*", "_dataset.json", "_lease.json")
    copied = shutil.copytree(flow.uri, tmp_path / "flow", ignore=finished)
    for name in ("_shards/part-00001.json", "_shards/part-00002.json"):  # killed after and before its upload
        (copied / name).unlink()
    next(copied.glob("flow/part-00002-*")).unlink()
    assert import_flow.import_flow(config) == flow.version
    assert tree(copied) == tree(Path(flow.uri))
    capsys.readouterr()
    assert import_flow.import_flow(config) == flow.version
    assert "already done" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"bound is 20.0, there it was 15.0.*rule is round"):
        import_flow.import_flow(config_of(small_dataset, source, copied, bound=20.0, rule="round"))


@pytest.mark.faults
def test_a_killed_job_is_continued_to_the_same_bytes(
    small_dataset: Dataset, source: Path, flow: Dataset, tmp_path: Path
) -> None:
    """kill -9 after the first shard; the same command then makes the rest, and says nothing of the first again."""
    output = tmp_path / "flow"
    flags = {"data": small_dataset.uri, "source": source, "output": output, "bound": 15, "rule": "truncate"}
    flags |= {"shard-pairs": 100, "workers": 1}
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    job = Job("import_flow", output, *words)
    job.wait_for_records(1)
    job.kill()
    done = len(list((output / "_shards").iterdir()))
    assert 0 < done < len(flow.document["shards"]) and not (output / "_dataset.json").exists()
    said = Job("import_flow", output, *words).finish()
    assert f"version {flow.version}" in said and "this run 24 videos" not in said
    made = {name: digest for name, digest in tree(output).items() if ".upload-" not in name}
    assert made == tree(Path(flow.uri))


def test_flow_that_does_not_fit_costs_its_video_and_says_why(
    small_dataset: Dataset, source: Path, tmp_path: Path
) -> None:
    others = shutil.copytree(source, tmp_path / "others")
    for path in (others / "testsrc2" / "0").glob("*_00019.jpg"):
        path.unlink()
    (others / "testsrc2" / "1" / "flow_y_00007.jpg").unlink()
    (others / "testsrc2" / "2" / "flow_x_00019.jpg").write_bytes(b"\xff\xd8 cut")
    shutil.rmtree(others / "testsrc2" / "3")
    for path in sorted((others / "smptebars" / "0").iterdir()):  # denseflow counts from 0
        path.rename(path.with_stem(f"{path.stem[:-5]}{int(path.stem[-5:]) - 1:05d}"))
    config = config_of(small_dataset, others, tmp_path / "flow")
    with pytest.raises(ActionlibError, match=r"4 of 24 stored videos have no flow.*larger --max-rejected"):
        import_flow.import_flow(config)
    assert not (tmp_path / "flow" / "_dataset.json").exists()
    import_flow.import_flow(config_of(small_dataset, others, tmp_path / "flow", max_rejected=0.2))
    made = Dataset.open(str(tmp_path / "flow"))
    rows = {row["id"]: row for index in range(len(made)) for row in [made.row(index)]}
    assert {
        name: (row["stage"], row["reason"]) for name, row in rows.items() if row["status"] == "rejected"
    } == {
        "testsrc2-0": ("flow", "18 pairs for 20 frames, which have 19"),
        "testsrc2-1": ("flow", "flow_y of pair 7 is missing of 1..19"),
        "testsrc2-2": ("flow", "flow_x_00019.jpg: no readable JPEG or PNG picture"),
        "testsrc2-3": ("flow", "no folder with its flow"),
    }
    assert rows["testsrc2-0"]["frames"] is None and rows["testsrc2-lost"]["status"] == "missing"
    assert rows["smptebars-0"]["frames"] == PAIRS and made.counts("train")["stored"] == 12


def test_names_of_folders(small_dataset: Dataset) -> None:
    row = {"path": "train/3/v_01.x.mp4", "labels": [1]}
    assert import_flow.names(row, ("sit", "run")) == ["train/3/v_01.x", "run/v_01.x", "v_01.x"]
    assert import_flow.names({"path": "a/v.1/", "labels": []}, ()) == ["a/v.1", "v.1"]
    # every class has its videos 0 to 5
    assert import_flow.shared_names(small_dataset) == {*"012345", "lost"}


def test_a_name_of_several_videos_is_not_guessed_at(
    small_dataset: Dataset, source: Path, tmp_path: Path
) -> None:
    shutil.copytree(source / "testsrc2", tmp_path / "flat")
    with pytest.raises(InputError, match=r"none of 24 videos.*looked for as \w+/\d, \d"):
        import_flow.import_flow(config_of(small_dataset, tmp_path / "flat", tmp_path / "flow"))
    assert not (tmp_path / "flow").exists()


def test_flow_on_s3(small_dataset: Dataset, source: Path, flow: Dataset, tmp_path: Path, bucket: str) -> None:
    """The same dataset, wherever the flow came from: one shard of it, and a video without flow."""
    for path in (source / "testsrc2").rglob("*.jpg"):
        storage.upload(path, f"{bucket}/others/{path.relative_to(source).as_posix()}")
    plan = import_flow.make_plan(config_of(small_dataset, f"{bucket}/others", tmp_path / "flow"))
    data = opened(plan.data, plan.version)
    rows = {row["id"]: row for index in data.stored() for row in [data.row(int(index))]}
    index = {flow.row(int(index))["id"]: int(index) for index in flow.stored()}
    there, lost = import_flow.imported(
        data, [(0, rows["testsrc2-4"]), (1, rows["smptebars-4"])], plan, frozenset()
    )
    video, size = there()
    assert video == flow.read(index["testsrc2-4"]) and size == len(video.data)
    assert plan.settings == flow.document["flow"]
    with pytest.raises(ActionlibError, match="no folder with its flow"):
        lost()


def test_a_picture_of_pil_is_what_is_read(source: Path, flow: Dataset) -> None:
    """Levels come back as PIL decodes the file, in the network's place: pair t, x then y."""
    from actionlib.decode import decode

    row = flow.row(int(flow.stored()[0]))
    folder = source / Path(row["path"]).with_suffix("")
    expected = [
        np.asarray(Image.open(io.BytesIO((folder / f"flow_{axis}_00005.jpg").read_bytes()))) for axis in "xy"
    ]
    np.testing.assert_array_equal(decode(flow.read(int(flow.stored()[0])), [4])[0], expected)
