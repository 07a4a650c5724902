"""What answers are worth: each valued by its task, by all processors once one of them would take long."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from threading import Thread

from evalkit.types import Extraction, Sample, Task

# What one process may take before others are started, which takes each about a second.
ALONE_SECONDS = 2.0
# Few enough that no process is left with much when the others are done, and that Ctrl-C waits for little.
CHUNK = 16

_log = logging.getLogger(__name__)


NO_JUDGE = "no_judge"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response's text to a sample, and what a judge's verdicts made of it; `unjudged` where no judge was asked."""

    sample: Sample
    text: str
    judged: Extraction | None = None
    unjudged: bool = False


@dataclass(frozen=True, slots=True)
class Worth:
    """What was found in an answer, by which rule, its value, and what scoring it warned of.

    `value` is None where the sample has no public answer, or needs a judge and had none.
    """

    prediction: str | None
    rule: str
    value: float | None
    warnings: tuple[str, ...] = ()


def worth(task: Task, answer: Answer) -> Worth:
    """Extract and score one answer. Raises what the task raises."""
    if answer.unjudged and task.needs_judge(answer.sample):
        return Worth(None, NO_JUDGE, None)
    with _kept_warnings() as said:
        found = answer.judged or task.extract(answer.sample, answer.text)
        value = task.score(answer.sample, found.prediction) if answer.sample.answers else None
    return Worth(found.prediction, found.rule, value, tuple(said))


def tell(found: Worth) -> Worth:
    """Log again what scoring an answer warned of, since that happened elsewhere or earlier; returns its argument."""
    for warning in found.warnings:
        _log.warning("%s", warning)
    return found


def worths(task: Task, answers: Sequence[Answer]) -> Iterator[Worth]:
    """Yield what each answer is worth, in order. Raises what the task raises."""
    deadline = time.monotonic() + ALONE_SECONDS
    for done, answer in enumerate(answers):
        if time.monotonic() > deadline and len(answers) - done > CHUNK and _cores() > 1 and _travels(task):
            yield from _spread(task, answers[done:])
            return
        yield worth(task, answer)


def _spread(task: Task, answers: Sequence[Answer]) -> Iterator[Worth]:
    """Share the answers out among processes of their own."""
    done = 0
    pool = ProcessPoolExecutor(_cores(), multiprocessing.get_context("spawn"), initializer=_ready)
    try:
        chunks = [answers[start : start + CHUNK] for start in range(0, len(answers), CHUNK)]
        for found in pool.map(partial(_worths, task), chunks):
            yield from found
            done += len(found)
    except BrokenProcessPool:  # killed, or a script that cannot be started a second time: it takes longer, that is all
        yield from (worth(task, answer) for answer in answers[done:])
    finally:
        pool.shutdown(cancel_futures=True)


def _worths(task: Task, answers: Sequence[Answer]) -> list[Worth]:
    return [worth(task, answer) for answer in answers]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _travels(task: Task) -> bool:
    """Whether another process can be given the task."""
    if type(task).__module__ == "__main__":
        return False
    try:
        pickle.dumps(task)
    except Exception:  # whatever some part of somebody's task raises: it stays here then
        return False
    return True


def _ready() -> None:
    """Leave Ctrl-C to the program that started this process, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=follow, daemon=True).start()


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


@contextmanager
def _kept_warnings() -> Iterator[list[str]]:
    """Keep evalkit's own warnings within the block, and show none."""
    logger, keeper = logging.getLogger("evalkit"), _Keeper()
    before = logger.propagate
    logger.addHandler(keeper)
    logger.propagate = False
    try:
        yield keeper.said
    finally:
        logger.removeHandler(keeper)
        logger.propagate = before
