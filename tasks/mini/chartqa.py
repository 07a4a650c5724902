"""Charts with questions, in the fields of `lmms-lab/ChartQA`: type, question, answer, image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from random import Random

from PIL import Image

from . import charts, drawing, words

COUNTRIES = ("Brazil", "Kenya", "Norway", "Japan", "Peru", "Egypt", "Canada", "India", "Spain", "Ghana", "Chile")
SHOPS = ("Nortway", "Belmar", "Quill & Co", "Hartley", "Sunmart", "Pelican", "Oakleaf")
FRUIT = ("Apples", "Pears", "Plums", "Cherries", "Figs", "Quinces", "Grapes")
TRAVEL = ("Bus", "Train", "Bicycle", "Car", "On foot", "Ferry", "Tram")
CROPS = ("Maize", "Wheat", "Barley", "Oats", "Rye", "Millet", "Rice")


@dataclass(frozen=True, slots=True)
class Topic:
    """What a chart is about: `kind` is the word for one of its labels, and `what` the word for its numbers."""

    title: str
    kind: str
    what: str
    unit: str
    labels: tuple[str, ...]
    low: int
    high: int


BY_LABEL = (
    Topic("Tea drunk per person and year", "country", "amount of tea drunk per person", "kg", COUNTRIES, 2, 42),
    Topic("Books borrowed from libraries", "country", "number of books borrowed", "thousands", COUNTRIES, 120, 940),
    Topic("Customer satisfaction score", "shop", "satisfaction score", "points out of 100", SHOPS, 41, 96),
    Topic("Fruit sold at the market hall", "fruit", "weight sold", "tonnes", FRUIT, 8, 89),
    Topic("Average yield of cereal crops", "crop", "average yield", "hundred kg per hectare", CROPS, 11, 77),
)
BY_YEAR = (
    Topic("Visitors to the maritime museum", "year", "number of visitors", "thousands", (), 35, 190),
    Topic("Ferry tickets sold", "year", "number of ferry tickets sold", "thousands", (), 210, 880),
    Topic("Unemployment rate in Tarnside", "year", "unemployment rate", "percent", (), 3, 14),
    Topic("Honey harvested in the valley", "year", "amount of honey harvested", "tonnes", (), 14, 66),
)
BY_SHARE = (
    Topic("How commuters travel to work", "way of travelling", "share of commuters", "percent", TRAVEL, 0, 0),
    Topic("Farmland by crop", "crop", "share of the farmland", "percent", CROPS, 0, 0),
    Topic("Favourite fruit of pupils", "fruit", "share of the pupils", "percent", FRUIT, 0, 0),
)


def _data(rng: Random, topic: Topic, labels: list[str]) -> dict[str, float]:
    """Give every label a number of its own, in tenths where the range is narrow."""
    if topic in BY_SHARE:
        shares: list[int] = []
        # Equal slices would leave a question for the largest with two answers.
        while len(set(shares)) < len(labels):
            cuts = [0, *sorted(words.spread(rng, len(labels) - 1, 6, 94, apart=6)), 100]
            shares = [end - start for start, end in pairwise(cuts)]
        return {label: float(share) for label, share in zip(labels, shares, strict=True)}
    tenths = 10 if topic.high < 100 and rng.random() < 0.5 else 1
    drawn = words.spread(rng, len(labels), topic.low * tenths, topic.high * tenths)
    return {label: number / tenths for label, number in zip(labels, drawn, strict=True)}


def _draw(rng: Random, topic: Topic, data: Mapping[str, float], source: str) -> Image.Image:
    width, height = rng.randint(322, 336), rng.randint(290, 336)
    paper, zoom = rng.choice(("white", "white", "#f7f5ef", "#f1f4f8")), rng.choice((0.94, 1.0))
    canvas = drawing.Canvas.blank(width, height, paper, zoom=zoom, face=rng.choice(drawing.PRINTED))
    size = rng.choice((12, 13, 14))
    colours = rng.sample(drawing.PALETTE, len(drawing.PALETTE))
    title = size + rng.randint(2, 4)
    canvas.text((18, 14), topic.title, title, bold=True)
    canvas.text((18, 20 + title), f"in {topic.unit}", size, "#6a7075")
    canvas.text((width - 12, height - 9), source, 12, "#8a9095", "rb")
    area = (14.0, 44.0 + title + size, width - 14.0, height - 52.0)
    if topic in BY_SHARE:
        middle = (width / 2 + rng.randint(-8, 8), (area[1] + height - 20) / 2)
        # The labels need room, above and below as well as beside the slices.
        radius = min((height - 20 - area[1]) / 2 - 28, width / 2 - 114)
        charts.pie(canvas, middle, radius, data, colours, size)
    elif topic in BY_YEAR:
        charts.curve(canvas, area, data, colours[0], size)
    elif rng.random() < 0.5:
        charts.columns(canvas, area, data, rng.choice((colours, colours[:1])), size)
    else:
        charts.bars(canvas, (14, area[1], width - 14, height - 30), data, rng.choice((colours, colours[:1])), size)
    return canvas.finished()


def read(data: Mapping[str, float], labels: Iterable[str]) -> str:
    """Name the labels, each with its number beside it."""
    return "; ".join(f"{label} {data[label]:g}" for label in labels)


def sign(one: float, other: float) -> str:
    """Return what stands between two numbers."""
    return "<" if one < other else ">" if one > other else "="


def against(data: Mapping[str, float], limit: float) -> str:
    """Name every label with its number and on which side of the limit that is."""
    return "; ".join(f"{label} {value:g} {sign(value, limit)}" for label, value in data.items())


def _ask(rng: Random, topic: Topic, data: Mapping[str, float], human: bool) -> tuple[str, str, str]:
    """Return a question, its answer and the working."""
    first, second = rng.sample(sorted(data), 2)
    where = "in " if topic in BY_YEAR else "for "
    kind = rng.choice(("difference", "truth", "truth", "count")) if human else rng.choice(("value", "value", "extreme"))
    match kind:
        case "difference":
            asked = f"What is the difference between the {topic.what} {where}{first} and that {where}{second}?"
            low, high = sorted((data[first], data[second]))
            answer = f"{round(high - low, 1):g}"
            return asked, answer, f"{read(data, (first, second))}. {high:g} - {low:g} = {answer}"
        case "truth":
            truth = rng.random() < 0.5
            if truth != (data[first] > data[second]):
                first, second = second, first
            answer = "Yes" if truth else "No"
            asked = f"Is the {topic.what} {where}{first} greater than {where}{second}?"
            compared = f"{data[first]:g} {sign(data[first], data[second])} {data[second]:g}"
            return asked, answer, f"{read(data, (first, second))}. {compared}. {answer}"
        case "count":
            one = sorted(data, key=data.__getitem__)[rng.randrange(1, len(data) - 1)]
            more = str(sum(value > data[one] for value in data.values()))
            others = {label: value for label, value in data.items() if label != one}
            working = f"{read(data, (one,))}. {against(others, data[one])}. {more}"
            return f"How many values in the chart are greater than that of {one}?", more, working
        case "value":
            return f"What was the {topic.what} {where}{first}?", f"{data[first]:g}", read(data, (first,))
        case _:
            best, word = rng.choice(((max, "highest"), (min, "lowest")))
            asked = f"Which {topic.kind} has the {word} {topic.what}?"
            if topic in BY_YEAR:
                asked = f"In which year was the {topic.what} the {word}?"
            answer = best(data, key=data.__getitem__)
            return asked, answer, f"{read(data, data)}. {word} {data[answer]:g} {answer}"


def worked(rng: Random, human: bool) -> tuple[Image.Image, str, str, str]:
    """Draw a bar, line or pie chart; return it, a question, the answer that its printed values give, and the working.

    `human` questions need a comparison or a sum, as those that people wrote for ChartQA.
    """
    topic = rng.choice(rng.choice((BY_LABEL, BY_LABEL, BY_YEAR, BY_SHARE)))
    if topic in BY_YEAR:
        start, step = rng.randint(1990, 2012), rng.choice((1, 1, 2))
        labels = [str(start + step * number) for number in range(rng.randint(5, 7))]
    else:
        labels = rng.sample(topic.labels, rng.randint(4, 5 if topic in BY_SHARE else 6))
    data = _data(rng, topic, labels)
    return _draw(rng, topic, data, f"Source: {words.company(rng)}"), *_ask(rng, topic, data, human)


def chart(rng: Random, human: bool) -> tuple[Image.Image, str, str]:
    """Return what `worked` does but the working."""
    return worked(rng, human)[:3]


def rows(seed: int, n: int) -> Iterator[Mapping[str, object]]:
    """Yield n rows, human_test and augmented_test in turn, one chart each."""
    for index in range(n):
        human = index % 2 == 0
        picture, question, answer, working = worked(Random(f"{seed}/{index}"), human)
        half = "human_test" if human else "augmented_test"
        yield {"type": half, "question": question, "answer": answer, "image": drawing.png(picture, working)}
