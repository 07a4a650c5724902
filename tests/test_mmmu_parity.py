"""MMMU against recorded answers and what the official code says of them, through the task. Every record must agree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalkit.data import Recorded
from evalkit.metrics.open_answer import open_answer_matches, parse_mmmu_open
from evalkit.tasks.mmmu import MMMU, SUBJECTS
from evalkit.types import Extraction, Sample, Score

PARITY = Path(__file__).parents[1].parent / "shared" / "parity" / "mmmu"

# Decoded JSON of a known shape, which the folder's own README describes.
Record = dict[str, Any]


def files(pattern: str) -> list[object]:
    """Return the matching files as parameters, or one that is skipped where there are none."""
    found = sorted(PARITY.glob(pattern))
    if found:
        return [pytest.param(path, id=path.stem) for path in found]
    return [pytest.param(None, id="mmmu", marks=pytest.mark.skip(reason=f"no recorded answers: {PARITY} is absent"))]


def meta(path: Path) -> Record:
    content: Record = json.loads(path.with_suffix(".meta.json").read_text(encoding="utf-8"))
    return content


def read(path: Path) -> tuple[MMMU, list[tuple[Record, Sample, Extraction]]]:
    """Return the task, and each record with its sample and what is found in its response."""
    # These are direct answers, or set against the official parser of direct answers.
    task = MMMU(source=Recorded(str(path)), style="direct", unparsed="expected")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    samples = list(task.load())
    assert [sample.id for sample in samples] == [row["id"] for row in rows]
    return task, [
        (row, sample, task.extract(sample, row["response"])) for row, sample in zip(rows, samples, strict=True)
    ]


@pytest.mark.parametrize("path", files("*.jsonl"))
def test_predictions_and_scores(path: Path) -> None:
    task, found = read(path)
    disagree = []
    for row, sample, extraction in found:
        prediction = extraction.prediction
        if row["random_fallback"]:
            # The official code picked a letter; the parser must say that it found none.
            agrees = prediction is None and extraction.rule == "none"
        else:
            same_prediction = (
                set(json.loads(prediction or "")) == set(row["official_prediction"])
                if row["question_type"] == "open"
                else prediction == row["official_prediction"]
            )
            agrees = same_prediction and task.score(sample, prediction) == row["official_score"]
        if not agrees:
            disagree.append((row["id"], prediction))
    assert disagree == []


@pytest.mark.parametrize("path", files("*.jsonl"))
def test_totals(path: Path) -> None:
    task, found = read(path)
    official = meta(path)["official_aggregate"]
    values = [(task.score(sample, each.prediction), each.prediction is None) for _, sample, each in found]
    assert len(values) == official["n"]
    assert sum(value for value, random in values if not random) == official["n_correct_excluding_random"]
    assert sum(random for _, random in values) == official["n_random_fallback"]
    expected = sum(value for value, random in values if random)
    assert expected == pytest.approx(official["expected_correct_from_random"], abs=1e-9)


@pytest.mark.parametrize("path", files("*_val.jsonl"))
def test_aggregate_of_the_official_scores(path: Path) -> None:
    task, found = read(path)
    official = meta(path)["official_aggregate"]
    scores = [Score(row["id"], each.group, "", "", "ok", row["official_score"]) for row, each, _ in found]
    total = task.aggregate(scores)
    assert total.value == pytest.approx(100 * official["overall"], abs=1e-9)
    for subject, part in official["per_subject"].items():
        assert total.parts[subject] == pytest.approx(100 * part["acc"], abs=1e-9)
        assert sum(score.group == subject for score in scores) == part["n"]
    assert len(total.parts) == len(official["per_subject"]) + 6
    assert tuple(official["per_subject"]) == SUBJECTS


@pytest.mark.parametrize("path", files("*_val.jsonl"))
def test_reading_direct_answers_as_chains_of_thought_changes_no_score(path: Path) -> None:
    task, found = read(path)
    cot = replace(task, style="cot")
    changed = [
        row["id"]
        for row, sample, each in found
        if task.score(sample, each.prediction) != cot.score(sample, cot.extract(sample, row["response"]).prediction)
    ]
    assert changed == []


@pytest.mark.parametrize("path", files("xparser_open_*.jsonl"))
def test_open_parser_alone(path: Path) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    disagree = []
    for row in rows:
        predictions = parse_mmmu_open(row["response"])
        score = float(open_answer_matches(predictions, [row["answer"]]))
        if (predictions, score) != (frozenset(row["official_prediction"]), row["official_score"]):
            disagree.append((row["id"], predictions, score))
    assert disagree == []
    assert len(rows) == meta(path)["official_aggregate"]["n"]
