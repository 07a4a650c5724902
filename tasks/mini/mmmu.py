"""College questions with few options or none, in the fields of `MMMU/MMMU`; all subjects in one draw."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from random import Random

from . import drawing, problems, words
from .problems import Problem

MAKERS = (problems.circuit, problems.turned, problems.income, problems.growth, problems.motion, problems.tree,
          problems.mixture, problems.revenue, problems.lever)  # fmt: skip
SUBFIELDS = {
    "Accounting": "Financial Accounting", "Electronics": "Electrical Circuits", "Physics": "Mechanics",
    "Computer_Science": "Data Structures and Algorithms", "Marketing": "Pricing", "Design": "Graphic Design",
    "Chemistry": "Inorganic Chemistry", "Geography": "Human Geography", "Mechanical_Engineering": "Statics",
}  # fmt: skip
LETTERS = "ABCD"
UNITS = {"ohm": "ohms", "m": "metres", "g": "grams", "kg": "kilograms", None: "dollars"}


def _open(problem: Problem) -> tuple[str, str] | None:
    """Return the question as it stands without options, and its answer: several ways of writing it are a list in text.

    None where the options are pictures, which nobody can write.
    """
    amount = re.fullmatch(r"\$?([\d,]+)(?: (\w+))?", problem.gold)
    if amount:
        return f"{problem.question} Give the number of {UNITS[amount[2]]}.", amount[1].replace(",", "")
    if problem.gold.startswith("<image"):
        return None
    other = problem.gold.replace(" to ", "-") if " to " in problem.gold else problem.gold.replace(" ", ", ")
    return problem.question, str([problem.gold, other])


def rows(seed: int, n: int) -> Iterator[Mapping[str, object]]:
    """Yield n rows, each subject in turn, about a tenth of them open."""
    for index in range(n):
        rng = Random(f"mmmu/{seed}/{index}")
        problem = MAKERS[index % len(MAKERS)](rng)
        place = words.slot(seed, index, len(LETTERS))
        # Four options as a rule; fewer only where the right answer's letter allows it.
        count = min(len(problem.wrong), max(place, rng.choice((3,) * 7 + (4, 2, 1))))
        options = words.placed(rng, problem.gold, rng.sample(problem.wrong, count), place)
        question, answer, kind = problem.question, LETTERS[place], "multiple-choice"
        written = _open(problem) if index % 7 == 3 else None
        if written:
            (question, answer), options, kind = written, [], "open"
        pictures = [
            drawing.png(figure.finished(), "" if k else problem.working) for k, figure in enumerate(problem.figures)
        ]
        yield {
            "id": f"mini_{problem.subject}_{index // len(MAKERS) + 1}",
            "question": question,
            "options": str(options),
            "explanation": problem.explanation,
            **{f"image_{k + 1}": pictures[k] if k < len(pictures) else None for k in range(7)},
            "img_type": str([problem.img_type]),
            "answer": answer,
            "topic_difficulty": problem.difficulty,
            "question_type": kind,
            "subfield": SUBFIELDS[problem.subject],
        }
