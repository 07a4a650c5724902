"""The generated diagrams, read a second time from their arrows and pointers: only the gold option is right."""

import math
import re
from collections import defaultdict
from typing import Any

import pytest

from evalkit.tasks.mini import ai2d, parts
from evalkit.tasks.mini.drawing import Canvas

# The arguments of each call of a drawing method, by its name.
Drawn = defaultdict[str, list[tuple[Any, ...]]]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """What is drawn from here on."""
    record: Drawn = defaultdict(list)

    def recording(name: str, draw: Any) -> Any:
        def method(self: Canvas, *arguments: Any, **more: Any) -> None:
            record[name].append(arguments)
            draw(self, *arguments, **more)

        return method

    for name in ("text", "arrow", "line"):
        monkeypatch.setattr(Canvas, name, recording(name, getattr(Canvas, name)))
    return record


def test_ai2d_food_webs_have_one_right_option(drawn: Drawn) -> None:
    for index, row in enumerate(ai2d.rows(0, 60)):
        if index % 3 == 0:
            arrows = [call[:2] for call in drawn["arrow"]]
            # Without the title above and the legend below.
            spots = {words: at for at, words, *_ in drawn["text"] if 40 < at[1] < 400}
            # An arrow leaves above its tail's name and ends below its tip's.
            eaten = {tuple(min(spots, key=lambda n: math.dist(spots[n], end)) for end in arrow) for arrow in arrows}
            assert len(eaten) == len(arrows)
            right = [o for o in row["options"] if _holds(row["question"], o, eaten)]
            assert right == [row["options"][int(row["answer"])]], row["question"]
        drawn.clear()


def _holds(question: str, option: str, eaten: set[tuple[str, ...]]) -> bool:
    food, eaters = {pair[0] for pair in eaten}, {pair[1] for pair in eaten}
    named = next((name for name in food | eaters if re.search(rf"the {name.lower()}\b", question)), "")
    if "which of these eats" in question:
        return (named, option) in eaten
    if "is food for" in question:
        return (option, named) in eaten
    if "How many kinds" in question:
        return int(option) == sum(eater == named for _, eater in eaten)
    if "producer" in question:
        return option not in eaters
    return option not in food


def test_ai2d_cycles_run_clockwise(drawn: Drawn) -> None:
    for index, row in enumerate(ai2d.rows(0, 60)):
        if index % 3 == 1:
            _title, *stages = drawn["text"]
            stages.sort(key=lambda text: math.atan2(text[0][1] - 232, text[0][0] - 250))
            names = [words for _, words, *_ in stages]
            gold = row["options"][int(row["answer"])]
            if "How many" in row["question"]:
                assert int(gold) == len(names)
            else:
                here = names.index(row["question"].split("'")[1])
                assert gold == names[here - 1 if "develop" in row["question"] else (here + 1) % len(names)]
        drawn.clear()


def test_ai2d_letters_point_at_their_parts(drawn: Drawn) -> None:
    things = {"plant": parts.plant, "Earth": parts.earth, "volcano": parts.volcano, "plant cell": parts.cell}
    targets = {thing: draw(Canvas.blank(480, 400)) for thing, draw in things.items()}
    drawn.clear()
    asked = set()
    for index, row in enumerate(ai2d.rows(0, 72)):
        if index % 3 == 2:
            # "plant cell" is asked for by a name that ends otherwise than "plant".
            thing = next(name for name in sorted(things, key=len, reverse=True) if f"the {name}" in row["question"])
            ends = dict(pointer for pointer, *_ in drawn["line"] if len(pointer) == 2)
            marked = {letter: _part_at(ends[at], targets[thing]) for at, letter, *_ in drawn["text"]}
            assert sorted(marked.values()) == sorted(targets[thing])
            gold = row["options"][int(row["answer"])]
            if "Which letter" in row["question"]:
                assert f" {marked[gold].lower()} in" in row["question"]
            else:
                assert gold == marked[row["question"][-2]]
            asked.add((thing, len(gold) == 1))
        drawn.clear()
    assert len(asked) == 8


def _part_at(point: tuple[float, float], targets: dict[str, tuple[float, float]]) -> str:
    """Return the part that lies there, in the picture or in its mirror image."""
    x, y = point
    return min(targets, key=lambda part: min(math.dist(targets[part], seen) for seen in ((x, y), (480 - x, y))))
