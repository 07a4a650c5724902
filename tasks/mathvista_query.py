"""MathVista's official wording: the hint for each kind of answer, and the order in which a question is put."""

from __future__ import annotations

from collections.abc import Sequence

# Word for word those of evaluation/build_query.py (lupantech/MathVista 53d52587).
_HINT = "Hint: Please answer the question {}, at the end."
_ASKED = {
    "text": "and provide the correct option letter, e.g., A, B, C, D",
    "integer": "requiring an integer answer and provide the final value, e.g., 1, 2, 3",
    "float 1": (
        "requiring a floating-point number with one decimal place and provide the final value, e.g., 1.2, 1.3, 1.4"
    ),
    "float 2": (
        "requiring a floating-point number with two decimal places and provide the final value, e.g., 1.23, 1.34, 1.45"
    ),
    "list": ("requiring a Python list as an answer and provide the final list, e.g., [1, 2, 3], [1.2, 1.3, 1.4]"),
}


def hint(answer_type: str, precision: float | None) -> str:
    """Return the sentence that says how to answer; `precision` is 1 or 2 decimals where `answer_type` is float."""
    return _HINT.format(_ASKED[f"float {precision:.0f}" if answer_type == "float" else answer_type])


def asked(question: str, unit: str, choices: Sequence[str]) -> str:
    """Return the question, with its unit if any, and the choices one a line as `(A) first`."""
    lines = [f"Question: {question} (Unit: {unit})" if unit else f"Question: {question}"]
    if choices:
        lines += ["Choices:", *(f"({chr(ord('A') + index)}) {choice}" for index, choice in enumerate(choices))]
    return "\n".join(lines)


def query(question: str, unit: str, choices: Sequence[str], answer_type: str, precision: float | None) -> str:
    """Return the prompt in the form of the dataset's `query` field, which hints before it asks."""
    return f"{hint(answer_type, precision)}\n{asked(question, unit, choices)}"
