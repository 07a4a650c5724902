"""Average normalised Levenshtein similarity (ANLS), the metric of DocVQA, for Hugging Face `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import datasets
import evaluate

from evalkit.metrics.anls import anls


class ANLS(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """How close each answer is to the nearest gold answer, letter by letter.

    Args:
        predictions (list of str): a short answer per question, not a sentence. White space around it is removed.
        references (list of list of str): the accepted gold answers of each question.
        threshold (float, in (0, 1], default 0.5): a similarity below it counts 0.

    Returns:
        anls (float): the mean over the questions, in [0, 1], 1 being best. Tables show it x 100.

    Source: Biten et al., Scene Text Visual Question Answering, ICCV 2019 (arXiv:1905.13648), as computed by the script
    of the Robust Reading Competition.

    Example:
        >>> ANLS().compute(predictions=["Greyport", "1987"], references=[["Grayport"], ["1991", "1992"]])
        {'anls': 0.6875}

    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=__doc__ or "",
            citation="arXiv:1905.13648",
            inputs_description=type(self).__doc__ or "",
            features=datasets.Features(
                predictions=datasets.Value("string"), references=datasets.Sequence(datasets.Value("string"))
            ),
        )

    def _compute(
        self, predictions: Sequence[str | None], references: Sequence[Sequence[str]], threshold: float = 0.5
    ) -> dict[str, float]:
        pairs = zip(predictions, references, strict=True)
        return {"anls": fmean(anls((said or "").strip(), golds, threshold) for said, golds in pairs)}
