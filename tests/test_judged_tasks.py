"""Tasks that can use a judge: what it is asked, what is made of its words, and what a response cannot do to it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit import config
from evalkit.store import loads
from evalkit.types import Sample, Task

GOLDEN = Path(__file__).parent / "golden"


def built(name: str) -> Task:
    return config.setup([f"task={name}"]).tasks[0]


def sample(name: str, **fields: str) -> Sample:
    rows = (json.loads(line)["sample"] for line in (GOLDEN / f"{name}.jsonl").read_text().splitlines())
    wanted = next(row for row in rows if all(row["meta"].get(key) == value for key, value in fields.items()))
    return loads(json.dumps(wanted).encode(), Sample)


def asked(task: Task, one: Sample, text: str) -> str:
    request = task.ask_judge(one, text)
    assert request is not None
    assert request.temperature == 0
    return "".join(part for part in request.messages[0].parts if isinstance(part, str))


def test_mmlongbench_asks_for_the_short_answer_and_never_shows_the_gold_one() -> None:
    task, one = built("mmlongbench_doc"), sample("mmlongbench_doc")
    prompt = asked(task, one, "The table on page 4 says 17 kilometres.")
    assert one.question in prompt
    assert "The table on page 4 says 17 kilometres." in prompt
    assert not any(f"answer: {gold}" in prompt for gold in one.answers)


@pytest.mark.parametrize(
    ("verdict", "prediction", "rule"),
    [
        ("Extracted answer: 17\nAnswer format: Integer", "17", "judge"),
        ("I cannot say.", "Failed to extract", "none"),
        ("Answer format: Integer\nExtracted answer: 17", "Failed to extract", "none"),
    ],
)
def test_mmlongbench_reads_the_verdict_as_the_official_code(verdict: str, prediction: str, rule: str) -> None:
    found = built("mmlongbench_doc").read_verdict(sample("mmlongbench_doc"), "text", verdict)
    assert (found.prediction, found.rule) == (prediction, rule)


def test_mathvista_asks_only_where_the_response_is_no_answer_by_itself() -> None:
    task, chosen = built("mathvista"), sample("mathvista", question_type="multi_choice")
    whole = sample("mathvista", answer_type="integer")
    assert task.ask_judge(chosen, chosen.choices[0]) is None
    assert task.ask_judge(whole, " 7\n") is None
    assert "is the second one" in asked(task, chosen, "It is the second one.")
    assert "seven" in asked(task, whole, "seven")
    found = task.read_verdict(whole, "seven", "7")
    assert (found.prediction, found.rule) == ("7", "judge")


@pytest.mark.parametrize("name", ["mathvista", "mmlongbench_doc"])
def test_the_row_says_whether_a_judge_was_asked(name: str) -> None:
    from evalkit.types import Score

    task, one = built(name), sample(name)
    by_rule = [Score("a", one.group, "1", "number", "ok", 1.0)]
    by_judge = [Score("a", one.group, "1", "judge", "ok", 1.0)]
    assert "found by rule" in task.aggregate(by_rule).note
    assert task.aggregate(by_judge).note == ""
