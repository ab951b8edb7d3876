"""Where settings come from, and what a job's exit code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import pytest

from actionlib.errors import ActionlibError, AlreadyRunningError, InputError, LabelError, ShardError
from jobs import (
    checkpoints,
    cli,
    demo,
    evaluate,
    preprocess_ava,
    preprocess_folder,
    preprocess_hmdb51,
    preprocess_jester,
    preprocess_k400,
    preprocess_k600,
    preprocess_k700,
    preprocess_something_v1,
    preprocess_something_v2,
    preprocess_sports1m,
    preprocess_thumos14,
    preprocess_ucf101,
    preprocess_web,
    train,
)
from jobs.checkpoints import CheckpointsConfig
from pipelines.demo import DemoConfig
from pipelines.evaluate import EvaluateConfig
from pipelines.extract_flow import ExtractFlowConfig
from pipelines.fuse import FuseConfig
from pipelines.garbage import GcConfig
from pipelines.import_flow import ImportFlowConfig
from pipelines.inspect_dataset import InspectConfig
from pipelines.publish import ConvertConfig, PublishConfig
from pipelines.train_plan import TrainConfig
from tests.jobs.processes import ROOT


@dataclass(frozen=True)
class Config:
    """A job."""

    source: str
    """Where from."""
    split: tuple[str, ...] = ()
    """Which."""
    resize: Literal["short256", "340x256"] = "short256"
    """How."""
    limit: int | None = None
    """How many."""
    share: float = 0.05
    """Of all."""
    shard_mib: int = 64
    """Big."""
    quick: bool = False
    """Switch."""


def parse(argv: str, **environment: str) -> Config:
    return cli.parse(Config, argv.split(), environment)


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("source: /file\nlimit: 1\nshard-mib: 1\nresize: 340x256\n")
    got = parse(
        f"--config {file} --source /flag",
        ACTIONLIB_SOURCE="/environment",
        ACTIONLIB_LIMIT="2",
        ACTIONLIB_SHARE="",
    )
    assert got == Config(source="/flag", limit=2, shard_mib=1, resize="340x256")
    assert parse("", ACTIONLIB_CONFIG=str(file)) == Config(
        source="/file", limit=1, shard_mib=1, resize="340x256"
    )
    assert parse(f"--config={file} --limit None", ACTIONLIB_CONFIG="/nothing").limit is None


def test_all_kinds_of_values(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(
        "source: -odd\nsplit: {train1: a b.txt, test1: c.txt}\nquick: true\nlimit: null\nshare: 0.5\n"
    )
    expected = Config(source="-odd", split=("train1=a b.txt", "test1=c.txt"), quick=True, share=0.5)
    assert parse(f"--config {file}") == expected
    got = parse(
        "", ACTIONLIB_SOURCE="s", ACTIONLIB_SPLIT="a 'b c'", ACTIONLIB_QUICK="1", ACTIONLIB_SHARD_MIB="8"
    )
    assert got == Config(source="s", split=("a", "b c"), quick=True, shard_mib=8)
    assert parse(f"--config {file} --split x y --no-quick").split == ("x", "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sorce: /x", "unknown key sorce; it may have limit, "),
        ("- a\n- b", "not a list of `key: value`"),
        ("source: [a, b]", "source is .*it is a single value"),
        ("quick: maybe", "quick is 'maybe'; it is true or false"),
        ("a: b: c", "cannot be read"),
        ("source: !!python/object/apply:os.system ['true']", "cannot be read"),
    ],
)
def test_a_wrong_config_file_names_itself(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        parse(f"--config {file} --source x")
    assert str(file) in str(caught.value)


def test_a_missing_config_file_and_a_wrong_switch() -> None:
    with pytest.raises(InputError, match="/nothing"):
        parse("--config /nothing")
    with pytest.raises(InputError, match="ACTIONLIB_QUICK: quick is 'perhaps'"):
        parse("--source x", ACTIONLIB_QUICK="perhaps")


def test_a_wrong_value_says_where_settings_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse("--source x", ACTIONLIB_LIMIT="many")
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "many" in said and "settings also came from: ACTIONLIB_LIMIT" in said


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError, 2),
        (LabelError, 2),
        (ActionlibError, 1),
        (ShardError, 1),
        (AlreadyRunningError, 3),
        (None, 0),
    ],
)
def test_exit_codes(error: type[Exception] | None, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def main(config: Config) -> None:
        if error:
            raise error("the message")

    assert cli.run(main, Config, ["--source", "x"]) == code
    said = capsys.readouterr().err
    assert said == ("error: the message\n" if error else "")


def test_a_defect_keeps_its_traceback() -> None:
    def main(config: Config) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cli.run(main, Config, ["--source", "x"])


JOBS = [
    preprocess_ucf101,
    preprocess_hmdb51,
    preprocess_k400,
    preprocess_k600,
    preprocess_k700,
    preprocess_something_v1,
    preprocess_something_v2,
    preprocess_jester,
    preprocess_sports1m,
    preprocess_thumos14,
    preprocess_ava,
    preprocess_web,
    preprocess_folder,
]


@pytest.mark.parametrize("job", JOBS)
def test_jobs_are_programs_and_refuse_what_is_not_there(
    job: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert os.access(job.__file__, os.X_OK) and Path(job.__file__).read_text().startswith(
        "#!/usr/bin/env python3\n"
    )
    flags = ["--source", str(tmp_path / "nothing"), "--output", str(tmp_path / "out"), "--name", "mine"]
    needs = {
        preprocess_folder: [],
        preprocess_ava: ["--annotations", "val=nothing", "--label-map", "nothing"],
        preprocess_web: ["--trimmed", "train=nothing"],
    }.get(job, ["--annotations", "nothing"])
    assert cli.run(job.main, job.Config, flags + needs) == 2
    assert "nothing" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("job", "config", "flags", "message"),
    [
        (train, TrainConfig, ["--model", "x", "--data", "d", "--checkpoints", "c", "--run", "r"], "x"),
        (evaluate, EvaluateConfig, ["--weights", "s3://no-such-bucket/run", "--data", "d"], "neither a run"),
        (
            checkpoints,
            CheckpointsConfig,
            ["--checkpoints", "nowhere", "--run", "r"],
            "no run r with checkpoints",
        ),
        (demo, DemoConfig, ["--data", "nowhere"], "no ucfTrainTestlist folder"),
    ],
)
def test_wrong_input_is_one_message(
    job: ModuleType,
    config: type[Any],
    flags: list[str],
    message: str,
    s3_server: object,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(job.main, config, flags) == 2
    assert message in capsys.readouterr().err
    assert not (ROOT / "c").exists()


def explanations(config: type[Any], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Flag -> what --help says about it."""
    with pytest.raises(SystemExit) as stop:
        cli.run(lambda settings: None, config, ["--help"])
    assert stop.value.code == 0
    text = "\n".join(line.strip("│ ") for line in capsys.readouterr().out.splitlines())
    blocks = re.split(r"^--", text, flags=re.MULTILINE)[1:]
    return {block.split()[0].rstrip(","): " ".join(block.split()[1:]) for block in blocks}


def test_help_explains_every_flag_and_a_flag_means_the_same_in_every_job(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    meanings: dict[str, set[str]] = {}
    for job in JOBS:
        explained = explanations(job.Config, capsys)
        for field in fields(job.Config):
            flag = field.name.replace("_", "-")
            assert re.search(r"[a-z]+ [a-z]+", explained[flag]), f"--{flag}: {explained[flag]}"
            if flag not in (
                "annotations",
                "lists",
                "classes",
                "proposals",
            ):  # the files of each data set are its own
                meanings.setdefault(flag, set()).add(
                    re.sub(r"\((default: \S+|required)\)", "", explained[flag])
                )
    assert all(len(texts) == 1 for texts in meanings.values()), meanings
    assert {"source", "output", "resize", "encoding", "split", "limit"} <= meanings.keys()


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig,
        EvaluateConfig,
        ExtractFlowConfig,
        FuseConfig,
        ImportFlowConfig,
        InspectConfig,
        GcConfig,
        CheckpointsConfig,
        PublishConfig,
        ConvertConfig,
        DemoConfig,
    ],
)
def test_help_explains_the_other_jobs(
    config: type[Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    explained = explanations(config, capsys)
    for field in fields(config):
        flag = field.name.replace("_", "-")
        assert re.search(r"[a-z]+ [a-z]+", explained[flag]), f"--{flag}: {explained[flag]}"


def test_no_job_takes_the_place_of_a_standard_module() -> None:
    """A job's folder comes first in its sys.path, and `inspect` is a name of the standard library too."""
    folder = Path(cli.__file__).parent
    code = "import inspect, dataclasses, sys; print(inspect.signature(len), inspect.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )  # -c puts the working directory first, as a script does its own
    assert "(obj, /)" in done.stdout and str(folder) not in done.stdout
    names = {path.stem for path in folder.glob("*.py")} & sys.stdlib_module_names
    assert names - set(sys.builtin_module_names) == {
        "inspect"
    }  # built-in ones, like gc, come before any folder
