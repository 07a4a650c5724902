"""DocVQA, single page (Mathew et al., 2021): questions on scanned documents, scored by ANLS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evalkit.metrics.anls import anls
from evalkit.metrics.final_answer import answer_or_whole
from evalkit.metrics.mean import mean
from evalkit.prompts import ask
from evalkit.rows import Row
from evalkit.types import Aggregate, Dataset, Extraction, Recheck, Request, Sample, Score, Style, Task

from .mini import docvqa as mini

TOLERANCE = 1e-9

# No official prompt exists. `direct` is the wording that most harnesses share; `cot` is evalkit's own.
PROMPTS: dict[Style, str] = {
    "direct": "{question}\nAnswer the question using a single word or phrase.",
    "cot": (
        "{question}\n"
        "Find the part of the document that answers the question and reason step by step. Then finish with one line "
        "'Final Answer: <answer>', where <answer> is copied from the document word for word and is nothing but the "
        "word, number or phrase asked for."
    ),
}


@dataclass(frozen=True, kw_only=True)
class DocVQA(Task):
    """Validation split of lmms-lab/DocVQA, whose answers are public; vendors usually publish the test split's score.

    Metric: average normalised Levenshtein similarity x 100, mean over all questions.
    """

    name: str = "docvqa"
    repo: str = "lmms-lab/DocVQA"
    subset: str | None = "DocVQA"
    split: str = "validation"
    size: int = 5349
    style: Style = "cot"
    prompt: str = "evalkit"
    max_tokens: int = 1024

    def datasets(self) -> tuple[Dataset, ...]:
        """Name the one dataset."""
        return (Dataset(self.name, self.repo, self.subset, self.split, mini.rows),)

    def load(self) -> Iterator[Sample]:
        """Yield the questions; `group` is empty, since the benchmark has one number."""
        for row in self.source.rows(*self.datasets()):
            yield Sample(
                id=row.text("id", "questionId"),
                question=row.text("question"),
                answers=row.texts("answers"),
                images=row.images("image"),
                response=row.response,
            )

    def render(self, sample: Sample) -> Request:
        """Show the page, then the question."""
        return ask((*sample.images, PROMPTS[self.style].format(question=sample.question)), self.max_tokens)

    def extract(self, sample: Sample, text: str) -> Extraction:
        """Take the stated final answer, or the whole text where the prompt asks for nothing else."""
        return answer_or_whole(text) if self.style == "cot" else Extraction(text.strip(), "whole")

    def score(self, sample: Sample, prediction: str | None) -> float:
        """Score by ANLS with threshold 0.5, the best of the gold answers."""
        return anls(prediction or "", sample.answers)

    def aggregate(self, scores: Sequence[Score]) -> Aggregate:
        """Average over the questions."""
        return Aggregate("ANLS", 100 * mean(scores), 100)

    def recheck(self, record: Row) -> Recheck:
        """Compare the ANLS of the official prediction, as it stands: blanks around it count in the official length."""
        value = anls(record.text("official_prediction"), record.texts("answers"))
        return Recheck(value, abs(value - record.number("official_score")) <= TOLERANCE)
