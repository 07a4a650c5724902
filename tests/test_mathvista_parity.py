"""MathVista against recorded answers: the official arithmetic on every record, and how often the rules agree with it.

The rules stand in for the language model that the official code asks, whose extractions are recorded. They cannot agree
everywhere, so their share is held to a floor for each file and for all of them.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from evalkit.data import Recorded
from evalkit.metrics.mathvista import matches, normalise
from evalkit.metrics.mathvista_rules import extract
from evalkit.tasks.mathvista import MathVista
from evalkit.types import Score

PARITY = Path(__file__).parents[1].parent / "shared" / "parity" / "mathvista"

# Decoded JSON of a known shape, which the folder's own README describes.
Record = dict[str, Any]

# The least share of records, in per cent, on which the rules earn the official score: of all, and of those whose
# recorded extraction is a letter, a choice or a number, and no refusal. A program's output (`_code`) and guesses are no
# responses. Where the second is under 97 the recorded extraction is often a guess: a letter for a refusal
# (gpt4_2shot_solution), for a list of invented options (instruct_blip2), or another than the response states (llava,
# mplugowl). What else is missed is mostly prose that names no choice (llavar).
FLOORS = {
    "bard": (98.0, 99.0),
    "chatgpt": (99.0, 99.0),
    "chatgpt_2shot_solution": (96.5, 98.5),
    "chatgpt_2shot_solution_use_ocr": (95.5, 98.5),
    "claude": (99.0, 99.5),
    "claude_2shot_solution": (91.5, 98.5),
    "claude_2shot_solution_use_ocr": (90.5, 98.0),
    "gpt4": (88.5, 98.0),
    "gpt4_2shot_solution": (93.5, 94.5),
    "gpt4_2shot_solution_use_ocr": (90.5, 98.0),
    "idefics_9b_instruct": (96.5, 97.0),
    "instruct_blip2_vicuna_13b": (89.0, 88.5),
    "internVL2-1b": (100.0, 100.0),
    "llama_adapter_v2": (97.5, 98.0),
    "llava_llama_2_13b": (96.5, 96.5),
    "llavar": (94.0, 94.5),
    "minigpt4_llama2": (98.5, 98.5),
    "mplugowl_7b_ft": (94.5, 95.0),
    "all": (95.0, 97.0),
}


class Share(NamedTuple):
    """Of `n` records the rules earn the official score on `agree`; `committed` and `kept` are the same of some."""

    n: int
    agree: int
    committed: int
    kept: int


def files() -> list[Path]:
    return sorted(PARITY.glob("*.jsonl*"))


def name_of(path: Path) -> str:
    return path.name.split(".jsonl")[0]


def parameters() -> list[object]:
    """Return the files as parameters, or one that is skipped where there are none."""
    skip = pytest.mark.skip(reason=f"no recorded answers: {PARITY} is absent")
    return [pytest.param(path, id=name_of(path)) for path in files()] or [pytest.param(None, marks=skip)]


def records(path: Path) -> Iterator[Record]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def normal(row: Record, extraction: str | None) -> str | None:
    kind = (row["question_type"], row["answer_type"], row["precision"])
    return normalise(extraction, *kind, row["choices"] or ())


@pytest.mark.parametrize("path", parameters())
def test_official_arithmetic(path: Path) -> None:
    rows = list(records(path))
    found = [normal(row, row["official_extraction"]) for row in rows]
    scores = [matches(prediction, row["answer"]) for row, prediction in zip(rows, found, strict=True)]
    assert [
        row["id"]
        for row, prediction, score in zip(rows, found, scores, strict=True)
        if (prediction, score) != (row["official_prediction"], row["official_score"])
    ] == []
    assert (
        sum(scores) == json.loads((PARITY / f"{name_of(path)}.meta.json").read_text())["official_aggregate"]["correct"]
    )


@pytest.mark.parametrize("path", parameters())
def test_official_parts(path: Path) -> None:
    task = MathVista(source=Recorded(str(path)))
    scores = [
        Score(sample.id, sample.group, found, "", "ok", task.score(sample, found))
        for sample, found in zip(task.load(), (row["official_extraction"] for row in records(path)), strict=True)
    ]
    official = json.loads((PARITY / f"{name_of(path)}.meta.json").read_text())["official_aggregate"]
    total = task.aggregate(scores)
    assert total.value == pytest.approx(official["accuracy"], abs=1e-4)
    by = official["by"]
    expected = {**by["task"], **by["skills"], "multi_choice": by["answer_type"].pop("text", None)}
    expected |= {f"free_form {kind}": part for kind, part in by["answer_type"].items()}
    assert total.parts == {
        name: pytest.approx(100 * part["correct"] / part["total"]) for name, part in expected.items() if part
    }


def committed(row: Record) -> bool:
    extraction = row["official_extraction"].strip().casefold()
    if row["question_type"] == "multi_choice":
        letter = re.fullmatch(r"\(?[a-z]\)?\.?", extraction) or re.match(r"\([a-z]\)", extraction)
        return bool(letter) or extraction in (choice.casefold() for choice in row["choices"])
    if row["answer_type"] == "list":
        return bool(extraction.startswith("["))
    try:
        float(extraction)
    except ValueError:
        return False
    return True


@pytest.fixture(scope="module")
def shares() -> dict[str, Share]:
    paths = [path for path in files() if not re.search("_code|_guess", path.name)]
    if not paths:
        pytest.skip(f"no recorded answers: {PARITY} is absent")
    found = {name_of(path): share(path) for path in paths}
    return {**found, "all": Share(*map(sum, zip(*found.values(), strict=True)))}


def share(path: Path) -> Share:
    counts = [0, 0, 0, 0]
    for row in records(path):
        if row["response"] and row["official_extraction"]:
            kind = (row["question_type"], row["answer_type"], row["choices"] or ())
            found = extract(row["response"], *kind, row["question"])
            agrees = matches(normal(row, found.prediction), row["answer"]) == row["official_score"]
            sure = committed(row)
            counts = [a + b for a, b in zip(counts, (1, agrees, sure, agrees and sure), strict=True)]
    return Share(*counts)


@pytest.mark.parametrize("name", FLOORS)
def test_the_rules_mostly_earn_the_official_score(name: str, shares: dict[str, Share]) -> None:
    found = shares[name]
    overall, sure = 100 * found.agree / found.n, 100 * found.kept / found.committed
    assert overall >= FLOORS[name][0], f"{overall:.2f} % of {found.n}"
    assert sure >= FLOORS[name][1], f"{sure:.2f} % of {found.committed}"


def test_every_file_of_responses_has_a_floor(shares: dict[str, Share]) -> None:
    assert set(shares) == set(FLOORS)
