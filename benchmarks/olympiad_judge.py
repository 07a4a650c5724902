"""How long OlympiadBench's judge takes for an answer, on recorded answers: `python benchmarks/olympiad_judge.py [DIR]`.

DIR holds files of recorded answers with `response`, `answer`, `precision` and `official_score`; the default is the
folder `shared/parity/olympiadbench` beside the checkout. Milliseconds are of processor time an answer. Three rows:
evalkit; the same rules on the same machine as plainly as the official code has them, where sympy's own `parse_latex`
reads every formula at every comparison and nothing is decided sooner; and the official code itself as it was once
measured, on more answers and another machine. Each is measured in a fresh process, and importing sympy is not counted.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any
from unittest.mock import patch

from measure import Figures, Table, publish

from evalkit.data import objects
from evalkit.metrics import olympiad_equal
from evalkit.metrics.olympiad import extract_final, judge, tolerances
from evalkit.metrics.olympiad_latex import load_parser

DEFAULT = Path(__file__).parents[1].parent / "shared" / "parity" / "olympiadbench"


@dataclass(frozen=True)
class Row:
    """Milliseconds an item; `wrong` counts the items whose result is not the official one, `times` is mean to mean."""

    what: str
    items: int
    mean: float
    p50: float
    p99: float
    wrong: int
    times: float = 1.0


OFFICIAL = Row("official code, as published", 5111, 22.0, 0.1, 397.0, 0)


def seconds(row: dict[str, Any]) -> tuple[float, bool]:
    """Return how long the comparison took and whether its result is the official one."""
    error = row["precision"]
    allowed = tuple(error) if isinstance(error, list) else tolerances(row["answer_type"] or "", str(error or ""))
    unit = row["question_type"] == "judge-unit"
    text = row["response"] if unit else extract_final(row["response"], row["language"]).prediction or ""
    one, other = text, row["answer"][0]
    if row.get("argument_order") == "gold_first":
        one, other = other, one
    start = time.process_time()
    verdict = judge(one, other, allowed)
    return time.process_time() - start, verdict.equal == bool(row["official_score"])


def measure(what: str, files: list[Path], plainly: bool) -> Row:
    """Return the figures of all items, in this process."""
    from sympy.parsing.latex import parse_latex

    load_parser()
    rows = [dict(values) for file in files for _, values in objects(file)]
    if plainly:
        pi = parse_latex("\\pi")  # once and for all there, too
        with (
            patch.object(olympiad_equal, "parse", lambda text: pi if text == "\\pi" else parse_latex(text)),
            patch.object(olympiad_equal, "values", lambda *_: None),
            patch.object(olympiad_equal, "_PLAIN_NUMBER", re.compile(r"(?!)")),
        ):
            measured = [seconds(row) for row in rows]
    else:
        measured = [seconds(row) for row in rows]
    times = [1000 * spent for spent, _ in measured]
    percentiles = quantiles(times, n=100)
    wrong = sum(not right for _, right in measured)
    return Row(what, len(times), fmean(times), percentiles[49], percentiles[98], wrong)


def table(rows: Iterable[Row]) -> Table:
    """Return the rows under a heading."""
    heading = ("ms an answer", "answers", "mean", "p50", "p99", "wrong", "mean over evalkit's")
    return Table(
        "",
        heading,
        tuple(
            (
                row.what,
                f"{row.items:,}",
                f"{row.mean:.2f}",
                f"{row.p50:.2f}",
                f"{row.p99:.0f}",
                f"{row.wrong}",
                f"{row.times:.1f}x",
            )
            for row in rows
        ),
    )


def main() -> int:
    """Print the figures; 1 where a result is not the official one or there are no records."""
    parser = argparse.ArgumentParser(description="How long OlympiadBench's judge takes for an answer.")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT, help="a folder of recorded answers")
    given = parser.parse_args()
    files = sorted(given.folder.glob("*.jsonl*"))
    if not files:
        print(f"no recorded answers in {given.folder}: name a folder that has some", file=sys.stderr)
        return 1
    found = []
    for what, plainly in (("evalkit", False), ("the same rules plainly, here", True)):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            found.append(process.submit(measure, what, files, plainly).result())
    ours = found[0].mean
    rows = [Row(**asdict(row) | {"times": row.mean / ours}) for row in (*found, OFFICIAL)]
    publish(
        Figures(
            name="olympiad_judge",
            title="OlympiadBench's judge",
            command="python benchmarks/olympiad_judge.py",
            workload=f"{rows[0].items:,} recorded answers, each compared once; processor time an answer.",
            tables=(table(rows),),
            numbers={"rows": [asdict(row) for row in rows]},
            packages=("sympy", "antlr4-python3-runtime"),
        )
    )
    return int(any(row.wrong for row in rows))


if __name__ == "__main__":
    sys.exit(main())
