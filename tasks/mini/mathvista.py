"""Mathematical questions on tables, charts, figures and rulers, in the fields of `AI4Math/MathVista`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from ..mathvista_query import query
from . import charts, drawing, words
from .chartqa import against, read, sign
from .drawing import Canvas

PUPILS = ("Wendy", "Carson", "Zach", "Lila", "Nicole", "Shane", "Henry", "Devin")
GOODS = ("sour apple candy", "butterscotch", "gum ball", "licorice stick", "lollipop", "mint drop", "nougat bar")
COLOURS = ("Coral", "Slate", "Olive", "Indigo", "Salmon", "Teal", "Maroon")
LEGS = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25), (20, 21, 29), (6, 8, 10), (9, 12, 15))


@dataclass(frozen=True, slots=True)
class Problem:
    """A question on a picture: `wrong` choices where it has any, else a number with `precision` decimals or a list.

    `working` says how the gold answer follows, and ends with it but for a sign of degrees.
    """

    canvas: Canvas
    question: str
    gold: str
    working: str
    answer_type: str
    task: str
    skills: tuple[str, ...]
    context: str
    wrong: tuple[str, ...] = ()
    precision: float | None = None
    unit: str | None = None


def _total(rng: Random, _: int) -> Problem:
    """Ask for a sum or a range of a table's numbers."""
    names = rng.sample(PUPILS, 5)
    counts = dict(zip(names, words.spread(rng, 5, 2, 40), strict=True))
    canvas = Canvas.blank(320, 210)
    canvas.table((20, 20), [("Pupil", "Articles read"), *((n, str(c)) for n, c in counts.items())], (140, 140), 15)
    first, second = rng.sample(names, 2)
    one, other, low, high = counts[first], counts[second], min(counts.values()), max(counts.values())
    question, gold, working = rng.choice((
        (f"How many articles did {first} and {second} read in total?", one + other,
         f"{read(counts, (first, second))}. {one} + {other} = {one + other}"),
        ("What is the range of the numbers?", high - low,
         f"{read(counts, counts)}. highest {high}; lowest {low}. {high} - {low} = {high - low}"),
    ))  # fmt: skip
    skills = ("arithmetic reasoning", "statistical reasoning")
    return Problem(canvas, question, str(gold), working, "integer", "math word problem", skills, "table")


def _bars(rng: Random) -> tuple[Canvas, dict[str, float]]:
    names = rng.sample(COLOURS, 5)
    data = dict(zip(names, map(float, words.spread(rng, 5, 4, 60)), strict=True))
    canvas = Canvas.blank(420, 280)
    charts.columns(canvas, (30, 30, 390, 240), data, rng.sample(drawing.PALETTE, 5))
    return canvas, data


def _compared(rng: Random, place: int) -> Problem:
    """Ask whether one bar is higher than another."""
    canvas, data = _bars(rng)
    high, low = sorted(rng.sample(sorted(data), 2), key=data.__getitem__, reverse=True)
    one, other = (high, low) if place % 2 == 0 else (low, high)
    gold, wrong = ("yes", "no") if one == high else ("no", "yes")
    compared = f"{data[one]:g} {sign(data[one], data[other])} {data[other]:g}"
    working = f"{read(data, (one, other))}. {compared}. {gold}"
    return Problem(canvas, f"Is {one} greater than {other}?", gold, working, "text", "figure question answering",
                   ("statistical reasoning",), "bar chart", (wrong,))  # fmt: skip


def _counted(rng: Random, _: int) -> Problem:
    """Ask how many bars are above a value."""
    canvas, data = _bars(rng)
    limit = sorted(data.values())[rng.randint(0, 3)]
    gold = sum(value > limit for value in data.values())
    working = f"{limit:g}. {against(data, limit)}. {gold}"
    return Problem(canvas, f"How many bars have values larger than {limit:g}?", str(gold), working, "integer",
                   "figure question answering", ("statistical reasoning",), "bar chart")  # fmt: skip


def _angle(rng: Random, _: int) -> Problem:
    """Ask for the third angle of a triangle."""
    at, left = rng.randint(35, 75), rng.randint(40, 70)
    gold = 180 - at - left
    canvas = Canvas.blank(380, 260)
    # By the law of sines, drawn as large as the sheet allows.
    side = math.sin(math.radians(gold)) / math.sin(math.radians(at))
    across, up = side * math.cos(math.radians(left)), side * math.sin(math.radians(left))
    size = min(240 / max(1, across), 160 / up)
    corners = [(60.0, 210.0), (60 + size, 210.0), (60 + size * across, 210 - size * up)]
    canvas.polygon(corners, None, width=2)
    for (x, y), name, anchor in zip(corners, "PQR", ("ra", "la", "mb"), strict=True):
        canvas.text((x + {"r": -6, "l": 6, "m": 0}[anchor[0]], y - 6 * (name == "R")), name, 17, anchor=anchor)
    canvas.text((190, 236), f"angle P = {left}, angle R = {at} (degrees)", 14, anchor="ma")
    steps = rng.sample([step for step in (-20, -15, -10, -5, 5, 10, 15, 20) if gold + step > 0], 3)
    working = f"P {left}; R {at}. 180 - {left} = {180 - left}; {180 - left} - {at} = {gold}"
    return Problem(canvas, "As shown in the figure, what is the degree of ∠Q?", f"{gold}°", working, "text",
                   "geometry problem solving", ("algebraic reasoning", "geometry reasoning"), "geometry diagram",
                   tuple(f"{gold + step}°" for step in steps))  # fmt: skip


def _hypotenuse(rng: Random, _: int) -> Problem:
    """Ask for the longest side of a right triangle."""
    scale, (short, long, gold) = rng.randint(1, 4), rng.choice(LEGS)
    short, long, gold = short * scale, long * scale, gold * scale
    canvas = Canvas.blank(380, 260)
    canvas.polygon([(70, 210), (310, 210), (70, 50)], None, width=2)
    canvas.box((70, 196, 84, 210), None)
    canvas.text((60, 130), str(short), 17, anchor="rm")
    canvas.text((190, 220), str(long), 17, anchor="ma")
    canvas.text((204, 118), "x", 17, anchor="lm")
    wrong = {short + long, gold + 1, gold - 1, gold + 2 * scale + 1} - {gold}
    most = math.gcd(short, long)
    ratio = f"{short} = {most} * {short // most}; {long} = {most} * {long // most}"
    working = f"{short}; {long}. {ratio}; {most} * {gold // most} = {gold}"
    return Problem(canvas, "Find x.", str(gold), working, "text", "geometry problem solving",
                   ("algebraic reasoning", "geometry reasoning"), "geometry diagram",
                   tuple(str(side) for side in rng.sample(sorted(wrong), 3)))  # fmt: skip


def _price(rng: Random, _: int) -> Problem:
    """Ask what two things cost."""
    goods = rng.sample(GOODS, 4)
    cents = dict(zip(goods, words.spread(rng, 4, 11, 149), strict=True))
    canvas = Canvas.blank(340, 180)
    canvas.table((20, 20), [("Candy", "Price"), *((n, f"${c / 100:.2f}") for n, c in cents.items())], (190, 110), 15)
    name = rng.choice(words.FIRST)
    first, second = rng.sample(goods, 2)
    question = f"How much money does {name} need to buy a {first} and a {second}?"
    gold = str(round((cents[first] + cents[second]) / 100, 2))
    one, other, both = (f"{c / 100:.2f}" for c in (cents[first], cents[second], cents[first] + cents[second]))
    working = f"{first} {one}; {second} {other}. {one} + {other} = {both}. {gold}"
    return Problem(canvas, question, gold, working, "float", "math word problem", ("arithmetic reasoning",), "table",
                   precision=2.0, unit="$")  # fmt: skip


def _length(rng: Random, _: int) -> Problem:
    """Ask for a length on a ruler."""
    tenths = rng.randint(21, 94)
    canvas = Canvas.blank(460, 150)
    canvas.box((30, 40, 30 + 4 * tenths, 62), rng.choice(drawing.PALETTE), None)
    canvas.box((20, 78, 440, 128), "#f3e6c4", "#8a6d4b")
    for mark in range(101):
        x = 30 + 4 * mark
        canvas.line([(x, 78), (x, 78 + (16 if mark % 10 == 0 else 11 if mark % 5 == 0 else 7))], "#5a4a30")
        if mark % 10 == 0:
            canvas.text((x, 98), str(mark // 10), 13, anchor="ma")
    gold = str(tenths / 10)
    return Problem(canvas, "How long is the bar above the ruler?", gold, gold, "float",
                   "visual question answering", ("numeric commonsense",), "synthetic scene",
                   precision=1.0, unit="centimeters")  # fmt: skip


def _same(rng: Random, _: int) -> Problem:
    """Ask for the two years of the same value."""
    start = rng.randint(1995, 2015)
    years = list(range(start, start + 5))
    numbers = words.spread(rng, 4, 8, 60)
    twins = sorted(rng.sample(years, 2))
    rest = iter(numbers[1:])
    data = {str(year): float(numbers[0] if year in twins else next(rest)) for year in years}
    canvas = Canvas.blank(420, 290)
    canvas.text((210, 10), f"Honey harvested in {rng.choice(words.TOWNS)} (tonnes)", 15, anchor="ma", bold=True)
    charts.columns(canvas, (30, 44, 390, 250), data, rng.sample(drawing.PALETTE, 1))
    working = f"{read(data, data)}. {twins[0]} and {twins[1]} {numbers[0]}. {twins}"
    return Problem(canvas, "In which two years was the harvest the same?", str(twins), working, "list",
                   "figure question answering", ("statistical reasoning",), "bar chart")  # fmt: skip


MAKERS = (_total, _compared, _angle, _price, _counted, _hypotenuse, _length, _same)


def rows(seed: int, n: int) -> Iterator[Mapping[str, object]]:
    """Yield n rows: sums, comparisons, angles, prices, counts, triangles, lengths and lists in turn."""
    for index in range(n):
        rng = Random(f"{seed}/{index}")
        place = words.slot(seed, index // len(MAKERS), 4)
        made = MAKERS[index % len(MAKERS)](rng, place)
        choices = words.placed(rng, made.gold, made.wrong, place) if made.wrong else None
        if choices and {*choices} == {"yes", "no"}:
            choices = ["yes", "no"]
        picture = made.canvas.finished()
        yield {
            "pid": str(index + 1),
            "question": made.question,
            "image": f"images/{index + 1}.png",
            "decoded_image": drawing.png(picture, made.working),
            "choices": choices,
            "unit": made.unit,
            "precision": made.precision,
            "answer": made.gold,
            "question_type": "multi_choice" if choices else "free_form",
            "answer_type": made.answer_type,
            "query": query(made.question, made.unit or "", choices or (), made.answer_type, made.precision),
            "metadata": {
                "split": "testmini",
                "language": "english",
                "source": "mini",
                "category": "math-targeted-vqa",
                "task": made.task,
                "context": made.context,
                "grade": "not applicable",
                "skills": list(made.skills),
                "img_width": picture.width,
                "img_height": picture.height,
            },
        }
