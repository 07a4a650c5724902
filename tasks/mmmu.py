"""MMMU (Yue et al., 2024): college questions of thirty subjects on pictures, most with options, some open."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from evalkit.errors import DataError
from evalkit.metrics import vlmevalkit
from evalkit.metrics.choice import letters, parse_mmmu, parse_mmmu_pro, parse_mmmu_pro_body
from evalkit.metrics.final_answer import final_answer
from evalkit.metrics.mean import by_group, mean
from evalkit.metrics.open_answer import open_answer_matches, parse_mmmu_open
from evalkit.prompts import ask, interleave, lettered
from evalkit.rows import Row
from evalkit.types import Aggregate, Dataset, Extraction, Recheck, Request, Sample, Score, Style, Task

from .mini import mmmu as mini
from .mmmu_pro import PROMPTS as MMMU_PRO
from .mmmu_pro import drawn, numbered_pictures

# Names and order as in the official table (DOMAIN_CAT2SUB_CAT of mmmu/utils/data_utils.py).
DOMAINS: dict[str, tuple[str, ...]] = {
    "Art_and_Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health_and_Medicine": (
        "Basic_Medical_Science", "Clinical_Medicine", "Diagnostics_and_Laboratory_Medicine", "Pharmacy",
        "Public_Health",
    ),
    "Humanities_and_Social_Science": ("History", "Literature", "Sociology", "Psychology"),
    "Tech_and_Engineering": (
        "Agriculture", "Architecture_and_Engineering", "Computer_Science", "Electronics", "Energy_and_Power",
        "Materials", "Mechanical_Engineering",
    ),
}  # fmt: skip
# The official order of subjects (CAT_SHORT2LONG) is the alphabet's.
SUBJECTS = tuple(sorted(subject for subjects in DOMAINS.values() for subject in subjects))

SIZES = {"dev": 150, "validation": 900, "test": 10_500}
# What the dataset has in place of an answer that is not public.
WITHHELD = "?"

# `direct` is the official wording (mmmu/configs/llava1.5.yaml). There is none for chain of thought: with options it is
# MMMU-Pro's, of the same authors. For open questions it is evalkit's own; the official rule rounds to two decimals and
# finds no number that is glued to a unit.
DIRECT = "\n\nAnswer with the option's letter from the given choices directly."
DIRECT_OPEN = "\n\nAnswer the question using a single word or phrase."
COT_OPEN = (
    "\nAnswer the preceding question. Reason step by step, then finish with one line 'Final Answer: <answer>', where "
    "<answer> is a single number, word or short phrase. Write a number as digits alone, to two decimals if it is not "
    "whole, without units, currency signs or thousands separators."
)


@dataclass(frozen=True, kw_only=True)
class MMMU(Task):
    """Validation split of MMMU/MMMU: 30 questions of each of 30 subjects, 847 with options and 53 open.

    Metric: accuracy x 100 over all questions; `parts` has the domains and the subjects. `subset` names one subject to
    ask alone. `unparsed` says what an answer is worth in which no option was found: `official` draws an option as the
    official code does, from one stream of random numbers through all subjects, `zero` nothing, `expected` 1 / number of
    options. Open answers are always read.

    With `split` test a question is scored only where its row has an answer, which the dataset withholds; `submission`
    has the answers in the form in which the official code and server take them.

    As `scorer`, lmms_eval reads letters as MMMU-Pro's code does but for the `Answer:` line, and no open answer is right
    (a fault of the version compared). vlmevalkit infers a letter, also to open questions, and draws none.
    """

    scorers: ClassVar[tuple[str, ...]] = ("official", "lmms_eval", "vlmevalkit")

    name: str = "mmmu"
    repo: str = "MMMU/MMMU"
    split: str = "validation"
    size: int = SIZES["validation"]
    style: Style = "cot"
    prompt: str = "direct MMMU's, cot MMMU-Pro's (open: evalkit)"
    max_tokens: int = 4096
    unparsed: Literal["official", "zero", "expected"] = "official"

    def __post_init__(self) -> None:
        """Take the size of the split."""
        object.__setattr__(self, "size", SIZES.get(self.split, self.size))

    def datasets(self) -> tuple[Dataset, ...]:
        """Name a dataset for each subject, in the official order."""
        subjects = SUBJECTS if self.subset is None else (self.subset,)
        return tuple(Dataset(self.name, self.repo, subject, self.split, mini.rows) for subject in subjects)

    def load(self) -> Iterator[Sample]:
        """Yield the questions subject by subject; `group` is the subject.

        A copy that keeps several subjects in one place is read as a whole, in its own order, and but once.
        """
        read: set[str | None] = set()
        for dataset in self.datasets():
            mixed = False
            for row in self.source.rows(dataset):
                subject = _subject(row)
                mixed |= subject != dataset.subset
                if subject not in read and self.subset in (None, subject):
                    yield _sample(row, subject, withheld=self.split == "test")
            if mixed:
                return
            read.add(dataset.subset)

    def render(self, sample: Sample) -> Request:
        """Put each picture where its token stands, in question and options."""
        pictures = dict(zip(map(int, sample.meta["image_numbers"].split()), sample.images, strict=False))
        return ask(interleave(sample.question + self._asked(sample.choices), pictures), self.max_tokens)

    def _asked(self, choices: Sequence[str]) -> str:
        if not choices:
            return COT_OPEN if self.style == "cot" else DIRECT_OPEN
        if self.style == "cot":
            return f"\n{lettered(choices)}\n{MMMU_PRO['standard10']['cot']}"
        bracketed = (f"({letter}) {choice}\n" for letter, choice in zip(letters(len(choices)), choices, strict=True))
        return f"\n\n{''.join(bracketed)}{DIRECT}"

    def extract(self, sample: Sample, text: str) -> Extraction:
        """Find an option's letter or an open answer's candidates as the official parsers do.

        After a chain of thought the final answer comes first: the letter on the `Answer:` line as MMMU-Pro's official
        parser reads it, or the candidates in the stated open answer. Where there is none, as in `direct`, the official
        parsers get the whole text. Open candidates are written as a JSON list, numbers first, each kind ascending.
        """
        if self.scorer == "vlmevalkit":
            return vlmevalkit.infer_mmmu(text, sample.choices, sample.answers, cot=self.style == "cot")
        if sample.choices and self.scorer == "lmms_eval":
            return parse_mmmu_pro_body(text, sample.choices)
        if sample.choices:
            line = parse_mmmu_pro(text, sample.choices)
            stated = self.style == "cot" and line.rule == "answer_line"
            return line if stated else parse_mmmu(text, sample.choices)
        stated_answer = final_answer(text) if self.style == "cot" else Extraction(None, "none")
        if stated_answer.prediction is not None:
            return Extraction(_listed(stated_answer.prediction), f"{stated_answer.rule}/open")
        return Extraction(_listed(text), "open" if text.strip() else "none")

    def score(self, sample: Sample, prediction: str | None) -> float:
        """Score 1 for the gold letter or a candidate that meets an open gold answer, else 0.

        Without a letter it is 1 / number of options where `unparsed` is `expected`, and 0 before it is settled.
        """
        if self.scorer == "vlmevalkit":
            return vlmevalkit.mmmu_score(prediction, sample.choices, sample.answers)
        if not sample.choices and self.scorer == "lmms_eval":
            return 0.0
        if not sample.choices:
            return float(open_answer_matches(json.loads(prediction or "[]"), sample.answers))
        if prediction is None and self.unparsed == "expected":
            options = letters(len(sample.choices))
            return len(set(sample.answers) & set(options)) / len(options)
        return float(prediction in sample.answers)

    def settle(self, samples: Sequence[Sample], scores: Sequence[Score]) -> Sequence[Score]:
        """Draw an option for each answer without one, if `unparsed` is `official`.

        As in the official code one stream, seeded with 42, is used up draw by draw through the subjects in alphabetical
        order and each one's questions in theirs. So a draw depends on all answers before it, and a sample that has no
        answer yet takes none.
        """
        if self.unparsed != "official" or self.scorer == "vlmevalkit":
            return scores
        stream = random.Random(42)
        settled = list(scores)
        for place in sorted(range(len(samples)), key=lambda place: samples[place].group):
            sample, score = samples[place], scores[place]
            answered = score.value is not None or score.status == "not_scored"
            if sample.choices and score.prediction is None and answered:
                letter = stream.choice(letters(len(sample.choices)))
                value = self.score(sample, letter) if sample.answers else None
                settled[place] = replace(score, prediction=letter, value=value)
        return settled

    def aggregate(self, scores: Sequence[Score]) -> Aggregate:
        """Average over the questions, also over those of each domain and subject."""
        groups = by_group(scores)
        domains = {
            domain: [score for subject in subjects for score in groups.get(subject, ())]
            for domain, subjects in DOMAINS.items()
        }
        parts = {name: 100 * mean(members) for name, members in (domains | groups).items() if members}
        return Aggregate("accuracy", 100 * mean(scores), 100, parts)

    def submission(self, samples: Sequence[Sample], scores: Sequence[Score], texts: Mapping[str, str]) -> str:
        """Return the file that EvalAI's server and the official main_eval_only.py take: an object of answers by id.

        A question with options has its letter, or nothing where none was found and `unparsed` draws none; an open one
        has the stated final answer after a chain of thought, else the whole response, which the official code parses.
        That code can score the file with the official answer_dict_test.json, published in February 2026.
        """
        answers = {}
        for sample, score in zip(samples, scores, strict=True):
            text = texts.get(sample.id, "").strip()
            stated = final_answer(text).prediction if self.style == "cot" else None
            answers[sample.id] = (score.prediction or "") if sample.choices else stated or text
        return json.dumps(answers)

    def policies(self) -> Mapping[str, str]:
        """Name what an unparsed answer is worth."""
        return {"unparsed": self.unparsed}

    def revision(self) -> str:
        """Return what pins the rows: where each subject has a pin of its own, a hash of them all."""
        pins = super().revision()
        return f"sha256:{hashlib.sha256(pins.encode()).hexdigest()[:12]}" if ", " in pins else pins

    def recheck(self, record: Row) -> Recheck:
        """Compare prediction and score of the official parsers, open candidates as a set, as in `mmmu_pro`."""
        official = record.values["official_prediction"]
        answers = _answers(record)
        if record.text("question_type") == "multiple-choice":
            found = parse_mmmu(record.text("response"), record.options("options"))
            if record.values["random_fallback"]:
                return drawn(found)
            value = float(found.prediction in answers)
            return Recheck(value, found.prediction == official and value == record.number("official_score"))
        candidates = parse_mmmu_open(record.text("response"))
        value = float(open_answer_matches(candidates, answers))
        same = isinstance(official, list) and candidates == frozenset(official)
        return Recheck(value, same and value == record.number("official_score"))


def _subject(row: Row) -> str:
    """Return the subject that the id names, as in validation_Art_Theory_7."""
    return "_".join(row.text("id").split("_")[1:-1]) or row.text("subject")


def _sample(row: Row, subject: str, *, withheld: bool) -> Sample:
    # Recorded answers may come without the question that they answer; nobody is asked it.
    question = row.text("question") if row.response is None or "question" in row else ""
    choices: tuple[str, ...] = ()
    if row.text("question_type") == "multiple-choice":
        choices = row.options("options")
        if not choices:
            raise DataError(f"{row.where} is multiple-choice without options: mend its options or its question_type")
    images, numbers = numbered_pictures(row, (question, *choices))
    return Sample(
        id=row.text("id"),
        question=question,
        choices=choices,
        answers=() if withheld and _is_withheld(row) else _answers(row),
        images=images,
        group=subject,
        meta={"image_numbers": numbers},
        response=row.response,
    )


def _is_withheld(row: Row) -> bool:
    return "answer" not in row or row.texts("answer") in ((), ("",), (WITHHELD,))


def _answers(row: Row) -> tuple[str, ...]:
    """Return the gold answers, of which the dataset writes several as a Python list in a string."""
    answers = row.texts("answer")
    if len(answers) != 1 or not answers[0].startswith("["):
        return answers
    try:
        return row.options("answer") or answers
    except DataError:
        # A text in brackets that is no list, such as an interval, is the answer itself.
        return answers


def _listed(text: str) -> str:
    candidates = sorted(parse_mmmu_open(text), key=lambda each: (isinstance(each, str), each))
    return json.dumps(candidates, ensure_ascii=False)
