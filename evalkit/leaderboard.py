"""The table: measured numbers beside the published ones, each with its circumstances. Knows no benchmark by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import pandas as pd

from evalkit.errors import ConfigError
from evalkit.published import Published, PublishedRow
from evalkit.record import Result
from evalkit.store import read_json, run_dirs, write_text

NOTHING = "-"
BEGIN, END = "<!-- leaderboard:begin -->", "<!-- leaderboard:end -->"


def write(results_dir: Path, published: Published, readme: Path | None = None) -> tuple[Path, ...]:
    """Write leaderboard.md and scores.csv from all runs, and the table between the markers of `readme` if given."""
    found = (directory.result for directory in run_dirs(results_dir) if directory.result.exists())
    results = [read_json(path, Result) for path in found]
    table = markdown(results, published)
    markdown_path, csv_path = results_dir / "leaderboard.md", results_dir / "scores.csv"
    write_text(markdown_path, f"# Leaderboard\n\n{table}\n")
    write_text(csv_path, scores(results, published).to_csv(index=False, lineterminator="\n"))
    if readme is None:
        return (markdown_path, csv_path)
    write_text(readme, _between_markers(readme, table))
    return (markdown_path, csv_path, readme)


def _between_markers(readme: Path, table: str) -> str:
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {readme}: {error.strerror or error}: give --readme FILE") from error
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not pattern.search(text):
        raise ConfigError(f"{readme} has no place for the table: add the lines {BEGIN} and {END}")
    return pattern.sub(lambda _: f"{BEGIN}\n{table}\n{END}", text, count=1)


def why_not_comparable(result: Result, row: PublishedRow | None) -> str:
    """Say why a measured number must not be read against the published ones; empty where nothing speaks against it."""
    if row is None:
        return "not in the published table"
    if result.value is None:
        return "nothing could be scored"
    if not row.public:
        return "the benchmark is not public"
    reasons = []
    if result.source == "mini":
        reasons.append("mini, synthetic")
    elif result.n < result.size:
        reasons.append(f"{result.n:,} of {result.size:,} questions")
    if result.scored < result.n:
        reasons.append(f"{result.n - result.scored} without an answer")
    if result.source == "recorded":
        reasons.append("asked elsewhere")
    elif result.style != row.style:
        reasons.append(f"asked {result.style}, published {row.style}")
    return "; ".join([*reasons, *result.notes])


def scores(results: Sequence[Result], published: Published) -> pd.DataFrame:
    """Return one line a measured cell, with all its circumstances; `difference` only where it means something."""
    rows = {row.task: row for row in published.rows}
    order = {row.task: place for place, row in enumerate(published.rows)}
    lines = []
    for result in sorted(results, key=lambda each: (each.model, order.get(each.task, len(order)), each.task)):
        row = rows.get(result.task)
        target = row.values.get(result.column) if row and result.column else None
        reason = why_not_comparable(result, row)
        comparable = result.value is not None and target is not None and not reason
        lines.append(
            {
                "task": result.task,
                "model": result.model,
                "metric": result.metric,
                "value": result.value,
                "scale": result.scale,
                "published_model": result.column,
                "published": target,
                "difference": result.value - target if comparable else None,  # type: ignore[operator]
                "not_compared_because": reason or ("" if target is not None else "no published column chosen"),
                "n": result.n,
                "scored": result.scored,
                "split_size": result.size,
                "coverage": result.scored / result.n if result.n else 0.0,
                "unparsed": result.unparsed,
                "statuses": _counts(result.statuses),
                "rules": _counts(result.rules),
                "parts": " ".join(f"{name}={value:g}" for name, value in result.parts.items()),
                "split": result.split,
                "style": f"read as {result.style}" if result.source == "recorded" else result.style,
                "prompt": "not stated" if result.source == "recorded" else result.prompt,
                "scorer": f"{result.scorer}, judge {result.judge}" if result.judge else result.scorer,
                "policies": " ".join(f"{name}={value}" for name, value in result.policies.items()),
                "source": result.source,
                "revision": result.revision,
                "notes": "; ".join(result.notes),
            }
        )
    return pd.DataFrame(lines)


def _counts(counts: Mapping[str, int]) -> str:
    return " ".join(f"{name}={count}" for name, count in counts.items())


def markdown(results: Sequence[Result], published: Published) -> str:
    """Return the published table with a column for each measured model, and the measured cells' circumstances."""
    models = sorted({result.model for result in results})
    cells = {(result.task, result.model): result for result in results}
    known = {row.task for row in published.rows}
    extra = sorted({result.task for result in results} - known)
    lines = []
    for row in published.rows:
        line: dict[str, str] = {"": row.group, "Benchmark": row.label + ("\\*" if row.starred else "")}
        best = max(row.values.values())
        for column, value in row.values.items():
            line[column] = f"**{_number(value, row.scale)}**" if value == best else _number(value, row.scale)
        for model in models:
            line[f"measured: {model}"] = _cell(cells.get((row.task, model)), row)
        lines.append(line)
    for task in extra:
        lines.append(
            {"": "Others", "Benchmark": task}
            | {f"measured: {model}": _cell(cells.get((task, model)), None) for model in models}
        )
    for above, below in reversed(list(pairwise(lines))):
        if above[""] == below[""]:
            below[""] = ""
    text = [
        f"Published: [{published.title}]({published.url}); \\* is zero-shot chain of thought. Bold is the best "
        "published number. A measured number in brackets must not be read against the published ones: it says why.",
        pd.DataFrame(lines).fillna("").to_markdown(index=False, disable_numparse=True),
    ]
    if results:
        text += ["How the measured numbers came about:", _circumstances(results, published)]
    return "\n\n".join(text)


def _cell(result: Result | None, row: PublishedRow | None) -> str:
    if result is None:
        return "not public" if row is not None and not row.public else NOTHING
    if result.value is None:
        return "(nothing scored)"
    value = f"{result.value:.0f}" if result.scale == 1000 else f"{result.value:.1f}"
    reason = why_not_comparable(result, row)
    return f"({value}: {reason})" if reason else value


def _range(row: PublishedRow | None) -> str:
    """Return the published numbers' span, for a model that is set beside none of them."""
    if row is None:
        return NOTHING
    return f"{_number(min(row.values.values()), row.scale)} to {_number(max(row.values.values()), row.scale)}"


def _number(value: float, scale: float) -> str:
    """Write a number as the published tables do: points with one decimal, counts with none."""
    return f"{value:.0f}" if scale > 100 else f"{value:.1f}"


def rows(results: Sequence[Result], published: Published) -> str:
    """Return the measured cells as a small table for a terminal."""
    table = _cells(results, published)
    return table[["Task", "Model", "Score", "Published", "n", "Data", "Coverage", "Unparsed", "Remark"]].to_markdown(
        index=False, disable_numparse=True, tablefmt="simple"
    )


def _circumstances(results: Sequence[Result], published: Published) -> str:
    return _cells(results, published).to_markdown(index=False, disable_numparse=True)


def _cells(results: Sequence[Result], published: Published) -> pd.DataFrame:
    frame = scores(results, published)
    by_task = {row.task: row for row in published.rows}
    return pd.DataFrame(
        {
            "Task": frame["task"],
            "Model": frame["model"],
            "Score": [
                NOTHING if pd.isna(value) else f"{value:.2f} of {scale:g} ({metric})"
                for value, scale, metric in zip(frame["value"], frame["scale"], frame["metric"], strict=True)
            ],
            "Published": [
                _range(by_task.get(task)) if pd.isna(value) else f"{value:g} ({model})"
                for task, value, model in zip(frame["task"], frame["published"], frame["published_model"], strict=True)
            ],
            "Difference": [NOTHING if pd.isna(value) else f"{value:+.2f}" for value in frame["difference"]],
            "n": [
                f"{n:,} of {size:,}" if n < size else f"{n:,}"
                for n, size in zip(frame["n"], frame["split_size"], strict=True)
            ],
            "Split": frame["split"],
            "Style": frame["style"],
            "Prompt": frame["prompt"],
            "Scorer": frame["scorer"],
            "Data": frame["source"] + ", " + frame["revision"],
            "Coverage": [f"{coverage:.1%}" for coverage in frame["coverage"]],
            "Unparsed": [
                f"{unparsed} ({policies})" if policies else str(unparsed)
                for unparsed, policies in zip(frame["unparsed"], frame["policies"], strict=True)
            ],
            "Statuses": frame["statuses"],
            "Remark": frame["not_compared_because"],
        }
    )
