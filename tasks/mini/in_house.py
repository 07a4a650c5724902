"""Conversations about pictures with checklists, in the fields of in_house's `data.jsonl`: twelve, of three tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from . import charts, drawing, words
from .drawing import Canvas

ROWS = 12
FRUIT = ("Apples", "Pears", "Plums", "Figs", "Cherries", "Quinces")
GOODS = ("Lamp", "Kettle", "Chair", "Clock", "Basket", "Mirror", "Blanket")
COLOURS = {"red": "#b8474f", "blue": "#3b6fb6", "green": "#4c9a5b", "orange": "#d9822b", "violet": "#7d62a8"}


def _user(*parts: str | bytes) -> dict[str, object]:
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": part} for part in parts
    ]
    return {"role": "user", "content": content}


def _item(name: str, text: str, weight: float = 1, kind: str = "nice") -> dict[str, object]:
    return {"id": name, "text": text, "weight": weight, "kind": kind}


def _report(rng: Random) -> dict[str, object]:
    """Ask for a short report on a chart."""
    names = rng.sample(FRUIT, 4)
    data = dict(zip(names, map(float, words.spread(rng, 4, 12, 90, 4)), strict=True))
    canvas = Canvas.blank(420, 280)
    canvas.text((210, 10), f"Harvest in {rng.choice(words.TOWNS)} (tonnes)", 15, anchor="ma", bold=True)
    charts.columns(canvas, (30, 44, 390, 245), data, rng.sample(drawing.PALETTE, 4))
    most, least = max(names, key=data.__getitem__), min(names, key=data.__getitem__)
    return {
        "task": "chart report",
        "turns": [_user(drawing.png(canvas.finished()), "Sum this chart up for a newsletter, in two sentences.")],
        "reference": f"{most} led the harvest with {data[most]:g} tonnes. {least} came last with {data[least]:g}.",
        "checklist": [
            _item("most", f"It says that {most} had the largest harvest.", 2, "must"),
            _item("least", f"It says that {least} had the smallest harvest."),
            _item("number", f"It gives {data[most]:g} tonnes for {most}."),
            _item("length", "It has exactly two sentences."),
            _item("invented", "It states a number that is not in the chart and does not follow from it.", 1, "penalty"),
        ],
    }


def _receipt(rng: Random) -> dict[str, object]:
    """Ask for a receipt as data."""
    goods = rng.sample(GOODS, 3)
    prices = dict(zip(goods, words.spread(rng, 3, 4, 80), strict=True))
    canvas = Canvas.blank(320, 240)
    canvas.text((20, 16), words.company(rng), 16, bold=True)
    total = ("Total", f"{sum(prices.values())}.00")
    canvas.table((20, 50), [("Item", "Price"), *((n, f"{p}.00") for n, p in prices.items()), total], (160, 110), 15)
    rows = ", ".join(f'"{name}": {price}' for name, price in prices.items())
    return {
        "task": "data entry",
        "turns": [
            {"role": "system", "content": "You answer with JSON alone."},
            _user("Give me what was bought, as one object of prices by item.", drawing.png(canvas.finished())),
        ],
        "reference": f"{{{rows}}}",
        "checklist": [
            _item("json", "It is one JSON object, with no words around it.", 1, "must"),
            *(_item(f"item{k}", f"It has {name} at a price of {prices[name]}.") for k, name in enumerate(goods, 1)),
            _item("total", "It lists the total as if that had been bought.", 1, "penalty"),
        ],
    }


def _follow_up(rng: Random) -> dict[str, object]:
    """Ask on after a wrong answer, which the user doubts."""
    (one, first), (other, second) = rng.sample(sorted(COLOURS.items()), 2)
    many, few = words.spread(rng, 2, 2, 6)
    canvas = Canvas.blank(420, 200)
    for number in range(many):
        canvas.oval((20 + 64 * number, 30, 70 + 64 * number, 80), first)
    for number in range(few):
        canvas.box((20 + 64 * number, 120, 70 + 64 * number, 170), second)
    return {
        "task": "follow-up",
        "turns": [
            _user(drawing.png(canvas.finished()), f"How many {one} circles are there?"),
            {"role": "assistant", "content": [{"type": "text", "text": f"There are {many + 1} {one} circles."}]},
            _user("Are you sure? And how many squares are there?"),
        ],
        "checklist": [
            _item("circles", f"It corrects the number of {one} circles to {many}.", 2, "must"),
            _item("squares", f"It says that there are {few} {other} squares, or {few} squares.", 2),
            _item("frank", "It says openly that the first answer was wrong."),
            _item("grovelling", "It apologises more than once.", 0.5, "penalty"),
        ],
    }


MAKERS = (_report, _receipt, _follow_up)


def rows(seed: int, n: int) -> Iterator[Mapping[str, object]]:
    """Yield n rows, at most twelve, the three tasks in turn."""
    for index in range(min(n, ROWS)):
        rng = Random(f"in_house/{seed}/{index}")
        yield {"id": f"mini/{index + 1:02d}", **MAKERS[index % len(MAKERS)](rng)}
