"""Scores that were made before: never a stale one, never a damaged one, and only what changed is made again."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
import toy
from report_runs import answered, run_of
from test_pipeline import record
from toy import Toy, solve, sums

from evalkit import pipeline, score_cache
from evalkit.data import Mini
from evalkit.grading import Answer
from evalkit.responses import ResponseLog
from evalkit.runners.replay import Scripted
from evalkit.score_cache import entry_key, scorer_version
from evalkit.store import RunDir, read_lines, write_lines
from evalkit.tasks.chartqa import ChartQA
from evalkit.tasks.docvqa import DocVQA
from evalkit.tasks.megabench import MEGABench
from evalkit.tasks.olympiadbench import OlympiadBench
from evalkit.types import Asked, Extraction, Response, Sample, Score

PLAIN = Toy()


@dataclass(frozen=True, kw_only=True)
class Counted(Toy):
    """The toy, which tells what it scored."""

    scored: ClassVar[list[str]] = []

    def score(self, sample: Sample, prediction: str | None) -> float:
        self.scored.append(sample.id)
        if prediction == "10":
            logging.getLogger("evalkit.tasks.toy").warning("%s: ten is suspicious", sample.id)
        return super().score(sample, prediction)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run of six answered sums."""
    directory, runner = RunDir(tmp_path / "toy"), Scripted(solve)
    samples = pipeline.load(PLAIN, None)
    asked = pipeline.render(PLAIN, samples)
    pipeline.prepare(directory, record(runner), samples, asked)
    pipeline.generate(directory.responses, [each.request for each in asked], runner, lambda _: None)
    return directory


@pytest.fixture
def task() -> Counted:
    return Counted()


def scored(run: RunDir, task: Counted) -> list[str]:
    task.scored.clear()
    pipeline.grade(run, task)
    return list(task.scored)


def test_nothing_is_scored_twice(run: RunDir, task: Counted) -> None:
    assert scored(run, task) == [f"sum/{number}" for number in range(6)]
    scores = run.scores.read_bytes()
    assert scored(run, task) == []
    assert run.scores.read_bytes() == scores
    assert pipeline.score_all(run, PLAIN) == list(read_lines(run.scores, Score))


def test_a_changed_answer_is_scored_and_no_other(run: RunDir, task: Counted) -> None:
    scored(run, task)
    asked = list(read_lines(run.requests, Asked))
    with ResponseLog(run.responses) as log:
        log.append(Response(asked[2].key, "5"))
    assert scored(run, task) == ["sum/2"]
    assert [score.value for score in read_lines(run.scores, Score)] == [1, 1, 0, 1, 1, 1]


def test_a_changed_gold_answer_is_scored_and_no_other(run: RunDir, task: Counted) -> None:
    scored(run, task)
    samples = list(read_lines(run.samples, Sample))
    write_lines(run.samples, [replace(each, answers=("0",)) if each.id == "sum/4" else each for each in samples])
    assert scored(run, task) == ["sum/4"]
    assert [score.value for score in read_lines(run.scores, Score)] == [1, 1, 1, 1, 0, 1]


def test_a_changed_setting_is_another_scorer(run: RunDir, task: Counted) -> None:
    scored(run, task)
    assert len(scored(run, replace(task, scorer="other"))) == 6
    assert len(scored(run, replace(task, source=sums(7)))) == 6  # the file has the other scorer's
    assert scored(run, replace(task, source=sums(8))) == []


@pytest.mark.parametrize("changed", [str, lambda text: text.replace("float", "bool")])
def test_a_changed_source_scores_all_again(
    run: RunDir, task: Counted, changed: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(run, task)

    def read(path: Path) -> bytes:
        text = path.read_text(encoding="utf-8")
        return (changed(text) if path == Path(toy.__file__) else text).encode()

    monkeypatch.setattr(score_cache, "scorer_version", lambda task: scorer_version(task, read))
    assert len(scored(run, task)) == (0 if changed is str else 6)


TASKS = {
    "chartqa": ChartQA(source=Mini()),
    "docvqa": DocVQA(source=Mini()),
    "megabench": MEGABench(source=Mini()),
    "olympiadbench": OlympiadBench(source=Mini()),
}


@pytest.mark.parametrize(
    ("file", "concerned"),
    [
        ("relaxed_accuracy.py", {"chartqa"}),
        ("anls.py", {"docvqa"}),
        ("olympiad_values.py", {"olympiadbench"}),
        ("literals.py", {"megabench"}),
        ("sandbox_child.py", {"megabench"}),
        ("limits.py", {"megabench", "olympiadbench"}),
        ("grading.py", set(TASKS)),
        ("types.py", set(TASKS)),
        ("leaderboard.py", set()),
        ("pipeline.py", set()),
    ],
)
def test_a_changed_file_concerns_the_tasks_that_reach_it(file: str, concerned: set[str]) -> None:
    def changed(path: Path) -> bytes:
        return path.read_bytes() + (b"\n# changed" if path.name == file else b"")

    found = {name for name, task in TASKS.items() if scorer_version(task) != scorer_version(task, changed)}
    assert found == concerned


def test_another_version_of_a_package_is_another_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    before = scorer_version(PLAIN)
    assert before == scorer_version(PLAIN)
    assert any(name.startswith("pytest-") for name in score_cache.packages())
    monkeypatch.setattr(score_cache, "packages", lambda: ["sympy-99.dist-info"])
    assert scorer_version(PLAIN) != before


def test_a_task_without_source_is_scored_each_time(run: RunDir, task: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_cache, "scorer_version", lambda task: None)
    assert len(scored(run, task)) == len(scored(run, task)) == 6
    assert not run.cache.exists()


@pytest.mark.parametrize("damage", [b"", b"x", b"\x00" * 4000, b'deadbeef ["a",{}]\n', b"\xff\n" * 9])
def test_a_damaged_file_is_as_good_as_none(run: RunDir, task: Counted, damage: bytes) -> None:
    scored(run, task)
    whole = run.cache.read_bytes()
    run.cache.write_bytes(damage)
    assert len(scored(run, task)) == 6
    assert run.cache.read_bytes() == whole


def test_a_damaged_entry_is_scored_and_no_other(run: RunDir, task: Counted) -> None:
    scored(run, task)
    lines = run.cache.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"1.0", b"0.0")
    run.cache.write_bytes(b"".join(lines)[:-4])
    assert scored(run, task) == ["sum/3", "sum/5"]
    assert {score.value for score in read_lines(run.scores, Score)} == {1}


def test_what_somebody_else_signed_is_not_believed(
    run: RunDir, task: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(run, task)
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "mine"))
    assert len(scored(run, task)) == 6
    assert scored(run, task) == []
    assert (tmp_path / "mine" / "scores.secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "file" / "none"))
    assert len(scored(run, task)) == len(scored(run, task)) == 6


def test_the_file_holds_one_scoring_and_no_more(run: RunDir, task: Counted) -> None:
    for scorer in ("one", "two", "three"):
        scored(run, replace(task, scorer=scorer))
        assert len(run.cache.read_bytes().splitlines()) == 6
    write_lines(run.samples, list(read_lines(run.samples, Sample))[:2])
    scored(run, replace(task, scorer="three"))
    assert len(run.cache.read_bytes().splitlines()) == 2


def test_what_was_scored_before_a_stop_is_kept(run: RunDir, task: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(self: Toy, sample: Sample, prediction: str | None) -> float:
        if sample.id == "sum/4":
            raise KeyboardInterrupt
        return 1.0

    with monkeypatch.context() as patched:
        patched.setattr(Toy, "score", stops)
        with pytest.raises(KeyboardInterrupt):
            scored(run, task)
    assert scored(run, task) == ["sum/4", "sum/5"]


def test_a_disk_that_refuses_the_file_costs_no_score(run: RunDir, task: Counted) -> None:
    run.cache.mkdir()
    assert len(scored(run, task)) == len(scored(run, task)) == 6
    assert {score.value for score in read_lines(run.scores, Score)} == {1}


def test_warnings_are_said_again(run: RunDir, task: Counted, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        caplog.clear()
        scored(run, task)
        assert caplog.messages == ["sum/5: ten is suspicious"]


def test_two_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    answered(tmp_path, "m", "docvqa", lambda place, sample: f"Final Answer: {sample.answers[0]}", 20)
    run = run_of(tmp_path, "m", "docvqa")
    scores, cache = run.scores.read_bytes(), run.cache.read_bytes()
    run.cache.unlink()
    command = [sys.executable, "-m", "evalkit", "score", str(run.path)]
    for _ in range(2):
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
        said = [process.communicate() for process in both]
        assert [process.returncode for process in both] == [0] * 3, said
        assert (run.scores.read_bytes(), run.cache.read_bytes()) == (scores, cache)


def test_text_that_no_utf8_holds_has_a_key() -> None:
    answers = [Answer(Sample("a", "q", ("x",)), text) for text in ("\ud800", "\ud801", "x")]
    answers.append(Answer(answers[2].sample, "x", Extraction("x", "judge")))
    assert len({entry_key("v", each) for each in answers}) == 4
