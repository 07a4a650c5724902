"""What the tiny model is taught: to read words, pages and charts, then the generated exams in the tasks' prompts."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from PIL import Image

from evalkit.data import Mini
from evalkit.images import decode
from evalkit.models.tiny import build, drills
from evalkit.models.tiny.watch import Glyph, Watch, invented
from evalkit.rows import Row
from evalkit.runners._question import Question, question
from evalkit.tasks.mini import charts, drawing, words
from evalkit.types import Dataset, Request, Sample, Task

# Up to so many letters a picture's labels are the reasoning; beyond, the line that has the answer is. What is longer
# than a label is a title or a sentence.
WHOLE, LABEL = 110, 18
BLOCK = 20
# How often an exam is sat; 1 where nothing is said. Long ones cost many times as much as short ones.
SHARES = {"docvqa": 2.0, "chartqa": 5.0, "ocrbench": 2.0, "ai2d": 5.0, "mmmu": 3.5, "mmmu_pro": 3.5, "mathvista": 2.5,
          "megabench": 1.6, "olympiadbench": 0.9, "mmlongbench_doc": 0.7}  # fmt: skip
DIRECT = 0.1  # the share of questions asked without reasoning
LONGEST_ANSWER = 300
SIGNS = (("#2f5d8a", "#ffffff"), ("#f4efe2", "#1f2a60"), ("#e9e2cf", "#3a2a1c"), ("#33433a", "#e8f0d8"),
         ("#ffffff", "#202428"), ("#ffffff", "#202428"), ("#20242c", "#f2c84b"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lesson:
    """A prompt as the chat template renders it, its pictures, what to answer, and the letters on each picture.

    A picture whose letters are not known has None. `thought` is what to say before the answer.
    """

    kind: str
    prompt: str
    pictures: tuple[Image.Image, ...]
    glyphs: tuple[list[Glyph] | None, ...]
    answer: str
    thought: str = ""


@dataclass(frozen=True, slots=True)
class Renamed:
    """Rows of a mini set with evaluation's names exchanged; everything else as `evalkit.data.Mini` has it."""

    mini: Mini
    watch: Watch
    name: str = "mini"

    def rows(self, dataset: Dataset) -> Iterator[Row]:
        """Yield the rows."""
        for row in self.mini.rows(dataset):
            yield replace(row, values=self.watch.row(row.values))

    def revision(self, dataset: Dataset) -> str:
        """Return the seed."""
        return self.mini.revision(dataset)


def rendered(request: Request) -> str:
    """Return a transcript as the chat template writes it, up to where the answer begins."""
    turns = []
    for message in request.messages:
        parts = "".join(part if isinstance(part, str) else "<image>\n" for part in message.parts)
        turns.append(f"{message.role}: {parts}\n")
    return f"{build.SPECIAL[build.BEGIN]}{''.join(turns)}assistant:"


def exams(tasks: Sequence[Task], rng: Random, watch: Watch) -> Iterator[Lesson]:
    """Yield lessons without end: rows of the tasks, as often as SHARES has them, each rendered by the task itself."""
    papers = [_papers(task, rng, watch) for task in tasks]
    shares = [SHARES.get(task.name, 1.0) for task in tasks]
    while True:
        yield next(rng.choices(papers, shares)[0])


def _papers(task: Task, rng: Random, watch: Watch) -> Iterator[Lesson]:
    while True:
        style = "direct" if rng.random() < DIRECT else task.style
        paper = replace(task, source=Renamed(Mini(rng.randrange(10**6, 10**9), BLOCK), watch), style=style)
        watch.others.clear()
        lessons = [_exam(paper, sample, watch) for sample in paper.load()]
        watch.glyphs.clear()
        watch.texts.clear()
        watch.workings.clear()
        yield from (lesson for lesson in lessons if lesson is not None)


def gold(sample: Sample) -> str:
    """Return the answer that a prompt wants; empty where there is none that can be said in a line."""
    if not sample.answers:
        return ""
    answer = sample.answers[0]
    if not answer.startswith("{"):
        return answer
    # MEGA-Bench writes the fields of an answer as a dict, a single one of which stands alone.
    fields = ast.literal_eval(answer)
    said = next(iter(fields.values())) if len(fields) == 1 else str(fields)
    return str(said)


def named(asked: Question, answer: str) -> str:
    """Return an option's letter, also where its text would do, and any other answer as it is."""
    texts = {option: letter for letter, option in asked.options.items() if isinstance(option, str)}
    return answer if answer in asked.options else texts.get(answer, answer)


def _exam(task: Task, sample: Sample, watch: Watch) -> Lesson | None:
    answer = gold(sample)
    if not answer or task.needs_judge(sample):
        return None
    request = task.render(sample)
    asked = question(request)
    letter = named(asked, answer)
    working = next(filter(None, (watch.workings.get(image.sha256) for image in request.images)), "")
    thought, said = "", asked.answered(letter)
    if task.style == "cot":
        option = asked.options.get(letter)
        seen = _thought([watch.texts.get(image.sha256, []) for image in request.images], answer)
        thought = working or ". ".join(filter(None, (seen, option if isinstance(option, str) else "")))
    elif "boxed" in asked.form:
        thought = working  # the prompt wants a solution in any style
    if thought:
        # The letter stands beside its option before it is the answer.
        said = f"{f' ({letter})' if asked.lettered else ''}\n{said}"
    if len(thought) + len(said) > LONGEST_ANSWER:
        return None
    pictures = tuple(decode(image) for image in request.images)
    glyphs = tuple(watch.glyphs.get(image.sha256) for image in request.images)
    return Lesson(task.name, rendered(request), pictures, glyphs, said, thought)


def _thought(seen: Sequence[Sequence[str]], answer: str) -> str:
    """Return what to read before answering: all labels if they are few, else the text that has the answer."""
    texts = [text for picture in seen for text in picture]
    labels = "; ".join(text for text in texts if len(text) <= LABEL)
    if len(labels) <= WHOLE:
        return labels
    return answer if answer in texts else next((text for text in texts if answer in text), "")


def basics(rng: Random, watch: Watch, progress: float) -> Iterator[Lesson]:
    """Yield one lesson in reading; pages have one row at first and up to eight when `progress` passes 0.45."""
    late = progress > 0.1
    kind = rng.choices(("word", "page", "chart", "list", "drill"), (2, 4, 3, 5 * late, 12 * late))[0]
    watch.chosen.clear()
    if kind == "drill":
        asked, answer = drills.drill(rng)
        yield Lesson(kind, f"{build.SPECIAL[build.BEGIN]}user: {asked}\nassistant:", (), (), answer)
    elif kind == "list":
        yield _list(rng)
    elif kind == "word":
        yield _word(rng)
    elif kind == "page":
        most = 1 if progress < 0.08 else min(8, 1 + round((progress - 0.08) / 0.37 * 7))
        yield _page(rng, rng.randint(1, most))
    else:
        yield _chart(rng)


def _lesson(kind: str, canvas: drawing.Canvas, asked: str, answer: str) -> Lesson:
    picture = canvas.finished()
    prompt = f"{build.SPECIAL[build.BEGIN]}user: <image>\n{asked}\nassistant:"
    return Lesson(kind, prompt, (picture.convert("RGB"),), (picture.info["glyphs"],), answer)


def _text(rng: Random) -> str:
    word = invented(rng, rng.randint(3, 9))
    kind = rng.randrange(8)
    if kind == 0:
        return f"{rng.choice(words.MONTHS)} {rng.randint(1, 28)}, {rng.randint(1960, 1999)}"
    if kind == 1:
        return f"{rng.randint(1, 99999):,}"
    if kind == 2:
        return f"${rng.randint(1, 9999) / 100:.2f}"
    if kind == 3:
        return f"{chr(rng.randint(65, 90))}{chr(rng.randint(65, 90))}-{rng.randint(100, 9999)}"
    if kind == 4:
        return "".join(chr(rng.randint(33, 126)) for _ in range(rng.randint(2, 6)))
    return rng.choice((word, word.upper(), word.capitalize(), f"{word.capitalize()} {invented(rng, 5).capitalize()}"))


def _word(rng: Random) -> Lesson:
    ground, ink = rng.choice(SIGNS)
    size, word = rng.randint(14, 56), _text(rng)
    width = max(60, min(336, round(len(word) * size * 0.72) + 20))
    canvas = drawing.Canvas.blank(width, round(size * 1.8), ground)
    canvas.text((width / 2, size * 0.9), word, min(size, width / len(word) * 1.5), ink, "mm")
    return _lesson("word", canvas, "What is written in the picture?", word)


def _page(rng: Random, rows: int) -> Lesson:
    size = rng.randint(13, 20)
    step = size + rng.randint(6, 16)
    canvas = drawing.Canvas.blank(336, max(40, rows * step + 24), rng.choice(("white", "#f4f4f4", "#ebebeb")))
    left = rng.randint(6, 30)
    lines = []
    for row in range(rows):
        label, value = invented(rng, rng.randint(3, 8)).capitalize(), _text(rng)
        lines.append((label, value))
        canvas.text((left, 12 + row * step), f"{label}:", size)
        canvas.text((left + size * 6, 12 + row * step), value, size)
    if rng.random() < 0.5:
        return _lesson("page", canvas, "Read the whole text.", "\n".join(f"{label}: {value}" for label, value in lines))
    label, value = rng.choice(lines)
    return _lesson("page", canvas, f"What is the value for '{label}'?", value)


def _list(rng: Random) -> Lesson:
    shown = drills.options(rng, rng.choice((2, 4, 4, 5, 8, 10, 10)))
    size, columns = rng.randint(13, 17), rng.choice((1, 2))
    canvas = drawing.Canvas.blank(rng.randint(336, 700), round(size * 1.8 * -(-len(shown) // columns)) + 40)
    mark, rows = rng.choice(("{}. {}", "({}) {}")), -(-len(shown) // columns)
    lettered = list(zip(drills.LETTERS, shown, strict=False))
    for number, one in enumerate(lettered):
        spot = (20 + number // rows * canvas.size[0] / 2, 20 + number % rows * size * 1.8)
        canvas.text(spot, mark.format(*one), size)
    if rng.random() < 0.4:
        said = "\n".join(mark.format(*one) for one in lettered)
        return _lesson("list", canvas, "Read the options.", said[:LONGEST_ANSWER])
    rng.shuffle(lettered)
    said = "; ".join(f"{option} ({letter})" for letter, option in lettered[: rng.randint(1, 5)])
    return _lesson("list", canvas, "Which letters have the options?", said)


def _chart(rng: Random) -> Lesson:
    labels = [invented(rng, rng.randint(3, 7)).capitalize() for _ in range(rng.randint(2, 6))]
    top = rng.choice((20, 100, 1000))
    data = {label: rng.randint(1, top) / rng.choice((1, 1, 10)) for label in labels}
    canvas = drawing.Canvas.blank(336, rng.randint(200, 330))
    size, colours = rng.randint(12, 17), rng.sample(drawing.PALETTE, len(drawing.PALETTE))
    box = (14.0, 20.0, 322.0, canvas.size[1] - 30)
    rng.choice((charts.columns, charts.bars))(canvas, box, data, colours, size)
    if rng.random() < 0.5:
        told = "; ".join(f"{label} {value:g}" for label, value in data.items())
        return _lesson("chart", canvas, "Read the numbers of the chart.", told)
    label = rng.choice(list(data))
    return _lesson("chart", canvas, f"What is the number of {label}?", f"{data[label]:g}")
