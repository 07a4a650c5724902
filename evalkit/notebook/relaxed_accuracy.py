"""Relaxed accuracy, the metric of ChartQA, for Hugging Face `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import datasets
import evaluate

from evalkit.metrics.relaxed_accuracy import relaxed_accuracy


class RelaxedAccuracy(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """The share of answers that are the gold number within 5 %, or the gold text but for case.

    Args:
        predictions (list of str): a short answer per question. `62%` is the number 0.62.
        references (list of list of str): the accepted gold answers of each question.
        tolerance (float, at least 0, default 0.05): how far a number may be off, as a part of the gold number.

    Returns:
        relaxed_accuracy (float): the mean over the questions, in [0, 1], 1 being best. Tables show it x 100.

    Source: Methani et al., PlotQA, WACV 2020, as computed by google-research/pix2struct for ChartQA (arXiv:2203.10244).

    Example:
        >>> RelaxedAccuracy().compute(predictions=["95", "Peru", "90"], references=[["100"], ["peru"], ["100"]])
        {'relaxed_accuracy': 0.6666666666666666}

    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=__doc__ or "",
            citation="arXiv:2203.10244",
            inputs_description=type(self).__doc__ or "",
            features=datasets.Features(
                predictions=datasets.Value("string"), references=datasets.Sequence(datasets.Value("string"))
            ),
        )

    def _compute(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]], tolerance: float = 0.05
    ) -> dict[str, float]:
        pairs = zip(predictions, references, strict=True)
        return {"relaxed_accuracy": fmean(relaxed_accuracy(said or "", golds, tolerance) for said, golds in pairs)}
