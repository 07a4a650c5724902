"""A benchmark of six sums, with a source that holds it: the smallest task there is, for tests of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from evalkit.prompts import ask
from evalkit.rows import Row
from evalkit.types import Aggregate, Dataset, Extraction, Request, Sample, Score, Style, Task


@dataclass(frozen=True)
class Rows:
    """Rows from memory."""

    values: tuple[dict[str, object], ...]
    name: str = "local"

    def rows(self, dataset: Dataset) -> Iterator[Row]:
        for number, values in enumerate(self.values, start=1):
            yield Row(values, f"row {number} of {dataset.name}")

    def revision(self, dataset: Dataset) -> str:
        return f"{len(self.values)} rows of {dataset.name}"


def sums(n: int = 6) -> Rows:
    return Rows(tuple({"id": f"sum/{i}", "question": f"{i} + {i}?", "answer": str(2 * i)} for i in range(n)))


@dataclass(frozen=True, kw_only=True)
class Toy(Task):
    """Right or wrong, in percent."""

    name: str = "toy"
    source: Rows = field(default_factory=sums)
    repo: str = "example/toy"
    split: str = "test"
    size: int = 6
    style: Style = "direct"
    prompt: str = "toy"
    max_tokens: int = 8

    def datasets(self) -> tuple[Dataset, ...]:
        return (Dataset(self.name, self.repo, self.subset, self.split, lambda seed, n: iter(())),)

    def load(self) -> Iterator[Sample]:
        for row in self.source.rows(*self.datasets()):
            yield Sample(row.text("id"), row.text("question"), row.texts("answer"), response=row.response)

    def render(self, sample: Sample) -> Request:
        return ask((sample.question,), self.max_tokens)

    def extract(self, sample: Sample, text: str) -> Extraction:
        return Extraction(text, "whole") if text.isdecimal() else Extraction(None, "none")

    def score(self, sample: Sample, prediction: str | None) -> float:
        return float(prediction in sample.answers)

    def aggregate(self, scores: Sequence[Score]) -> Aggregate:
        return Aggregate("right", 100 * sum(score.value or 0 for score in scores) / len(scores), 100)


def solve(request: Request) -> str:
    """Answer a sum rightly."""
    question = request.messages[0].parts[0]
    assert isinstance(question, str)
    return str(2 * int(question.split()[0]))
