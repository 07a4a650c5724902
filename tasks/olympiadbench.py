"""OlympiadBench (He et al., 2024): olympiad and entrance exam problems in mathematics and physics, two languages."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import ClassVar

from evalkit.errors import DataError
from evalkit.limits import Limited
from evalkit.metrics.mean import by_group, mean
from evalkit.metrics.olympiad import Language, Verdict, extract_final, judge, judge_fixed, tolerances
from evalkit.metrics.olympiad_latex import load_parser, require_latex
from evalkit.prompts import ask, interleave
from evalkit.rows import Row
from evalkit.types import Aggregate, Dataset, Extraction, Image, Message, Recheck, Request, Sample, Score, Style, Task

from . import olympiadbench_prompt as prompt
from .mini import olympiadbench as mini

# Open-ended problems, of which there are 6,728: with pictures (MM) or text only (TO), subject, language, level.
SUBSETS = (
    "OE_MM_maths_en_COMP",
    "OE_MM_maths_zh_CEE",
    "OE_MM_maths_zh_COMP",
    "OE_MM_physics_en_COMP",
    "OE_MM_physics_zh_CEE",
    "OE_TO_maths_en_COMP",
    "OE_TO_maths_zh_CEE",
    "OE_TO_maths_zh_COMP",
    "OE_TO_physics_en_COMP",
    "OE_TO_physics_zh_CEE",
)

# What a row may say of its subset, in the order of the subset's name: a field, and how its values begin.
_SAYS = (
    ("question_type", {"oe": "OE", "open": "OE", "tp": "TP", "theorem": "TP", "proof": "TP"}),
    ("modality", {"mm": "MM", "multi": "MM", "to": "TO", "text": "TO"}),
    ("subject", {"math": "maths", "phys": "physics"}),
    ("language", {"en": "en", "zh": "zh", "ch": "zh"}),
)
_MARK = re.compile(r"<(?:img|image)_(\d+)>")
_PICTURE = re.compile(r"image_(\d+)")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OlympiadBench(Task):
    """The ten open-ended subsets of Hothan/OlympiadBench, 6,728 problems; proofs have no scorer and are left out.

    Metric: accuracy x 100, mean over all problems as published; `parts` has maths and physics in each language. An
    empty answer counts as wrong, where the official aggregation leaves the problem out of the mean. So does an answer
    whose comparison takes more than ten seconds, for which the official code has no limit. The scorer `fixed`, to be
    shown beside the official one, mends four of its slips: see `judge_fixed`.
    """

    scorers: ClassVar[tuple[str, ...]] = ("official", "fixed")

    name: str = "olympiadbench"
    repo: str = "Hothan/OlympiadBench"
    split: str = "train"
    size: int = 6728
    subsets: tuple[str, ...] = SUBSETS
    style: Style = "direct"
    prompt: str = "official"
    max_tokens: int = 2048

    def datasets(self) -> tuple[Dataset, ...]:
        """Name a dataset for each subset."""
        return tuple(
            Dataset(self.name, self.repo, subset, self.split, partial(mini.share, subset, SUBSETS))
            for subset in self.subsets
        )

    def load(self) -> Iterator[Sample]:
        """Yield the problems of each subset; `group` is subject and language.

        A copy that keeps several subsets in one file is told apart by what its rows say of themselves; a row that
        leaves it open counts for the first subset that it may belong to. Raises ConfigError before anything is asked
        where the packages that compare formulas are missing.
        """
        require_latex()
        earlier: set[tuple[str, str]] = set()
        for subset, dataset in zip(self.subsets, self.datasets(), strict=True):
            mine = set()
            for index, row in enumerate(self.source.rows(dataset)):
                name = row.text("id") if "id" in row else str(index)
                key = (name, row.text("question") if "question" in row else "")
                if key not in earlier and _may_belong(row, name, subset):
                    mine.add(key)
                    yield _sample(row, name, subset)
            earlier |= mine

    def render(self, sample: Sample) -> Request:
        """Put the official instruction, the physics context and the question, each picture where its mark stands."""
        language, subject = _language(sample), sample.meta["subject"]
        told = prompt.instruction(
            language,
            subject,
            sample.meta["answer_type"],
            sample.meta["multiple"] == "yes",
            sample.meta["unit"] != "",
            self.style,
        )
        parts = interleave(f"{told}\n{sample.question}", dict(enumerate(sample.images, start=1)))
        trimmed = [part if isinstance(part, Image) else part.strip() for part in parts]
        request = ask([part for part in trimmed if part], self.max_tokens)
        system = Message("system", (prompt.system(language, subject),))
        return replace(request, messages=(system, *request.messages))

    def extract(self, sample: Sample, text: str) -> Extraction:
        """Find the sentence that the prompt asks for, or take all, in which the judge looks for boxes."""
        return extract_final(text, _language(sample))

    def score(self, sample: Sample, prediction: str | None) -> float:
        """Score 1 where the official judge finds the prediction equal to the first gold answer, else 0."""
        if prediction is None:
            return 0.0
        allowed = tolerances(sample.meta["answer_type"], sample.meta["error"])
        outcome = _judging(self.scorer)(prediction, sample.answers[0], allowed)
        verdict = outcome.value
        if verdict is None or verdict.how in ("too_long", "precision_list"):
            reason = verdict.how if verdict else outcome.ended
            _log.warning("%s: the answer could not be compared (%s) and counts as wrong", sample.id, reason)
        return float(verdict is not None and verdict.equal)

    def aggregate(self, scores: Sequence[Score]) -> Aggregate:
        """Average over the problems, and over those of each subject and language."""
        parts = {group: 100 * mean(members) for group, members in by_group(scores).items()}
        missing = [group for group in dict.fromkeys(map(_group, SUBSETS)) if group not in parts]
        note = f"without {', '.join(missing)}, which the published mean includes" if missing else ""
        return Aggregate("accuracy", 100 * mean(scores), 100, parts, note)

    def recheck(self, record: Row) -> Recheck:
        """Compare the judge's word on the response, or on the answer alone in the judge's own examples."""
        response, error = record.text("response"), record.values.get("precision")
        if record.text("question_type") != "judge-unit":
            language: Language = "zh" if record.text("language") == "zh" else "en"
            response = extract_final(response, language).prediction or ""
        if isinstance(error, list):
            allowed = tuple(float(each) for each in error)
        else:
            kind = record.text("answer_type") if "answer_type" in record else ""
            allowed = tolerances(kind, "" if error is None else str(error))
        verdict = _judging(self.scorer)(response, record.texts("answer")[0], allowed).value
        value = float(verdict is not None and verdict.equal)
        return Recheck(value, value == record.number("official_score"))


@lru_cache(maxsize=2)
def _judging(scorer: str) -> Limited[Verdict]:
    """Return the judge in a process of its own, one for all tasks since it takes a second to start."""
    return Limited(judge_fixed if scorer == "fixed" else judge, prepare=load_parser)


def _group(subset: str) -> str:
    _, _, subject, language, _ = subset.split("_")
    return f"{subject}_{language}"


def _language(sample: Sample) -> Language:
    return "zh" if sample.meta["language"] == "zh" else "en"


def _may_belong(row: Row, name: str, subset: str) -> bool:
    """Whether nothing that the row says of itself, in its id or its fields, contradicts the subset."""
    if _is_subset(name.split("/")[0]):
        return name.split("/")[0] == subset
    for wanted, (field, meanings) in zip(subset.split("_"), _SAYS, strict=False):
        said = row.text(field).lower() if field in row else ""
        if next((meaning for begin, meaning in meanings.items() if said.startswith(begin)), wanted) != wanted:
            return False
    return True


def _is_subset(text: str) -> bool:
    return re.fullmatch(r"(OE|TP)_(MM|TO)_(maths|physics)_(en|zh)_(COMP|CEE)", text) is not None


def _sample(row: Row, name: str, subset: str) -> Sample:
    _, _, subject, language, _ = subset.split("_")
    answers = row.texts("final_answer", "answer")
    if not answers:
        raise DataError(f"{row.where} has an empty 'final_answer': mend the row, or remove it")
    question = row.text("question") if "question" in row else ""
    if subject == "physics" and "context" in row and row.text("context"):
        question = f"{row.text('context')}\n{question}"
    columns = sorted((int(match[1]), field) for field in row.values if (match := _PICTURE.fullmatch(field)))
    present = [(number, field) for number, field in columns if field in row]
    images = row.images(*(field for _, field in present))
    meta = {
        "subject": subject,
        "language": language,
        "answer_type": row.text("answer_type") if "answer_type" in row else "",
        "multiple": "yes" if str(row.values.get("is_multiple_answer")).lower() == "true" else "no",
        "unit": row.text("unit") if "unit" in row else "",
        "error": ",".join(row.texts("error", "precision")) if "error" in row or "precision" in row else "",
    }
    try:
        tolerances(meta["answer_type"], meta["error"])
        prompt.instruction("en", subject, meta["answer_type"], meta["multiple"] == "yes", has_unit=False)
    except ValueError as error:
        raise DataError(f"{row.where}: {error} in 'error' or 'answer_type': mend the row") from error
    return Sample(
        id=name if name.startswith(subset) else f"{subset}/{name}",
        question=_numbered(question, [number for number, _ in present], row) if images else question,
        answers=answers,
        images=images,
        group=_group(subset),
        meta=meta,
        response=row.response,
    )


def _numbered(text: str, columns: Sequence[int], row: Row) -> str:
    """Rewrite the marks of pictures as `<image k>`, where the k-th is in the k-th column that holds one.

    `<image_2>` names its column. `<img_3362>` names a file of the original edition: the first to be named is the first
    column's, and so on. Raises DataError for a mark without a picture.
    """
    named = list(dict.fromkeys(int(mark) for mark in _MARK.findall(text)))
    places = {number: place for place, number in enumerate(columns, start=1)}
    if not set(named) <= set(columns):
        places = {number: place for place, number in enumerate(named, start=1)}
    if len(named) > len(columns):
        raise DataError(f"{row.where} asks for {len(named)} pictures but has {len(columns)}: mend the row")
    return _MARK.sub(lambda mark: f"<image {places[int(mark[1])]}>", text)
