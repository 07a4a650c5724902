"""MEGA-Bench's parsers, metrics and averages against recorded answers and what the official code says of them."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from evalkit.metrics.megabench import PROGRAMS, SLOW, is_scored, score_field
from evalkit.metrics.megabench.aggregation import aggregate, macro, task_score
from evalkit.metrics.megabench.parsing import parse

PARITY = Path(__file__).parents[1].parent / "shared" / "parity" / "megabench"

# Decoded JSON of a known shape, which the folder's own README describes.
Record = dict[str, Any]


def files(pattern: str) -> list[object]:
    """Return the recorded files as parameters, or one that is skipped where there are none."""
    found = sorted(PARITY.glob(pattern))
    if found:
        return [pytest.param(path, id=path.name) for path in found]
    return [pytest.param(None, id=pattern, marks=pytest.mark.skip(reason=f"no recorded answers: {PARITY} is absent"))]


def records(path: Path) -> Iterator[Record]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def official(path: Path) -> Record:
    meta = path.with_name(path.name.split(".jsonl")[0] + ".meta.json")
    content: Record = json.loads(meta.read_text(encoding="utf-8"))["official_aggregate"]
    return content


def scored(row: Record) -> dict[str, float]:
    """Score the fields of a record that can be; the others have their official score."""
    metrics = row["metrics"]
    values = parse(metrics["response_parse_function"], row["response"], row["answer"]).values
    scores = {}
    for field, gold in row["answer"].items():
        value = values if isinstance(values, str) else values.get(field)
        metric = metrics["field_score_function"][field]
        score = score_field(metric, value, gold, metrics.get("eval_context") or {})
        assert (score is None) == (not is_scored(metric))
        scores[field] = row["official_field_scores"][field] if score is None else score
    return scores


def assert_same(rows: list[Record]) -> None:
    """Compare the fields' scores and the response's."""
    disagree: list[tuple[object, ...]] = []
    for row in rows:
        scores, how = scored(row), row["metrics"]["aggregation"]
        total = aggregate(how["function"], scores, how["field_weights"])
        if scores != pytest.approx(row["official_field_scores"], abs=1e-9):
            disagree.append((row["id"], scores, row["official_field_scores"]))
        elif total != pytest.approx(row["official_score"], abs=1e-9):
            disagree.append((row["id"], total, row["official_score"]))
    assert disagree == []


def is_slow(row: Record) -> bool:
    return bool(set(row["metrics"]["field_score_function"].values()) & SLOW)


@pytest.mark.parametrize("path", files("adversarial*.jsonl*"))
def test_every_metric(path: Path) -> None:
    rows = list(records(path))
    assert len(rows) == official(path)["n"]
    assert {row["target_metric"] for row in rows} >= set(official(path)["per_metric"])
    assert_same([row for row in rows if not is_slow(row)])


@pytest.mark.parametrize("path", files("adversarial*.jsonl*"))
def test_formulas_and_numbers(path: Path) -> None:
    rows = [row for row in records(path) if is_slow(row)]
    assert len(rows) > 600
    assert_same(rows)


@pytest.mark.parametrize("path", files("adversarial*.jsonl*"))
def test_averages(path: Path) -> None:
    scores: dict[str, list[float]] = defaultdict(list)
    for row in records(path):
        how = row["metrics"]["aggregation"]
        scores[row["task_name"]].append(aggregate(how["function"], row["official_field_scores"], how["field_weights"]))
    expected = official(path)
    assert len(scores) == expected["n_tasks"]
    assert fmean(score for task in scores.values() for score in task) == pytest.approx(expected["micro_mean"])
    tasks = {task: fmean(members) for task, members in scores.items()}
    assert macro(tasks) == pytest.approx(expected["macro_mean_over_tasks"])


@pytest.mark.parametrize("path", files("[ag]*.jsonl*"))
def test_parsers(path: Path) -> None:
    disagree = []
    for row in records(path):
        parsed = parse(row["metrics"]["response_parse_function"], row["response"], row["answer"])
        expected = row["official_extraction"]
        if row["metrics"]["response_parse_function"] == "json" and not parsed.found:
            # Recorded is then an empty object, a list, or the whole response for each field.
            agree = not isinstance(expected, Mapping) or not expected or expected == parsed.values
        else:
            agree = json.loads(json.dumps(parsed.values)) == expected
        if not agree:
            disagree.append((row["id"], parsed.values, expected))
    assert disagree == []


@pytest.mark.parametrize("path", files("grok2*.jsonl*"))
def test_judged_answers(path: Path) -> None:
    rows = list(records(path))
    assert_same(rows)
    tasks: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        tasks[row["task_name"]].append(row["official_score"])
    expected = official(path)
    assert (len(tasks), len(rows)) == (expected["n_tasks"], expected["n_samples"])
    means = {task: task_score(scores) for task, scores in tasks.items()}
    assert macro(means) == pytest.approx(expected["macro_mean_score"], abs=1e-12)


@pytest.mark.parametrize("path", files("task_scores*.jsonl*"))
def test_macro_means(path: Path) -> None:
    tasks: dict[str, dict[str, float]] = {"core": {}, "open": {}}
    for row in records(path):
        kind = "open" if row["metrics"]["eval_type"] == "llm" else "core"
        tasks[kind][row["task_name"]] = row["official_score"]
    expected = official(path)
    for kind, scores in tasks.items():
        assert len(scores) == expected[kind]["num_eval_tasks"]
        assert macro(scores) == pytest.approx(expected[kind]["macro_mean_score"], abs=1e-12)
    assert macro(tasks["core"] | tasks["open"]) == pytest.approx(expected["overall_score"], abs=1e-12)


@pytest.mark.parametrize("path", files("adversarial*.jsonl*"))
def test_programs(path: Path) -> None:
    from evalkit.errors import ConfigError
    from evalkit.sandbox import Sandbox

    execute = Sandbox()
    try:
        execute("print()", [()])
    except ConfigError as error:
        pytest.skip(str(error))
    rows = [row for row in records(path) if row["target_metric"] == PROGRAMS]
    assert len(rows) >= 80
    for row in rows:
        values = parse(row["metrics"]["response_parse_function"], row["response"], row["answer"]).values
        assert isinstance(values, Mapping)
        for field, gold in row["answer"].items():
            score = score_field(PROGRAMS, values[field], gold, row["metrics"]["eval_context"], execute)
            assert score == pytest.approx(row["official_field_scores"][field]), row["id"]
