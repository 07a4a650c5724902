"""AI2D (Kembhavi et al., 2016): multiple-choice questions on science diagrams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from evalkit.metrics import lmms_eval
from evalkit.metrics.choice import infer_choice
from evalkit.metrics.final_answer import final_answer
from evalkit.metrics.mean import mean
from evalkit.prompts import ask, lettered
from evalkit.rows import Row
from evalkit.types import Aggregate, Dataset, Extraction, Recheck, Request, Sample, Score, Style, Task

from .mini import ai2d as mini

# The authors published no prompt for generative models; `cot` is MMMU-Pro's, which the field uses for any choice.
PROMPTS: dict[Style, str] = {
    "direct": "Answer with the option's letter from the given choices directly.",
    "cot": (
        "Answer the preceding multiple choice question. The last line of your response should be of the following "
        "format: 'Answer: $LETTER' (without quotes) where LETTER is one of options. Think step by step before "
        "answering."
    ),
}


@dataclass(frozen=True, kw_only=True)
class AI2D(Task):
    """Test split of lmms-lab/ai2d: 3,088 questions with four options, text boxes masked where letters stand for them.

    Metric: accuracy x 100. The scorer is the field's de-facto rule (exact matching, no judge); an answer that it
    cannot read is wrong and counted as unparsed. That rule is VLMEvalKit's; with `scorer` vlmevalkit it gets the whole
    text after a chain of thought, too, as it does there.
    """

    scorers: ClassVar[tuple[str, ...]] = ("official", "lmms_eval", "vlmevalkit")

    name: str = "ai2d"
    repo: str = "lmms-lab/ai2d"
    split: str = "test"
    size: int = 3088
    style: Style = "cot"
    prompt: str = "MMMU-Pro's"
    max_tokens: int = 1024

    def datasets(self) -> tuple[Dataset, ...]:
        """Name the one dataset."""
        return (Dataset(self.name, self.repo, self.subset, self.split, mini.rows),)

    def load(self) -> Iterator[Sample]:
        """Yield the questions; the gold answer, an index in the dataset, becomes a letter."""
        for index, row in enumerate(self.source.rows(*self.datasets())):
            answer = row.text("answer")
            yield Sample(
                id=row.text("id") if "id" in row else f"ai2d/{self.split}/{index:04d}",
                question=row.text("question"),
                choices=row.texts("options"),
                answers=(chr(ord("A") + int(answer)) if answer.isdecimal() else answer,),
                images=row.images("image"),
                response=row.response,
            )

    def render(self, sample: Sample) -> Request:
        """Show the diagram, then the question and its lettered options."""
        text = f"{sample.question}\n{lettered(sample.choices)}\n{PROMPTS[self.style]}"
        return ask((*sample.images, text), self.max_tokens)

    def extract(self, sample: Sample, text: str) -> Extraction:
        """Read the letter off the stated answer, else off the whole text."""
        if self.scorer == "lmms_eval":
            return lmms_eval.leading_letter(text)
        if self.style == "cot" and self.scorer == "official":
            stated = final_answer(text)
            if stated.prediction is not None:
                choice = infer_choice(stated.prediction, sample.choices)
                if choice.prediction is not None:
                    return Extraction(choice.prediction, f"{stated.rule}/{choice.rule}")
        return infer_choice(text, sample.choices)

    def score(self, sample: Sample, prediction: str | None) -> float:
        """Score 1 for the gold letter, else 0."""
        if self.scorer == "lmms_eval":
            return lmms_eval.equals_answer(prediction or "", sample.answers)
        return float(prediction in sample.answers)

    def aggregate(self, scores: Sequence[Score]) -> Aggregate:
        """Average over the questions."""
        return Aggregate("accuracy", 100 * mean(scores), 100)

    def recheck(self, record: Row) -> Recheck:
        """Compare letter and score of the de-facto rule, whose Z stands for no letter."""
        found = infer_choice(record.text("response"), record.texts("options"))
        value = float(found.prediction == record.text("answer"))
        same = (found.prediction or "Z") == record.text("official_prediction")
        return Recheck(value, same and value == record.number("official_score"))
