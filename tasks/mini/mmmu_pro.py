"""College questions with up to ten options, in the fields of `MMMU/MMMU_Pro`.

`standard` is "standard (10 options)" and `vision` is "vision": the same questions, there as a picture of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from . import drawing, problems, words
from .drawing import Canvas
from .problems import Problem

MAKERS = (problems.income, problems.circuit, problems.turned, problems.motion, problems.revenue, problems.tree,
          problems.mixture, problems.growth, problems.lever)  # fmt: skip
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True)
class Posed:
    """A problem with its options in the order in which they are shown."""

    id: str
    problem: Problem
    options: tuple[str, ...]

    @property
    def answer(self) -> str:
        """The letter of the right option."""
        return LETTERS[self.options.index(self.problem.gold)]


def _posed(seed: int, index: int) -> Posed:
    rng = Random(f"{seed}/{index}")
    problem = MAKERS[index % len(MAKERS)](rng)
    place = words.slot(seed, index, len(LETTERS))
    # Most questions have ten options, as in the real set; fewer only where the right answer's letter allows it.
    count = min(len(problem.wrong), max(place, rng.choice((9,) * 9 + (8, 5, 4))))
    options = words.placed(rng, problem.gold, rng.sample(problem.wrong, count), place)
    return Posed(f"mini_{problem.subject}_{index + 1}", problem, tuple(options))


def _told(text: str) -> str:
    """Return the text with its tokens as the captions under the figures."""
    return text.replace("<image ", "Figure ").replace(">", "")


def _figures(sheet: Canvas, shown: Sequence[Canvas], top: float) -> float:
    """Place the figures from left to right, with captions, in as many rows as they need; return where they end."""
    x, y, low = 30.0, top, top
    for number, figure in enumerate(shown, 1):
        width, height = figure.size
        if x > 30 and x + width > sheet.size[0] - 20:
            x, y = 30.0, low + 14
        sheet.image.paste(figure.image, (round(x * sheet.scale), round(y * sheet.scale)))
        sheet.text((x + width / 2, y + height + 6), f"Figure {number}", 13, anchor="ma")
        x, low = x + width + 18, max(low, y + height + 24)
    return low


def _screenshot(rng: Random, one: Posed) -> Image.Image:
    """Draw the question, its figures and its lettered options on one sheet."""
    size, paper = rng.choice((15, 16, 17)), rng.choice(("white", "white", "#fbf8f0", "#eef3f8"))
    mark = rng.choice(("{}. {}", "({}) {}"))
    # Ample: what is left over at the foot is cut off.
    room = 160 + 2 * size * len(one.options) + sum(figure.size[1] + 40 for figure in one.problem.figures)
    sheet = Canvas.blank(rng.randint(620, 740), room, paper, face=rng.choice(drawing.PRINTED))
    width, y = sheet.size[0], 30.0
    if rng.random() < 0.5:
        sheet.text((30, y), f"Question {rng.randint(1, 60)}", size + 3, bold=True)
        y += size * 2.2
    first = rng.random() < 0.5
    if first:
        y = _figures(sheet, one.problem.figures, y) + 16
    y = sheet.paragraph((30, y), _told(one.problem.question), width - 60, size) + 14
    if not first:
        y = _figures(sheet, one.problem.figures, y) + 16
    lines = [mark.format(letter, _told(option)) for letter, option in zip(LETTERS, one.options, strict=False)]
    columns = 2 if rng.random() < 0.5 else 1
    rows = -(-len(lines) // columns)
    for number, line in enumerate(lines):
        sheet.text((40 + number // rows * (width - 60) / 2, y + number % rows * size * 1.8), line, size)
    return sheet.finished(y + rows * size * 1.8 + 20)


def standard(seed: int, n: int) -> Iterator[Mapping[str, object]]:
    """Yield n rows of "standard (10 options)", each subject in turn."""
    for index in range(n):
        one = _posed(seed, index)
        working = one.problem.working
        pictures = [
            drawing.png(figure.finished(), "" if k else working) for k, figure in enumerate(one.problem.figures)
        ]
        yield {
            "id": one.id,
            "question": one.problem.question,
            "options": str(list(one.options)),
            "explanation": one.problem.explanation,
            **{f"image_{k + 1}": pictures[k] if k < len(pictures) else None for k in range(7)},
            "img_type": str([one.problem.img_type]),
            "answer": one.answer,
            "topic_difficulty": one.problem.difficulty,
            "subject": one.problem.subject,
        }


def vision(seed: int, n: int) -> Iterator[Mapping[str, object]]:
    """Yield n rows of "vision"; the ids, options and answers are those of `standard`."""
    for index in range(n):
        one = _posed(seed, index)
        yield {
            "id": one.id,
            "image": drawing.png(_screenshot(Random(f"{seed}/{index}/sheet"), one), one.problem.working),
            "options": str(list(one.options)),
            "answer": one.answer,
            "subject": one.problem.subject,
        }
