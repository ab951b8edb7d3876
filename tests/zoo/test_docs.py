"""The page of the zoo shows the table as it is, and the commands of that page work."""

from __future__ import annotations

from pathlib import Path

import pytest

from actionlib import cli

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"


def test_the_page_is_current() -> None:
    _, _, table = PAGE.read_text().partition("tests/zoo/test_docs.py -->\n")
    assert table.strip() == cli.List(markdown=True).run(), (
        "put the output of `actionlib zoo list --markdown` there"
    )


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "list", "slowonly_r50_8x8*", "--min-top1", "75"]) == 0
    assert capsys.readouterr().out.split() == ["slowonly_r50_8x8_in1k", "3x8x224x224", "75.7", "kinetics400"]


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "show", "slowonly_r50_8x8"]) == 0
    shown = capsys.readouterr().out
    assert "32.454 M parameters" in shown and "4aae9339" in shown and "clips 10, crops 3" in shown
    assert cli.main(["zoo", "show", "slowonly_r101_8x8"]) == 0
    assert "(assumed)" in capsys.readouterr().out


def test_wrong_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "show", "slowonly_r50_8x9"]) == 2
    assert "slowonly_r50_8x8" in capsys.readouterr().err
