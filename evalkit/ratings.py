"""People's ratings of a run's checklists: their own column, scored as the judge's verdicts are, and never mixed in."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import fsum
from pathlib import Path
from statistics import median

from evalkit.data import content_hash, expanded, objects
from evalkit.errors import ConfigError, DataError
from evalkit.metrics.agreement import cohen_kappa, kendall_tau_b, krippendorff_alpha
from evalkit.metrics.checklist import JUDGED, VERDICTS, Item, applies, read_items, read_verdicts, write_verdicts
from evalkit.record import RunRecord
from evalkit.rows import Row
from evalkit.store import RunDir, read_json, read_lines, write_json
from evalkit.types import Aggregate, Sample, Score, Task

FIELDS = ("sample_id", "item_id", "rater", "verdict")
USAGE = "type python -m evalkit ratings RUN_DIR FILE, FILE being .csv or .jsonl"
# More pairs of raters than this are summed up in one line; the file has them all.
PAIRS = 10

# Verdicts by (sample id, item id).
Verdicts = dict[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Pair:
    """Cohen's kappa of two raters over the `items` that both rated; None where it is undefined."""

    first: str
    second: str
    items: int
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Ratings:
    """What came of one file of ratings.

    `people` is over the `n` samples that at least one rater rated in full, of the run's `of`; a sample's value is the
    mean of its raters'. `judge` is the judge's number over those `judge_n` of them that it judged. `alpha` is
    Krippendorff's among people, `judge_alpha` with the judge as one rater more; `tau_b` is Kendall's between the
    samples' values. None where undefined, or where there is no judge. `left_out` counts what gave no value, by reason.
    """

    model: str
    task: str
    judge_name: str | None
    revision: str
    ratings: int
    raters: tuple[str, ...]
    n: int
    of: int
    people: Aggregate | None
    judge: Aggregate | None
    judge_n: int
    alpha: float | None
    judge_alpha: float | None
    tau_b: float | None
    people_pairs: tuple[Pair, ...]
    judge_pairs: tuple[Pair, ...]
    values: Mapping[str, float]
    left_out: Mapping[str, int] = field(default_factory=dict)


def compare(words: Sequence[str], task_of: Callable[[Mapping[str, object]], Task]) -> str:
    """Read RUN_DIR and FILE, write RUN_DIR/ratings.json, and return what to print.

    `task_of` builds the task from its config in the run's record. Raises ConfigError, DataError or StoreError.
    """
    if len(words) != 2 or any(word.startswith("-") for word in words):
        raise ConfigError(f"ratings takes a run's directory and a file of ratings: {USAGE}")
    run, file = RunDir(Path(words[0])), expanded(words[1])
    record = read_json(run.record, RunRecord)
    task = task_of(record.task)
    samples = list(read_lines(run.samples, Sample))
    checklists = {sample.id: read_items(sample.meta["checklist"]) for sample in samples if "checklist" in sample.meta}
    if len(checklists) < len(samples):
        raise ConfigError(f"{run.path} is a run of {task.name}, which has no checklists: give a run of in_house")
    raters = read_ratings(file, checklists)
    people, left_out = _people(task, samples, checklists, raters)
    scored = {score.sample_id: score for score in read_lines(run.scores, Score) if score.rule == JUDGED}
    judge: Verdicts = {
        (score.sample_id, item): verdict
        for score in scored.values()
        for item, verdict in read_verdicts(score.prediction or "{}").items()
    }
    both = [(score, scored[score.sample_id]) for score in people if score.sample_id in scored]
    report = Ratings(
        model=record.model_name,
        task=task.name,
        judge_name=record.judge,
        revision=f"sha256:{content_hash(file)[:12]}",
        ratings=sum(map(len, raters.values())),
        raters=tuple(raters),
        n=len(people),
        of=len(samples),
        people=task.aggregate(people) if people else None,
        judge=task.aggregate([judged for _, judged in both]) if both else None,
        judge_n=len(both),
        alpha=_alpha(raters),
        judge_alpha=_alpha({**raters, "": judge}, judge) if judge else None,
        tau_b=kendall_tau_b([score.value or 0 for score, _ in both], [judged.value or 0 for _, judged in both]),
        people_pairs=tuple(_pair(*each, raters[each[0]], raters[each[1]]) for each in combinations(raters, 2)),
        judge_pairs=tuple(_pair(record.judge or "", name, judge, given) for name, given in raters.items() if judge),
        values={score.sample_id: score.value for score in people if score.value is not None},
        left_out=left_out,
    )
    path = run.path / "ratings.json"
    write_json(path, report)
    return f"{_text(report)}\nwrote {path}"


def read_ratings(file: Path, checklists: Mapping[str, Sequence[Item]]) -> dict[str, Verdicts]:
    """Return each rater's verdicts, raters in alphabetical order.

    `checklists` are the run's, by sample id. Raises DataError where the file is malformed, names a sample or an item
    that the run does not have, or has two verdicts of one rater on one item.
    """
    known = {(sample, item.id) for sample, items in checklists.items() for item in items}
    raters: dict[str, Verdicts] = {}
    for row in _rows(file):
        sample, item, rater, verdict = (row.text(name).strip() for name in FIELDS)
        verdict = verdict.lower()
        if sample not in checklists:
            raise DataError(
                f"{row.where} rates {sample!r}, which is no sample of this run: give the ratings of this run"
            )
        if (sample, item) not in known:
            items = ", ".join(each.id for each in checklists[sample])
            raise DataError(f"{row.where} rates item {item!r}, but {sample} has {items}: mend the line")
        if verdict not in VERDICTS:
            raise DataError(f"{row.where} has the verdict {verdict!r}: write one of {', '.join(VERDICTS)}")
        if not rater:
            raise DataError(f"{row.where} names no rater: write who it was, in any way that tells raters apart")
        if (sample, item) in raters.setdefault(rater, {}):
            raise DataError(f"{row.where} is {rater}'s second verdict on item {item!r} of {sample}: keep one")
        raters[rater][sample, item] = verdict
    if not raters:
        raise DataError(f"{file} has no ratings: give each a line with {', '.join(FIELDS)}")
    return dict(sorted(raters.items()))


def _rows(file: Path) -> Iterator[Row]:
    if file.suffix != ".csv":
        if not file.name.endswith((".jsonl", ".jsonl.gz")):
            raise ConfigError(f"{file} is neither CSV nor JSON Lines by its name: {USAGE}")
        yield from (Row(values, where) for where, values in objects(file))
        return
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            for values in reader:
                yield Row(dict(values), f"line {reader.line_num} of {file}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataError(
            f"{file} cannot be read ({reason}): give a CSV file in UTF-8 with {', '.join(FIELDS)}"
        ) from error


def _people(
    task: Task, samples: Sequence[Sample], checklists: Mapping[str, Sequence[Item]], raters: Mapping[str, Verdicts]
) -> tuple[list[Score], dict[str, int]]:
    """Score each sample by each rater who rated all of it; a sample's value is the mean, so no tie needs a rule."""
    left_out: Counter[str] = Counter()
    scores = []
    for sample in samples:
        values = []
        for given in raters.values():
            items = checklists[sample.id]
            verdicts = {item.id: given[sample.id, item.id] for item in items if (sample.id, item.id) in given}
            if len(verdicts) < len(items):
                left_out["rated in part"] += bool(verdicts)
            elif not applies(items, verdicts):
                left_out["nothing applies"] += 1
            else:
                values.append(task.score(sample, write_verdicts(items, verdicts)))
        if values:
            scores.append(Score(sample.id, sample.group, None, "people", "ok", fsum(values) / len(values)))
    return scores, {reason: count for reason, count in left_out.items() if count}


def _alpha(raters: Mapping[str, Verdicts], among: Verdicts | None = None) -> float | None:
    """Return Krippendorff's alpha over the items that somebody rated, or over those `among` them."""
    units: dict[tuple[str, str], dict[str, str]] = {}
    for rater, given in raters.items():
        for item, verdict in given.items():
            if among is None or item in among:
                units.setdefault(item, {})[rater] = verdict
    return krippendorff_alpha(list(units.values()))


def _pair(first: str, second: str, ours: Verdicts, theirs: Verdicts) -> Pair:
    items = [item for item in ours if item in theirs]
    kappa = cohen_kappa([ours[item] for item in items], [theirs[item] for item in items])
    return Pair(first, second, len(items), kappa)


def _text(report: Ratings) -> str:
    raters = f"{len(report.raters)} rater{'s' if len(report.raters) > 1 else ''}, {report.ratings} ratings"
    lines = [
        f"{report.task} · {report.model} · people: {_total(report.people)} · n={report.n} of {report.of}, {raters}"
    ]
    if report.judge_pairs:
        lines.append(
            f"{report.task} · {report.model} · judge {report.judge_name}, same samples: {_total(report.judge)} · "
            f"n={report.judge_n}"
        )
    if len(report.raters) > 1:
        lines.append(f"among people: Krippendorff's alpha {_number(report.alpha)}")
        lines += _kappas(report.people_pairs)
    if report.judge_pairs:
        lines.append(
            f"judge and people: Krippendorff's alpha {_number(report.judge_alpha)}, Kendall's tau-b of the samples' "
            f"scores {_number(report.tau_b)}"
        )
        lines += _kappas(report.judge_pairs)
    lines += [f"left out: {count} times a rater's sample, {reason}" for reason, count in report.left_out.items()]
    return "\n".join(lines)


def _kappas(pairs: Sequence[Pair]) -> list[str]:
    if len(pairs) <= PAIRS:
        return [
            f"  {pair.first}, {pair.second}: Cohen's kappa {_number(pair.kappa)} ({pair.items} items)" for pair in pairs
        ]
    known = [pair.kappa for pair in pairs if pair.kappa is not None]
    middle = _number(median(known) if known else None)
    return [f"  {len(pairs)} pairs: Cohen's kappa {middle} at the median ({len(pairs) - len(known)} undefined)"]


def _total(total: Aggregate | None) -> str:
    return "no score" if total is None else f"{total.metric} {total.value:.2f} of {total.scale:g}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
