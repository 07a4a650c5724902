"""What the live table costs: the processor's time to take and store answers with it and without it.

    .venv/bin/python benchmarks/progress.py [ANSWERS]

The runner answers at once, so this is far more than any engine brings; the table is drawn as for a terminal.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from measure import Figures, Table, publish
from toy import Toy, solve, sums

from evalkit import pipeline
from evalkit.progress import Grading, Tally, progress
from evalkit.runners.replay import Scripted

ROUNDS = 5


def seconds(n: int, shown: bool) -> tuple[float, float]:
    """Return the seconds of processor time and of the clock for n answers."""
    task = Toy(source=sums(n))
    samples = pipeline.load(task, None)
    asked = pipeline.render(task, samples)
    by_key = {each.key: sample for each, sample in zip(asked, samples, strict=True)}
    tally = Tally("toy", n, Grading(task, by_key))
    with tempfile.TemporaryDirectory() as folder:
        processor, clock = time.process_time(), time.perf_counter()
        with progress(tally) if shown else nullcontext(lambda _: None) as seen:
            pipeline.generate(Path(folder) / "responses.jsonl", [each.request for each in asked], Scripted(solve), seen)
        return time.process_time() - processor, time.perf_counter() - clock


def main() -> None:
    """Print the medians of some rounds, with and without in turn."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    os.environ["FORCE_COLOR"] = "1"
    rounds = [(seconds(n, shown=False), seconds(n, shown=True)) for _ in range(ROUNDS)]
    without, shown = (median(each[which][0] for each in rounds) for which in (0, 1))
    clock_without, clock_shown = (median(each[which][1] for each in rounds) for which in (0, 1))
    rows = (
        ("processor", f"{without:.2f} s", f"{shown:.2f} s", f"{1e6 * (shown - without) / n:.1f} µs"),
        (
            "clock",
            f"{clock_without:.2f} s",
            f"{clock_shown:.2f} s",
            f"{1e6 * (clock_shown - clock_without) / n:.1f} µs",
        ),
    )
    publish(
        Figures(
            name="progress",
            title="The live table",
            command="python benchmarks/progress.py",
            workload=f"{n:,} answers by a runner that answers at once, taken and stored; medians of {ROUNDS}.",
            tables=(Table("", ("", "without the table", "with it", "more an answer"), rows),),
            numbers={"answers": n, "without": [without, clock_without], "shown": [shown, clock_shown]},
            packages=("rich",),
        )
    )


if __name__ == "__main__":
    main()
