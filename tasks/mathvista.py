"""MathVista (Lu et al., 2024): mathematical questions on pictures of all kinds, with choices or a number to give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from evalkit.errors import DataError
from evalkit.metrics import lmms_eval, vlmevalkit
from evalkit.metrics.mathvista import judge_prompt, matches, names_choice, normalise, read_judge
from evalkit.metrics.mathvista_rules import extract
from evalkit.metrics.mean import mean
from evalkit.prompts import ask
from evalkit.rows import Row
from evalkit.types import Aggregate, Dataset, Extraction, Recheck, Request, Sample, Score, Style, Task

from .mathvista_query import asked, hint, query
from .mini import mathvista as mini

# No official wording asks for reasoning. The lone number is asked for because the official code reads no units.
JUDGED = "judge"
JUDGELESS = "answers were found by rule, where the official code asks GPT-4"
STEPS = (
    "Think step by step, then finish with one line 'Answer: <answer>', where <answer> is the option letter, the number "
    "without its unit, or the list alone."
)


@dataclass(frozen=True, kw_only=True)
class MathVista(Task):
    """Split testmini of AI4Math/MathVista: 540 questions with choices, 460 that ask for a number or a list.

    Metric: accuracy x 100 over all questions; `parts` has it by kind of answer, task and skill, a question counting
    towards each of its skills. The answers are normalised and compared as the official code does; finding them in the
    responses, which it leaves to a language model, is done by a judge if there is one, else by evalkit's rules.

    `unparsed` says what a multiple-choice answer is worth whose extraction is no choice's letter or text: `official`
    takes the choice at the least edit distance, as the official code does, `strict` counts it wrong.

    Every `scorer` values the same extracted answer, so what differs between them is the arithmetic alone.
    """

    scorers: ClassVar[tuple[str, ...]] = ("official", "lmms_eval", "vlmevalkit")

    name: str = "mathvista"
    repo: str = "AI4Math/MathVista"
    split: str = "testmini"
    size: int = 1000
    style: Style = "cot"
    prompt: str = "direct official, cot evalkit"
    max_tokens: int = 4096
    unparsed: Literal["official", "strict"] = "official"

    def datasets(self) -> tuple[Dataset, ...]:
        """Name the one dataset."""
        return (Dataset(self.name, self.repo, self.subset, self.split, mini.rows),)

    def load(self) -> Iterator[Sample]:
        """Yield the questions; `group` lists the parts that a question counts towards."""
        for row in self.source.rows(*self.datasets()):
            yield _sample(row)

    def render(self, sample: Sample) -> Request:
        """Put the text first, then the picture, as the official code does.

        Direct is the dataset's ready-made `query`. Chain of thought is the official "solution" form, which asks before
        it hints and ends in "Solution:", with one sentence more.
        """
        kind, choices, precision = sample.meta, sample.choices, _precision(sample)
        if self.style == "cot":
            put = asked(sample.question, kind["unit"], choices)
            text = f"{put}\n{hint(kind['answer_type'], precision)}\n{STEPS}\nSolution:"
        else:
            text = self._query(sample)
        return ask((text, *sample.images), self.max_tokens)

    def _query(self, sample: Sample) -> str:
        kind = sample.meta
        made = query(sample.question, kind["unit"], sample.choices, kind["answer_type"], _precision(sample))
        return kind["query"] or made

    def extract(self, sample: Sample, text: str) -> Extraction:
        """Find what the response states, as a letter, a choice's text, a number or a list; "N/A" where nothing."""
        kind = sample.meta
        return extract(text, kind["question_type"], kind["answer_type"], sample.choices, sample.question)

    def ask_judge(self, sample: Sample, text: str) -> Request | None:
        """Ask for the answer in a response, unless it is one as it stands, as the official code does."""
        if _stands_alone(sample, text):
            return None
        return ask((judge_prompt(self._query(sample), text),), 1024)

    def read_verdict(self, sample: Sample, text: str, verdict: str) -> Extraction:
        """Take the judge's words as the extraction; the official rules then make of them what they can."""
        found = read_judge(verdict)
        return Extraction(found, JUDGED if found else "none")

    def score(self, sample: Sample, prediction: str | None) -> float:
        """Score 1 where the normalised prediction is the gold answer, else 0."""
        kind = sample.meta
        if self.scorer == "vlmevalkit":
            types = (kind["question_type"], kind["answer_type"])
            return vlmevalkit.mathvista_score(prediction, *types, sample.choices, sample.answers)
        chosen = kind["question_type"] == "multi_choice"
        if chosen and self.unparsed == "strict" and not names_choice(prediction, sample.choices):
            return 0.0
        if self.scorer == "lmms_eval":
            types = (kind["question_type"], kind["answer_type"])
            return lmms_eval.mathvista_score(prediction, *types, sample.choices, sample.answers)
        normal = normalise(prediction, kind["question_type"], kind["answer_type"], _precision(sample), sample.choices)
        return max((matches(normal, answer) for answer in sample.answers), default=0.0)

    def aggregate(self, scores: Sequence[Score]) -> Aggregate:
        """Average over the questions, and over each part's."""
        members: dict[str, list[Score]] = {}
        for score in scores:
            for part in score.group.split(", "):
                members.setdefault(part, []).append(score)
        parts = {part: 100 * mean(some) for part, some in sorted(members.items())}
        note = "" if any(score.rule == JUDGED for score in scores) else JUDGELESS
        return Aggregate("accuracy", 100 * mean(scores), 100, parts, note)

    def recheck(self, record: Row) -> Recheck:
        """Compare what the official extraction is normalised to, and its score."""
        extraction = record.values["official_extraction"]
        choices = record.texts("choices") if "choices" in record else ()
        normal = normalise(
            None if extraction is None else str(extraction),
            record.text("question_type"),
            record.text("answer_type"),
            record.number("precision") if "precision" in record else None,
            choices,
        )
        value = matches(normal, record.text("answer"))
        same = normal == record.values["official_prediction"]
        return Recheck(value, same and value == record.number("official_score"))

    def policies(self) -> Mapping[str, str]:
        """Name what an answer is worth that is no choice."""
        return {"unparsed": self.unparsed}


def _sample(row: Row) -> Sample:
    question_type, answer_type = row.text("question_type"), row.text("answer_type")
    chosen = question_type == "multi_choice"
    choices = row.texts("choices") if chosen else ()
    if answer_type not in (("text",) if chosen else ("integer", "float", "list")):
        raise DataError(f"{row.where} is {question_type} but asks for {answer_type!r}, which has no rule: mend the row")
    if chosen and not choices:
        raise DataError(f"{row.where} is a multiple-choice question without choices: mend the row")
    precision = row.text("precision") if "precision" in row else ""
    if answer_type == "float" and precision not in ("1", "2", "1.0", "2.0"):
        raise DataError(f"{row.where} asks for a decimal number, so 'precision' must be 1 or 2: mend the row")
    # The hub keeps these in `metadata`, recorded answers beside the rest.
    nested = row.values.get("metadata")
    about = Row(nested, f"{row.where}, field 'metadata'") if isinstance(nested, Mapping) else row
    kind = "multi_choice" if chosen else f"free_form {answer_type}"
    return Sample(
        id=row.text("id", "pid"),
        question=row.text("question"),
        choices=choices,
        answers=(row.text("answer"),),
        images=row.images("decoded_image") or row.images("image"),
        group=", ".join((kind, about.text("task"), *about.texts("skills"))),
        meta={
            "question_type": question_type,
            "answer_type": answer_type,
            "precision": precision,
            "unit": row.text("unit") if "unit" in row else "",
            "query": row.text("query") if "query" in row else "",
        },
        response=row.response,
    )


def _stands_alone(sample: Sample, text: str) -> bool:
    """Whether a response is nothing but a choice's text or a number of the kind asked for."""
    read = {"integer": int, "float": float}.get(sample.meta["answer_type"])
    try:
        return text in sample.choices if read is None else read(text) is not None
    except ValueError:
        return False


def _precision(sample: Sample) -> float | None:
    return float(sample.meta["precision"]) if sample.meta["precision"] else None
