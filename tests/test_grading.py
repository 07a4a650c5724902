"""Scoring by several processes: the same values in the same order, whatever becomes of the processes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import pytest
from toy import Toy

from evalkit import grading
from evalkit.data import Mini
from evalkit.grading import Answer, Worth, worths
from evalkit.tasks.docvqa import DocVQA
from evalkit.types import Sample


def test_long_work_is_shared_among_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "ALONE_SECONDS", 0.0)
    monkeypatch.setattr(grading, "_cores", lambda: 2)
    task = DocVQA(source=Mini())
    samples = [Sample(str(number), "q", (str(number),)) for number in range(70)]
    answers = [Answer(sample, f"Final Answer: {min(int(sample.id), 66)}") for sample in samples]
    assert list(worths(task, answers)) == [grading.worth(task, each) for each in answers]
    assert not grading._travels(replace(task, source=lambda: None))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_processes_end_with_the_one_that_started_them() -> None:
    code = (
        "import multiprocessing, time\n"
        "from evalkit import grading\n"
        "from evalkit.data import Mini\n"
        "from evalkit.tasks.docvqa import DocVQA\n"
        "from evalkit.types import Sample\n"
        "if __name__ == '__main__':\n"
        "    grading.ALONE_SECONDS, grading._cores = 0.0, lambda: 2\n"
        "    answers = [grading.Answer(Sample('a', 'q', ('b',)), 'b')] * 40\n"
        "    found = grading.worths(DocVQA(source=Mini()), answers)\n"
        "    next(found)\n"
        "    print(*(each.pid for each in multiprocessing.active_children()), flush=True)\n"
        "    time.sleep(60)\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(code)
        script.flush()
        with subprocess.Popen([sys.executable, script.name], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            started = [Path(f"/proc/{number}/stat") for number in process.stdout.readline().split()]
            assert started
            assert all(map(_runs, started))
            process.kill()
    deadline = time.monotonic() + 60
    while any(map(_runs, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_runs, started))


def _runs(stat: Path) -> bool:
    """Whether a process is there, and no zombie that nobody has fetched."""
    try:
        return stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_that_dies_costs_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "ALONE_SECONDS", 0.0)
    monkeypatch.setattr(grading, "_cores", lambda: 2)

    class Broken:
        def __init__(self, *arguments: object, **settings: object) -> None: ...

        def map(self, function: Callable[[list[Answer]], list[Worth]], chunks: list[list[Answer]]) -> object:
            yield function(chunks[0])
            raise BrokenProcessPool

        def shutdown(self, cancel_futures: bool) -> None: ...

    monkeypatch.setattr(grading, "ProcessPoolExecutor", Broken)
    answers = [Answer(Sample(str(number), "q", (str(number),)), str(number)) for number in range(40)]
    assert [each.value for each in worths(Toy(), answers)] == [1] * 40
