"""Accuracy of chosen options, the metric of MMMU-Pro, for Hugging Face `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Literal

import datasets
import evaluate

from evalkit.metrics.choice import letters, parse_mmmu_pro


class MMMUPro(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """The share of responses whose letter, found as MMMU-Pro's official parser finds it, is the gold one.

    Args:
        predictions (list of str): the whole response to each question.
        references (list of str): the gold letter of each question.
        choices (list of list of str): the texts of each question's options, the first of which is A.
        unparsed (str, default "zero"): what a response without a letter is worth, "zero" nothing or "expected"
            1 / number of options, which is the mean of what the official code's random pick gives.

    Returns:
        accuracy (float): the mean over the questions, in [0, 1], 1 being best. Tables show it x 100; MMMU-Pro's number
            is the mean of the accuracies of its two settings.
        unparsed (int): in how many responses no letter was found.

    Source: Yue et al., MMMU-Pro (arXiv:2409.02813), mmmu-pro/evaluate.py of MMMU-Benchmark/MMMU.

    Example:
        >>> MMMUPro().compute(
        ...     predictions=["Answer: B", "none of them"], references=["B", "A"], choices=[["1", "2"], ["3", "4"]]
        ... )
        {'accuracy': 0.5, 'unparsed': 1}

    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description=__doc__ or "",
            citation="arXiv:2409.02813",
            inputs_description=type(self).__doc__ or "",
            features=datasets.Features(
                predictions=datasets.Value("string"),
                references=datasets.Value("string"),
                choices=datasets.Sequence(datasets.Value("string")),
            ),
        )

    def _compute(
        self,
        predictions: Sequence[str | None],
        references: Sequence[str],
        choices: Sequence[Sequence[str]],
        unparsed: Literal["zero", "expected"] = "zero",
    ) -> dict[str, float]:
        if unparsed not in ("zero", "expected"):
            raise ValueError(f'unparsed is "zero" or "expected", not {unparsed!r}')
        found = [parse_mmmu_pro(said or "", each).prediction for said, each in zip(predictions, choices, strict=True)]
        values = []
        for letter, gold, each in zip(found, references, choices, strict=True):
            guessed = letter is None and unparsed == "expected" and gold in letters(len(each))
            values.append(1 / len(each) if guessed else float(letter == gold))
        return {"accuracy": fmean(values), "unparsed": found.count(None)}
