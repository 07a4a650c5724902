"""The files for the servers of DocVQA and MMMU, whose test splits have no public answers, and what keeps one back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from toy import Rows

from evalkit import config, pipeline
from evalkit.cli import main
from evalkit.errors import DataError
from evalkit.runners.replay import Scripted
from evalkit.store import RunDir, read_lines
from evalkit.tasks.docvqa import DocVQA
from evalkit.tasks.mmmu import MMMU, SUBJECTS
from evalkit.types import Failure, Request, Sample, Score

DOCVQA = 5188
MMMU_TEST = 10_500

Rowlike = dict[str, object]


def question(number: object, response: str = "42", **fields: object) -> Rowlike:
    """A recorded answer to a DocVQA test question, as the hub has them: no gold answers."""
    return {"questionId": str(number), "question": f"{number}?", "answers": None, "response": response, **fields}


def exam(subject: str, number: int, response: str = "Answer: B", **fields: object) -> Rowlike:
    return {
        "id": f"test_{subject}_{number}", "question": f"{subject} {number}?", "options": "['one', 'two', 'three']",
        "answer": "?", "question_type": "multiple-choice", "response": response, **fields,
    }  # fmt: skip


def replay(tmp_path: Path, task: str, rows: Sequence[Rowlike], *more: str, split: str = "test") -> Path:
    """Run recorded answers through a task and return the run's directory."""
    path = tmp_path / "model.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [f"task={task}", "model=replay", "data=recorded", f"data.path={path}", f"results_dir={tmp_path / 'r'}"]
    assert main(["run", *words, *([f"tasks.{task}.split={split}"] if split else []), *more]) == 0
    return tmp_path / "r" / "runs" / "model" / task


def submitted(run: Path, task: str) -> Any:
    assert main(["submit", task, str(run)]) == 0
    return json.loads((run / "submission.json").read_text())


def refusal(run: Path, task: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["submit", task, str(run)]) == 1
    assert not (run / "submission.json").exists()
    sentence = capsys.readouterr().err
    assert sentence.startswith("evalkit: ")
    assert sentence.count("\n") == 1
    return sentence


def test_docvqa_file_has_each_official_id_once(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shared / "parity" / "docvqa" / "test_question_ids.jsonl"
    if not file.is_file():
        pytest.skip("no parity/docvqa/test_question_ids.jsonl in the shared folder")
    ids = [json.loads(line)["questionId"] for line in file.read_text().splitlines()]
    assert len(ids) == DOCVQA
    answers = {number: f"“{number}” \ud800" if number % 2 else f"So.\nFinal Answer: {number} % " for number in ids}
    run = replay(tmp_path, "docvqa", [question(number, answers[number]) for number in ids])
    assert (
        "docvqa · model: no score (5,188 of 5,188 samples have no public answer) · n=5188, data=recorded"
        in capsys.readouterr().out
    )
    items = submitted(run, "docvqa")
    assert f"wrote {run / 'submission.json'}: 5,188 answers of model" in capsys.readouterr().out
    assert all(set(item) == {"questionId", "answer"} for item in items)
    assert all(type(item["questionId"]) is int and type(item["answer"]) is str for item in items)
    assert sorted(item["questionId"] for item in items) == sorted(ids)
    wanted = {number: answers[number] if number % 2 else f"{number} %" for number in ids}
    assert {item["questionId"]: item["answer"] for item in items} == wanted


def test_mmmu_file_has_letters_and_open_answers(tmp_path: Path) -> None:
    rows = [exam(subject, number) for subject in SUBJECTS for number in range(1, 351)]
    rows[0]["response"] = "no idea"
    written: Rowlike = {"question_type": "open", "options": "[]"}
    rows[1] |= {**written, "response": "It is 7 and so on.\nFinal Answer: 12.5"}
    rows[2] |= {**written, "response": "The answer is 3\n"}
    run = replay(tmp_path, "mmmu", rows)
    answers = submitted(run, "mmmu")
    assert len(answers) == MMMU_TEST == len(rows)
    assert list(answers)[:4] == [f"test_Accounting_{number}" for number in range(1, 5)]
    # The official code draws an option where it finds none: the first of its stream among three is C.
    assert list(answers.values())[:4] == ["C", "12.5", "The answer is 3", "B"]
    scores = list(read_lines(RunDir(run).scores, Score))
    assert {(score.status, score.value) for score in scores} == {("not_scored", None)}
    assert submitted(run, "mmmu") == answers


def test_an_unparsed_choice_is_empty_where_none_is_drawn() -> None:
    task = MMMU(source=Rows((exam("Art", 1), exam("Art", 2))), split="test", unparsed="zero")
    samples = list(task.load())
    scores = [Score(each.id, each.group, None, "none", "not_scored", None) for each in samples]
    texts = {each.id: "no idea" for each in samples}
    assert json.loads(task.submission(samples, task.settle(samples, scores), texts)) == dict.fromkeys(texts, "")


def test_nothing_is_scored_and_nothing_is_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = replay(tmp_path, "docvqa", [question(7), question(8, " ")])
    result = json.loads((run / "result.json").read_text())
    assert (result["value"], result["scored"], result["n"], result["size"]) == (None, 0, 2, DOCVQA)
    assert result["statuses"] == {"not_scored": 2}
    assert result["notes"] == ["2 of 2 samples have no public answer"]
    assert pipeline.first_failure(RunDir(run)) == ""
    capsys.readouterr()
    assert main(["score", str(run)]) == 0
    assert "docvqa · model: no score (2 of 2 samples have no public answer) · n=2 of 5188" in capsys.readouterr().out


def test_gold_answers_that_a_test_split_does_have_are_used(tmp_path: Path) -> None:
    run = replay(tmp_path, "docvqa", [question(7, answers=["42"]), question(8)])
    assert json.loads((run / "result.json").read_text())["value"] == 100
    (known,) = MMMU(source=Rows((exam("Art", 1, answer="B"),)), split="test").load()
    assert known.answers == ("B",)


@pytest.mark.parametrize("answer", ["?", "", None])
def test_mmmu_says_in_several_ways_that_an_answer_is_withheld(answer: object) -> None:
    (sample,) = MMMU(source=Rows((exam("Art", 1, answer=answer),)), split="test").load()
    assert sample.answers == ()


def test_a_validation_row_must_have_its_answer() -> None:
    with pytest.raises(DataError, match="has no 'answers'"):
        list(DocVQA(source=Rows((question(7),))).load())
    with pytest.raises(DataError, match="has no 'answer'"):
        list(MMMU(source=Rows((exam("Art", 1, answer=None),))).load())


@pytest.mark.parametrize(
    ("task", "split", "size"),
    [("docvqa", "validation", 5349), ("docvqa", "test", DOCVQA), ("docvqa", "mine", 5349), ("mmmu", "dev", 150),
     ("mmmu", "validation", 900), ("mmmu", "test", MMMU_TEST)],
)  # fmt: skip
def test_a_split_has_its_size(task: str, split: str, size: int) -> None:
    assert config.setup([f"task={task}", f"tasks.{task}.split={split}"]).tasks[0].size == size


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [question(7)],
            "5,188 ids with an answer each: it has 1 different; run task=docvqa tasks.docvqa.split=test on the",
        ),
        ([question(7), question(8), question(7)], "it has 2 different, 1 id (7) repeated; run"),
        ([question("q7"), question(8)], "the id 'q7' is no DocVQA questionId, which is an integer"),
        ([question("٧")], "the id '٧' is no DocVQA questionId"),
    ],
)
def test_wrong_ids_are_named(
    rows: list[Rowlike], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refusal(replay(tmp_path, "docvqa", rows), "docvqa", capsys)


def test_ids_without_an_answer_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: Callable[[Request], str | Failure] = lambda r: "42" if "9?" in str(r.messages) else Failure("oom", "full")  # noqa: E731
    monkeypatch.setattr("evalkit.runners.replay.Replay", lambda: Scripted(answer))
    rows = [question(number) for number in range(1, 10)]
    run = replay(tmp_path, "docvqa", rows, "allow_incomplete=true")
    assert "it has 9 different, 8 ids (1, 2, 3, 4, 5, ...) without an answer; run" in refusal(run, "docvqa", capsys)


def test_too_many_ids_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = replay(tmp_path, "docvqa", [question(number) for number in range(DOCVQA + 1)])
    assert "it has 5,189 different; run" in refusal(run, "docvqa", capsys)


def test_another_split_task_or_benchmark_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = replay(tmp_path, "docvqa", [question(7, answers=["42"])], split="validation")
    assert "holds the validation split, but the server takes the test split: run task=docvqa" in refusal(
        run, "docvqa", capsys
    )
    assert f"is a run of docvqa, not of mmmu: type python -m evalkit submit docvqa {run}" in refusal(
        run, "mmmu", capsys
    )
    chart: Rowlike = {"id": "1", "question": "?", "answer": "42", "type": "human", "response": "42"}
    run = replay(tmp_path, "chartqa", [chart])
    assert f"chartqa has no server that takes answers: its score is in {run}" in refusal(run, "chartqa", capsys)


@pytest.mark.parametrize("words", [[], ["docvqa"], ["docvqa", "a", "b"], ["docvqa", "a", "--out"], ["docvqa", "--all"]])
def test_wrong_words_are_one_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", *words]) == 1
    assert capsys.readouterr().err == (
        "evalkit: give a task and a run directory: python -m evalkit submit docvqa RUN_DIR [--out FILE]\n"
    )


def test_no_such_run_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["submit", "docvqa", "no/such/run"]) == 1
    assert "no/such/run/record.json does not exist: give a run directory" in capsys.readouterr().err


def test_out_names_the_file_and_an_empty_answer_is_one(tmp_path: Path) -> None:
    run = replay(tmp_path, "docvqa", [question(number, "" if number == 5 else "x") for number in range(DOCVQA)])
    out = tmp_path / "for" / "rrc.json"
    assert main(["submit", "--out", str(out), "docvqa", str(run)]) == 0
    items = json.loads(out.read_text())
    assert (len(items), items[5]) == (DOCVQA, {"questionId": 5, "answer": ""})
    assert not (run / "submission.json").exists()


def test_a_stored_prediction_outlives_the_missing_gold(tmp_path: Path) -> None:
    run = RunDir(replay(tmp_path, "docvqa", [question(7, "Final Answer: 42")]))
    (score,) = read_lines(run.scores, Score)
    assert (score.prediction, score.rule, score.status, score.value) == ("42", "final_answer", "not_scored", None)
    (sample,) = read_lines(run.samples, Sample)
    assert sample.answers == ()
