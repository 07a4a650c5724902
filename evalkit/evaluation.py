"""One run from its setup: each task asked, judged where there is a judge, and scored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from evalkit import pipeline
from evalkit.config import Model, Setup
from evalkit.errors import NoSuchTaskError
from evalkit.progress import bar
from evalkit.record import Result, RunRecord, Session, versions
from evalkit.store import RunDir, read_json, write_json
from evalkit.types import Request, Task


@dataclass(frozen=True, slots=True)
class Outcome:
    """A task's result, how many answers this run brought and found, and the first sample without a score, if any."""

    result: Result
    generated: int
    found: int
    first_failure: str


def evaluate(setup: Setup, skipped: Callable[[str], None]) -> Iterator[Outcome]:
    """Run the tasks in turn, asking only what has no stored answer yet.

    Tells `skipped` which tasks of a suite the local data has nothing for. Raises DataError where that is all of them.
    """
    absent: list[NoSuchTaskError] = []
    for task in setup.tasks:
        try:
            yield _evaluate(setup, task)
        except NoSuchTaskError as error:
            absent.append(error)
            if not setup.from_suite or len(absent) == len(setup.tasks):
                raise
            skipped(f"skipped {task.name}: {error}")


def _evaluate(setup: Setup, task: Task) -> Outcome:
    run = RunDir(setup.results_dir / "runs" / setup.model.name / task.name)
    samples = pipeline.load(task, setup.limit)
    asked = pipeline.render(task, samples)
    record = RunRecord(
        model_name=setup.model.name,
        task_name=task.name,
        column=setup.model.column,
        note=setup.model.note,
        task=setup.task_configs[task.name],
        model=setup.model.config,
        identity=setup.model.runner.identity(),
        source=task.source.name,
        revision=task.revision(),
        limit=setup.limit,
        versions=versions(),
        judge=setup.judge.name if setup.judge else None,
        judge_identity=setup.judge.runner.identity() if setup.judge else {},
    )
    pipeline.prepare(run, record, samples, asked)
    waiting = pipeline.pending(run.responses, (each.request for each in asked))
    started, clock = datetime.now(UTC), time.monotonic()
    answers = _generate(task.name, run.responses, waiting, setup.model)
    if answers:
        session = Session(started.isoformat(timespec="seconds"), round(time.monotonic() - clock, 3), answers)
        record = read_json(run.record, RunRecord)
        write_json(run.record, replace(record, sessions=(*record.sessions, session)))
    if setup.judge:
        verdicts = run.verdicts(setup.judge.name)
        questions = pipeline.pending(verdicts, pipeline.ask_judge(run, task, samples, asked))
        _generate(f"{task.name}, judge", verdicts, questions, setup.judge)
    result = pipeline.summarise(run, task, pipeline.grade(run, task))
    return Outcome(result, answers, len(asked) - len(waiting), pipeline.first_failure(run))


def _generate(label: str, path: Path, requests: Sequence[Request], model: Model) -> int:
    with bar(label, len(requests)) as seen:
        return pipeline.generate(path, requests, model.runner, seen)
