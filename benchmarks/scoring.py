"""How long stored answers take to be scored again: 32,800 of ten tasks, `python benchmarks/scoring.py [DIR]`.

DIR holds recorded answers, a folder a task; the default is `shared/parity` beside the checkout. They are repeated
under other ids until each task has as many as its official split.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

from measure import Figures, Table, publish, spent

from evalkit import config, pipeline
from evalkit.record import RunRecord
from evalkit.responses import seal, unseal
from evalkit.runners.replay import Replay
from evalkit.store import RunDir, write_json, write_lines
from evalkit.types import Response, Task

DEFAULT = Path(__file__).parents[1].parent / "shared" / "parity"
TASKS = (
    "mmmu",
    "mmmu_pro",
    "chartqa",
    "docvqa",
    "ocrbench",
    "ai2d",
    "mathvista",
    "olympiadbench",
    "mmlongbench_doc",
    "megabench",
)


def recorded(folder: Path, task: str) -> list[dict[str, object]]:
    """Return a task's recorded answers that have a text, of all files."""
    found = []
    for file in sorted((folder / task).glob("*.jsonl*")):
        with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
            found += [row for row in map(json.loads, lines) if isinstance(row.get("response"), str)]
    return found


def repeated(rows: list[dict[str, object]], task: str, size: int) -> Iterator[str]:
    """Yield so many lines of recorded answers, all rows once, then all again under other ids."""
    turns = ({**row, "id": f"{row['id']}~{turn}", "benchmark": task} for turn in count() for row in rows)
    return (json.dumps(row) + "\n" for row in islice(turns, size))


def store(results: Path, name: str, folder: Path) -> tuple[int, int]:
    """Write the run of a task as if it had just been asked; return its samples and the distinct answers among them."""
    file = results / f"{name}.jsonl"
    words = [f"task={name}", "model=replay", "model.name=recorded", "data=recorded", f"data.path={file}"]
    setup = config.setup(words)
    task: Task = setup.tasks[0]
    rows = recorded(folder, name)
    file.write_text("".join(repeated(rows, name, task.size)))
    samples = pipeline.load(task, None)
    asked = pipeline.render(task, samples)
    run = RunDir(results / "runs" / "recorded" / name)
    record = RunRecord("recorded", name, None, "", setup.task_configs[name], {}, {}, "recorded", "", None, {})
    write_json(run.record, record)
    write_lines(run.samples, samples)
    write_lines(run.requests, asked)
    run.responses.write_bytes(b"".join(map(seal, Replay().generate(each.request for each in asked))))
    return len(samples), min(len(rows), len(samples))


def main() -> None:
    """Make the runs, score them twice, and print the table."""
    parser = argparse.ArgumentParser(description="How long stored answers take to be scored again.")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT, help="a folder of recorded answers")
    parser.add_argument("--rounds", type=int, default=5, help="of the second scoring; the first is done once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        made = {task: store(Path(name), task, given.folder) for task in TASKS}
        runs = [str(Path(name) / "runs" / "recorded" / task) for task in TASKS]
        again = [sys.executable, "-m", "evalkit", "score", *runs]
        first = spent(again, cores=2)
        later = sorted((spent(again, cores=2) for _ in range(given.rounds)), key=lambda each: each.seconds)
        # One answer of one task is another now.
        responses = Path(runs[3]) / "responses.jsonl"
        (one, *rest) = responses.read_bytes().splitlines(keepends=True)
        responses.write_bytes(b"".join((seal(Response(unseal(one).key, "another")), *rest)))
        changed = spent(again, cores=2)
        alone = [spent([*again[:4], run], cores=2).seconds for run in runs]
    middle = later[len(later) // 2]
    n, distinct = sum(size for size, _ in made.values()), sum(different for _, different in made.values())
    rows = (
        ("the first time", first),
        ("again, nothing changed", middle),
        ("again, one answer changed", changed),
    )
    publish(
        Figures(
            name="scoring",
            title="Scoring stored answers again",
            command="python benchmarks/scoring.py",
            workload=f"{n:,} recorded answers of ten tasks, {distinct:,} of them different and the others under other "
            f"ids, scored by one `score` of ten runs on two cores; the second time is the median of {given.rounds}.",
            tables=(
                Table(
                    "",
                    ("", "clock", "processor", "an answer", "peak of the largest process"),
                    tuple(
                        (
                            what,
                            f"{each.seconds:.1f} s",
                            f"{each.processor:.1f} s",
                            f"{1000 * each.seconds / n:.2f} ms",
                            f"{each.peak_mib:,.0f} MiB",
                        )
                        for what, each in rows
                    ),
                ),
                Table(
                    "Each task alone, nothing changed, with the start of Python",
                    ("task", "answers", "different", "clock"),
                    tuple(
                        (task, f"{size:,}", f"{different:,}", f"{seconds:.2f} s")
                        for (task, (size, different)), seconds in zip(made.items(), alone, strict=True)
                    ),
                ),
            ),
            numbers={
                "answers": n,
                "different": distinct,
                "first": [first.seconds, first.processor],
                "again": [[each.seconds, each.processor] for each in later],
                "one_changed": [changed.seconds, changed.processor],
            },
            packages=("msgspec", "numpy", "rapidfuzz", "sympy"),
        )
    )


if __name__ == "__main__":
    main()
