"""Problems of the open-ended subsets of `Hothan/OlympiadBench`, in its fields, in English and Chinese.

Much easier than the real ones, with the real forms of answers: numbers, roots, intervals, equations, tuples, units.
"""
# ruff: noqa: RUF001  the Chinese texts have Chinese commas

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from . import charts, drawing, problems, words
from .drawing import Canvas

COLUMNS = 9


@dataclass(frozen=True, slots=True)
class Problem:
    """A question in both languages and its answer; `<image_k>` stands for the k-th of the figures, from 1.

    `working` is one line from what the figures show to the answer; empty where there are none.
    """

    subfield: str
    en: str
    zh: str
    gold: str
    steps: str
    answer_type: str = "Numerical"
    figures: tuple[Canvas, ...] = ()
    context: tuple[str, str] | None = None
    unit: str | None = None
    error: str | None = None
    multiple: bool = False
    working: str = ""


def triangle(rng: Random) -> Problem:
    """Ask for the hypotenuse of a right triangle."""
    a, b = words.spread(rng, 2, 3, 14)
    canvas, square = Canvas.blank(360, 260), a * a + b * b
    canvas.polygon([(50, 210), (310, 210), (50, 50)], "#e6eef7", width=2)
    canvas.box((50, 196, 64, 210), None)
    canvas.text((180, 220), str(a), 18, anchor="ma")
    canvas.text((36, 130), str(b), 18, anchor="rm")
    root = math.isqrt(square)
    gold = str(root) if root * root == square else f"\\sqrt{{{square}}}"
    return Problem(
        "Geometry", "The legs of the right triangle in <image_1> are given. How long is its hypotenuse?",
        "<image_1>中直角三角形的两条直角边已给出，求斜边的长。",
        gold, f"${a}^2+{b}^2={square}$", figures=(canvas,),
        working=f"{a}, {b}. {a} * {a} = {a * a}; {b} * {b} = {b * b}; {a * a} + {b * b} = {square}. {gold}",
    )  # fmt: skip


def disc(rng: Random) -> Problem:
    """Ask for what a circle leaves of the square around it."""
    radius, canvas = rng.randint(2, 9), Canvas.blank(280, 280)
    side, inner = 2 * radius, radius**2
    gold = f"{side**2}-{inner}\\pi"
    canvas.box((40, 40, 240, 240), "#cfd8e3", width=2)
    canvas.oval((40, 40, 240, 240), "white", width=2)
    canvas.line([(140, 140), (240, 140)], width=2)
    canvas.text((190, 132), str(radius), 18, anchor="ms")
    return Problem(
        "Geometry", "What is the area of the shaded part of the square in <image_1>, outside of the circle?",
        "求<image_1>的正方形中圆外阴影部分的面积。",
        gold, f"$(2 \\cdot {radius})^2-\\pi \\cdot {radius}^2$", figures=(canvas,),
        working=f"{radius}. 2 * {radius} = {side}; {side} * {side} = {side**2}; {radius} * {radius} = {inner}. {gold}",
    )  # fmt: skip


def rectangles(rng: Random) -> Problem:
    """Ask for a difference between two figures, the second of which is named first."""
    a, b = rng.randint(3, 8), rng.randint(3, 8)
    c, d = a + rng.randint(0, 3), b + rng.randint(1, 3)
    figures = []
    for wide, high in ((a, b), (c, d)):
        canvas = Canvas.blank(330, 260)
        canvas.box((60, 40, 60 + 22 * wide, 40 + 18 * high), "#f3e3c3", width=2)
        canvas.text((60 + 11 * wide, 32), str(wide), 18, anchor="ms")
        canvas.text((50, 40 + 9 * high), str(high), 18, anchor="rm")
        figures.append(canvas)
    return Problem(
        "Geometry", "By how much is the area of the rectangle in <image_2> larger than of that in <image_1>?",
        "<image_2>中长方形的面积比<image_1>中长方形的面积大多少？",
        str(c * d - a * b), f"${c} \\cdot {d}-{a} \\cdot {b}$", figures=tuple(figures),
        working=f"{a}, {b}; {c}, {d}. {c} * {d} = {c * d}; {a} * {b} = {a * b}; {c * d} - {a * b} = {c * d - a * b}",
    )  # fmt: skip


def roots(rng: Random) -> Problem:
    """Ask for both roots of a quadratic equation."""
    p, q = sorted(words.spread(rng, 2, 1, 12))
    equation = f"$x^{{2}}-{p + q} x+{p * q}=0$"
    return Problem(
        "Algebra", f"Find all real solutions of {equation}.", f"求方程{equation}的所有实数解。",
        f"{p},{q}", f"$(x-{p})(x-{q})=0$", multiple=True,
    )  # fmt: skip


def interval(rng: Random) -> Problem:
    """Ask for the solutions of an inequality."""
    middle, reach = rng.randint(2, 20), rng.randint(2, 9)
    inequality = f"$|x-{middle}| \\leq {reach}$"
    return Problem(
        "Algebra", f"For which real numbers $x$ is {inequality}? Give an interval.",
        f"求不等式{inequality}的解集，用区间表示。",
        f"[{middle - reach},{middle + reach}]", f"$-{reach} \\leq x-{middle} \\leq {reach}$", "Interval",
    )  # fmt: skip


def series(rng: Random) -> Problem:
    """Ask for the sum of an arithmetic series."""
    step, start = 2 * rng.randint(1, 5), rng.randint(6, 20)
    terms = f"${start}, {start + step}, {start + 2 * step}, \\ldots$"
    return Problem(
        "Sequence", f"What is the sum of the first $n$ terms of the arithmetic sequence {terms}, in terms of $n$?",
        f"求等差数列{terms}的前$n$项和，用$n$表示。",
        f"{step // 2} n^{{2}}+{start - step // 2} n", f"$\\frac{{n}}{{2}}(2 \\cdot {start}+(n-1) \\cdot {step})$",
        "Expression",
    )  # fmt: skip


def line(rng: Random) -> Problem:
    """Ask for the equation of a line."""
    slope, offset = rng.randint(2, 9), rng.randint(1, 12)
    points = f"$(0,{offset})$ and $(1,{slope + offset})$"
    return Problem(
        "Plane Geometry", f"Find the equation, solved for $y$, of the line through {points}.",
        f"求过点{points.replace(' and ', '和')}的直线方程，写成$y$等于$x$的式子。",
        f"y={slope} x+{offset}", f"${slope}$", "Equation",
    )  # fmt: skip


def pair(rng: Random) -> Problem:
    """Ask for the solution of two equations."""
    x, y = words.spread(rng, 2, 1, 15)
    equations = f"$x+y={x + y}$, $2 x+y={2 * x + y}$"
    return Problem(
        "Algebra", f"Solve {equations}. Give the pair $(x,y)$.", f"解方程组{equations}，写出数对$(x,y)$。",
        f"({x},{y})", f"$x={x}$", "Tuple",
    )  # fmt: skip


def resistors(rng: Random) -> Problem:
    """Ask for the current through two resistors in series."""
    one, two, current = rng.randint(2, 12), rng.randint(2, 12), rng.randint(2, 6)
    volts, canvas = current * (one + two), Canvas.blank(420, 240)
    canvas.line([(60, 120), (60, 50), (350, 50), (350, 190), (60, 190), (60, 132)], width=2)
    canvas.line([(40, 120), (80, 120)], width=2)
    canvas.line([(50, 132), (70, 132)], width=4)
    for x, resistance in ((110, one), (240, two)):
        canvas.box((x, 38, x + 60, 62), "white", width=2)
        canvas.text((x + 30, 30), f"{resistance} ohm", 15, anchor="ms")
    canvas.text((92, 126), f"{volts} V", 15, anchor="lm")
    return Problem(
        "Electromagnetism", "What is the current in the circuit of <image_1>?", "求<image_1>所示电路中的电流。",
        str(current), f"$I=\\frac{{{volts}}}{{{one}+{two}}}$", figures=(canvas,), unit="A",
        working=f"{one} ohm, {two} ohm, {volts} V. {one} + {two} = {one + two}; {volts} / {one + two} = {current}",
    )  # fmt: skip


def ride(rng: Random) -> Problem:
    """Ask for the distance under a curve of speed over time."""
    speeds = [0, *(2 * speed for speed in words.spread(rng, 3, 1, 7)), 0]
    canvas = Canvas.blank(440, 320)
    points = list(zip(range(0, 9, 2), speeds, strict=True))
    charts.graph(canvas, (60, 30, 404, 270), points, 2, 14, rng.choice(drawing.PALETTE))
    canvas.text((232, 298), "t (s)", 14, anchor="ma")
    canvas.text((60, 8), "v (m/s)", 14, anchor="ma")
    return Problem(
        "Mechanics", "How far does the cart whose speed is shown in <image_1> travel in the 8 seconds?",
        "小车的速度随时间的变化如<image_1>所示，求它在8秒内行驶的路程。",
        str(2 * sum(speeds)), "$s=\\int v \\, dt$", figures=(canvas,), unit="m",
        context=("A cart moves on a straight track.", "一辆小车在直线轨道上运动。"),
        working=problems.travelled(speeds),
    )  # fmt: skip


def fall(rng: Random) -> Problem:
    """Ask for the speed of a falling stone, within a tolerance."""
    height = rng.randint(3, 60)
    return Problem(
        "Mechanics", f"How fast is the stone after it has fallen ${height} \\mathrm{{~m}}$?",
        f"石块下落${height} \\mathrm{{~m}}$后的速度是多少？",
        f"{math.sqrt(20 * height):.1f}", f"$v=\\sqrt{{2 \\cdot 10 \\cdot {height}}}$", unit="m/s", error="1e-1",
        context=("A stone is dropped from rest. Take $g=10 \\mathrm{~m/s^2}$ and neglect the air.",
                 "一石块由静止自由下落，取$g=10 \\mathrm{~m/s^2}$，不计空气阻力。"),
    )  # fmt: skip


def heater(rng: Random) -> Problem:
    """Ask for the power of a heater in terms of a voltage."""
    ohms = rng.randint(2, 30)
    return Problem(
        "Electromagnetism", f"What power does a resistor of ${ohms} \\Omega$ take from a source of the voltage $U$?",
        f"将${ohms} \\Omega$的电阻接在电压为$U$的电源上，其功率是多少？",
        f"\\frac{{U^{{2}}}}{{{ohms}}}", "$P=\\frac{U^{2}}{R}$", "Expression",
    )  # fmt: skip


MAKERS: dict[tuple[str, str], tuple[Callable[[Random], Problem], ...]] = {
    ("MM", "maths"): (triangle, disc, rectangles),
    ("MM", "physics"): (resistors, ride),
    ("TO", "maths"): (roots, interval, series, line, pair),
    ("TO", "physics"): (fall, heater),
}


def share(subset: str, subsets: Sequence[str], seed: int, n: int) -> Iterator[Mapping[str, object]]:
    """Yield the subset's equal share of n rows, at least one where n is above 0."""
    return rows(subset, seed, -(-n // len(subsets)), first_id=1 + 1000 * subsets.index(subset))


def rows(subset: str, seed: int, n: int, first_id: int = 1) -> Iterator[Mapping[str, object]]:
    """Yield n rows of a subset such as OE_MM_maths_en_COMP, its kinds of problems in turn."""
    _, modality, subject, language, level = subset.split("_")
    makers = MAKERS[modality, subject]
    for index in range(n):
        one = makers[index % len(makers)](Random(f"{seed}/{subset}/{index}"))
        english = language == "en"
        pictures = [drawing.png(figure.finished(), "" if k else one.working) for k, figure in enumerate(one.figures)]
        yield {
            "id": first_id + index,
            "question": one.en if english else one.zh,
            "solution": [one.steps],
            "final_answer": [one.gold],
            "context": one.context[0 if english else 1] if one.context else None,
            **{f"image_{k + 1}": pictures[k] if k < len(pictures) else None for k in range(COLUMNS)},
            "modality": "Multimodal" if modality == "MM" else "Text-only",
            "difficulty": level,
            "is_multiple_answer": one.multiple,
            "unit": one.unit,
            "answer_type": one.answer_type,
            "error": one.error,
            "question_type": "Open-ended",
            "subfield": one.subfield,
            "subject": "Math" if subject == "maths" else "Physics",
            "language": "English" if english else "Chinese",
        }
