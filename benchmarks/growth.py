"""How time and memory grow with the number of samples, stage by stage: `python benchmarks/growth.py [N ...]`.

Questions in the form of DocVQA, four to a picture, from a local folder; a runner answers at once. Each number of
samples has a process of its own. Seconds are the processor's, so that a busy machine does not bend the lines.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from measure import Figures, Table, peak, publish, spent
from overhead import Null

from evalkit import config, pipeline
from evalkit.config import Setup
from evalkit.record import RunRecord
from evalkit.store import RunDir
from evalkit.summary import summarise
from evalkit.types import Task

T = TypeVar("T")
STEPS = (1_000, 10_000, 100_000)
PICTURES = 4  # questions that share one


def write(folder: Path, task: Task, n: int) -> None:
    """Write n questions as `data=local` has them."""
    (dataset,) = task.datasets()
    (row, *_) = dataset.mini(0, 1)
    picture = row["image"]
    assert isinstance(picture, bytes)
    images = folder / dataset.name / "images"
    images.mkdir(parents=True)
    for number in range(n // PICTURES):
        (images / f"{number}.png").write_bytes(picture + b"%016d" % number)
    with (folder / dataset.name / "data.jsonl").open("w", encoding="utf-8") as out:
        for number in range(n):
            question = f"{row['question']} ({number})"
            name = f"{number // PICTURES % max(1, n // PICTURES)}.png"
            out.write(json.dumps({**row, "questionId": str(number), "question": question, "image": name}) + "\n")


class Clock:
    """Keeps what each stage takes, in seconds of the processor."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        """Do the work, and keep what it took under the stage's name."""
        before = time.process_time()
        result = work()
        self.found[stage] = time.process_time() - before
        return result


def measured(folder: Path) -> dict[str, float]:
    """Run every stage in turn; return the seconds of each, and the peak of memory in MiB before and after all."""
    from evalkit.report import page

    words = ["task=docvqa", "data=local", f"data.path={folder / 'data'}", "model=chance", "model.name=null"]
    setup, timed = config.setup([*words, f"results_dir={folder / 'results'}"]), Clock()
    before = peak()
    asked_and_scored(setup, timed)
    after = peak()
    # Without the pictures, whose copying takes what their number takes.
    (folder / "data").rename(folder / "gone")
    timed("report.html", lambda: page.write(setup.results_dir, setup.published, config.task, page.Options()))
    return {**timed.found, "memory": after - before, "memory with the report": peak() - before}


def asked_and_scored(setup: Setup, timed: Clock) -> None:
    """Run the stages from loading to the result."""
    task, runner = setup.tasks[0], Null()
    run = RunDir(setup.results_dir / "runs" / "null" / "docvqa")
    record = RunRecord("null", "docvqa", None, "", setup.task_configs["docvqa"], {}, {}, "local", "", None, {})
    samples = timed("load", lambda: pipeline.load(task, None))
    asked = timed("render", lambda: pipeline.render(task, samples))
    timed("write what is asked", lambda: pipeline.prepare(run, record, samples, asked))
    requests = [each.request for each in asked]
    timed("ask and store", lambda: pipeline.generate(run.responses, requests, runner, lambda _: None))
    assert not timed("resume", lambda: pipeline.pending(run.responses, requests))
    scores = timed("score", lambda: pipeline.grade(run, task))
    timed("score again", lambda: pipeline.grade(run, task))
    timed("summarise", lambda: summarise(run, task, scores))


def main() -> None:
    """Measure each number of samples and print the table."""
    parser = argparse.ArgumentParser(description="How time and memory grow with the number of samples.")
    parser.add_argument("samples", nargs="*", type=int, default=STEPS)
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="only run the stages on the data that lies there")
    given = parser.parse_args()
    if given.run:
        print(json.dumps(measured(given.run)))
        return
    found: dict[int, dict[str, float]] = {}
    for n in given.samples:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "data", config.setup(["task=docvqa", "model=chance"]).tasks[0], n)
            took = spent([sys.executable, __file__, "--run", folder], cores=2)
            found[n] = json.loads(took.said.splitlines()[-1])
    names = [name for name in found[given.samples[0]] if not name.startswith("memory")]
    times = tuple((name, *(f"{1e6 * found[n][name] / n:,.0f}" for n in given.samples)) for name in names)
    columns = tuple(f"{n:,}" for n in given.samples)
    more = {n: found[n]["memory"] for n in given.samples}
    report = {n: found[n]["memory with the report"] for n in given.samples}
    memory = (
        ("all samples, MiB", *(f"{more[n]:,.0f}" for n in given.samples)),
        ("a sample, KiB", *(f"{1024 * more[n] / n:.1f}" for n in given.samples)),
        ("with report.html, MiB", *(f"{report[n]:,.0f}" for n in given.samples)),
    )
    publish(
        Figures(
            name="growth",
            title="Growth",
            command="python benchmarks/growth.py",
            workload="DocVQA's questions from a local folder, four to a picture, answered at once; a process for each "
            "number of samples, one run of each. report.html is written without pictures.",
            tables=(
                Table("Microseconds of processor time a sample: flat is linear", ("samples", *columns), times),
                Table("Memory beyond what Python and the packages take", ("samples", *columns), memory),
            ),
            numbers={"stages": {str(n): found[n] for n in found}},
            packages=("msgspec", "pillow", "numpy"),
        )
    )


if __name__ == "__main__":
    main()
