"""OlympiadBench's judge against recorded answers and what the official code says of them. Every record must agree."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalkit.limits import Limited
from evalkit.metrics.olympiad import Verdict, extract_final, judge, tolerances
from evalkit.metrics.olympiad_latex import load_parser
from evalkit.metrics.olympiad_text import UnbalancedBox, normalised

PARITY = Path(__file__).parents[1].parent / "shared" / "parity" / "olympiadbench"
FILES = sorted(PARITY.glob("*.jsonl*"))

# Decoded JSON of a known shape, which the folder's own README describes.
Record = dict[str, Any]

every_file = pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.name) for path in FILES]
    or [pytest.param(None, marks=pytest.mark.skip(reason=f"no recorded answers: {PARITY} is absent"))],
)


@pytest.fixture(scope="module")
def judged() -> Iterator[Limited[Verdict]]:
    limited = Limited(judge, prepare=load_parser)
    yield limited
    limited.close()


def records(path: Path) -> list[Record]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def allowed(row: Record) -> tuple[float, ...]:
    error = row["precision"]
    if isinstance(error, list):
        return tuple(error)
    return tolerances(row["answer_type"] or "", "" if error is None else str(error))


def prediction(row: Record) -> str:
    # The judge's own examples are no responses: nothing is extracted from them.
    if row["question_type"] == "judge-unit":
        return str(row["response"])
    return extract_final(row["response"], row["language"]).prediction or ""


@every_file
def test_extraction_and_normalisation(path: Path) -> None:
    disagree = []
    for row in records(path):
        found = prediction(row)
        expected = row["response"] if row["extraction_is_full_response"] else row["official_extraction"]
        try:
            pair = [normalised(found), normalised(row["answer"][0])]
        except UnbalancedBox:
            pair = ["<preprocess error>", row["gold_normalised"]]
        if found != expected or pair != [row["official_prediction"], row["gold_normalised"]]:
            disagree.append(row["id"])
    assert disagree == []


@every_file
def test_judge(path: Path, judged: Limited[Verdict]) -> None:
    rows, disagree, correct = records(path), [], 0
    for row in rows:
        pair = (prediction(row), row["answer"][0])
        outcome = judged(*(reversed(pair) if row.get("argument_order") == "gold_first" else pair), allowed(row))
        value = int(outcome.value is not None and outcome.value.equal)
        correct += value
        if outcome.ended != "done" or value != row["official_score"]:
            disagree.append((row["id"], outcome))
    assert disagree == []
    meta = path.with_name(path.name.split(".jsonl")[0] + ".meta.json")
    official = json.loads(meta.read_text(encoding="utf-8"))["official_aggregate"]
    assert (correct, len(rows)) == (official["correct"], official["total"])
    assert round(100 * correct / len(rows), 4) == official["accuracy"]
