"""One stored run under several scorers: how much of a gap between two numbers is the scorer. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from evalkit.errors import ConfigError
from evalkit.pipeline import score_all
from evalkit.store import RunDir
from evalkit.types import Aggregate, Score, Task

OFFICIAL = "official"
ALL = "all"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run's number under one scorer, on the task's published scale.

    `difference` is that number less the official scorer's. `changed` counts the samples whose value is another than the
    official one, `up` those of them that are worth more; `unparsed` the answers that this scorer found nothing in.
    `value` and `difference` are None where the run has no scored sample, of which there are `scored`. Where a task
    draws options at random for unparsed answers, other draws are changes, too.
    """

    scorer: str
    metric: str
    value: float | None
    difference: float | None
    changed: int
    up: int
    unparsed: int
    scored: int


def compare(run: RunDir, task: Task, name: str) -> Iterator[Comparison]:
    """Yield the scorer of that name, or each that the task has where it is "all", the official one first.

    Raises ConfigError where the task has no such scorer.
    """
    if name not in (ALL, *task.scorers):
        known = ", ".join((*task.scorers, ALL))
        raise ConfigError(f"{task.name} has no scorer {name!r}: type --scorer with one of {known}")
    reference = score_all(run, replace(task, scorer=OFFICIAL))
    return (_compare(run, replace(task, scorer=each), reference) for each in task.scorers if name in (ALL, each))


def _compare(run: RunDir, task: Task, reference: list[Score]) -> Comparison:
    scores = reference if task.scorer == OFFICIAL else score_all(run, task)
    total, official = _total(task, scores), _total(task, reference)
    changed = [
        (score.value or 0) > (other.value or 0)
        for score, other in zip(scores, reference, strict=True)
        if score.value != other.value
    ]
    return Comparison(
        scorer=task.scorer,
        metric=total.metric if total else "",
        value=total.value if total else None,
        difference=total.value - official.value if total and official else None,
        changed=len(changed),
        up=sum(changed),
        unparsed=sum(score.rule == "none" for score in scores),
        scored=sum(score.value is not None for score in scores),
    )


def _total(task: Task, scores: list[Score]) -> Aggregate | None:
    valued = [score for score in scores if score.value is not None]
    return task.aggregate(valued) if valued else None


def table(run: RunDir, task: Task, name: str) -> str:
    """Return the comparison as lines of text under a title and a heading; see `compare` for the errors."""
    rows = list(compare(run, task, name))
    metric = next((row.metric for row in rows if row.metric), "no score")
    lines = [
        f"{task.name} · {run.path} · {metric}, n={rows[0].scored}",
        f"  {'scorer':<12}{'value':>9}{'difference':>12}{'changed':>9}{'up':>6}{'down':>6}{'unparsed':>10}",
    ]
    for row in rows:
        value = "-" if row.value is None else f"{row.value:.2f}"
        difference = "-" if row.difference is None else f"{row.difference:+.2f}"
        counts = f"{row.changed:>9}{row.up:>6}{row.changed - row.up:>6}{row.unparsed:>10}"
        lines.append(f"  {row.scorer:<12}{value:>9}{difference:>12}{counts}")
    return "\n".join(lines)
