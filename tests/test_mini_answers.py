"""The generated questions, answered a second time from what was drawn: the gold answer is the only right one."""

import re
from collections import Counter
from collections.abc import Mapping
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from evalkit.rows import Row
from evalkit.tasks.mini import chartqa, charts, mmmu_pro
from evalkit.tasks.mini.drawing import Canvas

Text = tuple[str, float, float]


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
def charted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The numbers of every chart that is drawn from here on."""
    record: list[Any] = []

    def recording(draw: Any, data: int) -> Any:
        def drawn(*arguments: Any) -> None:
            record.append(arguments[data])
            draw(*arguments)

        return drawn

    for name, data in {"columns": 2, "bars": 2, "curve": 2, "graph": 2, "pie": 3}.items():
        monkeypatch.setattr(charts, name, recording(getattr(charts, name), data))
    return record


def test_chartqa_answers_follow_from_the_charted_numbers(charted: list[Any]) -> None:
    kinds: Counter[tuple[str, str]] = Counter()
    for row in chartqa.rows(0, 120):
        data = charted.pop()
        question, answer = str(row["question"]), row["answer"]
        named = sorted((label for label in data if f" {label} " in question.replace("?", " ")), key=question.rindex)
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


def test_mmmu_pro_tokens_name_the_pictures_that_are_there() -> None:
    rows = [Row(row, f"row {number}") for number, row in enumerate(mmmu_pro.standard(8, 40))]
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


def _solved(row: Mapping[str, Any], texts: list[Text], charted: list[Any]) -> str:
    """Answer a question of every subject but Design, by the text of the right option."""
    words = [words for words, _, _ in texts]
    # A table's cells; a chart that comes after it says its labels again, so the first mention counts.
    cells = [pair for pair in pairwise(words) if re.fullmatch(r"[\d,]+", pair[1])]
    numbers = {name: int(value.replace(",", "")) for name, value in reversed(cells)}
    match row["subject"]:
        case "Accounting":
            earned = sum(number for name, number in numbers.items() if name.endswith("revenue"))
            return f"${earned - sum(number for name, number in numbers.items() if name.endswith('expense')):,}"
        case "Electronics":
            ohm = {word[:2]: int(word.split()[2]) for word in words}
            return f"{ohm['R1'] + ohm['R2'] * ohm['R3'] // (ohm['R2'] + ohm['R3'])} ohm"
        case "Physics":
            return f"{sum((x1 - x0) * (y0 + y1) // 2 for (x0, y0), (x1, y1) in pairwise(charted.pop()))} m"
        case "Computer_Science":
            root, *rest = [word for word, _, _ in sorted(texts, key=lambda text: (text[2], text[1]))]
            left, right = [rest[0], rest[2], rest[3]], [rest[1], rest[4], rest[5]]
            kind = row["question"].split(" traversal")[0].split()[-1]
            orders = {"pre-order": lambda n, a, b: [n, *a, *b], "in-order": lambda n, a, b: [*a, n, *b],
                      "post-order": lambda n, a, b: [*a, *b, n]}  # fmt: skip
            return " ".join(orders[kind](root, *(orders[kind](n, [a], [b]) for n, a, b in (left, right))))
        case "Marketing":
            name = row["question"].split()[-1].strip("?")
            return f"${numbers[name] * charted.pop()[name]:,.0f}"
        case "Chemistry":
            metal, grams = re.findall(r"How much (\w+) is in (\d+) g", row["question"])[0]
            return f"{charted.pop()[metal.capitalize()] * int(grams) / 100:g} g"
        case "Geography":
            (before, _), (after, _) = max(pairwise(charted.pop().items()), key=lambda pair: pair[1][1] - pair[0][1])
            return f"{before} to {after}"
        case _:
            # Each mass is written over the end of its distance, and the distance halfway to the support at x = 270.
            (_, near, _), (short, _, _), (load, _, _), (far, _, _) = texts
            assert near != 270
            return f"{int(load.split()[0]) * int(far.split()[0]) // int(short.split()[0])} kg"


def test_mmmu_pro_answers_follow_from_the_figures(texts: list[Text], charted: list[Any]) -> None:
    subjects: Counter[str] = Counter()
    for row in mmmu_pro.standard(0, 72):
        options = Row(row, "").options("options")
        gold = options["ABCDEFGHIJ".index(row["answer"])]
        if row["subject"] == "Design":
            shown = {f"<image {k}>": Image.open(BytesIO(row[f"image_{k}"])) for k in range(1, 6)}
            turned = shown["<image 1>"].rotate(-90)
            apart = {o: ImageStat.Stat(ImageChops.difference(turned, shown[o])).sum[0] for o in options}
            assert 2 * apart[gold] < min(apart[option] for option in options if option != gold)
        else:
            assert _solved(row, texts, charted) == gold, row["id"]
        subjects[row["subject"]] += 1
        texts.clear()
    assert len(subjects) == 9
