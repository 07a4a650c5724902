"""The scoring rules against recorded answers and what the official code says of them. Every record must agree."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from evalkit.metrics.anls import anls
from evalkit.metrics.choice import infer_choice, parse_mmmu, parse_mmmu_pro
from evalkit.metrics.containment import contains_answer
from evalkit.metrics.relaxed_accuracy import relaxed_accuracy
from evalkit.types import Extraction

PARITY = Path(__file__).parents[1].parent / "shared" / "parity"

# Decoded JSON of a known shape, which the file's own README describes.
Record = dict[str, Any]


def files(benchmark: str) -> list[object]:
    """Return the benchmark's recorded files as parameters, or one that is skipped where there are none."""
    found = [path for path in sorted((PARITY / benchmark).glob("*.jsonl*")) if path.name != "test_question_ids.jsonl"]
    if found:
        return [pytest.param(path, id=path.name) for path in found]
    return [pytest.param(None, id=benchmark, marks=pytest.mark.skip(reason=f"no recorded answers: {PARITY} is absent"))]


def records(path: Path) -> Iterator[Record]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def aggregate(path: Path) -> Record:
    meta = path.with_name(path.name.split(".jsonl")[0] + ".meta.json")
    content: Record = json.loads(meta.read_text(encoding="utf-8"))["official_aggregate"]
    return content


@pytest.mark.parametrize("path", files("docvqa"))
def test_docvqa(path: Path) -> None:
    rows = list(records(path))
    scores = [anls(row["official_prediction"], row["answers"]) for row in rows]
    official = [row["official_score"] for row in rows]
    assert [
        row["id"] for row, score, expected in zip(rows, scores, official, strict=True) if abs(score - expected) > 1e-12
    ] == []
    assert len(rows) == aggregate(path)["n"]
    assert fmean(scores) == pytest.approx(aggregate(path)["anls"], abs=1e-12)


@pytest.mark.parametrize("path", files("chartqa"))
def test_chartqa(path: Path) -> None:
    # The chain-of-thought file is scored on one known extraction, which is no official rule and so none of evalkit's.
    field = "official_prediction" if path.stem == "adversarial_cot" else "response"
    rows = list(records(path))
    scores = [relaxed_accuracy(row[field], row["answers"]) for row in rows]
    assert [row["id"] for row, score in zip(rows, scores, strict=True) if score != row["official_score"]] == []
    expected = aggregate(path)
    assert len(rows) == expected["n"]
    assert 100 * fmean(scores) == pytest.approx(expected["overall"], abs=1e-9)
    for half in ("human", "augmented"):
        part = [score for row, score in zip(rows, scores, strict=True) if row["category"] == half]
        assert len(part) == expected[half]["n"]
        assert 100 * fmean(part) == pytest.approx(expected[half]["acc"], abs=1e-9)


@pytest.mark.parametrize("path", files("ocrbench"))
def test_ocrbench(path: Path) -> None:
    rows = list(records(path))
    scores = [contains_answer(row["response"], row["answers"], formula=row["dataset"] == "HME100k") for row in rows]
    assert [row["id"] for row, score in zip(rows, scores, strict=True) if score != row["official_score"]] == []
    expected = aggregate(path)
    assert len(rows) == expected["n"]
    assert sum(scores) == expected["total_correct"]
    for category, part in expected["per_category"].items():
        values = [score for row, score in zip(rows, scores, strict=True) if row["category"] == category]
        assert (sum(values), len(values)) == (part["correct"], part["n"])


def assert_same_choices(path: Path, parse: Callable[[str, Sequence[str]], Extraction]) -> int:
    """Compare the letters of all multiple-choice records and return how many there are."""
    rows = [row for row in records(path) if row["question_type"] == "multiple-choice"]
    disagree: list[tuple[str, str | float | None]] = []
    for row in rows:
        # Where the official code picked at random, or found nothing (AI2D's Z), the parser must say that it did not.
        nothing = row["random_fallback"] or (row["benchmark"] == "ai2d" and row["official_prediction"] == "Z")
        found = parse(row["response"], [str(option) for option in row["options"]]).prediction
        score = float(found == row["answer"])
        if found != (None if nothing else row["official_prediction"]):
            disagree.append((row["id"], found))
        elif not row["random_fallback"] and score != row["official_score"]:
            disagree.append((row["id"], score))
    assert disagree == []
    return len(rows)


@pytest.mark.parametrize("path", files("mmmu"))
def test_mmmu(path: Path) -> None:
    # One file holds open questions alone; they have another parser.
    assert (assert_same_choices(path, parse_mmmu) > 0) != path.stem.startswith("xparser_open")


@pytest.mark.parametrize("path", files("mmmu_pro"))
def test_mmmu_pro(path: Path) -> None:
    assert assert_same_choices(path, parse_mmmu_pro) == aggregate(path)["n"]


@pytest.mark.parametrize("path", files("ai2d"))
def test_ai2d(path: Path) -> None:
    assert assert_same_choices(path, infer_choice) == aggregate(path)["n"]
