"""One store and 1,000 workers: what the writer bears and what a restart costs. `python benchmarks/scale.py [N ...]`.

The workers are simulated: each takes an exponentially distributed time for an answer, and their answers arrive in the
order that follows, as fast as the writer takes them. The writer, the file and the restart are the real ones.
"""

from __future__ import annotations

import argparse
import hashlib
import heapq
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import cast

from measure import Figures, Table, peak, publish, spent

from evalkit import pipeline
from evalkit.responses import ResponseLog, quarantine
from evalkit.types import Request, Response

WORKERS = 1_000
STEPS = (100_000, 300_000, 1_000_000, 2_000_000)
TARGET = 10_000_000
SECONDS = 7.0  # what a worker takes for an answer, on average: a 7B model's 0.14 answers a second
TEXT = "The chart shows the harvest of each year. In 2016 it was 36 tonnes, in 2015 it was 28.\n" * 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A request's key alone, as the index of a restart sees it."""

    key: str


def key(number: int) -> str:
    """Return a request's key, of the form of the real ones."""
    return hashlib.sha256(b"%d" % number).hexdigest()


def arrivals(n: int) -> Iterator[tuple[float, Response]]:
    """Yield n answers in the order in which the workers bring them, each with its second."""
    chance = Random(0)
    due = [(chance.expovariate(1 / SECONDS), worker) for worker in range(WORKERS)]
    heapq.heapify(due)
    for number in range(n):
        now, worker = due[0]
        heapq.heapreplace(due, (now + chance.expovariate(1 / SECONDS), worker))
        yield now, Response(key(number), f"{TEXT}Answer: {worker}", "stop", 900, 96)


def memory() -> float:
    """Return what this process takes now, in MiB."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * resource.getpagesize() / 2**20


def measured(folder: Path, n: int) -> dict[str, float]:
    """Store n answers, lose the power, and begin again; return the figures."""
    path = folder / "responses.jsonl"
    found = {"answers": float(n)}
    clock, processor, last = time.perf_counter(), time.process_time(), 0.0
    with ResponseLog(path) as log:
        for now, response in arrivals(n):
            log.append(response)
            last = now
    found["write"], found["write processor"] = time.perf_counter() - clock, time.process_time() - processor
    clock = time.perf_counter()
    for _ in islice(arrivals(n), n):
        pass
    found["simulation"] = time.perf_counter() - clock
    found["simulated hours"] = last / 3600
    found["gigabytes"] = path.stat().st_size / 1e9
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)  # a torn line, which the restart sets aside
    clock, processor = time.perf_counter(), time.process_time()
    assert quarantine(path)
    found["check"], found["check processor"] = time.perf_counter() - clock, time.process_time() - processor
    asked = [Asked(key(number)) for number in range(n)]
    before, clock, processor = memory(), time.perf_counter(), time.process_time()
    waiting = pipeline.pending(path, cast("list[Request]", asked))
    found["index"], found["index processor"] = time.perf_counter() - clock, time.process_time() - processor
    found["index peak"] = peak() - before
    assert [each.key for each in waiting] == [key(n - 1)]
    return found


def main() -> None:
    """Measure each number of answers in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description="One store and 1,000 workers.")
    parser.add_argument("answers", nargs="*", type=int, default=STEPS)
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="only measure the first number, there")
    given = parser.parse_args()
    if given.run:
        print(json.dumps(measured(given.run, given.answers[0])))
        return
    found = []
    for n in given.answers:
        with tempfile.TemporaryDirectory() as folder:
            took = spent([sys.executable, __file__, str(n), "--run", folder])
            found.append(json.loads(took.said.splitlines()[-1]))
    publish(figures(found))


def figures(found: list[dict[str, float]]) -> Figures:
    """Return the table, and what the last line says of TARGET answers."""
    rows = tuple(
        (
            f"{each['answers']:,.0f}",
            f"{each['answers'] / (each['write'] - each['simulation']):,.0f}/s",
            f"{1e6 * each['write processor'] / each['answers']:.0f} µs",
            f"{each['gigabytes']:.2f} GB",
            f"{each['check']:.1f} s ({each['check processor']:.1f})",
            f"{each['index']:.1f} s ({each['index processor']:.1f})",
            f"{each['index peak']:,.0f} MiB",
            f"{each['simulated hours']:,.1f} h",
        )
        for each in found
    )
    heading = (
        "answers",
        "written",
        "processor an answer, the simulation's too",
        "file",
        "check for damage",
        "find what is open",
        "index",
        "the workers' time",
    )
    last = found[-1]
    times = TARGET / last["answers"]
    reckoned = "In short," if times == 1 else f"The last line times {times:g}, for"
    restart = times * (last["check processor"] + last["index processor"])
    return Figures(
        name="scale",
        title="Past one machine",
        command="python benchmarks/scale.py",
        workload=f"{WORKERS:,} simulated workers, each {SECONDS:g} s an answer on average, with answers of "
        f"{len(TEXT) + 10} characters into one file, as fast as the writer takes them; then a torn last line and a "
        "restart. In brackets: processor. One run of each.",
        tables=(Table("", heading, rows),),
        numbers={"runs": found},
        packages=("msgspec",),
        notes=(
            f"{reckoned} {TARGET:,} answers: a file of {times * last['gigabytes']:.1f} GB, "
            f"{times * (last['write'] - last['simulation']) / 60:,.0f} minutes of writing where the workers take "
            f"{times * last['simulated hours']:,.0f} hours, {restart / 60:.1f} minutes of processor time for a "
            f"restart, and an index of {times * last['index peak'] / 1024:.1f} GiB.",
        ),
    )


if __name__ == "__main__":
    main()
