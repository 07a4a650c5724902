"""College questions on figures, each with the right answer that its numbers give, and wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from . import charts, drawing, words
from .drawing import Canvas

# A square of filled and empty fields, row by row.
Cells = tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """A question of a subject; `<image k>` in a text stands for the k-th of the figures, counted from 1.

    `working` is one line from what the figures show to the right answer; empty where nothing can be worked out.
    """

    subject: str
    question: str
    gold: str
    wrong: tuple[str, ...]
    figures: tuple[Canvas, ...]
    img_type: str
    explanation: str
    difficulty: str
    working: str


def _near(rng: Random, gold: int, step: int, form: str = "{}") -> tuple[str, ...]:
    """Return nine other values in steps from the right one, which may be anywhere among them; none is below 1."""
    below = rng.randint(0, min(9, (gold - 1) // step))
    return tuple(form.format(gold + step * k) for k in range(-below, 10 - below) if k)


def _product(one: int, other: int) -> str:
    """Return how to multiply with a number below 100; the result itself is left out."""
    tens, ones = other // 10 * 10, other % 10
    parts = f" = {one} * {tens} + {one} * {ones} = {one * tens} + {one * ones}" if tens and ones else ""
    return f"{one} * {other}{parts}"


def travelled(speeds: Sequence[int]) -> str:
    """Return how far one comes with speeds every 2 seconds, the first and the last of them 0."""
    _, one, two, three, _ = speeds
    sums = f"{one} + {two} = {one + two}; {one + two} + {three} = {sum(speeds)}"
    return f"{', '.join(map(str, speeds))}. {sums}; 2 * {sum(speeds)} = {2 * sum(speeds)}"


def income(rng: Random) -> Problem:
    """Ask for a net income."""
    earned = [("Sales revenue", rng.randrange(70, 120) * 500), ("Service revenue", rng.randrange(8, 30) * 500)]
    spent = [(name, rng.randrange(3, 22) * 500) for name in ("Wages expense", "Rent expense", "Supplies expense")]
    other = [("Cash", rng.randrange(10, 60) * 500), ("Accounts payable", rng.randrange(5, 30) * 500)]
    accounts, canvas = rng.sample([*earned, *spent, *other], 7), Canvas.blank(420, 270)
    canvas.table((20, 20), [("Account", "Balance ($)"), *((n, f"{v:,}") for n, v in accounts)], (240, 140), 15)
    plus, minus = sum(v for _, v in earned), sum(v for _, v in spent)
    one, two, three, four, five = (v for kind in ("revenue", "expense") for n, v in accounts if n.endswith(kind))
    costs = f"{three:,} + {four:,} = {three + four:,}; {three + four:,} + {five:,} = {minus:,}"
    return Problem(
        "Accounting", "What is the net income of the firm whose balances are given in <image 1>?",
        f"${plus - minus:,}", _near(rng, plus - minus, 500, "${:,}"), (canvas,), "Tables",
        f"Revenues of {plus:,} less expenses of {minus:,}; cash and payables are not part of income.", "Medium",
        f"{one:,} + {two:,} = {plus:,}; {costs}; {plus:,} - {minus:,} = ${plus - minus:,}",
    )  # fmt: skip


def circuit(rng: Random) -> Problem:
    """Ask for the resistance of one resistor in series with two in parallel."""
    one, two, pair = rng.choice(
        ((6, 3, 2), (12, 6, 4), (20, 5, 4), (30, 15, 10), (40, 10, 8), (24, 8, 6), (36, 18, 12))
    )
    first = rng.randint(3, 30)
    canvas = Canvas.blank(540, 290)
    canvas.line([(60, 165), (60, 250), (370, 250), (370, 215)])
    canvas.line([(60, 140), (60, 60), (370, 60), (370, 90)])
    for y, half in ((140, 20), (148, 10), (157, 20), (165, 10)):
        canvas.line([(60 - half, y), (60 + half, y)], width=2)
    for x, label, side in ((320, f"R2 = {one} ohm", -18), (420, f"R3 = {two} ohm", 18)):
        canvas.line([(370, 90), (x, 90), (x, 215), (370, 215)])
        canvas.box((x - 11, 120, x + 11, 185), "white", width=2)
        canvas.text((x + side, 152), label, 14, anchor="rm" if side < 0 else "lm")
    canvas.box((170, 49, 250, 71), "white", width=2)
    canvas.text((210, 34), f"R1 = {first} ohm", 14, anchor="mm")
    return Problem(
        "Electronics", "What is the total resistance that the battery sees in the circuit of <image 1>?",
        f"{first + pair} ohm", _near(rng, first + pair, 1, "{} ohm"), (canvas,), "Diagrams",
        f"R2 and R3 in parallel make {pair} ohm, in series with R1.", "Medium",
        f"R1 {first}; R2 {one}; R3 {two}. {one} | {two} = {pair}; {first} + {pair} = {first + pair} ohm",
    )  # fmt: skip


def motion(rng: Random) -> Problem:
    """Ask for the distance under a curve of speed over time."""
    speeds = [0, *(2 * v for v in words.spread(rng, 3, 1, 7)), 0]
    points, canvas = list(zip(range(0, 9, 2), speeds, strict=True)), Canvas.blank(440, 320)
    charts.graph(canvas, (60, 30, 404, 270), points, 2, 14, rng.choice(drawing.PALETTE))
    canvas.text((232, 298), "time (s)", 14, anchor="ma")
    canvas.text((60, 8), "speed (m/s)", 14, anchor="ma")
    return Problem(
        "Physics", "<image 1> shows the speed of a cart on a straight track. How far does it travel in the 8 seconds?",
        f"{2 * sum(speeds)} m", _near(rng, 2 * sum(speeds), rng.choice((2, 4)), "{} m"), (canvas,), "Plots and Charts",
        "The distance is the area under the graph.", "Medium", f"{travelled(speeds)} m",
    )  # fmt: skip


def tree(rng: Random) -> Problem:
    """Ask for the order in which a walk visits a binary tree."""
    names = rng.sample("ABCDEFGHKLMNPRST", 7)
    canvas = Canvas.blank(430, 270, rng.choice(("white", "#f7f7fb")))
    spots = [(215, 40), (115, 130), (315, 130), (65, 220), (165, 220), (265, 220), (365, 220)]
    for child in range(1, 7):
        canvas.line([spots[(child - 1) // 2], spots[child]], width=1.5)
    for (x, y), name in zip(spots, names, strict=True):
        canvas.oval((x - 20, y - 20, x + 20, y + 20), "#dce8f5", width=1.5)
        canvas.text((x, y), name, 18, anchor="mm")
    walks = {"pre-order": (0, 1, 3, 4, 2, 5, 6), "in-order": (3, 1, 4, 0, 5, 2, 6), "post-order": (3, 4, 1, 5, 6, 2, 0)}
    walk = rng.choice(sorted(walks))
    orders = {kind: " ".join(names[at] for at in walks[kind]) for kind in walks}
    right = orders.pop(walk)
    levels = "; ".join(" ".join(names[start : 2 * start + 1]) for start in (0, 1, 3))
    swapped = [right[: 2 * at] + right[2 * at + 2] + " " + right[2 * at] + right[2 * at + 3 :] for at in range(6)]
    return Problem(
        "Computer_Science", f"In which order does a {walk} traversal visit the nodes of the tree in <image 1>?",
        right, (*orders.values(), " ".join(names), *swapped), (canvas,), "Trees and Graphs", "", "Easy",
        f"{levels}. {walk} {right}",
    )  # fmt: skip


def revenue(rng: Random) -> Problem:
    """Ask for a product of numbers from two figures, the second of which is named first."""
    goods = rng.sample(("Lamps", "Chairs", "Desks", "Shelves", "Mirrors"), 4)
    sold = dict(zip(goods, words.spread(rng, 4, 12, 60), strict=True))
    price = dict(zip(goods, (5.0 * n for n in words.spread(rng, 4, 3, 16)), strict=True))
    table, chart = Canvas.blank(300, 190), Canvas.blank(400, 270)
    table.table((20, 20), [("Product", "Units sold"), *((name, str(sold[name])) for name in goods)], (140, 120), 15)
    chart.text((200, 12), "Price per unit ($)", 16, anchor="ma", bold=True)
    charts.columns(chart, (30, 46, 370, 238), {name: price[name] for name in rng.sample(goods, 4)}, drawing.PALETTE)
    units, each = sold[goods[0]], round(price[goods[0]])
    total = units * each
    asked = f"Prices are given in <image 2> and quantities in <image 1>. What is the revenue from {goods[0]}?"
    return Problem("Marketing", asked, f"${total:,}", _near(rng, total, 15, "${:,}"), (table, chart), "Tables",
                   "Revenue is price times quantity.", "Easy",
                   f"{goods[0]} {units}; {goods[0]} {each}. {_product(units, each)} = ${total:,}")  # fmt: skip


def _pattern(cells: Cells, colour: str) -> Canvas:
    canvas = Canvas.blank(116, 116)
    for number, filled in enumerate(cell for line in cells for cell in line):
        x, y = 10 + 24 * (number % 4), 10 + 24 * (number // 4)
        canvas.box((x, y, x + 24, y + 24), colour if filled else "white", "#7a8087")
    return canvas


def turned(rng: Random) -> Problem:
    """Ask which of four figures is a fifth one turned."""

    def clockwise(cells: Cells) -> Cells:
        return tuple(zip(*cells[::-1], strict=True))

    views: list[Cells] = []
    # A pattern that looks alike from two sides would make two answers right.
    while len(set(views)) < 5:
        first: Cells = tuple(tuple(rng.random() < 0.45 for _ in range(4)) for _ in range(4))
        views = [first, clockwise(first), clockwise(clockwise(first)), clockwise(first)[::-1], first[::-1]]
    shown, colour = rng.sample(views[1:], 4), rng.choice(drawing.PALETTE)
    tokens = [f"<image {number}>" for number in range(2, 6)]
    gold = tokens[shown.index(views[1])]
    return Problem(
        "Design", "Which figure is <image 1> after a quarter turn clockwise?", gold,
        tuple(token for token in tokens if token != gold), tuple(_pattern(cells, colour) for cells in (first, *shown)),
        "Icons and Symbols", "", "Medium", "",
    )  # fmt: skip


def mixture(rng: Random) -> Problem:
    """Ask for the mass of one part of an alloy whose shares a pie shows."""
    metals = rng.sample(("Copper", "Zinc", "Tin", "Nickel", "Iron"), 4)
    cuts = sorted(words.spread(rng, 3, 2, 18, apart=2))
    shares = {metal: 5.0 * (b - a) for metal, a, b in zip(metals, [0, *cuts], [*cuts, 20], strict=True)}
    sample, metal = rng.choice((200, 240, 300, 360, 400, 500)), rng.choice(metals)
    canvas = Canvas.blank(430, 300)
    charts.pie(canvas, (215, 150), 95, shares, rng.sample(drawing.PALETTE, 4), 15)
    mass, tenth, (tens, fives) = round(sample * shares[metal] / 100), sample // 10, divmod(round(shares[metal]), 10)
    half = f"; {tenth} / 2 = {tenth // 2}; {tenth * tens} + {tenth // 2} = {mass}" if fives else ""
    steps = f"{sample} / 10 = {tenth}; {tenth} * {tens} = {tenth * tens}{half}"
    asked = f"<image 1> gives the composition of an alloy by mass. How much {metal.lower()} is in {sample} g of it?"
    return Problem("Chemistry", asked, f"{mass} g", _near(rng, mass, 5, "{} g"), (canvas,), "Plots and Charts",
                   f"{shares[metal]:g}% of {sample} g.", "Easy",
                   f"{metal} {shares[metal]:g}%, {sample} g. {steps} g")  # fmt: skip


def growth(rng: Random) -> Problem:
    """Ask in which interval a curve rises most."""
    start, step, rises = rng.randint(1900, 1960), rng.choice((2, 5)), words.spread(rng, 10, -6, 14, apart=2)
    years = [start + step * number for number in range(11)]
    people = {str(year): 48.0 + sum(rises[:number]) for number, year in enumerate(years)}
    canvas = Canvas.blank(580, 320)
    canvas.text((290, 12), f"Population of {rng.choice(words.TOWNS)} (thousands)", 16, anchor="ma", bold=True)
    charts.curve(canvas, (24, 50, 556, 280), people, rng.choice(drawing.PALETTE), 14)
    gaps = [f"{year} to {year + step}" for year in years[:-1]]
    most, values = rises.index(max(rises)), [round(value) for value in people.values()]
    gold = gaps[most]
    read = "".join(f"{value} {rise:+} " for value, rise in zip(values[:-1], rises, strict=True))
    best = f"{rises[most]:+}: {values[most]} to {values[most + 1]}"
    return Problem("Geography", "In which period did the population in <image 1> grow most?", gold,
                   tuple(gap for gap in gaps if gap != gold), (canvas,), "Plots and Charts", "", "Easy",
                   f"{read}{values[-1]}. {best}; {gold}")  # fmt: skip


def lever(rng: Random) -> Problem:
    """Ask for the mass that balances a beam."""
    near, ratio, load, side = rng.randint(2, 4), rng.choice((2, 3)), rng.randint(4, 25), rng.choice((-1, 1))
    far, canvas = near * ratio, Canvas.blank(540, 230)
    canvas.polygon([(270, 128), (240, 186), (300, 186)], "#c3c8cd")
    canvas.box((20, 120, 520, 129), "#8a6d4b")
    for metres, mass in ((-near, "m"), (far, f"{load} kg")):
        x = 270 + side * metres * 19
        canvas.box((x - 26, 76, x + 26, 119), "#dce8f5", width=1.5)
        canvas.text((x, 98), mass, 16, anchor="mm")
        canvas.line([(270, 205), (x, 205)])
        canvas.line([(x, 198), (x, 212)])
        canvas.text(((270 + x) / 2, 203), f"{abs(metres)} m", 14, anchor="mb")
    canvas.line([(270, 198), (270, 212)])
    return Problem(
        "Mechanical_Engineering", "The beam in <image 1> is light and in balance. What is the mass m?",
        f"{load * ratio} kg", _near(rng, load * ratio, 1, "{} kg"), (canvas,), "Diagrams",
        "The products of mass and distance from the support are equal.", "Medium",
        f"{near} m, {far} m, {load} kg. {far} / {near} = {ratio}; {ratio} * {load} = {load * ratio} kg",
    )  # fmt: skip
