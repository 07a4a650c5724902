"""OCRBench v1 (Liu et al., 2024): a thousand questions on text in pictures, scored by containment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evalkit.metrics import lmms_eval
from evalkit.metrics.containment import contains_answer
from evalkit.metrics.mean import by_group, mean
from evalkit.prompts import ask
from evalkit.rows import Row
from evalkit.types import Aggregate, Dataset, Extraction, Recheck, Request, Sample, Score, Style, Task

from .mini import ocrbench as mini

# Answers of this dataset are formulas; the official code goes by the dataset's name, not by the category.
FORMULAS = "HME100k"
# VLMEvalKit goes by the category; in the dataset as published the two are the same questions.
FORMULA_CATEGORY = "Handwritten Mathematical Expression Recognition"


@dataclass(frozen=True, kw_only=True)
class OCRBench(Task):
    """Test split of echo840/OCRBench, asked with the bare question, as published.

    Metric: number of right answers of 1,000. With fewer questions it is the share of right answers x 1,000; `parts`
    has the right answers of each category, counted.
    """

    scorers: ClassVar[tuple[str, ...]] = ("official", "lmms_eval", "vlmevalkit")

    name: str = "ocrbench"
    repo: str = "echo840/OCRBench"
    split: str = "test"
    size: int = 1000
    style: Style = "direct"
    prompt: str = "official"
    max_tokens: int = 128

    def datasets(self) -> tuple[Dataset, ...]:
        """Name the one dataset."""
        return (Dataset(self.name, self.repo, self.subset, self.split, mini.rows),)

    def load(self) -> Iterator[Sample]:
        """Yield the questions; `group` is the category."""
        for index, row in enumerate(self.source.rows(*self.datasets())):
            yield Sample(
                id=row.text("id") if "id" in row else f"ocrbench/{index:04d}",
                question=row.text("question"),
                answers=row.texts("answer", "answers"),
                images=row.images("image"),
                group=row.text("question_type", "category"),
                meta={"dataset": row.text("dataset")},
                response=row.response,
            )

    def render(self, sample: Sample) -> Request:
        """Show the picture, then the question and nothing else."""
        cot = "\nThink step by step, then state the answer." if self.style == "cot" else ""
        return ask((*sample.images, sample.question.strip() + cot), self.max_tokens)

    def extract(self, sample: Sample, text: str) -> Extraction:
        """Take the whole text: the metric looks for the answer anywhere in it."""
        return Extraction(text, "whole")

    def score(self, sample: Sample, prediction: str | None) -> float:
        """Score 1 where a gold answer stands in the prediction, else 0."""
        formula = sample.meta["dataset"] == FORMULAS
        if self.scorer == "lmms_eval":
            return lmms_eval.contains_answer_in_any_width(prediction or "", sample.answers, formula=formula)
        if self.scorer == "vlmevalkit":
            formula = sample.group == FORMULA_CATEGORY
        return contains_answer(prediction or "", sample.answers, formula=formula)

    def aggregate(self, scores: Sequence[Score]) -> Aggregate:
        """Count the right answers, scaled to 1,000 questions."""
        parts = {
            group: float(sum(score.value or 0 for score in members)) for group, members in by_group(scores).items()
        }
        return Aggregate("right of 1,000", 1000 * mean(scores), 1000, parts)

    def recheck(self, record: Row) -> Recheck:
        """Compare the containment score of the response."""
        formula = record.text("dataset") == FORMULAS
        value = contains_answer(record.text("response"), record.texts("answers"), formula=formula)
        return Recheck(value, value == record.number("official_score"))
