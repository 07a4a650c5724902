"""Agreement: the published worked examples to the last printed digit, and what is undefined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.metrics.agreement import cohen_kappa, kendall_tau_b, krippendorff_alpha


def from_table(table: list[list[int]]) -> tuple[list[int], list[int]]:
    """Two raters' categories from the counts of their combinations."""
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in pairs], [j for _, j in pairs]


def units(*raters: str) -> list[dict[str, str]]:
    """One mapping per item from raters' values, a letter each; a dot is no value."""
    return [
        {str(rater): value for rater, value in enumerate(values) if value != "."}
        for values in zip(*raters, strict=True)
    ]


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        # Fleiss, Levin & Paik, Statistical Methods for Rates and Proportions (3rd ed., 2003), table 18.1: 0.676.
        ([[75, 1, 4], [5, 4, 1], [0, 0, 10]], 0.23 / 0.34),
        # Two readers of 50 grant proposals, the example of Wikipedia's "Cohen's kappa": 0.40.
        ([[20, 5], [10, 15]], 0.4),
        # The same article's pair with the same agreement of 60 of 100 and other margins: 0.1304 and 0.2593.
        ([[45, 15], [25, 15]], 0.06 / 0.46),
        ([[25, 35], [5, 35]], 0.14 / 0.54),
        ([[0, 5], [5, 0]], -1),
    ],
)
def test_cohens_kappa(table: list[list[int]], kappa: float) -> None:
    assert cohen_kappa(*from_table(table)) == pytest.approx(kappa, abs=1e-12)


@pytest.mark.parametrize(
    ("raters", "alpha"),
    [
        # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections A, B and C.
        (("0100000010", "1110010000"), 0.095),
        (("aabbdcccedda", "babbbccceddd"), 0.692),
        (("123321412...", "1233224125.3", ".3332342251.", "12332441251."), 0.743),
    ],
)
def test_krippendorffs_alpha(raters: tuple[str, ...], alpha: float) -> None:
    assert krippendorff_alpha(units(*raters)) == pytest.approx(alpha, abs=0.0005)


@pytest.mark.parametrize(
    ("first", "second", "tau"),
    [
        # Kendall, Rank Correlation Methods, chapter 3: 33 / sqrt(41 * 36) = 0.859.
        (
            [1, 2.5, 2.5, 4.5, 4.5, 6.5, 6.5, 8, 9.5, 9.5],
            [1, 2, 4.5, 4.5, 4.5, 4.5, 8, 8, 8, 10],
            33 / (41 * 36) ** 0.5,
        ),
        # The example of scipy.stats.kendalltau's documentation.
        ([12, 2, 1, 12, 2], [1, 4, 7, 1, 0], -0.47140452079103173),
        ([1, 2, 3], [10, 20, 30], 1),
        ([1, 2, 3], [0.3, 0.2, 0.1], -1),
    ],
)
def test_kendalls_tau_b(first: list[float], second: list[float], tau: float) -> None:
    assert kendall_tau_b(first, second) == pytest.approx(tau, abs=1e-12)


def test_nothing_to_agree_on_is_undefined_and_no_number() -> None:
    assert cohen_kappa([], []) is None
    assert cohen_kappa(["yes"] * 5, ["yes"] * 5) is None
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha(units("yyyy", "yyyy")) is None
    assert krippendorff_alpha(units("yn..", "..yn")) is None
    assert kendall_tau_b([], []) is None
    assert kendall_tau_b([0.5, 0.5], [0, 1]) is None
    assert kendall_tau_b([0, 1], [0.5, 0.5]) is None


def test_raters_of_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        cohen_kappa(["yes"], [])
    with pytest.raises(ValueError, match="shorter"):
        kendall_tau_b([1.0, 2.0], [1.0])


PAIRS = st.lists(st.tuples(st.sampled_from("yna"), st.sampled_from("yna")), min_size=1, max_size=30)


@given(PAIRS)
def test_kappa_and_alpha_do_not_depend_on_who_is_first(pairs: list[tuple[str, str]]) -> None:
    one, other = [a for a, _ in pairs], [b for _, b in pairs]
    assert cohen_kappa(one, other) == cohen_kappa(other, one)
    there, back = (
        krippendorff_alpha(units("".join(one), "".join(other))),
        krippendorff_alpha(units("".join(other), "".join(one))),
    )
    assert there == back
    assert there is None or there <= 1


@given(st.lists(st.sampled_from("yna"), min_size=2, max_size=30))
def test_agreement_throughout_is_one_unless_there_is_one_category(values: list[str]) -> None:
    expected = None if len(set(values)) == 1 else 1
    assert cohen_kappa(values, values) == expected
    assert krippendorff_alpha(units("".join(values), "".join(values), "." * len(values))) == expected
