"""MMLongBench-Doc's rules against recorded outputs of an extractor and what the official code says of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evalkit.metrics.mmlongbench import FAILED, NOT_ANSWERABLE, Judged, accuracy, eval_score, f1, read_extraction
from evalkit.metrics.mmlongbench_answer import extract_answer

PARITY = Path(__file__).parents[1].parent / "shared" / "parity" / "mmlongbench_doc"

# Decoded JSON of a known shape, which the recorded answers' own README describes.
Record = dict[str, Any]


def files() -> list[object]:
    """Return the recorded files as parameters, or one that is skipped where there are none."""
    found = sorted(PARITY.glob("*.jsonl"))
    if found:
        return [pytest.param(path, id=path.stem) for path in found]
    return [pytest.param(None, marks=pytest.mark.skip(reason=f"no recorded answers: {PARITY} is absent"))]


def records(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def score(row: Record) -> float:
    found = read_extraction(row["extractor_output"])
    return 0.0 if found is None else eval_score(row["answer"], found, row["answer_format"])


@pytest.mark.parametrize("path", files())
def test_the_answer_is_read_from_the_extractors_output(path: Path) -> None:
    # Where the official rules gave up on an answer, the official code had already put this in its place.
    read = {row["id"]: (read_extraction(row["extractor_output"]), row["official_extraction"]) for row in records(path)}
    differing = {name: pair for name, pair in read.items() if pair[0] != pair[1] and pair[1] != FAILED}
    assert differing == {}
    assert sum(found is None for found, _ in read.values()) < len(read) / 100


@pytest.mark.parametrize("path", files())
def test_every_score(path: Path) -> None:
    rows = records(path)
    assert {row["id"]: score(row) for row in rows} == {
        row["id"]: pytest.approx(row["official_score"], abs=1e-12) for row in rows
    }


@pytest.mark.parametrize("path", files())
def test_aggregates(path: Path) -> None:
    expected = json.loads(path.with_suffix(".meta.json").read_text(encoding="utf-8"))["official_aggregate"]
    rows = records(path)
    judged = [
        Judged(score(row), row["answer"] != NOT_ANSWERABLE, row["official_extraction"] != NOT_ANSWERABLE)
        for row in rows
    ]
    assert len(judged) == expected["n"]
    assert accuracy(judged) == pytest.approx(expected["acc"], abs=1e-12)
    assert f1(judged) == pytest.approx(expected["f1"], abs=1e-12)
    for kind in ("Int", "Float", "Str", "List", "None"):
        part = [each for each, row in zip(judged, rows, strict=True) if row["answer_format"] == kind]
        assert len(part) == expected[f"n_{kind}"]
        assert accuracy(part) == pytest.approx(expected[f"mean_{kind}"], abs=1e-12)


@pytest.mark.parametrize("path", [each for each in files() if "real" in str(each)])
def test_the_rules_that_stand_in_for_the_judge(path: Path) -> None:
    # Whoever recorded these had a judge say right or wrong of each response; no rule can agree with all of that.
    rows = records(path)
    agreed = 0
    for row in rows:
        value = eval_score(row["answer"], extract_answer(row["response"]).prediction or "", row["answer_format"])
        agreed += (value >= 0.5) == bool(row["source_judge_binary_correctness"])
    assert agreed / len(rows) > 0.88
