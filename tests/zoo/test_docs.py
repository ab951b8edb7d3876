"""The page of the zoo shows the table as it is, and the commands of that page work."""

from __future__ import annotations

from pathlib import Path

import pytest

from actionlib import cli
from actionlib.zoo import list_models, model_info
from tests.zoo import fixtures

PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
COSTS = slice(6, 8)  # columns that take a minute to compute for all


def section(command: str) -> list[str]:
    """The lines of the table below the mark that names the command."""
    _, _, rest = PAGE.read_text().partition(f"<!-- below: `{command}`")
    table, _, _ = rest.partition("-->\n")[2].partition("\n\n")
    return table.strip().splitlines()


def without_costs(line: str) -> list[str]:
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    del cells[COSTS]
    return cells


def test_the_page_is_current_but_for_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "cost", lambda name: (0.0, 0.0))
    wanted = cli.markdown_table([model_info(name) for name in list_models()]).splitlines()
    shown = section("actionlib zoo list --markdown")
    assert [without_costs(line) for line in shown] == [without_costs(line) for line in wanted], (
        "put the output of `actionlib zoo list --markdown` there"
    )


@pytest.mark.slow
def test_the_page_is_current() -> None:
    wanted = cli.List(markdown=True).run().splitlines()
    assert section("actionlib zoo list --markdown") == wanted


@pytest.mark.skipif(not fixtures.FOLDER.is_dir(), reason=fixtures.MISSING)
def test_the_fixtures_on_the_page_are_those_at_hand() -> None:
    assert section("python -m tests.zoo.fixtures") == fixtures.proofs().splitlines()


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "list", "slowonly_r50_8x8*", "--min-top1", "75"]) == 0
    assert capsys.readouterr().out.split()[:4] == [
        "slowonly_r50_8x8_in1k",
        "3x8x224x224",
        "75.7",
        "kinetics400",
    ]


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "show", "slowonly_r50_8x8"]) == 0
    shown = capsys.readouterr().out
    assert "32.454 M parameters" in shown and "4aae9339" in shown and "clips 10, crops 3" in shown
    assert cli.main(["zoo", "show", "slowonly_r101_8x8"]) == 0
    assert "(assumed)" in capsys.readouterr().out


def test_wrong_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "show", "slowonly_r50_8x9"]) == 2
    assert "slowonly_r50_8x8" in capsys.readouterr().err
