"""Where lmms-eval scores otherwise than the benchmarks' own code. Faults are kept: they are part of its numbers.

Source: EvolvingLMMs-Lab/lmms-eval 75571cfe, the files named below. What is not here, as all of DocVQA, is as in the
official code.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from evalkit.metrics.containment import contains_answer
from evalkit.metrics.mathvista import normalise
from evalkit.metrics.relaxed_accuracy import relaxed_match
from evalkit.types import Extraction

_LEADING_LETTER = re.compile(r"\s*([A-Z])\.")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
# The printable ASCII characters in their full-width forms, and the ideographic space.
_NARROW = {0x3000: " ", **{code + 0xFEE0: chr(code) for code in range(0x21, 0x7F)}}


def relaxed_accuracy_as_it_stands(prediction: str, answers: Sequence[str]) -> float:
    """Return ChartQA's relaxed accuracy, 1.0 or 0.0, of a prediction whose blanks and newlines count as text.

    A number may still stand between blanks, but "Yes " is not "Yes". Source: tasks/chartqa/utils.py.
    """
    return float(any(relaxed_match(prediction, gold) for gold in answers))


def contains_answer_in_any_width(prediction: str, answers: Sequence[str], *, formula: bool) -> float:
    """Return OCRBench's containment, 1.0 or 0.0, where full-width and plain letters are the same.

    Not so in formulas, which are compared as `contains_answer` does. Source: tasks/ocrbench/utils.py.
    """
    if formula:
        return contains_answer(prediction, answers, formula=True)
    return contains_answer(prediction.translate(_NARROW), [gold.translate(_NARROW) for gold in answers], formula=False)


def leading_letter(text: str) -> Extraction:
    """Take the capital letter and dot that a response to an AI2D question begins with, or else the whole response.

    "B. the sun" is B, and so is nothing else that follows a word of explanation. Source: tasks/ai2d, its filter.
    """
    found = _LEADING_LETTER.match(text)
    return Extraction(found[1], "leading_letter") if found else Extraction(text, "whole")


def equals_answer(prediction: str, answers: Sequence[str]) -> float:
    """Return 1.0 where the prediction is a gold answer but for case and ASCII punctuation, else 0.0; blanks count.

    Source: tasks/ai2d, `exact_match` with `ignore_case` and `ignore_punctuation`.
    """
    folded = prediction.lower().translate(_NO_PUNCTUATION)
    return float(any(folded == gold.lower().translate(_NO_PUNCTUATION) for gold in answers))


def mathvista_score(
    extraction: str | None, question_type: str, answer_type: str, choices: Sequence[str], answers: Sequence[str]
) -> float:
    """Return 1.0 where an extracted answer is right for lmms-eval, else 0.0.

    As the official code, but no decimal number is ever right: it rounds to a `precision` that the dataset holds as a
    float, which Python refuses. Blanks around a list do not count. Source: tasks/mathvista/mathvista_evals.py.
    """
    if question_type != "multi_choice" and answer_type == "float":
        return 0.0
    # Nothing is left that a precision would round.
    normal = str(normalise(extraction, question_type, answer_type, None, choices)).strip()
    return float(any(normal == gold.strip() for gold in answers))
