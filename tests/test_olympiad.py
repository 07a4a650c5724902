"""OlympiadBench's judge: its steps, its official slips and what the fixed one makes of them, and hostile answers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError

import pytest

from evalkit.errors import ConfigError
from evalkit.limits import Limited
from evalkit.metrics import olympiad_latex
from evalkit.metrics.olympiad import Verdict, extract_final, judge, judge_fixed, tolerances
from evalkit.metrics.olympiad_text import UnbalancedBox, boxes, entries, last_box, normalised

# Written differently, equal all the same.
SAME = (
    ("(x+1)(x+2)", "x^{2}+3x+2"),
    ("\\frac{a}{b}-\\frac{c}{d}", "\\frac{ad-bc}{bd}"),
    ("\\sqrt{8x}", "2\\sqrt{2x}"),
    ("\\ln(x)-\\ln(e)", "\\ln(x)-\\ln(e)+0"),
    ("\\sin^{2} x+\\cos^{2} x+x", "1+x"),
    ("\\binom{n}{1}+n", "2n"),
    ("f(x)+1", "1+f(x)"),
    ("10^{30}x-10^{30}x+x", "x"),
)


@pytest.fixture(scope="module")
def judged() -> Iterator[Limited[Verdict]]:
    limited = Limited(judge, seconds=3, prepare=olympiad_latex.load_parser)
    yield limited
    limited.close()


@pytest.fixture(scope="module")
def fixed() -> Iterator[Limited[Verdict]]:
    limited = Limited(judge_fixed, seconds=3, prepare=olympiad_latex.load_parser)
    yield limited
    limited.close()


@pytest.mark.parametrize(
    ("prediction", "gold", "official", "mended"),
    [
        # What judge_fixed mends.
        ("能", "不能", True, False),
        ("是", "否", True, False),
        ("能", "能", True, True),
        ("", "能", True, False),
        ("1", "100", True, False),
        ("100", "1", True, False),
        ("(1,2,3)", "(1,2)", True, False),
        ("\\boxed{5}, so \\boxed{5}", "5", False, True),
        ("first \\boxed{3}, then \\boxed{\\frac{10}{2}}", "5", False, True),
        # What it leaves, since it is the benchmark's own scale.
        ("44", "44^{\\circ}", False, False),
        ("44", "44^\\circ", True, True),
        ("1,000", "1000", False, False),
        ("\\text{yes}", "yes", False, False),
        ("5 \\text{ and } 15", "5,15", False, False),
        ("n(n+1)/2", "\\frac{n^2+n}{2}", False, False),
        ("5!", "120", False, False),
        ("3.14", "\\pi", False, False),
        ("2^{999}", "2^{999}+1", True, True),
        ("x^2+1", "x^2+1.0005", True, True),
        ("1/2018", "2016/2017^2", True, True),
        ("(-\\infty,1] \\cup [2,\\infty)", "(-\\infty,1]\\cup[2,+\\infty)", False, False),
        ("(0,1) \\cup (2,3)", "(0,1)\\cup(2,3)", False, False),
        ("(0,1)\\cup(2,\\frac{6}{2})", "(0,1)\\cup(2,3)", True, True),
        ("a=b=5", "5", False, False),
        ("a=5", "b=5", False, False),
        ("x=5", "5", True, True),
        ("\\boxed{\\frac{1}{2}", "0.5", False, False),
        # Ordinary agreement and disagreement.
        ("2y=4x", "y-2x=0", True, True),
        ("3y=2x", "y=2x", False, False),
        ("\\pm 2", "2,-2", True, True),
        ("1,2,3", "1,2", False, False),
        ("2,3,1", "1,2,3", True, True),
        ("x \\in [1,2]", "[1,\\frac{4}{2}]", True, True),
        ("[0,1]", "(0,1]", False, False),
        ("\\dfrac{1}{2}", "\\frac12", True, True),
        ("７", "7", True, True),
        ("x^{2}-y^{2}=1", "x^2+y^2=1", False, False),
        ("2x", "3x", False, False),
    ],
)
def test_official_and_fixed(
    prediction: str, gold: str, official: bool, mended: bool, judged: Limited[Verdict], fixed: Limited[Verdict]
) -> None:
    for calls, expected in ((judged, official), (fixed, mended)):
        outcome = calls(prediction, gold)
        assert outcome.value is not None
        assert outcome.value.equal is expected


@pytest.mark.parametrize(
    ("prediction", "gold", "tolerance", "how"),
    [
        ("x", "x", (1e-8,), "same_text"),
        ("$5.0$", "5", (1e-8,), "equal"),
        ("4", "5", (1e-8,), "different"),
        ("1,2", "1", (1e-8,), "count"),
        ("\\boxed{1", "1", (1e-8,), "unbalanced_box"),
        ("x" * 1001, "x", (1e-8,), "too_long"),
        ("1.05,2.0,3", "1,2,3", (0.1, 1e-8), "precision_list"),
        ("5.101", "5", (0.1,), "equal"),
        ("5.102", "5", (0.1,), "different"),
        ("3.14", "\\pi", (0.01,), "equal"),
        # The list goes with the prediction's answers, and after a match the next answer waits its turn.
        ("1.0,2.0", "2.0,1.05", (0.1, 0.01), "equal"),
        ("2.0,1.05", "1.0,2.0", (0.1, 0.01), "different"),
        ("1,2,3.05", "1,2,3", (1e-8, 1e-8, 0.1), "equal"),
        ("7.1 \\cdot 10^{35}", "7 \\times 10^{35}", (1e34,), "equal"),
        ("7.1 \\cdot 10^{35}", "7 \\times 10^{35}", (1e33,), "different"),
    ],
)
def test_what_settles_a_comparison(
    prediction: str, gold: str, tolerance: tuple[float, ...], how: str, judged: Limited[Verdict]
) -> None:
    outcome = judged(prediction, gold, tolerance)
    assert outcome.value is not None
    assert outcome.value.how == how
    assert outcome.value.equal is (how in ("same_text", "equal"))


@pytest.mark.parametrize(("one", "other"), SAME)
def test_equal_formulas_are_never_told_apart_by_their_values(one: str, other: str, judged: Limited[Verdict]) -> None:
    outcome = judged(one, other)
    assert outcome.value == Verdict(True, "equal")


HOSTILE = [
    ("9^{9^{9^{9}}}+1", "5"),
    ("x=7^{7^{7^{7}}}", "5"),
    ("x" * 5000, "5"),
    ("x" * 1000, "y"),
    ("(" * 990, "5"),
    ("\\frac{" * 160, "5"),
    ("2^{" * 200 + "2" + "}" * 200, "5"),
    ("\\boxed{" * 2000 + "}" * 2000, "5"),
    ("\\boxed{" * 5000, "5"),
    ("9!!!!!", "5"),
    ("(x+y+z)^{900}", "(x+y)^{900}"),
    ("\\mathrm{" * 2000, "5"),
    (",".join("x" * 400), ",".join("y" * 400)),
    ("The answer is " * 60, "5"),
    ("__import__('os')._exit(1)", "5"),
    ("\x00\ud800", "5"),
]


@pytest.mark.parametrize(("prediction", "gold"), HOSTILE, ids=lambda text: text[:20].encode(errors="replace").decode())
def test_hostile_answers_cost_at_most_the_limit(prediction: str, gold: str, judged: Limited[Verdict]) -> None:
    start = time.monotonic()
    outcome = judged(prediction, gold)
    assert time.monotonic() - start < 8  # the limit of 3 seconds, and killing and starting a process
    assert outcome.ended in ("done", "timeout")
    assert outcome.value is None or not outcome.value.equal
    assert judged("\\frac{2}{4}", "0.5").value == Verdict(True, "equal")


def test_the_quick_parser_reads_what_the_official_one_reads() -> None:
    from sympy.parsing.latex import parse_latex  # type: ignore[import-untyped,unused-ignore]

    texts = [text for pair in SAME for text in pair]
    for text in [*texts, "-3", "1.50", "5 m", "x!", "|x-1|", "a_{n+1}", "\\sqrt[3]{x}", "\\binom{n}{2}"]:
        assert olympiad_latex._two_stage(text) == (parse_latex(text),)
    # Read in part, or not without a look at what came before, which is left to the official parser.
    for text in ("5 )", "\\log_2 8"):
        assert olympiad_latex._two_stage(text) is None
        assert olympiad_latex.parse(text) == parse_latex(text)
    with pytest.raises(ValueError, match="cannot read"):
        olympiad_latex.parse("\\frac{1}{")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    olympiad_latex.require_latex()
    monkeypatch.setattr(olympiad_latex, "version", lambda package: "4.13.2" if "antlr4" in package else "1.14.0")
    with pytest.raises(ConfigError, match=r"antlr4-python3-runtime 4.11.* \(installed: 4.13.2\).*'evalkit\[latex\]'"):
        olympiad_latex.require_latex()

    def absent(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(olympiad_latex, "version", absent)
    with pytest.raises(ConfigError, match=r"sympy .*\(installed: none\)"):
        olympiad_latex.load_parser()


@pytest.mark.parametrize(
    ("text", "language", "prediction", "rule"),
    [
        (
            "So the final answer is 4.\nSo the final answer is  \\boxed{5} . \nBye",
            "en",
            "\\boxed{5} .",
            "final_sentence",
        ),
        ("so the final answer is 4", "en", "so the final answer is 4", "whole"),
        ("所以最终答案是$3$。", "zh", "$3$。", "final_sentence"),
        ("所以最终答案是$3$。", "en", "所以最终答案是$3$。", "last_line"),
        ("a\n\\boxed{5}", "en", "a\n\\boxed{5}", "boxed"),
        ("It is $4$.\nNo, $5$.\n", "en", "It is $4$.\nNo, $5$.\n", "last_line"),
        ("costs $4\nor so", "en", "costs $4\nor so", "none"),
        ("  \n", "en", None, "none"),
        ("So the final answer is ", "en", "", "final_sentence"),
    ],
)
def test_extraction(text: str, language: str, prediction: str | None, rule: str) -> None:
    found = extract_final(text, language)  # type: ignore[arg-type]
    assert (found.prediction, found.rule) == (prediction, rule)


@pytest.mark.parametrize(
    ("answer_type", "error", "expected"),
    [
        ("Numerical", "", (1e-8,)),
        ("Numerical", "1e-1", (0.1,)),
        ("Numerical", "1e-1,", (0.1, 1e-8)),
        ("Numerical,Expression", "1e-1,1e-2", (0.1, 0.01)),
        ("Tuple", "1e-1", (1e-8,)),
    ],
)
def test_tolerances(answer_type: str, error: str, expected: tuple[float, ...]) -> None:
    assert tolerances(answer_type, error) == expected


def test_a_tolerance_that_is_no_number() -> None:
    with pytest.raises(ValueError, match="about"):
        tolerances("Numerical", "about 1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\boxed{1} and \\boxed{x_{1}}", "1,x_{1}"),
        ("\\boxed{a\\boxed{b}c}", "a\\boxed{b}c,b"),
        ("\\boxed{}", ""),
        ("first $1$\nthen $x=2$ or $3$", "x=2,3"),
        ("first $1$\nthen 2", "first 1\nthen 2"),
        ("x \\in (0,1) \\in [2,3]", "(0,1) "),
        ("30^\\circ", "30"),
        ("30^{\\circ}", "30^{\\circ}"),
        ("50\\%", "50\\"),
        ("\\left(1，2\\right]", "(1,2]"),
        ("x \\rightarrow 2", "x arrow 2"),
        ("x \\approx 2", "x = 2"),
        ("f^{\\prime}", "f'"),
        ("5 \\mathrm{~cm}", "5 cm"),
        ("\\text{yes}", "\\text{yes}"),
        ("=5.", "5"),
    ],
)
def test_normalisation(text: str, expected: str) -> None:
    assert normalised(text) == expected


def test_boxes() -> None:
    assert boxes("} \\boxed{\\{1} and } \\boxed{2}} {") == ["\\{1} and ", "2"]
    assert last_box("\\boxed{1} \\boxed{2\\boxed{3}} x") == "\\boxed{2\\boxed{3}}"
    assert last_box("no box") == "no box"
    with pytest.raises(UnbalancedBox):
        boxes("\\boxed{1} \\boxed{2")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("1, (2,3),[4,5) ", ["1", "(2,3)", "[4,5)"]),
        ("1,", ["1"]),
        (",1", ["", "1"]),
        ("答案是5，", ["5，"]),
        ("能", []),
        ("2 \\pm 1,3", ["2 + 1", "2 - 1", "3"]),
    ],
)
def test_entries(answer: str, expected: list[str]) -> None:
    assert entries(answer) == expected
