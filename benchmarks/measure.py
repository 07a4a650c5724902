"""What the benchmarks share: medians, what a process took, the machine in words, and figures as a table and as JSON.

A benchmark makes a `Figures` and ends with `publish`, which prints its tables and writes results/benchmarks/NAME.json,
from which `pages.py` makes docs/performance.md.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "benchmarks"


@dataclass(frozen=True)
class Table:
    """Rows under a heading, as texts that are ready to be shown."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figures:
    """A benchmark's outcome: its `workload` in a sentence, tables to show, and the raw `numbers` behind them."""

    name: str
    title: str
    command: str
    workload: str
    tables: tuple[Table, ...]
    numbers: dict[str, object]
    packages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    machine: dict[str, str] = field(default_factory=lambda: machine())


@dataclass(frozen=True)
class Spent:
    """What a process took: seconds by the clock and of the processor, its children's included, and its peak MiB.

    The peak is that of the largest of them. `said` is what it printed.
    """

    seconds: float
    processor: float
    peak_mib: float
    said: str = ""


def machine() -> dict[str, str]:
    """Return the processor, its cores, the memory, the system and Python; nothing that names this very machine."""
    model, memory = platform.machine(), "unknown"
    if sys.platform.startswith("linux"):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
        memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    return {
        "processor": model,
        "cores": str(os.cpu_count()),
        "memory": memory,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def spent(command: Sequence[str], cores: int | None = None, env: dict[str, str] | None = None) -> Spent:
    """Run a command to its end, on so many cores if told, and say what it took. Raises where it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
        preexec_fn=partial(_keep_to, cores) if cores else None,
    )
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {said[-2000:]}")
    return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**10, said)


def _keep_to(cores: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])


def median_of(measure: Callable[[], float], rounds: int = 5) -> float:
    """Return the median of some rounds."""
    return statistics.median(measure() for _ in range(rounds))


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the packages' versions, without those that are not installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def text(table: Table) -> str:
    """Return a table for a terminal."""
    widths = [max(len(row[place]) for row in (table.columns, *table.rows)) for place in range(len(table.columns))]
    rows = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (table.columns, *table.rows)
    )
    return "\n".join((table.title, *(f"  {row}" for row in rows)))


def publish(figures: Figures) -> None:
    """Print the tables and write the JSON."""
    print(figures.workload)
    for table in figures.tables:
        print(text(table))
    for note in figures.notes:
        print(note)
    RESULTS.mkdir(parents=True, exist_ok=True)
    written = {**asdict(figures), "versions": versions(figures.packages)}
    (RESULTS / f"{figures.name}.json").write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n", "utf-8")


def peak() -> float:
    """Return the most MiB that this process has taken so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
