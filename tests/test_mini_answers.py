"""The generated questions, answered a second time from what was drawn: the gold answer is the only right one."""

import math
import re
from collections import Counter
from typing import Any

import pytest

from evalkit.rows import Row
from evalkit.tasks.mini import ai2d, chartqa, charts, mmmu_pro
from evalkit.tasks.mini.drawing import Canvas

Text = tuple[str, float, float]
Arrow = tuple[tuple[float, float], tuple[float, float]]


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> list[Text]:
    """Every text that is written from here on and where."""
    record: list[Text] = []
    write = Canvas.text

    def text(self: Canvas, at: tuple[float, float], words: str, *style: Any, **more: Any) -> None:
        record.append((words, *at))
        write(self, at, words, *style, **more)

    monkeypatch.setattr(Canvas, "text", text)
    return record


@pytest.fixture
def arrows(monkeypatch: pytest.MonkeyPatch) -> list[Arrow]:
    """Every arrow that is drawn from here on, tail and tip."""
    record: list[Arrow] = []
    draw = Canvas.arrow

    def arrow(self: Canvas, start: tuple[float, float], end: tuple[float, float], *style: Any) -> None:
        record.append((start, end))
        draw(self, start, end, *style)

    monkeypatch.setattr(Canvas, "arrow", arrow)
    return record


@pytest.fixture
def charted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The numbers of every chart that is drawn from here on."""
    record: list[Any] = []
    for name in ("columns", "bars", "curve", "pie", "graph"):

        def draw(
            canvas: Canvas, *where: Any, _draw: Any = getattr(charts, name), _data: int = 1 + (name == "pie")
        ) -> None:
            record.append(where[_data])
            _draw(canvas, *where)

        monkeypatch.setattr(charts, name, draw)
    return record


def test_chartqa_answers_follow_from_the_charted_numbers(charted: list[Any]) -> None:
    kinds = Counter()
    for row in chartqa.rows(0, 160):
        data = charted.pop()
        question, answer = str(row["question"]), row["answer"]
        named = sorted(
            (label for label in data if re.search(rf"\b{re.escape(label)}\b", question)), key=question.rindex
        )
        if question.startswith("What is the difference"):
            assert float(answer) == pytest.approx(abs(data[named[0]] - data[named[1]]))
        elif question.startswith("Is the"):
            assert answer == ("Yes" if data[named[0]] > data[named[1]] else "No")
        elif question.startswith("How many"):
            assert int(answer) == sum(value > data[named[0]] for value in data.values())
        elif question.startswith("What was"):
            assert float(answer) == data[named[0]]
        else:
            best = max if "highest" in question else min
            assert data[answer] == best(data.values())
        assert len(set(data.values())) == len(data)
        kinds[question.split()[0], answer if answer in ("Yes", "No") else ""] += 1
    assert len(kinds) >= 6
    assert abs(kinds["Is", "Yes"] - kinds["Is", "No"]) < 20


def test_ai2d_food_webs_have_one_right_option(texts: list[Text], arrows: list[Arrow]) -> None:
    for index, row in enumerate(ai2d.rows(0, 90)):
        spots = {words: (x, y) for words, x, y in texts if 40 < y < 400}
        if index % 3 == 0:

            def nearest(point: tuple[float, float], spots: Any = spots) -> str:
                return min(spots, key=lambda name: math.dist(spots[name], point))

            # An arrow leaves above its tail's name and ends below its tip's.
            eaten = {(nearest(start), nearest(end)) for start, end in arrows}
            assert len(eaten) == len(arrows)
            right = [o for o in row["options"] if _holds(row["question"], o, eaten)]
            assert right == [row["options"][int(row["answer"])]], row["question"]
        texts.clear()
        arrows.clear()


def _holds(question: str, option: str, eaten: set[tuple[str, str]]) -> bool:
    food, eaters = {pair[0] for pair in eaten}, {pair[1] for pair in eaten}
    named = next((name for name in food | eaters if f"the {name.lower()}" in question), "")
    if "which of these eats" in question:
        return (named, option) in eaten
    if "is food for" in question:
        return (option, named) in eaten
    if "How many kinds" in question:
        return int(option) == sum(eater == named for _, eater in eaten)
    if "producer" in question:
        return option not in eaters
    return option not in food


def test_ai2d_cycles_run_clockwise(texts: list[Text]) -> None:
    for index, row in enumerate(ai2d.rows(0, 90)):
        if index % 3 == 1:
            stages = sorted(
                (math.atan2(y - 232, x - 250), words) for words, x, y in texts if not words.startswith("Life")
            )
            names = [words for _, words in stages]
            gold = row["options"][int(row["answer"])]
            if "How many" in row["question"]:
                assert int(gold) == len(names)
            else:
                here = names.index(row["question"].split("'")[1])
                assert gold == names[here - 1 if "develop" in row["question"] else (here + 1) % len(names)]
        texts.clear()


def test_ai2d_answers_are_evenly_placed_among_four_options() -> None:
    rows = list(ai2d.rows(8, 40))
    assert Counter(row["answer"] for row in rows) == dict.fromkeys("0123", 10)
    assert all(len(set(row["options"])) == len(row["options"]) == 4 for row in rows)


def test_mmmu_pro_answers_are_evenly_placed() -> None:
    rows = list(mmmu_pro.standard(8, 120))
    letters = Counter(row["answer"] for row in rows if row["subject"] != "Design")
    assert sorted(letters) == list("ABCDEFGHIJ")
    assert max(letters.values()) - min(letters.values()) <= 5
    assert {row["answer"] for row in rows if row["subject"] == "Design"} == set("ABCD")


def test_mmmu_pro_tokens_name_the_pictures_that_are_there() -> None:
    rows = [Row(row, f"row {number}") for number, row in enumerate(mmmu_pro.standard(8, 60))]
    orders = []
    for row in rows:
        options = row.options("options")
        assert row.text("answer") in "ABCDEFGHIJ"[: len(options)]
        assert 4 <= len(set(options)) == len(options) <= 10
        assert row.text("id").split("_", 1)[1].rsplit("_", 1)[0] == row.text("subject")
        text = row.text("question") + " ".join(options)
        order = [k for _, k in sorted((text.index(f"<image {k}>"), k) for k in range(1, 8) if f"<image {k}>" in text)]
        assert sorted(order) == [k for k in range(1, 8) if f"image_{k}" in row]
        orders.append(order)
        assert row.options("img_type")
    assert [2, 1] in orders
    assert any(len(order) == 5 for order in orders)
    assert sum(len(row.options("options")) == 10 for row in rows) > len(rows) / 2
