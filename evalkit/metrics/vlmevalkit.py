"""Where VLMEvalKit, without a judge, scores otherwise than the benchmarks' own code. Faults are kept, too.

Source: open-compass/VLMEvalKit e8e78f05, the files named below. How it reads a letter is `choice.infer_choice`. What is
not here is as in the official code, as all of DocVQA.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from string import ascii_uppercase

from evalkit.metrics.choice import infer_choice
from evalkit.types import Extraction

_MARKER = "Answer:"


def split_lists(answers: Sequence[str]) -> tuple[str, ...]:
    """Return ChartQA's gold answers, one that reads as a Python list replaced by that list's items.

    So "[2014, 2016]" is met by 2014 or 2016 but not by both, while "[Gambia, Niger]", which Python cannot read, stays.
    Source: vlmeval/dataset/utils/vqa_eval.py.
    """
    return tuple(item for gold in answers for item in _items(gold))


def _items(gold: str) -> tuple[str, ...]:
    if not gold.lstrip().startswith("["):
        return (gold,)
    try:
        value = ast.literal_eval(gold.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return (gold,)
    return tuple(map(str, value)) if isinstance(value, list) else (gold,)


def answer_line(text: str) -> str:
    """Return what stands after `Answer:` where exactly one line begins so, else the whole response.

    Where that line has no capital letter but the marker's own it is an A, as with "Answer: 42": the official code
    counts the marker's. Source: `cot_postproc` in vlmeval/dataset/image_mcq.py.
    """
    lines = [line.strip() for line in text.strip().split("\n")]
    marked = [line for line in lines if line.startswith(_MARKER)]
    if len(marked) != 1:
        return text
    return marked[0].removeprefix(_MARKER) if set(marked[0]) & set(ascii_uppercase) != {"A"} else "A"


def infer_mmmu(text: str, choices: Sequence[str], answers: Sequence[str], *, cot: bool) -> Extraction:
    """Find the letter that stands for the answer to a question of MMMU or MMMU-Pro; prediction None where none does.

    After a chain of thought it is looked for on the answer's line, see `answer_line`. An open question becomes a choice
    between A, the gold answer itself, and B, "Other Answers". Source: vlmeval/dataset/image_mcq.py, and `MMMU_preproc`
    in vlmeval/dataset/utils/multiple_choice.py.
    """
    return infer_choice(answer_line(text) if cot else text, choices or (_cell(answers), "Other Answers"))


def mmmu_score(prediction: str | None, choices: Sequence[str], answers: Sequence[str]) -> float:
    """Return 1.0 for the gold letter, else 0.0, also without a letter.

    The letter of an open question's gold answer is A, unless that answer is itself a capital letter, which is then
    taken for it. Source: `mcq_vanilla_eval` in vlmeval/dataset/utils/multiple_choice.py.
    """
    gold = _cell(answers)
    return float(prediction in answers if choices else prediction == (gold if gold in [*ascii_uppercase] else "A"))


def _cell(answers: Sequence[str]) -> str:
    """Return the gold answer as a table's cell has it, where several are a Python list in a string."""
    return answers[0] if len(answers) == 1 else str(list(answers))


def mathvista_score(
    extraction: str | None, question_type: str, answer_type: str, choices: Sequence[str], answers: Sequence[str]
) -> float:
    """Return 1.0 where an extracted answer is right for VLMEvalKit, else 0.0.

    With choices the letter is inferred from it, which must be that of the first choice with the gold text, and where
    that fails no choice is the nearest. A whole number must be
    written as one ("3.0" is wrong), a decimal one must equal the gold number without being rounded, and a list is never
    right. Source: `post_check` in vlmeval/dataset/utils/mathvista.py, on the answer extracted; that a response may be
    read before a judge is asked changes the extraction and is left out.
    """
    text = extraction or ""
    if question_type == "multi_choice":
        letter = infer_choice(text, choices).prediction
        return float(letter is not None and any(_letter(gold, choices) == letter for gold in answers))
    read = {"integer": int, "float": float}.get(answer_type)
    if read is None:
        return 0.0
    try:
        value = read(text)
        return float(any(value == read(gold) for gold in answers))
    except ValueError:
        return 0.0


def _letter(gold: str, choices: Sequence[str]) -> str | None:
    return chr(ord("A") + choices.index(gold)) if gold in choices else None
