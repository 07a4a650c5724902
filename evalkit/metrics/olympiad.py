r"""OlympiadBench's rules: which sentence of a response is its answer, and whether that equals the gold answer.

Source: He et al., OlympiadBench (arXiv:2402.14008), inference/judge.py and inference/code/math_judger.py in
OpenBMB/OlympiadBench ba5b26a7, whose special case for models named deepseek is left out. `judge` may run for hours or
fill the memory at a hostile text, as the official code does: call it through evalkit.limits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalkit.metrics.olympiad_equal import entries_equal
from evalkit.metrics.olympiad_latex import LONGEST
from evalkit.metrics.olympiad_text import UnbalancedBox, entries, last_box, normalised
from evalkit.types import Extraction

Language = Literal["en", "zh"]
How = Literal["same_text", "equal", "different", "count", "unbalanced_box", "too_long", "precision_list"]

DEFAULT_TOLERANCE = 1e-8

_SENTENCE = {
    "en": re.compile("So the final answer is (.*)"),
    "zh": re.compile("所以最终答案是(.*)"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    r"""Whether two answers are equal, and what settled it.

    `same_text` and `equal`: they are. `different`: some answer has no partner. `count`: one has more answers than the
    other. `unbalanced_box`: a `\boxed{` is never closed. `too_long`: different, but an answer of more than 1,000
    characters was not read as a formula. `precision_list`: fewer tolerances than answers, where the official code ends
    with an error.
    """

    equal: bool
    how: How


def extract_final(text: str, language: Language) -> Extraction:
    r"""Find the last sentence that states the final answer, up to its line's end ("final_sentence"), or take all.

    The judge looks for boxes, or else formulas in the last line, in whatever this returns. Without the sentence the
    rule says what it will find: "boxed", "last_line", one line of text ("whole"), or "none" where it can only take
    several lines of prose for a formula. A blank text has no prediction; the official code leaves it out.
    """
    if not text.strip():
        return Extraction(None, "none")
    stated = _SENTENCE[language].findall(text)
    if stated:
        return Extraction(stated[-1].strip(), "final_sentence")
    lines = text.strip().split("\n")
    if "\\boxed{" in text:
        return Extraction(text, "boxed")
    if lines[-1].count("$") > 1:
        return Extraction(text, "last_line")
    return Extraction(text, "whole" if len(lines) == 1 else "none")


def tolerances(answer_type: str, error: str) -> tuple[float, ...]:
    """Return the absolute tolerance, or one for each answer, from the dataset's `answer_type` and `error`.

    Tuples, answers without an error and empty parts of a list have 1e-8. Raises ValueError where a part is no number.
    """
    if "Tuple" in answer_type or not error:
        return (DEFAULT_TOLERANCE,)
    return tuple(float(part) if part or "," not in error else DEFAULT_TOLERANCE for part in error.split(","))


def judge(prediction: str, gold: str, tolerance: Sequence[float] = (DEFAULT_TOLERANCE,)) -> Verdict:
    r"""Compare a model's answer with the gold answer exactly as the official judge does, but for texts over the limit.

    `tolerance` is absolute, one for all answers or one for each of the prediction's. Answers are those in `\boxed{}`,
    split at commas; each needs a partner, in any order. Results to be wary of, all official: Chinese characters are
    dropped, so any two answers of nothing else are equal; 1 equals 100; (1,2) equals (1,2,3); an answer boxed twice
    counts as two answers; x^2+1 equals x^2+1.0005. Raises ImportError without sympy and its parser.
    """
    try:
        one, other = normalised(prediction), normalised(gold)
    except UnbalancedBox:
        return Verdict(False, "unbalanced_box")
    return _compare(one, other, tolerance, fixed=False)


def judge_fixed(prediction: str, gold: str, tolerance: Sequence[float] = (DEFAULT_TOLERANCE,)) -> Verdict:
    """As `judge` without four of its slips, to be reported beside it and never instead.

    Answers of Chinese characters alone are equal only as texts, the last box alone counts, no number is taken for a
    percentage, and tuples of different lengths differ.
    """
    try:
        one, other = normalised(last_box(prediction)), normalised(last_box(gold))
    except UnbalancedBox:
        return Verdict(False, "unbalanced_box")
    if one != other and not (entries(one) and entries(other)):
        return Verdict(False, "different")
    return _compare(one, other, tolerance, fixed=True)


def _compare(one: str, other: str, tolerance: Sequence[float], fixed: bool) -> Verdict:
    if one == other:
        return Verdict(True, "same_text")
    first, second = entries(one), entries(other)
    if len(first) != len(second):
        return Verdict(False, "count")
    too_long = any(len(entry) > LONGEST for entry in (*first, *second))
    left = list(tolerance) * len(first) if len(tolerance) == 1 else list(tolerance)
    place = -1
    while first:
        # After a match the list is shorter, so the next answer is skipped until the others have had their turn.
        place = (place + 1) % len(first)
        if place >= len(left):
            return Verdict(False, "precision_list")
        answer, allowed = first[place], left[place]
        partner = next((each for each in second if entries_equal(answer, each, allowed, fixed)), None)
        if partner is None:
            return Verdict(False, "too_long" if too_long else "different")
        # By value, not by place: of equal entries the first goes.
        first.remove(answer)
        second.remove(partner)
        left.remove(allowed)
    return Verdict(True, "equal")
