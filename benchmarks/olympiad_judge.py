"""How long OlympiadBench's judge takes for an answer, on recorded answers: `python benchmarks/olympiad_judge.py [DIR]`.

DIR holds files of recorded answers with `response`, `answer`, `precision` and `official_score`; the default is the
folder `shared/parity/olympiadbench` beside the checkout. Prints milliseconds of processor time. The official code takes
22 ms in the mean and 397 ms at the 99th percentile, on other hardware.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any

from evalkit.metrics.olympiad import extract_final, judge, tolerances
from evalkit.metrics.olympiad_latex import load_parser

DEFAULT = Path(__file__).parents[1].parent / "shared" / "parity" / "olympiadbench"


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


def main() -> int:
    """Print the figures; 1 where a result is not the official one or there are no records."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    files = sorted(folder.glob("*.jsonl*"))
    if not files:
        print(f"no recorded answers in {folder}: name a folder that has some", file=sys.stderr)
        return 1
    load_parser()
    measured: list[tuple[float, bool]] = []
    for file in files:
        with gzip.open(file, "rt") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            measured += [seconds(json.loads(line)) for line in lines]
    times = [1000 * spent for spent, _ in measured]
    percentiles = quantiles(times, n=100)
    wrong = sum(not right for _, right in measured)
    print(f"{len(times)} answers, {wrong} of them not as the official code has it")
    print(f"mean {fmean(times):.2f} ms   p50 {percentiles[49]:.2f} ms   p99 {percentiles[98]:.0f} ms")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
