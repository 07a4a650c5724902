"""MEGA-Bench's comparisons of lists.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7, megabench/metrics/scoring:
sequence_equality.py, longest_common_list_prefix_ratio.py, coordinate_sequence_match.py, mse.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile
from operator import eq
from typing import Any

from .boxes import points
from .literals import as_list, is_number, says_none


def equal(response: object, gold: object) -> float:
    """Return 1.0 for equal lists."""
    text = str(response)
    return float(says_none(text) == says_none(gold) and as_list(text) == as_list(gold))


def equal_any_case(response: object, gold: object) -> float:
    """Return 1.0 for equal lists of texts, whatever their case; other items of the response are written out."""
    found = [item.lower() if isinstance(item, str) else str(item) for item in as_list(str(response))]
    target: list[Any] = as_list(gold)
    return float(found == [item.lower() for item in target])


def accuracy_any_case(response: object, gold: object) -> float:
    """Return the share of places with the gold item, texts in any case; 0.0 for lists of different length."""
    found: list[Any] = as_list(response)
    target = as_list(gold)
    if len(found) != len(target):
        return 0.0
    right = 0
    for one, other in zip(found, target, strict=True):
        if isinstance(other, str):
            right += one.lower() == other.lower()
        else:
            right += is_number(one) and is_number(other) and one == other
    return right / len(target)


def common_prefix(response: object, gold: object) -> float:
    """Return the length of the common beginning / the length of the gold list."""
    target = as_list(gold)
    return len(list(takewhile(bool, map(eq, as_list(response), target)))) / len(target)


def coordinates(response: object, gold: object, steepness: float = 10) -> float:
    """Return the mean of exp(-steepness * distance / sqrt 2) over pairs of points (x, y), normalised to [0, 1].

    0.0 for a different number of points.
    """
    found, target = points(response), points(gold)
    if len(found) != len(target):
        return 0.0
    distances = [math.dist(one, other) for one, other in zip(found, target, strict=True)]
    return math.fsum(math.exp(-steepness * distance / math.sqrt(2)) for distance in distances) / len(distances)


def angles(response: object, gold: object, worst: float = 10) -> float:
    """Return 1 - mean absolute difference / worst, in degrees, and 0.0 beyond that or for a different number."""
    found, target = _numbers(as_list(response)), _numbers(as_list(gold))
    if len(found) != len(target):
        return 0.0
    mean = math.fsum(abs(one - other) for one, other in zip(found, target, strict=True)) / len(target)
    return 0.0 if math.isnan(mean) else 1 - min(mean, worst) / worst


def _numbers(items: Sequence[object]) -> list[float]:
    """Return a list of numbers. Raises TypeError where an item is none."""
    if not all(is_number(item) for item in items):
        raise TypeError("an item is no number")
    return [float(item) for item in items if isinstance(item, int | float)]
