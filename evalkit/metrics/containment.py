"""Containment, the metric of OCRBench: a gold answer stands somewhere in the response."""

from __future__ import annotations

from collections.abc import Sequence


def contains_answer(prediction: str, answers: Sequence[str], *, formula: bool) -> float:
    """Return 1.0 where one of `answers` is a part of the prediction, else 0.0.

    With `formula` (the HME100k items) every space and newline is removed first and case counts; without it case, outer
    white space and the difference between newline and space are ignored, and nothing else. The whole response is
    searched, so a gold answer that is named and then rejected still counts.

    Source: Liu et al., OCRBench (arXiv:2305.07895), as computed by Yuliang-Liu/MultimodalOCR 794c36d6,
    OCRBench/example.py.
    """
    fold = _fold_formula if formula else _fold_text
    folded = fold(prediction)
    return 1.0 if any(fold(gold) in folded for gold in answers) else 0.0


def _fold_formula(text: str) -> str:
    return text.strip().replace("\n", "").replace(" ", "")


def _fold_text(text: str) -> str:
    return text.lower().strip().replace("\n", " ")
