"""The table: what stands beside what, and what must not be compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from evalkit import config, leaderboard
from evalkit.errors import ConfigError
from evalkit.published import Published
from evalkit.record import Result, RunRecord
from evalkit.store import RunDir, write_json

FULL = Result(
    model="qwen", task="docvqa", column="Qwen2-VL-72B-Inst.", metric="ANLS", value=96.04, scale=100, parts={}, n=5349,
    scored=5349, size=5349, unparsed=3, statuses={"ok": 5346, "unparsed": 3}, rules={"final_answer": 5346, "none": 3},
    split="validation", style="cot", prompt="evalkit", scorer="official", source="hub", revision="a1b2", policies={},
    notes=(),
)  # fmt: skip


@pytest.fixture(scope="module")
def card() -> Published:
    return config.setup(["task=docvqa"]).published


def row(card: Published, task: str = "docvqa"):  # type: ignore[no-untyped-def]
    return next(each for each in card.rows if each.task == task)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"source": "mini", "n": 40, "scored": 40}, "mini, synthetic"),
        ({"n": 44, "scored": 44}, "44 of 5,349 questions"),
        ({"scored": 5340}, "9 without an answer"),
        ({"style": "direct"}, "asked direct, published cot"),
        ({"source": "recorded", "style": "direct"}, "asked elsewhere"),
        ({"notes": ("untrained",)}, "untrained"),
        ({"value": None}, "nothing could be scored"),
        ({"source": "local", "n": 44, "scored": 43}, "44 of 5,349 questions; 1 without an answer"),
    ],
)
def test_what_is_never_compared_silently(card: Published, change: dict[str, object], reason: str) -> None:
    assert leaderboard.why_not_comparable(replace(FULL, **change), row(card)) == reason  # type: ignore[arg-type]


def test_a_difference_only_where_it_means_something(card: Published) -> None:
    partial = replace(FULL, model="part", n=10, scored=10)
    frame = leaderboard.scores([FULL, partial, replace(FULL, model="free", column=None)], card)
    assert list(frame["model"]) == ["free", "part", "qwen"]
    assert list(frame["published"].isna()) == [True, False, False]
    assert list(frame["difference"].isna()) == [True, True, False]
    assert frame["difference"].iloc[2] == pytest.approx(96.04 - 97.1)
    assert list(frame["not_compared_because"]) == ["no published column chosen", "10 of 5,349 questions", ""]
    assert list(frame["coverage"]) == [1, 1, 1]


def test_table_has_eleven_rows_eight_columns_and_the_measured_ones(card: Published) -> None:
    mini = replace(FULL, model="tiny", source="mini", n=40, scored=40, value=1.234, notes=("untrained",))
    table = leaderboard.markdown([FULL, mini], card).split("\n\n")[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    assert cells[0][2:] == [*card.columns, "measured: qwen", "measured: tiny"]
    body = {line[1]: line for line in cells[2:]}
    assert len(body) == 11
    assert body["DocVQA\\*"][2:] == [
        "91.1", "94.2", "91.5", "92.9", "**97.1**", "96.1", "90.1", "96.4", "96.0", "(1.2: mini, synthetic; untrained)",
    ]  # fmt: skip
    assert body["OCRBench"][9] == "**865**"
    assert body["In-house Benchmark"][-1] == "not public"
    assert body["AI2D\\*"][-1] == "-"
    assert [line[0] for line in cells[2:]].count("Visual Q&A") == 1


def test_a_model_without_a_column_stands_beside_the_span(card: Published) -> None:
    shown = leaderboard.rows([replace(FULL, column=None), replace(FULL, task="toy", column=None)], card)
    lines = shown.splitlines()
    assert "90.1 to 97.1" in lines[2]
    assert "no published column chosen" in lines[2]
    assert " - " in lines[3]


def test_a_task_outside_the_published_table_has_a_row(card: Published) -> None:
    table = leaderboard.markdown([replace(FULL, task="toy")], card)
    assert "| Others" in table
    assert "(96.0: not in the published table)" in table


def test_ocrbench_is_a_whole_number(card: Published) -> None:
    ocr = replace(FULL, task="ocrbench", value=702.0, scale=1000, style="direct", n=1000, scored=1000, size=1000)
    assert "| 702 " in leaderboard.markdown([ocr], card)


def save(results: Path, result: Result) -> None:
    directory = RunDir(results / "runs" / result.model / result.task)
    record = RunRecord(result.model, result.task, None, "", {}, {}, {}, "hub", "", None, {})
    write_json(directory.record, record)
    write_json(directory.result, result)


def test_files_hold_every_run_and_are_the_same_each_time(card: Published, tmp_path: Path) -> None:
    save(tmp_path, FULL)
    save(tmp_path, replace(FULL, model="other", value=None, scored=0))
    first = [path.read_bytes() for path in leaderboard.write(tmp_path, card)]
    assert [path.read_bytes() for path in leaderboard.write(tmp_path, card)] == first
    frame = pd.read_csv(tmp_path / "scores.csv")
    assert list(frame["value"].isna()) == [True, False]
    assert frame["value"].iloc[1] == 96.04


def test_no_runs_is_the_published_table_alone(card: Published, tmp_path: Path) -> None:
    markdown, csv = leaderboard.write(tmp_path, card)
    assert "measured:" not in markdown.read_text()
    assert csv.read_text().strip() == ""


def test_readme_is_replaced_between_its_markers(card: Published, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{leaderboard.BEGIN}\nstale \\1\n{leaderboard.END}\nafter\n")
    leaderboard.write(tmp_path, card, readme)
    text = readme.read_text()
    assert text.startswith(f"before\n{leaderboard.BEGIN}\nPublished: [MiniMax-VL-01")
    assert text.endswith(f"{leaderboard.END}\nafter\n")
    assert "stale" not in text


def test_readme_without_markers_says_what_to_add(card: Published, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(ConfigError, match="has no place for the table: add the lines"):
        leaderboard.write(tmp_path, card, tmp_path / "README.md")
