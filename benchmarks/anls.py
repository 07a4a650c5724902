"""DocVQA's ANLS beside the same rule written plainly, as the official code has it: `python benchmarks/anls.py [DIR]`.

DIR holds recorded answers with `official_prediction` and `answers`; the default is `shared/parity/docvqa` beside the
checkout. The plain rule fills the table of edit distances in Python, cell by cell.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from measure import Figures, Table, publish

from evalkit.data import objects
from evalkit.metrics.anls import anls

DEFAULT = Path(__file__).parents[1].parent / "shared" / "parity" / "docvqa"
Rule = Callable[[str, Sequence[str]], float]


def distance(one: str, other: str) -> int:
    """Return the number of letters to insert, remove or replace."""
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, start=1):
        before, row[0] = row[0], place
        for column, against in enumerate(other, start=1):
            best = min(row[column] + 1, row[column - 1] + 1, before + (letter != against))
            before, row[column] = row[column], best
    return row[-1]


def plainly(prediction: str, answers: Sequence[str]) -> float:
    """Return the ANLS by its definition, of texts in one case and their lengths in the other."""
    said, best = " ".join(prediction.lower().split()), 0.0
    for answer in answers:
        length = max(len(answer.upper()), len(prediction.upper()))
        share = distance(said, " ".join(answer.lower().split())) / length if length else 0.0
        best = max(best, 1 - share)
    return best if best >= 0.5 else 0.0


def seconds(rule: Rule, rows: Sequence[tuple[str, Sequence[str]]]) -> float:
    """Return the processor's seconds for all answers."""
    start = time.process_time()
    for prediction, answers in rows:
        rule(prediction, answers)
    return time.process_time() - start


def main() -> int:
    """Print the figures; 1 where the two rules differ or there are no records."""
    parser = argparse.ArgumentParser(description="DocVQA's ANLS beside the same rule written plainly.")
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT, help="a folder of recorded answers")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    found = [values for file in sorted(given.folder.glob("*.jsonl")) for _, values in objects(file)]
    rows = [
        (str(each["official_prediction"]), list(map(str, answers)))
        for each in found
        if "official_prediction" in each and isinstance(answers := each.get("answers"), list)
    ]
    if not rows:
        print(f"no recorded answers in {given.folder}: name a folder that has some", file=sys.stderr)
        return 1
    wrong = sum(abs(anls(*row) - plainly(*row)) > 1e-9 for row in rows)
    ours, plain = (statistics.median(seconds(rule, rows) for _ in range(given.rounds)) for rule in (anls, plainly))
    lines = tuple(
        (what, f"{1e6 * took / len(rows):.1f} µs", f"{took / ours:.0f}x")
        for what, took in (("evalkit", ours), ("plainly", plain))
    )
    publish(
        Figures(
            name="anls",
            title="ANLS",
            command="python benchmarks/anls.py",
            workload=f"{len(rows):,} recorded answers to DocVQA, of which {wrong} are worth something else by the "
            f"plain rule; processor time, medians of {given.rounds}.",
            tables=(Table("", ("", "an answer", "over evalkit's"), lines),),
            numbers={"answers": len(rows), "wrong": wrong, "seconds": {"evalkit": ours, "plainly": plain}},
            packages=("rapidfuzz",),
        )
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
