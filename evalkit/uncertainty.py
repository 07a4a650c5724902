"""How far a measured mean may be from the truth, the questions being a sample of those that could be asked.

Right-or-wrong questions that have nothing in common get Wilson's interval. All others get the standard error of a
bootstrap over clusters (the questions on one document are drawn together or not at all), within strata where the mean
is one of groups' means, put into Wilson's form as an effective number of questions (Korn and Graubard, 1998). Unlike
the bootstrap's own percentiles that form keeps its promise near 0 and 1 and with few clusters: benchmarks/coverage.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # records and the live table need no arrays, and so no run waits for them before its first request
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RESAMPLES = 10_000
# With fewer clusters the method says so: the spread among them is itself badly known.
FEW = 10
# Draws at a time: few enough for the processor's cache.
CHUNK = 250_000
NORMAL = NormalDist()
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95% interval on the metric's published scale, and how it came about."""

    low: float
    high: float
    method: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of values in [0, 1]; `effective_n` is how many independent right-or-wrong questions tell as much."""

    mean: float
    effective_n: float
    method: str

    def interval(self, scale: float) -> Interval:
        """Return the 95% interval on a scale whose best is `scale`."""
        low, high = wilson(self.mean, self.effective_n)
        return Interval(scale * low, scale * high, self.method)


@dataclass(frozen=True, slots=True)
class Pulls:
    """A mean and its parts: by stratum, how far each cluster pulls it up or down, and the stratum's share of it."""

    mean: float
    strata: tuple[Floats, ...]
    shares: tuple[float, ...]

    @property
    def clusters(self) -> int:
        """The number of clusters."""
        return sum(map(len, self.strata))

    @property
    def effective_clusters(self) -> float:
        """The number of clusters that would tell as much if every stratum had its fair share of them."""
        return 1 / sum(share**2 / len(pulls) for share, pulls in zip(self.shares, self.strata, strict=True))


def wilson(mean: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Return Wilson's score interval of a mean of n values, in [0, 1] (Wilson, 1927)."""
    z = two_sided(level)
    middle = (mean + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def two_sided(level: float) -> float:
    """Return the normal quantile that leaves `level` of the probability between its negative and itself."""
    return NORMAL.inv_cdf((1 + level) / 2)


def student(degrees: float, level: float = LEVEL) -> float:
    """Return the t distribution's quantile as `two_sided` does the normal's, to 2 in 1,000 from 3 degrees on.

    Source: the expansion in Abramowitz and Stegun, 26.7.5.
    """
    z = two_sided(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees**power for power, term in enumerate(terms, start=1))


def pulls(
    values: Sequence[float], clusters: Sequence[Hashable] | None = None, groups: Sequence[Hashable] | None = None
) -> Pulls:
    """Split a mean into its clusters' pulls; without `clusters` each value is its own.

    With `groups` the mean is that of the groups' means, and a stratum is the clusters that touch the same groups: a
    question asked in two settings is one cluster of both. Raises ValueError for no values.
    """
    if not len(values):
        raise ValueError("no values have no mean")
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    group = _codes(groups) if groups is not None else np.zeros(len(numbers), dtype=np.intp)
    sizes = np.bincount(group)
    means = np.bincount(group, numbers) / sizes
    weight = 1 / (len(sizes) * sizes[group])
    cluster = _codes(clusters) if clusters is not None else np.arange(len(numbers))
    pull = np.bincount(cluster, weight * (numbers - means[group]))
    touched: list[set[int]] = [set() for _ in pull]
    for each, where in zip(cluster.tolist(), group.tolist(), strict=True):
        touched[each].add(where)
    stratum = _codes([tuple(sorted(each)) for each in touched])
    order = np.argsort(stratum, kind="stable")
    strata = np.split(pull[order], np.cumsum(np.bincount(stratum))[:-1])
    shares = np.bincount(stratum[cluster], weight)
    return Pulls(float(means.mean()), tuple(each - each.mean() for each in strata), tuple(shares.tolist()))


def several(groups: Sequence[Hashable] | None) -> Sequence[Hashable] | None:
    """Return the groups, or None where there is but one and so no mean of means."""
    return groups if groups is not None and len(set(groups)) > 1 else None


def _codes(labels: Sequence[Hashable]) -> NDArray[np.intp]:
    """Number labels in the order of their first appearance."""
    import numpy as np

    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.intp)


def resampled(strata: Sequence[Floats], resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return how far the mean moves in each resample, when each stratum's clusters are drawn anew, with replacement.

    The moves are widened by n / (n - 1), without which small strata would seem surer than they are.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    moves = np.zeros(resamples)
    for each in strata:
        n = len(each)
        if n < 2 or not each.any():
            continue
        wide = each * sqrt(n / (n - 1))
        # Clusters that pull alike need not be told apart; rounding undoes what the order of sums did to them.
        distinct, counts = np.unique(np.round(wide / np.abs(wide).max(), 12), return_counts=True)
        if 8 * len(distinct) < n:
            moves += rng.multinomial(n, counts / n, resamples) @ distinct * np.abs(wide).max()
            continue
        rows = max(1, CHUNK // n)
        for start in range(0, resamples, rows):
            drawn = rng.integers(0, n, (min(rows, resamples - start), n), dtype=np.uint16 if n < 2**16 else np.uint32)
            moves[start : start + rows] += np.take(wide, drawn).sum(axis=1)
    return moves


def variance(split: Pulls) -> tuple[float, float]:
    """Return the mean's variance by formula, and the degrees of freedom it is known with (Satterthwaite, 1946).

    A stratum of one cluster shows no spread; the widest that the mean allows stands in for it.
    """
    alone, total, squares = lone(split), 0.0, 0.0
    for each in split.strata:
        if len(each) > 1:
            part = float(each @ each) * len(each) / (len(each) - 1)
            total += part
            squares += part * part / (len(each) - 1)
    return total + alone, (total + alone) ** 2 / squares if squares else inf


def lone(split: Pulls) -> float:
    """Return what strata of one cluster add to a variance."""
    widest = max(0.0, split.mean * (1 - split.mean))
    return sum(share**2 * widest for share, each in zip(split.shares, split.strata, strict=True) if len(each) == 1)


def estimate(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    groups: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Estimate the mean of values in [0, 1]; see `pulls` for the arguments. Raises ValueError for no values."""
    import numpy as np

    n = len(values)
    groups = several(groups)
    shared = clusters is not None and len(set(clusters)) < n
    if not shared and groups is None and n and set(values) <= {0, 1}:
        return Estimate(sum(values) / n, n, "Wilson")
    split = pulls(values, clusters, groups)
    independent, _ = variance(pulls(values, None, groups))
    _, degrees = variance(split)
    spread = float(np.var(resampled(split.strata, resamples, seed))) + lone(split)
    # That questions share a document makes nothing surer; where it seems so, it is chance.
    spread = max(spread, independent)
    most = max(0.0, split.mean * (1 - split.mean))
    effective = most / spread if spread and most else split.effective_clusters
    effective *= (two_sided(LEVEL) / student(degrees)) ** 2
    return Estimate(split.mean, effective, _method(split, shared, groups))


def _method(split: Pulls, shared: bool, groups: Sequence[Hashable] | None) -> str:
    kind = "stratified" if groups is not None else "cluster" if shared else ""
    strata = f" in {_counted(len(set(groups)), 'group')}" if groups is not None else ""
    counted = f", {_counted(split.clusters, 'cluster' if shared else 'question')}{strata}" if kind else ""
    few = " (few)" if shared and split.clusters < FEW else ""
    return f"{kind} bootstrap".strip() + counted + few


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
