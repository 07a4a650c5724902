"""How soon a command answers, and how soon a run asks its first request: `python benchmarks/startup.py`."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from measure import Figures, Spent, Table, publish, spent

from evalkit.types import Request, Response

BENCHMARKS = str(Path(__file__).parent)
# Seconds as they were measured elsewhere, on another machine: python -m TOOL --help, or its list of tasks.
PEERS = (("lmms-eval", "6 to 7 s"), ("VLMEvalKit", "11 s"), ("lighteval", "8 to 11 s"), ("inspect", "1.7 to 2.9 s"))


class First:
    """Ends the process at its first request."""

    def identity(self) -> Mapping[str, str]:
        """Return its name."""
        return {"engine": "first"}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Take one request, and end."""
        next(iter(requests))
        os._exit(0)


def main() -> None:
    """Measure each command some times and print the table."""
    parser = argparse.ArgumentParser(description="How soon a command answers.")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        run = ["run", "task=docvqa", "model=chance", f"results_dir={folder}"]
        first = [*run, "model.name=first", "model.runner._target_=startup.First"]
        spent([sys.executable, "-m", "evalkit", *run, "allow_incomplete=true"])
        commands = {
            "--help": ["--help"],
            "list": ["list"],
            "run --help": ["run", "--help"],
            "score RUN (40 answers)": ["score", f"{folder}/runs/chance/docvqa"],
            "report --no-html": ["report", "--no-html", f"results_dir={folder}"],
            "run to its first request, one generated question": [*first, "data.n=1"],
            "run to its first request, 40 generated questions": first,
        }
        found = {name: [one(words) for _ in range(rounds)] for name, words in commands.items()}
    rows = [
        (
            f"evalkit {name}",
            f"{statistics.median(each.seconds for each in took):.2f} s",
            f"{min(each.seconds for each in took):.2f} s",
            f"{statistics.median(each.processor for each in took):.2f} s",
        )
        for name, took in found.items()
    ]
    rows += [(f"{name}, as measured elsewhere", seconds, "", "") for name, seconds in PEERS]
    publish(
        Figures(
            name="startup",
            title="Start-up",
            command="python benchmarks/startup.py",
            workload=f"A process from its start to its end, medians of {rounds}; a run ends at its first request.",
            tables=(Table("", ("command", "median", "fastest", "processor"), tuple(rows)),),
            numbers={
                "seconds": {name: [each.seconds for each in took] for name, took in found.items()},
                "processor": {name: [each.processor for each in took] for name, took in found.items()},
            },
            packages=("hydra-core", "omegaconf", "pandas", "numpy", "msgspec"),
        )
    )


def one(words: list[str]) -> Spent:
    """Return what a command takes."""
    return spent([sys.executable, "-m", "evalkit", *words], env={"PYTHONPATH": BENCHMARKS})


if __name__ == "__main__":
    main()
