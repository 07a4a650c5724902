"""What must hold of the scoring rules for any text at all, and for long hostile ones."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evalkit.metrics.anls import anls
from evalkit.metrics.choice import infer_choice, letters, parse_mmmu, parse_mmmu_pro
from evalkit.metrics.containment import contains_answer
from evalkit.metrics.final_answer import final_answer
from evalkit.metrics.relaxed_accuracy import relaxed_accuracy
from evalkit.types import Extraction

# Arbitrary text seldom holds a marker or a number, so pieces that the rules look for are mixed in.
PIECES = (
    *(
        "answer:",
        "Answer: ",
        "Final Answer:",
        "<answer>",
        "</answer>",
        "\\boxed{",
        "\\text{",
        "{",
        "}",
        "\\}",
        "**",
        "$",
    ),
    *(
        "(A)",
        " B ",
        "C.",
        "Z",
        "answer is ",
        "A",
        "\n",
        "\r\n",
        " ",
        "\t",
        ".",
        "'",
        "_",
        "`",
        "%",
        "5",
        "-3.5",
        "1e999",
    ),
    *("nan", "inf", "0", "1_0", "\u0130", "\u00df", "\ufb03", "\uff15", "\x00", "\u2028", "yes", "red whale"),
)
texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
answers = st.lists(texts, max_size=4)
choices = st.lists(texts, max_size=12)

unhurried = settings(deadline=None)  # on a busy machine one example may take long; hostile texts are timed below

PARSERS = (parse_mmmu, parse_mmmu_pro, infer_choice)
SCORES: tuple[Callable[[str, list[str]], float], ...] = (
    anls,
    relaxed_accuracy,
    lambda prediction, golds: contains_answer(prediction, golds, formula=True),
    lambda prediction, golds: contains_answer(prediction, golds, formula=False),
)


@unhurried
@given(texts, answers)
@example("", [])
@example("\u0130" * 9, ["x"])  # longer in lower case than the length it is divided by
@example("1e999", ["-1e999", "5e-324", "0"])
def test_scores_are_in_range_and_repeatable(prediction: str, golds: list[str]) -> None:
    for score in SCORES:
        value = score(prediction, golds)
        assert 0.0 <= value <= 1.0
        assert score(prediction, golds) == value


@unhurried
@given(texts, answers)
def test_another_gold_answer_never_lowers_a_score(prediction: str, golds: list[str]) -> None:
    for score in SCORES:
        assert score(prediction, [*golds, "5"]) >= score(prediction, golds)
        assert score(prediction, golds[::-1]) == score(prediction, golds)


@unhurried
@given(texts.map(str.strip), answers)
def test_the_gold_answer_itself_scores_one(gold: str, others: list[str]) -> None:
    for score in (anls, *SCORES[2:]):
        assert score(gold, [gold, *others]) == 1.0


@unhurried
@given(texts, choices)
@example("", [])
def test_parsers_name_a_choice_or_nothing(text: str, options: list[str]) -> None:
    for parse in PARSERS:
        found = parse(text, options)
        assert found.prediction in (*letters(len(options)), None)
        assert (found.prediction is None) == (found.rule in {"none", "declined"})
        assert parse(text, options) == found


@unhurried
@given(st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_parsers_find_a_plain_letter(pair: tuple[int, int]) -> None:
    n, index = pair
    options = [f"choice number {i}" for i in range(n)]
    for parse in PARSERS:
        assert parse(letters(n)[index], options).prediction == letters(n)[index]


@unhurried
@given(texts)
def test_a_final_answer_is_a_trimmed_part_of_the_text_or_nothing(text: str) -> None:
    found = final_answer(text)
    assert final_answer(text) == found
    if found.prediction is None:
        assert found.rule == "none"
    else:
        assert found.rule in {"final_answer", "answer", "answer_tag", "boxed"}
        assert found.prediction
        assert found.prediction == found.prediction.strip()
        assert found.prediction in text


@unhurried
@given(texts, st.from_regex(r"[a-z0-9%,\[\]()-]{1,12}", fullmatch=True))
def test_the_last_line_decides(reasoning: str, answer: str) -> None:
    # Where the reasoning left a box or tag open the answer may not close it: letters, digits and these signs cannot.
    assert final_answer(f"{reasoning}\nFinal Answer: **{answer}**.") == Extraction(answer, "final_answer")


@pytest.mark.parametrize(
    "piece",
    [
        "answer:",
        "final ",
        "answer*",
        "\\boxed{",
        "\\boxed{x}",
        "\\boxed ",
        "{",
        "<answer>",
        "* ",
        "$ ",
        "1",
        "answer is *",
    ],
)
def test_hostile_texts_take_linear_time(piece: str) -> None:
    # Two million letters: a quadratic rule would need hours, a linear one a fraction of a second.
    text = piece * (2_000_000 // len(piece))
    start = time.perf_counter()
    final_answer(text)
    final_answer("answer: " + text)
    for parse in PARSERS:
        parse(text, ["red", "blue"])
    for score in SCORES:
        score(text, ["red", "5"])
    assert time.perf_counter() - start < 20
