"""Checking the scorers: recorded answers with the scores that the official code gave them, scored again by ours."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evalkit.data import objects
from evalkit.errors import DataError
from evalkit.rows import Row
from evalkit.types import Task


@dataclass(frozen=True, slots=True)
class FileReport:
    """What came of one file: `n` records, of which `compared` could be, and `agree` did.

    `aggregate` and `official_aggregate` are the means of our values and of the official scores over the compared
    records; `stored_aggregate` is what the official code printed for the file. `skipped` counts the reasons for not
    comparing.
    """

    benchmark: str
    name: str
    n: int
    compared: int
    agree: int
    disagree: tuple[str, ...]
    aggregate: float | None
    official_aggregate: float | None
    stored_aggregate: Mapping[str, object] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)


def check(folder: Path, task_of: Callable[[str], Task | None]) -> Iterator[FileReport]:
    """Yield a report for each file of recorded answers below `folder`, in alphabetical order.

    `task_of` gives the task that a record's `benchmark`, or else its file's folder, names, or None. Raises DataError
    where there is no such file, or one is malformed.
    """
    files = sorted(path for pattern in ("*.jsonl", "*.jsonl.gz") for path in folder.rglob(pattern))
    if not files:
        raise DataError(f"there are no recorded answers below {folder}: give a folder with .jsonl or .jsonl.gz files")
    for path in files:
        yield _check_file(path, task_of)


def _check_file(path: Path, task_of: Callable[[str], Task | None]) -> FileReport:
    n = 0
    ours: list[float] = []
    official: list[float] = []
    disagree: list[str] = []
    skipped: Counter[str] = Counter()
    benchmark, task = path.parent.name, task_of(path.parent.name)
    for where, values in objects(path):
        n += 1
        if values.get("benchmark", benchmark) != benchmark:
            benchmark = str(values["benchmark"])
            task = task_of(benchmark) or task_of(path.parent.name)
        if values.get("official_score") is None:
            skipped["no official score"] += 1
            continue
        if task is None:
            skipped[f"no task {benchmark}"] += 1
            continue
        record = Row(values, where)
        result = task.recheck(record)
        if result.agrees is None:
            skipped[result.reason] += 1
            continue
        ours.append(result.value)
        official.append(record.number("official_score"))
        if not result.agrees:
            disagree.append(record.text("id"))
    return FileReport(
        benchmark,
        path.name,
        n,
        len(ours),
        len(ours) - len(disagree),
        tuple(disagree),
        sum(ours) / len(ours) if ours else None,
        sum(official) / len(official) if official else None,
        _stored(path),
        dict(skipped),
    )


def _stored(path: Path) -> Mapping[str, object]:
    meta = path.with_name(path.name.removesuffix(".gz").removesuffix(".jsonl") + ".meta.json")
    try:
        aggregate = json.loads(meta.read_text(encoding="utf-8")).get("official_aggregate")
    except (OSError, ValueError):
        return {}
    return aggregate if isinstance(aggregate, dict) else {}
