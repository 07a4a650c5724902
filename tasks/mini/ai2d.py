"""School diagrams with four options, in the fields of `lmms-lab/ai2d`: question, options, answer, image."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random

from PIL import ImageOps

from . import drawing, parts, words
from .drawing import Box, Canvas, Point

# From the producers up; whatever stands in one level may be drawn as food of anything in the next.
WEBS = {
    "Meadow": (("Grass", "Clover", "Wheat"), ("Grasshopper", "Rabbit", "Field mouse"), ("Frog", "Weasel", "Snake"),
               ("Hawk", "Owl")),
    "Pond": (("Algae", "Pondweed", "Duckweed"), ("Tadpole", "Water flea", "Mayfly"), ("Stickleback", "Newt", "Perch"),
             ("Heron", "Otter")),
    "Ocean": (("Diatoms", "Kelp", "Sea grass"), ("Krill", "Sea urchin", "Copepod"), ("Herring", "Squid", "Cod"),
              ("Seal", "Orca")),
    "Forest": (("Oak leaves", "Acorns", "Berries"), ("Caterpillar", "Squirrel", "Vole"), ("Robin", "Marten", "Badger"),
               ("Lynx", "Buzzard")),
}  # fmt: skip
CYCLES = {
    "butterfly": ("Egg", "Caterpillar", "Pupa", "Adult"),
    "frog": ("Frogspawn", "Embryo", "Tadpole", "Froglet", "Adult frog"),
    "mosquito": ("Egg raft", "Larva", "Pupa", "Adult mosquito"),
    "salmon": ("Egg", "Alevin", "Fry", "Parr", "Smolt", "Adult salmon"),
    "bean plant": ("Seed", "Sprout", "Seedling", "Grown plant", "Flower", "Pod"),
    "fern": ("Spore", "Gametophyte", "Fertilised egg", "Young fern", "Mature fern"),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A multiple-choice question and its working; `wrong` has three options or more, of which three are shown."""

    question: str
    gold: str
    wrong: tuple[str, ...]
    working: str


def _face(rng: Random) -> str:
    return rng.choice(drawing.PRINTED)


def _node(canvas: Canvas, at: Point, label: str, fill: str, size: float = 14) -> Box:
    half = drawing.width_of(label, size, canvas.face) / 2 + 12
    box = (at[0] - half, at[1] - size, at[0] + half, at[1] + size)
    canvas.box(box, fill, "#4a4f55", 1.2, radius=size)
    canvas.text(at, label, size, anchor="mm")
    return box


def _web(rng: Random, zoom: float) -> tuple[Canvas, Asked]:
    place = rng.choice(sorted(WEBS))
    counts = (rng.randint(2, 3), 3, rng.randint(2, 3), 1)
    levels = [rng.sample(level, count) for level, count in zip(WEBS[place], counts, strict=True)]
    canvas = Canvas.blank(520, 440, rng.choice(("white", "#f5f8f2", "#f2f6fa")), zoom=zoom, face=_face(rng))
    canvas.text((260, 14), f"{place} food web", 19, anchor="ma", bold=True)
    canvas.text((260, 430), "Each arrow points from the food to the animal that eats it.", 12, "#6a7075", "ms")
    spots: dict[str, Point] = {}
    for height, level in enumerate(levels):
        for number, name in enumerate(level):
            x = 520 * (number + 0.5) / len(level) + rng.uniform(-14, 14)
            spots[name] = (x, 372 - height * 98 + rng.uniform(-8, 8))
    eaten: dict[str, list[str]] = {name: [] for name in spots}
    for lower, upper in pairwise(levels):
        for name in lower:
            # Neighbours only: arrows that pass each other further apart are hard to follow.
            near = sorted(upper, key=lambda eater: abs(spots[eater][0] - spots[name][0]))
            eaten[name] = near[: rng.randint(1, min(2, len(near)))]
        for eater in upper:
            if not any(eater in eaten[name] for name in lower):
                eaten[min(lower, key=lambda name: abs(spots[eater][0] - spots[name][0]))].append(eater)
    for name, eaters in eaten.items():
        for eater in eaters:
            (x, y), (to_x, to_y) = spots[name], spots[eater]
            lean = (to_x - x) * 0.16
            canvas.arrow((x + lean, y - 14), (to_x - lean, to_y + 15), "#5b6167")
    for height, level in enumerate(levels):
        for name in level:
            _node(canvas, spots[name], name, ("#cfe6c3", "#f6e3a8", "#f3c9a0", "#e2b0b0")[height])
    return canvas, _ask_web(rng, levels, eaten)


def _arrow(levels: list[list[str]], foods: Container[str], eaters: Container[str]) -> str:
    """Name a level with one of the foods, the level above it, and which eat which; all from left to right."""
    lower, upper = next(pair for pair in pairwise(levels) if any(name in foods for name in pair[0]))
    ends = ([name for name in lower if name in foods], [name for name in upper if name in eaters])
    return f"{', '.join(lower)} / {', '.join(upper)}. {' > '.join(map(', '.join, ends))}"


def _ask_web(rng: Random, levels: list[list[str]], eaten: Mapping[str, list[str]]) -> Asked:
    names = sorted(eaten)
    animals = [name for level in levels[1:] for name in level]
    foods = {eater: [name for name in names if eater in eaten[name]] for eater in animals}
    kind = rng.choice(("eater", "eater", "food", "producer", "top", "count"))
    one = rng.choice([name for name in names if eaten[name]])
    eater = rng.choice(animals)
    match kind:
        case "eater":
            gold = rng.choice(eaten[one])
            wrong = tuple(name for name in names if name not in (*eaten[one], one))
            working = f"{_arrow(levels, (one,), eaten[one])}. {gold}"
            return Asked(f"According to the diagram, which of these eats the {one.lower()}?", gold, wrong, working)
        case "food":
            gold = rng.choice(foods[eater])
            wrong = tuple(name for name in names if name not in (*foods[eater], eater))
            working = f"{_arrow(levels, foods[eater], (eater,))}. {gold}"
            return Asked(f"Which of these is food for the {eater.lower()} in this food web?", gold, wrong, working)
        case "producer":
            gold = rng.choice(levels[0])
            working = f"bottom {', '.join(levels[0])}. {gold}"
            return Asked("Which of these is a producer in the food web?", gold, tuple(animals), working)
        case "top":
            wrong = tuple(name for name in names if eaten[name])
            gold = levels[-1][0]
            return Asked("Which of these is not eaten by anything in the diagram?", gold, wrong, f"top {gold}")
        case _:
            number = len(foods[eater])
            wrong = tuple(str(other) for other in range(1, 6) if other != number)
            asked = f"How many kinds of food does the {eater.lower()} eat in the diagram?"
            return Asked(asked, str(number), wrong, f"{_arrow(levels, foods[eater], (eater,))}. {number}")


def _cycle(rng: Random, zoom: float) -> tuple[Canvas, Asked]:
    name = rng.choice(sorted(CYCLES))
    stages = CYCLES[name]
    canvas = Canvas.blank(500, 420, rng.choice(("white", "#fbf8f0", "#f1f6f6")), zoom=zoom, face=_face(rng))
    canvas.text((250, 16), f"Life cycle of the {name}", 19, anchor="ma", bold=True)
    fill, first, turn = rng.choice(("#cfe3f4", "#d9ecd0", "#f5e2c0", "#e6d8ee")), rng.uniform(0, 360), 360 / len(stages)

    def spot(angle: float, grow: float = 1.0) -> Point:
        return 250 + 165 * grow * math.cos(math.radians(angle)), 232 + 138 * grow * math.sin(math.radians(angle))

    for number in range(len(stages)):
        start, end = first + (number + 0.36) * turn, first + (number + 0.66) * turn
        bend = [spot(start + (end - start) * step / 8) for step in range(9)]
        canvas.line(bend[:-1], "#5b6167", 2)
        canvas.arrow(bend[-2], bend[-1], "#5b6167", 2)
    for number, stage in enumerate(stages):
        _node(canvas, spot(first + number * turn), stage, fill, 15)
    here = rng.randrange(len(stages))
    after, before = stages[(here + 1) % len(stages)], stages[here - 1]
    match rng.choice(("after", "after", "before", "count")):
        case "after":
            wrong = tuple(stage for stage in stages if stage != after)
            asked = f"Which stage comes directly after the stage '{stages[here]}'?"
            return canvas, Asked(asked, after, wrong, f"{_round(stages, here)}. {after}")
        case "before":
            wrong = tuple(stage for stage in stages if stage != before)
            asked = f"From which stage does the stage '{stages[here]}' develop?"
            return canvas, Asked(asked, before, wrong, f"{_round(stages, here)}. {before}")
        case _:
            wrong = tuple(str(number) for number in range(3, 9) if number != len(stages))
            top = min(range(len(stages)), key=lambda number: spot(first + number * turn)[1])
            counted = "; ".join(f"{stages[(top + k) % len(stages)]} {k + 1}" for k in range(len(stages)))
            working = f"{counted}. {len(stages)}"
            return canvas, Asked("How many stages does the diagram show?", str(len(stages)), wrong, working)


def _round(stages: Sequence[str], start: int) -> str:
    return " > ".join((*stages[start:], *stages[: start + 1]))


def _parts(rng: Random, zoom: float) -> tuple[Canvas, Asked]:
    name, draw = rng.choice((("plant", parts.plant), ("Earth", parts.earth), ("volcano", parts.volcano),
                             ("plant cell", parts.cell)))  # fmt: skip
    canvas = Canvas.blank(480, 400, rng.choice(("white", "#eef4fa", "#fafaf5")), zoom=zoom, face=_face(rng))
    targets, mirrored = draw(canvas), rng.random() < 0.5
    if mirrored:
        canvas = replace(canvas, image=ImageOps.mirror(canvas.image))
    names = sorted(targets, key=lambda part: targets[part][1])
    letters = dict(zip(names, rng.sample("ABCDEFGH", len(names)), strict=True))
    for number, part in enumerate(names):
        x, y = targets[part]
        label, x = (28, 480 - x) if mirrored else (452, x)
        height = 60 + 280 * number / (len(names) - 1)
        canvas.line([(label, height), (x, y)], drawing.INK, 1.3)
        canvas.oval((x - 3, y - 3, x + 3, y + 3), drawing.INK, None)
        canvas.oval((label - 15, height - 15, label + 15, height + 15), "white", drawing.INK, 1.2)
        canvas.text((label, height), letters[part], 17, anchor="mm")
    gold, *others = rng.sample(names, len(names))
    marks = "; ".join(f"{letters[part]} {part}" for part in names)
    if rng.random() < 0.5:
        asked = f"Which letter marks the {gold.lower()} in the diagram of the {name}?"
        wrong = tuple(letters[part] for part in others)
        return canvas, Asked(asked, letters[gold], wrong, f"{marks}. {letters[gold]}")
    asked = f"Which part of the {name} is marked {letters[gold]}?"
    return canvas, Asked(asked, gold, tuple(others), f"{marks}. {gold}")


def rows(seed: int, n: int) -> Iterator[Mapping[str, object]]:
    """Yield n rows: food webs, life cycles and labelled parts in turn, the right answer at every place as often."""
    for index in range(n):
        rng = Random(f"{seed}/{index}")
        canvas, asked = (_web, _cycle, _parts)[index % 3](rng, rng.choice((0.9, 1.0, 1.0, 1.2)))
        place = words.slot(seed, index, 4)
        options = words.placed(rng, asked.gold, rng.sample(asked.wrong, 3), place)
        yield {
            "question": asked.question,
            "options": options,
            "answer": str(place),
            "image": drawing.png(canvas.finished(), asked.working),
        }
