"""How far raters agree: on items, beyond what chance would do, and on the order of samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from math import sqrt


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Return the agreement of two raters on the same items beyond chance, at most 1; 0 is chance, below is worse.

    Categories have no order. None where it is undefined: no items, or one and the same category throughout, which
    leaves chance nothing to miss. Raises ValueError where the raters' items differ in number.

    Source: Cohen, "A coefficient of agreement for nominal scales" (1960), formula 1.
    """
    pairs = list(zip(first, second, strict=True))
    if not pairs:
        return None
    rows, columns = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    n, agreed = len(pairs), sum(one == other for one, other in pairs)
    # In whole numbers as far as possible, so that "undefined" is no matter of rounding.
    chance = sum(count * columns[category] for category, count in rows.items())
    return None if chance == n * n else (n * agreed - chance) / (n * n - chance)


def krippendorff_alpha(units: Sequence[Mapping[str, Hashable]]) -> float | None:
    """Return the reliability of any number of raters, at most 1; 0 is chance. Categories have no order.

    A unit is one item: its values by rater. A rater who left it out is simply not in it, and a unit with fewer than
    two values says nothing. None where alpha is undefined: no unit with two values, or one category throughout.

    Source: Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section D, nominal data.
    """
    counts = [Counter(unit.values()) for unit in units if len(unit) > 1]
    totals: Counter[Hashable] = Counter()
    for count in counts:
        totals.update(count)
    n = totals.total()
    expected = n * n - sum(count * count for count in totals.values())
    if not expected:
        return None
    # Each unit's pairs of different values, weighted so that a value counts once however many raters there are.
    observed = sum(
        (count.total() ** 2 - sum(each * each for each in count.values())) / (count.total() - 1) for count in counts
    )
    return 1 - (n - 1) * observed / expected


def kendall_tau_b(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return the rank correlation of two scorings of the same samples, in [-1, 1], ties allowed for.

    None where it is undefined: fewer than two samples, or a scoring in which all are tied. Raises ValueError where the
    scorings differ in length. Takes time proportional to the square of the number of samples.

    Source: Kendall, "The treatment of ties in ranking problems" (1945).
    """
    concordance = untied_first = untied_second = 0
    for (a, b), (c, d) in combinations(zip(first, second, strict=True), 2):
        one, other = (a > c) - (a < c), (b > d) - (b < d)
        concordance += one * other
        untied_first += one != 0
        untied_second += other != 0
    if not untied_first or not untied_second:
        return None
    return concordance / sqrt(untied_first * untied_second)
