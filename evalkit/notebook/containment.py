"""Containment, the metric of OCRBench, for Hugging Face `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import datasets
import evaluate

from evalkit.metrics.containment import contains_answer


class Containment(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """The share of responses in which a gold answer stands.

    Args:
        predictions (list of str): the whole response to each question.
        references (list of list of str): the accepted gold answers of each question.
        formulas (list of bool): whether the answer is a formula, as in the items whose dataset is HME100k. There case
            counts, and spaces and newlines do not.

    Returns:
        containment (float): the mean over the questions, in [0, 1], 1 being best. OCRBench shows it x 1,000.

    Source: Liu et al., OCRBench (arXiv:2305.07895), as computed by Yuliang-Liu/MultimodalOCR, OCRBench/example.py.

    Example:
        >>> Containment().compute(
        ...     predictions=["It says EXIT.", "y=X"], references=[["exit"], ["y = x"]], formulas=[False, True]
        ... )
        {'containment': 0.5}

    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=__doc__ or "",
            citation="arXiv:2305.07895",
            inputs_description=type(self).__doc__ or "",
            features=datasets.Features(
                predictions=datasets.Value("string"),
                references=datasets.Sequence(datasets.Value("string")),
                formulas=datasets.Value("bool"),
            ),
        )

    def _compute(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]], formulas: Sequence[bool]
    ) -> dict[str, float]:
        items = zip(predictions, references, formulas, strict=True)
        return {
            "containment": fmean(contains_answer(said or "", golds, formula=is_one) for said, golds, is_one in items)
        }
