"""Each case is one that the likeliest misreading of the official rule would fail; the comment says which."""

from __future__ import annotations

import pytest

from evalkit.metrics.anls import anls
from evalkit.metrics.choice import infer_choice, letters, parse_mmmu, parse_mmmu_pro
from evalkit.metrics.containment import contains_answer
from evalkit.metrics.final_answer import final_answer
from evalkit.metrics.relaxed_accuracy import relaxed_accuracy
from evalkit.types import Extraction

CHOICES = ("a red whale", "a blue whale", "no whale at all", "eight whales")


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("ab", ["ac"], 0.5),  # exactly the threshold stays: `> 0.5` would give 0
        ("abc", ["axy"], 0.0),  # below the threshold nothing is left of 1/3
        ("1,234", ["$1,234"], 5 / 6),  # no currency sign or comma is removed
        ("Yes.", ["Yes"], 0.75),  # no final dot is removed
        ("The  Cat\nsat", ["the cat sat"], 1.0),  # case, runs of blanks and newlines are
        ("b c", ["x y z", "b d", "b c"], 1.0),  # the best gold answer counts, not the first or the mean
        ("0.27", ["0.28"], 0.75),  # numbers are letters here, no tolerance
        ("xyz" + " " * 60, ["abc"], 1 - 3 / 63),  # divided by the raw length: hence the caller strips
        ("ss", ["\u00df"], 0.0),  # distance 2 over a length of 2, that of the upper-case gold SS
        ("\u00dfa", ["sa"], 1 - 1 / 3),  # SSA has 3 letters: by the plain length this would be 0.5
        ("", ["x"], 0.0),
        ("", [""], 1.0),  # length 0 must not divide by zero
        ("x", [""], 0.0),
        ("x", [], 0.0),
    ],
)
def test_anls(prediction: str, answers: list[str], expected: float) -> None:
    assert anls(prediction, answers) == pytest.approx(expected, abs=1e-12)


def test_the_threshold_of_anls_can_be_set() -> None:
    assert anls("abc", ["axy"], threshold=0.3) == pytest.approx(1 / 3)
    assert anls("ab", ["ac"], threshold=0.51) == 0.0


@pytest.mark.parametrize(
    ("prediction", "answers", "expected"),
    [
        ("95", ["100"], 1.0),  # the tolerance is inclusive
        ("94.99", ["100"], 0.0),
        ("0.021", ["0.02"], 0.0),  # 0.05000000000000004 in doubles: an epsilon would let it pass
        ("100", ["95"], 0.0),  # relative to the gold answer: swapped arguments would let it pass
        ("-95", ["-100"], 1.0),
        ("-200", ["-100"], 0.0),  # divided by the magnitude: a negative quotient would always pass
        ("62%", ["62"], 0.0),  # the sign divides by 100 and is not dropped
        ("0.62", ["62%"], 1.0),
        ("62 %", ["0.62"], 1.0),  # float takes the blank before the sign
        ("3%.", ["0.03"], 0.0),
        ("0", ["0"], 1.0),  # a gold 0 has no relative tolerance and is compared as text
        ("0.0", ["0"], 0.0),
        ("0.0001", ["0"], 0.0),
        ("2021", ["2014"], 1.0),  # years are numbers
        ("Yes.", ["Yes"], 0.0),  # no punctuation is removed
        ("YES", ["yes"], 1.0),
        ("  yes\n", ["Yes"], 1.0),  # the prediction is stripped
        ("5,627", ["5564"], 0.0),  # a comma makes it a text
        ("$3", ["3"], 0.0),
        ("1e2", ["100"], 1.0),  # Python's float decides what a number is
        ("1_00", ["100"], 1.0),
        ("nan", ["100"], 0.0),
        ("inf", ["inf"], 0.0),  # inf - inf is no number, and two numbers are never compared as texts
        ("2003, 2004", ["[2003, 2004]"], 0.0),  # lists are texts, brackets and all
        ("[gambia, niger]", ["[Gambia, Niger]"], 1.0),
        ("7", ["3", "seven", "7"], 1.0),  # any gold answer will do
        ("", ["0"], 0.0),
        ("x", [], 0.0),
    ],
)
def test_relaxed_accuracy(prediction: str, answers: list[str], expected: float) -> None:
    assert relaxed_accuracy(prediction, answers) == expected


def test_the_tolerance_of_relaxed_accuracy_can_be_set() -> None:
    assert relaxed_accuracy("90", ["100"], tolerance=0.1) == 1.0
    assert relaxed_accuracy("90", ["100"]) == 0.0


@pytest.mark.parametrize(
    ("prediction", "answers", "formula", "expected"),
    [
        ("It says Centre.", ["CENTRE"], False, 1.0),
        ("B O O T", ["boot"], False, 0.0),  # spaces are removed in formulas only
        ("see the\nsign", ["the sign"], False, 1.0),  # a newline is a space
        ("see the  sign", ["the sign"], False, 0.0),  # but blanks are not folded
        ("see the\tsign", ["the sign"], False, 0.0),
        ("sign", [" sign\n"], False, 1.0),  # the gold answer is stripped too
        ("CENTRE? No: CENTER", ["centre"], False, 1.0),  # a rejected answer counts, the official code reads all
        ("CENTER", ["x", "center"], False, 1.0),
        ("x ^ 2\n+ 1", ["x^{2}", "x^2+1"], True, 1.0),
        ("X^2", ["x^2"], True, 0.0),  # formulas keep their case
        ("x\t+1", ["x+1"], True, 0.0),  # and their tabs
        ("$x+1$", ["x + 1"], True, 1.0),
        (r"\dfrac{1}{2}", [r"\frac{1}{2}"], True, 0.0),
        ("", ["x"], False, 0.0),
        ("x", [], False, 0.0),
        ("x", [], True, 0.0),
    ],
)
def test_contains_answer(prediction: str, answers: list[str], formula: bool, expected: float) -> None:
    assert contains_answer(prediction, answers, formula=formula) == expected


def test_letters_go_past_j() -> None:
    assert letters(12) == tuple("ABCDEFGHIJKL")
    assert letters(0) == ()


@pytest.mark.parametrize(
    ("text", "prediction", "rule"),
    [
        ("B", "B", "bare"),
        ("B.", "B", "bare"),
        ("(B).", "B", "bracketed"),
        ("Answer: B", "B", "bare"),
        ("**Answer**: B", "B", "bare"),
        ("B.\n", None, "none"),  # white space is not stripped: the newline shields the dot
        ("B\n", None, "none"),
        ("Answer:\nB", None, "none"),
        ("B.'", None, "none"),  # one pass: when the apostrophe goes, dots have been done
        ("B'.", "B", "bare"),
        ("**B**", None, "none"),
        ("Answer: $B$", None, "none"),
        (r"Answer: \boxed{B}", None, "none"),
        ("B. whale", None, "none"),
        ("b", None, "none"),  # letters keep their case
        ("E", None, "none"),  # no such choice
        ("(A) is wrong, the answer is B", "A", "bracketed"),  # brackets beat a later bare letter
        ("not (C), not (A), so (C) or (B)", "B", "bracketed"),  # the last bracket, not the first
        ("(C) (A) (C)", "C", "bracketed"),  # by its last place
        ("it is C and not D here", "D", "bare"),
        ("A whale that is red", "A", "bare"),  # the article is a letter
        ("I see in it EIGHT WHALES of the sea", "D", "content"),
        ("I see eight whales", None, "none"),  # contents count in more than five words
        ("there I see eight whales", None, "none"),  # five words are not more than five
        ("in there I see eight whales", "D", "content"),
        ("a red whale or no whale at all, no, a red whale", "A", "content"),  # the last content wins
        ("", None, "none"),
    ],
)
def test_parse_mmmu(text: str, prediction: str | None, rule: str) -> None:
    assert parse_mmmu(text, CHOICES) == Extraction(prediction, rule)


def test_the_first_of_two_equal_choices_wins() -> None:
    assert parse_mmmu("it is clearly a whale of sorts", ["cow", "whale", "whale"]) == Extraction("B", "content")


def test_nine_choices_make_a_letter_of_the_pronoun() -> None:
    assert parse_mmmu("What I mean is F to me", tuple("12345678")).prediction == "F"
    assert parse_mmmu("What F means is what I mean", tuple("123456789")).prediction == "I"


@pytest.mark.parametrize(
    ("text", "prediction", "rule"),
    [
        ("Answer: B", "B", "answer_line"),
        ("Answer: $B$", "B", "answer_line"),
        (r"Answer: \boxed{B}", "B", "answer_line"),
        ("**Answer: B**\n", "B", "answer_line"),
        ("(A) looks right. Answer: B", "B", "answer_line"),  # the line beats brackets
        ("Answer: A\nNo. Answer: C", "C", "answer_line"),  # the last line (rfind)
        ("Answer: DNA\n", None, "none"),  # D and A both: not unique, and a newline is no space
        ("Answer: DNA", "A", "bare"),  # but the padding at the end is one
        ("Answer: Because of that", "B", "answer_line"),  # any capital letter, even in a word
        ("Answer: B or C (D)", "D", "bracketed"),  # not unique: the other rules see all of the text
        ("ANSWER: B", "B", "bare"),  # the marker keeps its case
        ("DNA holds it", "A", "bare"),  # no space is needed before the letter, unlike in MMMU
        ("DNA or RNAB or it", "A", "bare"),  # ranked by a form it lacks: the first letter, A before B
        ("DNA or C it is", "C", "bare"),  # a letter that has the form outranks it
        ("so C is it not B \nokay", "B", "bare"),
        ("B.\n", "B", "dotted"),  # found here, not in MMMU
        ("\nC.\nD.\n", "C", "dotted"),  # several dotted ones: the first letter, not the last in the text
        ("**B**", None, "none"),
        ("I see in it EIGHT WHALES of the sea", "D", "content"),
        ("", None, "none"),
    ],
)
def test_parse_mmmu_pro(text: str, prediction: str | None, rule: str) -> None:
    assert parse_mmmu_pro(text, CHOICES) == Extraction(prediction, rule)


def test_mmmu_pro_has_questions_with_twelve_choices() -> None:
    assert parse_mmmu_pro("Answer: L", tuple("abcdefghijkl")) == Extraction("L", "answer_line")
    assert parse_mmmu_pro("Answer: L", tuple("abcdefghijk")) == Extraction(None, "none")


@pytest.mark.parametrize(
    ("text", "prediction", "rule"),
    [
        ("B", "B", "letter"),
        ("(B).", "B", "letter"),
        ("**B**", "B", "letter"),
        ("B\n", "B", "letter"),
        ('"B"', None, "none"),  # quotes are no punctuation here
        ("B one two three", "B", "letter"),  # among the last four words
        ("B one two three four", None, "none"),  # its first place counts, and that is the fifth from the end
        ("B one two three four B", None, "none"),
        ("It is not A but B", None, "none"),  # two letters are one too many
        ("not A; the answer is **B**", "B", "answer_is"),
        ("The Correct Answer is B, not A", "B", "answer_is"),
        ("the answer is A. Rather, the answer is B", "A", "answer_is"),  # the first statement
        ("A or D: the answer is both", "B", "answer_is"),  # no word boundary and no case
        ("A or C: the answer is (C)", None, "none"),  # a bracket breaks it
        ("Z", None, "declined"),
        ("Z then A", "A", "letter"),  # a choice's letter beats Z
        ("A one two three four Z", None, "none"),  # even where it stands too early to count
        ("Z, no answer is D-like, eight whales", None, "declined"),
        ("Cannot determine the answer. B", None, "declined"),
        ("Eight Whales", "D", "content"),
        ("eight whales, not a red whale", None, "none"),  # two contents are one too many
        ("eight whales" + " " * 200, None, "none"),  # too long for its content to count
        ("E", None, "none"),
        ("", None, "none"),
    ],
)
def test_infer_choice(text: str, prediction: str | None, rule: str) -> None:
    assert infer_choice(text, CHOICES) == Extraction(prediction, rule)


def test_inference_allows_twice_the_length_of_the_choices() -> None:
    assert infer_choice("cow" + "." * 9, ["cow", "pig"]).prediction == "A"
    assert infer_choice("cow" + "." * 10, ["cow", "pig"]).prediction is None


def test_a_stated_letter_must_be_a_choice() -> None:
    assert infer_choice("answer is dog", ["dog", "pig"]) == Extraction(None, "none")  # D, and too long for content
    assert infer_choice("answer is a dog", ["a dog", "a pig"]) == Extraction("A", "answer_is")
    assert infer_choice("answer is dog", ["dog", "no pig"]) == Extraction("A", "content")


@pytest.mark.parametrize(
    ("text", "prediction", "rule"),
    [
        ("Final Answer: 5", "5", "final_answer"),
        ("FINAL ANSWER: 5", "5", "final_answer"),
        ("**Final Answer:** 5", "5", "final_answer"),
        ("**Final Answer**: 5", "5", "final_answer"),
        ("**Final** __Answer__ : **5**", "5", "final_answer"),
        ("**Answer**: 5", "5", "answer"),
        ("### answer:\r\n\r\n**\r\n5\r\nbecause of that", "5", "answer"),  # a line of stars is empty
        ("answer: 4\nFinal Answer: 5\nAnswer: 6", "6", "answer"),  # the last, not the most explicit
        ("Final Answer: 5\nAnswer:", None, "none"),  # nor an earlier one
        ("I reanswer: 5", None, "none"),
        ("semifinal answer: 5", "5", "answer"),
        ("The answer is 5.", None, "none"),  # no guessing
        ("Answer: 3.5", "3.5", "answer"),
        ("Answer: 3.5.", "3.5", "answer"),
        ("Answer: and so on...", "and so on..", "answer"),  # one dot only
        ("Answer: **Yes**.", "Yes", "answer"),
        ("Answer: **Yes.**", "Yes", "answer"),
        ("Answer: [2003, 2004].", "[2003, 2004]", "answer"),
        ("Answer: 62%", "62%", "answer"),
        ("Answer: `a_b (c)`", "a_b (c)", "answer"),
        ("Answer: $5$", "5", "answer"),
        ("Answer: $$ 5 $$.", "5", "answer"),
        ("_Answer:_ $", "$", "answer"),  # one sign is no pair
        ("Answer: $1,234", "$1,234", "answer"),  # a price keeps its sign: DocVQA counts it
        ("<answer>\n 5 \n</answer>", "5", "answer_tag"),
        ("<Answer>4</Answer> <answer>5</answer>", "5", "answer_tag"),
        ("<answer>4</answer> <answer>5", "4", "answer_tag"),  # an open tag is no marker
        ("<answer>4 <answer>5</answer>", "5", "answer_tag"),
        ("<answer>4</answer> Answer: 5</answer>", "5</answer>", "answer"),  # a tag closes once
        ("</answer>", None, "none"),
        ("<answer></answer>", None, "none"),
        ("<answer>Final Answer: 5</answer>", "5", "final_answer"),  # a label inside ends with its tag
        ("Final Answer: <answer>5</answer> (five)", "5", "answer_tag"),
        (r"Answer: $\boxed{5}$ units", "5", "boxed"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}", "boxed"),  # to the brace that balances
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}", "boxed"),
        (r"\boxed{\}}", r"\}", "boxed"),  # an escaped brace does not close
        (r"\boxed {\text{Yes}}", "Yes", "boxed"),
        (r"\boxed{4} so } \boxed{5", "4", "boxed"),  # an open box is no marker
        (r"\boxed{4}, or Answer: 5", "5", "answer"),
        (r"\boxed{Answer: 5} so", "5", "answer"),
        (r"{ \boxed{5}", "5", "boxed"),  # a brace left open before it changes nothing
        ("", None, "none"),
        ("5", None, "none"),
    ],
)
def test_final_answer(text: str, prediction: str | None, rule: str) -> None:
    assert final_answer(text) == Extraction(prediction, rule)
