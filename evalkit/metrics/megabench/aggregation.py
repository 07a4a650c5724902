"""From MEGA-Bench's fields to a response's score, a task's and the benchmark's.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7, megabench/metrics/aggregation,
megabench/evaluation_processor.py and megabench/tools/derive_breakdown_results.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from statistics import fmean


def aggregate(function: str, scores: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Return the weighted mean, or with "min" the least, of the fields' scores that are not negative.

    -1.0 where none is left. Raises ValueError for another function, KeyError for a field without a weight.
    """
    counted = {field: score for field, score in scores.items() if score >= 0}
    if function not in ("mean", "min"):
        raise ValueError(f"MEGA-Bench aggregates by mean or min, not by {function!r}")
    if not counted:
        return -1.0
    if function == "min":
        return min(counted.values())
    return fmean(counted.values(), [weights[field] for field in counted])


def task_score(scores: Sequence[float]) -> float:
    """Return the mean over a task's responses, a negative score counted as 0."""
    return fsum(score for score in scores if score > 0) / len(scores)


def macro(tasks: Mapping[str, float]) -> float:
    """Return the mean of the tasks' scores. Raises ValueError for no tasks."""
    return fmean(tasks.values())
