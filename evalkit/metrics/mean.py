"""Averages of samples' values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum

from evalkit.types import Score


def mean(scores: Sequence[Score]) -> float:
    """Return the mean of the values that exist, in [0, 1]. Raises ValueError where none does.

    Summed without rounding error, so that the order of the samples cannot move the last digit.
    """
    values = [score.value for score in scores if score.value is not None]
    if not values:
        raise ValueError("the mean of no values is undefined")
    return fsum(values) / len(values)


def by_group(scores: Iterable[Score]) -> dict[str, list[Score]]:
    """Return the scores of each group, groups in alphabetical order."""
    groups: dict[str, list[Score]] = {}
    for score in scores:
        groups.setdefault(score.group, []).append(score)
    return dict(sorted(groups.items()))
