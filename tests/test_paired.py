"""Two runs on the same questions: how far apart, how surely, and what changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toy import Toy, solve, sums

from evalkit import cli, pipeline
from evalkit.errors import DataError
from evalkit.paired import compare, difference, mcnemar
from evalkit.record import RunRecord
from evalkit.runners.replay import Scripted
from evalkit.store import RunDir, read_lines, write_lines
from evalkit.summary import summarise
from evalkit.types import Request, Sample, Score, Task


def run(path: Path, right: int, task: Task | None = None) -> RunDir:
    """Ask the toy's questions of a model that knows the first `right` of them."""
    task, directory = task or Toy(source=sums(40)), RunDir(path)
    samples = pipeline.load(task, None)
    asked = pipeline.render(task, samples)
    wrong = {each.key for each in asked[right:]}

    def answer(request: Request) -> str:
        return "1" if request.key in wrong else solve(request)

    pipeline.prepare(directory, RunRecord("m", "toy", None, "", {}, {}, {}, "local", "", None, {}), samples, asked)
    pipeline.generate(directory.responses, [each.request for each in asked], Scripted(answer), lambda _: None)
    summarise(directory, task, pipeline.grade(directory, task))
    return directory


@pytest.mark.parametrize(
    # By hand: 2 (1 + 10 + 45) / 1024, 2 / 32, and no more than 1.
    ("up", "down", "p_value"),
    [(2, 8, 0.109375), (0, 5, 0.0625), (5, 0, 0.0625), (3, 3, 1), (0, 0, 1), (1000, 1000, 1)],
)
def test_mcnemar_is_the_sign_test(up: int, down: int, p_value: float) -> None:
    assert mcnemar(up, down) == pytest.approx(p_value)


def test_what_changed_is_told(tmp_path: Path) -> None:
    found = compare(run(tmp_path / "a", 30), run(tmp_path / "b", 36), Toy(source=sums(40)))
    assert (found.n, found.left_out, found.before, found.after, found.difference) == (40, 0, 75, 90, 15)
    assert found.p_value == pytest.approx(2 / 64)
    assert found.test == "exact McNemar"
    assert 0 < found.interval.low < 15 < found.interval.high < 40
    assert [change.sample_id for change in found.changes] == [f"sum/{number}" for number in range(30, 36)]
    first = found.changes[0]
    assert (first.question, first.before, first.after) == ("30 + 30?", 0, 1)
    assert (first.prediction_before, first.prediction_after) == ("1", "60")


def test_the_same_twice_is_no_difference_but_not_surely_none(tmp_path: Path) -> None:
    found = compare(run(tmp_path / "a", 30), run(tmp_path / "b", 30), Toy(source=sums(40)))
    assert (found.difference, found.p_value, found.changes) == (0, 1, ())
    assert -10 < found.interval.low < 0 < found.interval.high < 10


def test_other_questions_are_refused(tmp_path: Path) -> None:
    one, other = run(tmp_path / "a", 3), run(tmp_path / "b", 3, Toy(source=sums(30)))
    with pytest.raises(DataError, match=r"share 30 questions, of 40 and 30: compare runs of one task with the same"):
        compare(one, other, Toy())
    samples = list(read_lines(other.samples, Sample))
    write_lines(one.samples, [replace(each, question="another?") for each in samples])
    with pytest.raises(DataError, match="share 0 questions, of 30 and 30"):
        compare(one, other, Toy())


def test_a_question_without_a_score_in_one_is_left_out(tmp_path: Path) -> None:
    one, other = run(tmp_path / "a", 30), run(tmp_path / "b", 36)
    scores = list(read_lines(other.scores, Score))
    write_lines(other.scores, [replace(scores[0], value=None, status="failed"), *scores[1:]])
    found = compare(one, other, Toy())
    assert (found.n, found.left_out) == (39, 1)
    write_lines(other.scores, [replace(each, value=None, status="failed") for each in scores])
    with pytest.raises(DataError, match="no question that both have a score for"):
        compare(one, other, Toy())


def test_questions_on_one_document_are_less_sure() -> None:
    pairs = [(0.0, 1.0)] * 12 + [(1.0, 0.0)] * 4 + [(1.0, 1.0)] * 44
    documents = [str(number // 4) for number in range(60)]
    alone = difference(pairs, [str(number) for number in range(60)])
    shared = difference(pairs, documents)
    assert (alone[3], shared[3]) == ("exact McNemar", "paired bootstrap")
    assert shared[1] - shared[0] > 1.5 * (alone[1] - alone[0])
    assert shared[2] > alone[2]


def test_the_difference_of_macro_means_is_of_groups() -> None:
    pairs = [(0.0, 1.0)] * 5 + [(1.0, 1.0)] * 95
    low, high, _, test = difference(pairs, [str(each) for each in range(100)], ["few"] * 10 + ["many"] * 90)
    assert (low + high) / 2 == pytest.approx(0.25)
    assert test == "paired bootstrap"


def test_intervals_of_differences_hold_the_truth() -> None:
    rng = np.random.default_rng(5)
    covered = wrong = 0
    for number in range(200):
        before = rng.random(150) < 0.7
        after = np.where(rng.random(150) < 0.2, rng.random(150) < 0.7, before)
        pairs = list(zip(before.astype(float).tolist(), after.astype(float).tolist(), strict=True))
        low, high, p_value, _ = difference(pairs, [str(each) for each in range(150)], seed=number)
        covered += low <= 0 <= high
        wrong += p_value < 0.05
    assert covered >= 0.9 * 200
    assert wrong <= 0.09 * 200


def test_command_prints_difference_interval_p_and_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        words = [
            "run",
            "task=ai2d",
            "model=untrained",
            "data.n=6",
            f"model.name={name}",
            f"results_dir={tmp_path}",
            "limit=6",
        ]
        assert cli.main(words) == 0
    one, two = tmp_path / "runs/one/ai2d", tmp_path / "runs/two/ai2d"
    scores = list(read_lines(RunDir(two).scores, Score))
    right = [replace(each, value=1.0, prediction="A") for each in scores[:2]]
    write_lines(RunDir(two).scores, [*right, *scores[2:]])
    capsys.readouterr()
    assert cli.main(["compare", str(one), str(two), "--changes", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ai2d · one -> two: accuracy 0.00 -> 33.33 of 100"
    assert lines[1].startswith("  difference +33.33, 95% interval ")
    assert lines[1].endswith(", p = 0.5000 (exact McNemar)")
    assert lines[2] == "  6 questions shared; 2 changed, 2 up, 0 down"
    assert lines[3].startswith("  ai2d/test/0000: 0 -> 1  ")
    assert lines[3].endswith(" nothing -> 'A'")
    assert lines[4] == "  and 1 more: --changes 2"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a"], "two run directories are compared, not 1: type python -m evalkit compare"),
        (["a", "b", "--changes", "x"], "--changes x is no number"),
        (["a", "b", "--all"], "unknown option '--all'"),
        (["a", "b"], "does not exist: give a run directory"),
    ],
)
def test_command_says_what_to_type(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", *words]) == 1
    assert said in capsys.readouterr().err
