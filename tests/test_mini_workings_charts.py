"""Workings of generated charts, diagrams and mathematical questions: short, true, and ending with the answer."""

import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from operator import add, eq, gt, lt, mul, sub
from typing import Any

import pytest

from evalkit.tasks.mini import ai2d, chartqa, drawing, mathvista

Draw = Callable[[int, int], Iterator[Mapping[str, Any]]]

NUMBER = r"(\d+(?:\.\d+)?)"
SIDE = rf"{NUMBER}(?: ([-+*]) {NUMBER})?"
STATED = re.compile(rf"{SIDE} ([<=>]) {SIDE}")
STEPS = {"+": add, "-": sub, "*": mul}
SIGNS = {"<": lt, "=": eq, ">": gt}
COUNTED = re.compile(r"(?:.* )?(?P<limit>[\d.]+)\. (?P<others>[^.]* [\d.]+ [<=>](?:;.*?)?)\. (?P<more>\d+)")


def _value(first: str, step: str | None, second: str | None) -> Decimal:
    return STEPS[step](Decimal(first), Decimal(second)) if step and second else Decimal(first)


@pytest.fixture
def workings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The working of every picture from here on."""
    record: list[str] = []

    def png(_: object, working: str = "") -> bytes:
        record.append(working)
        return b""

    monkeypatch.setattr(drawing, "png", png)
    return record


@pytest.mark.parametrize("rows", [chartqa.rows, ai2d.rows, mathvista.rows])
def test_a_working_is_true_and_ends_with_the_answer(rows: Draw, workings: list[str]) -> None:
    for row in rows(0, 40):
        working = workings.pop()
        answer = row["options"][int(row["answer"])] if "options" in row else row["answer"]
        assert working.isascii()
        assert working.isprintable()
        assert re.search(rf"(^|[ .]){re.escape(answer.removesuffix('°'))}$", working), (working, answer)
        assert len(working) <= 120
        for stated in STATED.findall(working):
            assert SIGNS[stated[3]](_value(*stated[:3]), _value(*stated[4:])), working
        assert not workings


def test_a_count_has_as_many_signs(workings: list[str]) -> None:
    seen = 0
    for rows in (chartqa.rows, mathvista.rows):
        for row in rows(0, 40):
            working = workings.pop()
            if row["question"].startswith(("How many values", "How many bars")):
                found = COUNTED.fullmatch(working)
                assert found, working
                for value, sign in re.findall(rf"{NUMBER} ([<=>])", found["others"]):
                    assert SIGNS[sign](Decimal(value), Decimal(found["limit"])), working
                assert found["others"].count(">") == int(found["more"]), working
                seen += 1
    assert seen > 5
