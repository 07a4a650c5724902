"""One run under several scorers: the table, the errors, and that no file changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from toy import Toy

from evalkit import comparison, config
from evalkit.cli import main
from evalkit.errors import ConfigError
from evalkit.record import RunRecord
from evalkit.store import RunDir, read_json
from evalkit.types import Task


@pytest.fixture
def results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Four recorded answers to ChartQA questions, two of them valued otherwise by a harness, and their run."""
    path = tmp_path / "some-model.jsonl"
    answers = [("100", "95"), ("Yes", "Yes\n"), ("[2014, 2016]", "2014"), ("[2014, 2016]", "[2014, 2016]")]
    rows = [
        {"id": f"q{i}", "category": "human", "question": "?", "answers": [gold], "response": said}
        for i, (gold, said) in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["run", "task=chartqa", "tasks.chartqa.style=direct", "model=replay", "data=recorded", f"data.path={path}"]
    assert main([*words, f"results_dir={tmp_path / 'results'}"]) == 0
    capsys.readouterr()
    return tmp_path / "results" / "runs" / "some-model" / "chartqa"


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def opened(folder: Path) -> tuple[RunDir, Task]:
    run = RunDir(folder)
    return run, config.task(read_json(run.record, RunRecord).task)


def test_all_scorers(results: Path) -> None:
    official, lmms, kit = comparison.compare(*opened(results), "all")
    assert (official.scorer, official.value, official.difference, official.changed) == ("official", 75, 0, 0)
    assert (lmms.scorer, lmms.value, lmms.difference, lmms.changed, lmms.up) == ("lmms_eval", 50, -25, 1, 0)
    # One gold list is met by its item now, another no longer by itself: the same number from other answers.
    assert (kit.scorer, kit.value, kit.difference, kit.changed, kit.up) == ("vlmevalkit", 75, 0, 2, 1)


def test_command_prints_and_writes_nothing(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(results)
    assert main(["score", str(results), "--scorer", "all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"chartqa · {results} · relaxed accuracy, n=4"
    assert [line.split() for line in lines[1:]] == [
        ["scorer", "value", "difference", "changed", "up", "down", "unparsed"],
        ["official", "75.00", "+0.00", "0", "0", "0", "0"],
        ["lmms_eval", "50.00", "-25.00", "1", "0", "1", "0"],
        ["vlmevalkit", "75.00", "+0.00", "2", "1", "1", "0"],
    ]
    assert main(["score", "--scorer", "lmms_eval", str(results)]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["chartqa", "scorer", "lmms_eval"]
    assert contents(results) == before


@pytest.mark.parametrize("words", [["--scorer", "mine"], ["--scorer"]])
def test_unknown_scorer(results: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", str(results), *words]) == 1
    assert "type --scorer with one of official, lmms_eval, vlmevalkit, all" in capsys.readouterr().err


def test_a_run_without_answers(results: Path) -> None:
    (results / "responses.jsonl").unlink()
    run, task = opened(results)
    assert [(row.value, row.difference, row.scored) for row in comparison.compare(run, task, "all")] == [
        (None, None, 0)
    ] * 3
    assert "no score, n=0" in comparison.table(run, task, "all")


def test_a_run_kept_under_another_scorer_is_still_set_against_the_official_one(results: Path) -> None:
    run, task = opened(results)
    (row,) = comparison.compare(run, replace(task, scorer="lmms_eval"), "lmms_eval")
    assert row.difference == -25


def test_a_task_without_variants(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="toy has no scorer 'lmms_eval': type --scorer with one of official, all"):
        comparison.compare(RunDir(tmp_path), Toy(), "lmms_eval")


def test_scorer_key(capsys: pytest.CaptureFixture[str]) -> None:
    (task,) = config.setup(["task=docvqa", "tasks.docvqa.scorer=vlmevalkit"]).tasks
    assert task.scorer == "vlmevalkit"
    assert main(["run", "task=docvqa", "tasks.docvqa.scorer=mine"]) == 1
    error = capsys.readouterr().err
    assert "docvqa has no scorer 'mine': give tasks.docvqa.scorer=official or lmms_eval or vlmevalkit" in error
    assert main(["run", "task=mmlongbench_doc", "tasks.mmlongbench_doc.scorer=lmms_eval"]) == 1
    assert "mmlongbench_doc has no scorer 'lmms_eval'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ai2d", "chartqa", "docvqa", "mathvista", "mmmu", "mmmu_pro", "ocrbench"])
def test_every_scorer_scores_generated_questions(name: str, tmp_path: Path) -> None:
    (task,) = config.setup([f"task={name}", f"results_dir={tmp_path}"]).tasks
    sample = next(iter(task.load()))
    assert task.scorers == ("official", "lmms_eval", "vlmevalkit")
    for scorer in task.scorers:
        for style in ("cot", "direct"):
            each = replace(task, scorer=scorer, style=style)
            for text in ("", "Answer: A", "no idea " * 20, sample.answers[0]):
                assert 0 <= each.score(sample, each.extract(sample, text).prediction) <= 1
