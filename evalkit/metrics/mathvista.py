"""MathVista's deterministic half: from an extracted answer to the prediction, and the comparison with the gold answer.

Finding the answer in a response is the other half, see `mathvista_rules`; the official code asks a language model for
it, which `judge_prompt` and `read_judge` serve.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

_BRACKETED_LETTER = re.compile(r"\(([a-zA-Z])\)")

# The official prompt's plan, an instruction and a solved case for each kind of answer, with cases of evalkit's own.
_INSTRUCTION = (
    "Read the solved cases below. Then find the answer that the last model response arrives at, and write that answer "
    "alone after the final 'Extracted answer:'. Give an option as its letter, a number without its unit and a list "
    "in square brackets; write N/A where the response gives no answer. Do not solve the question yourself."
)
_CASES = (
    (
        "Hint: Please answer the question requiring an integer answer and provide the final value, e.g., 1, 2, 3, at "
        "the end.\nQuestion: How many windows does the front of the house have?",
        "Counting both floors, there are four windows above and three below, so the house front has 7 windows.",
        "7",
    ),
    (
        "Hint: Please answer the question requiring a floating-point number with one decimal place and provide the "
        "final value, e.g., 1.2, 1.3, 1.4, at the end.\nQuestion: How long is the pencil? (Unit: cm)",
        "The tip points at 8.4 on the ruler and the other end at 0, which makes the pencil 8.4 cm long.",
        "8.4",
    ),
    (
        "Hint: Please answer the question requiring a floating-point number with two decimal places and provide the "
        "final value, e.g., 1.23, 1.34, 1.45, at the end.\nQuestion: What do a pear and two plums cost? (Unit: $)",
        "A pear is $0.85 and a plum $0.40. Together that is 0.85 + 2 * 0.40 = $1.65.",
        "1.65",
    ),
    (
        "Hint: Please answer the question requiring a Python list as an answer and provide the final list, e.g., "
        "[1, 2, 3], [1.2, 1.3, 1.4], at the end.\nQuestion: In which two years was the harvest the same?",
        "The bars of 2011 and 2014 have the same height, so it was the same in 2011 and in 2014.",
        "[2011, 2014]",
    ),
    (
        "Hint: Please answer the question and provide the correct option letter, e.g., A, B, C, D, at the end.\n"
        "Question: What is the size of the angle at P?\nChoices:\n(A) 35°\n(B) 55°\n(C) 70°\n(D) 110°",
        "The two sides are equal, so the angles at P and Q are, and 180° - 70° leaves 110° for both: P has 55°.",
        "B",
    ),
)


def normalise(
    extraction: str | None, question_type: str, answer_type: str, precision: float | None, choices: Sequence[str]
) -> str | None:
    """Return the prediction that the official code makes of an extracted answer, or None where it makes none.

    `question_type` "multi_choice": the first letter in round brackets, or else the whole text; where that is the upper
    case letter of a choice, the choice's text, and otherwise the choice at the least Levenshtein distance, the first of
    several. So anything at all lands on a choice: "", "N/A", and an E where there are four. Otherwise `answer_type`
    decides. "integer": the number cut to its whole part, so that "7.9" is 7. "float": rounded to `precision` decimals
    (a whole number; the hub has it as a float). Both are None for what Python's `float` cannot read, as "1,000" or
    "5 cm". "list", and any other: the text as it is.

    Raises ValueError where a multiple-choice question has no choices.

    Source: Lu et al., MathVista (arXiv:2310.02255), `normalize_extracted_answer` in lupantech/MathVista 53d52587,
    evaluation/calculate_score.py, its option `ignore_empty_extractions` off as it is there.
    """
    if question_type == "multi_choice":
        return _choice(str(extraction).strip(), choices)
    if answer_type in ("integer", "float"):
        return _number(extraction, answer_type, precision)
    return str(extraction) if answer_type == "list" else extraction


def names_choice(extraction: str | None, choices: Sequence[str]) -> bool:
    """Whether an extracted answer is a choice's letter or text, so that `normalise` need not take the nearest one.

    The official code makes no such difference. It is what a strict reading may ask for.
    """
    text = _letter_or_text(str(extraction).strip())
    return _index(text, choices) is not None or text in choices


def _letter_or_text(extraction: str) -> str:
    bracketed = _BRACKETED_LETTER.search(extraction)
    return bracketed[1].upper() if bracketed else extraction


def _index(text: str, choices: Sequence[str]) -> int | None:
    index = ord(text) - ord("A") if len(text) == 1 else -1
    return index if 0 <= index < len(choices) else None


def _choice(extraction: str, choices: Sequence[str]) -> str:
    text = _letter_or_text(extraction)
    index = _index(text, choices)
    if index is not None:
        return choices[index]
    return min(choices, key=lambda choice: Levenshtein.distance(text, choice))


def _number(extraction: str | None, answer_type: str, precision: float | None) -> str | None:
    try:
        value = float(extraction or "")
        if answer_type == "integer":
            return str(int(value))
        return None if precision is None else str(round(value, int(precision)))
    except (ValueError, OverflowError):
        return None


def matches(prediction: str | None, answer: str) -> float:
    """Return 1.0 where a prediction of `normalise` is the gold answer to the letter, else 0.0.

    Source: `safe_equal` in the same file. Lists are texts here, too: "[1,2]" is not "[1, 2]".
    """
    return float(prediction == answer)


def judge_prompt(query: str, response: str) -> str:
    """Return what a language model is asked in order to find the answer in a response; `query` is what the model saw.

    The plan is that of the official prompt (lupantech/MathVista 53d52587, evaluation/prompts/ext_ans.py): an
    instruction, a solved case each for a whole number, one and two decimals, a list and a choice, then the case itself.
    Wording and cases are evalkit's own, so extractions may differ from the official ones.
    """
    cases = [f"{asked}\n\nModel response: {said}\n\nExtracted answer: {found}" for asked, said, found in _CASES]
    return "\n\n".join([_INSTRUCTION, *cases, query, f"Model response: {response}", "Extracted answer: "])


def read_judge(text: str) -> str:
    """Return the extracted answer that a language model wrote, for `normalise`; empty where it wrote none.

    It is the first line that is not empty, without a repeated "Extracted answer:" and without quotes around it.
    """
    lines = (line.strip().removeprefix("Extracted answer:").strip() for line in text.splitlines())
    found = next(filter(None, lines), "")
    return found[1:-1].strip() if len(found) > 1 and found[0] == found[-1] and found[0] in "\"'`" else found
