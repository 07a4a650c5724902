"""The steps: what is asked, what is stored, what is scored, and what is asked again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from toy import Rows, Toy, solve, sums

from evalkit import pipeline
from evalkit.errors import DataError, ModelError
from evalkit.prompts import ask
from evalkit.record import Result, RunRecord
from evalkit.responses import read_responses
from evalkit.runners.replay import Replay, Scripted
from evalkit.store import RunDir, read_lines
from evalkit.summary import summarise
from evalkit.types import Extraction, Failure, Request, Response, Runner, Sample, Score, Task


def record(runner: Runner) -> RunRecord:
    return RunRecord("m", "toy", None, "a note", {}, {}, runner.identity(), "local", "6 rows", None, {})


def run(tmp_path: Path, task: Task, runner: Runner, limit: int | None = None) -> tuple[Result, int]:
    directory = RunDir(tmp_path / "toy")
    samples = pipeline.load(task, limit)
    asked = pipeline.render(task, samples)
    pipeline.prepare(directory, record(runner), samples, asked)
    requests = pipeline.pending(directory.responses, (each.request for each in asked))
    answers = pipeline.generate(directory.responses, requests, runner, lambda _: None)
    return summarise(directory, task, pipeline.grade(directory, task)), answers


def test_asks_scores_and_says_how(tmp_path: Path) -> None:
    result, answers = run(tmp_path, Toy(), Scripted(lambda r: "no idea" if "3" in str(r.messages) else solve(r)))
    assert answers == 6
    assert result.interval is not None
    assert result.interval.low < 500 / 6 < result.interval.high < 100
    assert result == Result(
        model="m", task="toy", column=None, metric="right", value=500 / 6, scale=100, parts={}, n=6,
        scored=6, size=6, unparsed=1, statuses={"ok": 5, "unparsed": 1}, rules={"none": 1, "whole": 5}, split="test",
        style="direct", prompt="toy", scorer="official", source="local", revision="6 rows", policies={},
        notes=("a note",), interval=result.interval, effective_n=6,
    )  # fmt: skip


def test_nothing_is_asked_twice(tmp_path: Path) -> None:
    first, _ = run(tmp_path, Toy(), Scripted(solve))
    scores = (tmp_path / "toy" / "scores.jsonl").read_bytes()
    silent = Scripted(lambda _: pytest.fail("asked again"))
    again, answers = run(tmp_path, Toy(), silent)
    assert (again, answers, silent.asked) == (first, 0, [])
    assert (tmp_path / "toy" / "scores.jsonl").read_bytes() == scores


def test_a_failure_is_no_answer_and_is_asked_again(tmp_path: Path) -> None:
    flaky = Scripted(lambda r: Failure("timeout", "no word for 600 s") if "2 + 2" in str(r.messages) else solve(r))
    result, answers = run(tmp_path, Toy(), flaky)
    assert (result.scored, result.n, result.value, answers) == (5, 6, 100, 5)
    assert result.statuses == {"failed": 1, "ok": 5}
    assert result.rules["timeout"] == 1
    assert pipeline.first_failure(RunDir(tmp_path / "toy")) == "sum/2 (no word for 600 s)"
    well = Scripted(solve)
    mended, answers = run(tmp_path, Toy(), well)
    assert (mended.scored, mended.value, answers, len(well.asked)) == (6, 100, 1, 1)


def test_an_answer_is_stored_before_the_next_is_asked(tmp_path: Path) -> None:
    directory = RunDir(tmp_path / "toy")

    def answer(request: Request) -> str:
        if "3 + 3" in str(request.messages):
            raise KeyboardInterrupt
        return solve(request)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Toy(), Scripted(answer))
    assert len(read_responses(directory.responses)) == 3
    result, answers = run(tmp_path, Toy(), Scripted(solve))
    assert (answers, result.value) == (3, 100)


def test_another_model_under_the_same_name_stops(tmp_path: Path) -> None:
    run(tmp_path, Toy(), Scripted(solve, name="one"))
    with pytest.raises(ModelError, match=r"name was one and is two.*model\.name=NAME, or remove"):
        run(tmp_path, Toy(), Scripted(solve, name="two"))


def test_another_model_may_replace_one_that_never_answered(tmp_path: Path) -> None:
    run(tmp_path, Toy(), Scripted(lambda _: Failure("oom", "too large"), name="one"))
    RunDir(tmp_path / "toy").responses.unlink()
    result, _ = run(tmp_path, Toy(), Scripted(solve, name="two"))
    assert result.value == 100


def test_a_changed_prompt_is_another_question(tmp_path: Path) -> None:
    run(tmp_path, Toy(), Scripted(solve))
    _, answers = run(tmp_path, Toy(max_tokens=9), Scripted(solve))
    assert answers == 6


def test_stores_of_several_machines_become_one_by_joining_their_files(tmp_path: Path) -> None:
    run(tmp_path / "a", Toy(source=sums(3)), Scripted(solve))
    run(tmp_path / "b", Toy(source=Rows(sums(6).values[3:])), Scripted(solve))
    joined = RunDir(tmp_path / "toy").responses
    joined.parent.mkdir()
    joined.write_bytes(b"".join(RunDir(tmp_path / each / "toy").responses.read_bytes() for each in "ab"))
    result, answers = run(tmp_path, Toy(), Scripted(lambda _: pytest.fail("asked again")))
    assert (result.n, result.value, answers) == (6, 100, 0)


def test_limit_takes_the_first_and_keeps_the_rest(tmp_path: Path) -> None:
    run(tmp_path, Toy(), Scripted(solve))
    result, answers = run(tmp_path, Toy(), Scripted(solve), limit=2)
    assert (result.n, result.size, answers) == (2, 6, 0)
    assert len(read_responses(RunDir(tmp_path / "toy").responses)) == 6


def test_same_question_twice_is_two_attempts_and_ids_stay_apart(tmp_path: Path) -> None:
    row: dict[str, object] = {"id": "a", "question": "1 + 1?", "answer": "2"}
    samples = pipeline.load(Toy(source=Rows((row,) * 3)), None)
    asked = pipeline.render(Toy(), samples)
    assert [sample.id for sample in samples] == ["a", "a#2", "a#3"]
    assert [each.request.attempt for each in asked] == [0, 1, 2]
    assert len({each.key for each in asked}) == 3


def test_no_samples_is_a_sentence() -> None:
    with pytest.raises(DataError, match="toy has no samples in data=local"):
        pipeline.load(Toy(source=sums(0)), None)


def test_replay_answers_what_was_recorded(tmp_path: Path) -> None:
    task = Toy()
    samples = [replace(sample, response=f"{2 * number}") for number, sample in enumerate(pipeline.load(task, None))]
    responses = list(Replay().generate([each.request for each in pipeline.render(task, samples)]))
    assert [response.text for response in responses] == ["0", "2", "4", "6", "8", "10"]


def test_replay_of_what_was_never_recorded_fails() -> None:
    (response,) = Replay().generate([pipeline.render(Toy(), pipeline.load(Toy(), 1))[0].request])
    assert response.error is not None
    assert response.error.kind == "not_recorded"


@pytest.mark.parametrize(
    ("response", "rule", "status"),
    [
        (None, "not_asked", "failed"),
        (Response("k", "", error=Failure("oom", "")), "oom", "failed"),
        (Response("k", "", error=Failure("refused", "")), "refused", "refused"),
        (Response("k", "I can", finish_reason="content_filter"), "whole", "refused"),
        (Response("k", " \n", finish_reason="length"), "none", "empty"),
        (Response("k", "x", finish_reason="length"), "none", "truncated"),
        (Response("k", "x"), "none", "unparsed"),
        (Response("k", "x"), "whole", "ok"),
    ],
)
def test_status_names_the_gravest_circumstance(response: Response | None, rule: str, status: str) -> None:
    assert pipeline.status_of(response, rule) == status


def test_nothing_scored_has_no_value(tmp_path: Path) -> None:
    result, _ = run(tmp_path, Toy(), Scripted(lambda _: Failure("oom", "too large")))
    assert (result.value, result.scored, result.n) == (None, 0, 6)
    scores = list(read_lines(RunDir(tmp_path / "toy").scores, Score))
    assert {score.value for score in scores} == {None}


@dataclass(frozen=True, kw_only=True)
class Graded(Toy):
    """Every answer counts as the last sample's, which no sample can know alone; a failure has none to count."""

    def settle(self, samples: Sequence[Sample], scores: Sequence[Score]) -> Sequence[Score]:
        assert [sample.id for sample in samples] == [score.sample_id for score in scores]
        return [score if score.value is None else replace(score, value=scores[-1].value) for score in scores]


def test_scores_are_settled_together(tmp_path: Path) -> None:
    def answer(request: Request) -> str | Failure:
        question = str(request.messages)
        return Failure("timeout", "") if "0 + 0" in question else "7" if "5 + 5" in question else solve(request)

    result, _ = run(tmp_path, Graded(), Scripted(answer))
    assert (result.value, result.scored, result.n) == (0, 5, 6)
    assert [score.value for score in read_lines(RunDir(tmp_path / "toy").scores, Score)] == [None, 0, 0, 0, 0, 0]


def test_samples_are_stored_without_pixels(tmp_path: Path) -> None:
    run(tmp_path, Toy(), Scripted(solve))
    assert next(read_lines(RunDir(tmp_path / "toy").samples, Sample)).question == "0 + 0?"


@dataclass(frozen=True, kw_only=True)
class Judged(Toy):
    """The toy, whose answers are right where a judge says yes."""

    def needs_judge(self, sample: Sample) -> bool:
        return True

    def ask_judge(self, sample: Sample, text: str) -> Request | None:
        return ask((f"{sample.question} Is {text} right?",), 4)

    def read_verdict(self, sample: Sample, text: str, verdict: str) -> Extraction:
        return Extraction(sample.answers[0], "judge") if verdict == "yes" else Extraction(None, "none")


def judge(tmp_path: Path, verdict: Scripted | None) -> Result:
    directory = RunDir(tmp_path / "toy")
    task, runner = Judged(), Scripted(solve)
    samples = pipeline.load(task, None)
    asked = pipeline.render(task, samples)
    name = "wise" if verdict else None
    pipeline.prepare(directory, replace(record(runner), judge=name), samples, asked)
    requests = pipeline.pending(directory.responses, (each.request for each in asked))
    pipeline.generate(directory.responses, requests, runner, lambda _: None)
    if verdict:
        path = directory.verdicts("wise")
        questions = pipeline.pending(path, pipeline.ask_judge(directory, task, samples, asked))
        pipeline.generate(path, questions, verdict, lambda _: None)
    return summarise(directory, task, pipeline.grade(directory, task))


def test_without_a_judge_nothing_is_scored_and_nothing_is_zero(tmp_path: Path) -> None:
    result = judge(tmp_path, None)
    assert (result.value, result.scored, result.statuses) == (None, 0, {"not_scored": 6})
    assert pipeline.first_failure(RunDir(tmp_path / "toy")) == "sum/0 (it needs a judge: add judge=MODEL)"


def test_verdicts_are_stored_and_asked_once(tmp_path: Path) -> None:
    wise = Scripted(lambda request: "maybe" if "3 + 3" in str(request.messages) else "yes")
    result = judge(tmp_path, wise)
    assert (result.judge, result.unparsed, result.rules) == ("wise", 1, {"judge": 5, "none": 1})
    assert result.value == 500 / 6
    assert len(wise.asked) == 6
    again = Scripted(lambda _: pytest.fail("judged again"))
    assert judge(tmp_path, again) == result


def test_a_judge_that_fails_leaves_no_score_and_is_asked_again(tmp_path: Path) -> None:
    result = judge(tmp_path, Scripted(lambda _: Failure("rate_limit", "too many")))
    assert (result.value, result.rules) == (None, {"judge_rate_limit": 6})
    assert judge(tmp_path, Scripted(lambda _: "yes")).value == 100
