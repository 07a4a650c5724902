"""The workings of the generated college and olympiad problems: each is true and ends with the right answer."""

import re
from ast import literal_eval
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from operator import add, mul, sub, truediv

import pytest
from PIL import Image

from evalkit.tasks.mini import drawing, mmmu, mmmu_pro, olympiadbench

LONGEST = 140
SUM = re.compile(r"\$?[\d,]+(?: [-+*/|] \$?[\d,]+)*")
DIFFERENCE = re.compile(r"(?=\b(\d+) ([-+]\d+) (\d+)\b)")
TREE = re.compile(r"[A-T]; [A-T] [A-T]; [A-T] [A-T] [A-T] [A-T]\. ")


def parallel(one: Decimal, other: Decimal) -> Decimal:
    return one * other / (one + other)


OPERATIONS: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": add, "-": sub, "*": mul, "/": truediv, "|": parallel,
}  # fmt: skip


@pytest.fixture
def workings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The working of every picture that is drawn from here on."""
    record: list[str] = []

    def png(picture: Image.Image, working: str = "") -> bytes:
        assert picture.width > 0
        record.append(working)
        return b"a picture"

    monkeypatch.setattr(drawing, "png", png)
    return record


def number(text: str) -> Decimal:
    return Decimal(text.strip("$").replace(",", ""))


def value(terms: str) -> Decimal:
    """Return what a sum of numbers or products of two comes to."""
    total, sign = Decimal(0), "+"
    for part in re.split(r" ([-+]) ", terms):
        if part in ("+", "-"):
            sign = part
            continue
        first, *more = part.split()
        product = OPERATIONS[more[0]](number(first), number(more[1])) if more else number(first)
        total = OPERATIONS[sign](total, product)
    return total


def equations(working: str) -> int:
    """Return how many equal signs there are, each between two sides that come to the same."""
    count = 0
    for step in re.split(r"[.;] ", working):
        sides = step.split(" = ")
        # A unit stands after the last number.
        sides[-1] = re.sub(r" [a-z]+$", "", sides[-1])
        if len(sides) > 1:
            assert all(SUM.fullmatch(side) for side in sides), step
            assert len({value(side) for side in sides}) == 1, step
        count += len(sides) - 1
    assert count == working.count("=")
    return count


def checked(working: str) -> str:
    """Return the working after the rules that all of them keep to."""
    assert re.fullmatch(r"[ -~]+", working)
    assert len(working) <= LONGEST, working
    if not equations(working) and not TREE.match(working):
        steps = [(int(before), int(rise), int(after)) for before, rise, after in DIFFERENCE.findall(working)]
        assert len(steps) == 10
        assert all(before + rise == after for before, rise, after in steps), working
        before, rise, after = max(steps, key=lambda step: step[1])
        assert f". +{rise}: {before} to {after}; " in working
    return working


def answered(row: Mapping[str, object], working: str) -> None:
    options, answer = literal_eval(str(row["options"])), str(row["answer"])
    if options:
        assert working.endswith(f" {options[ord(answer) - ord('A')]}"), working
    elif answer.startswith("["):
        assert working.endswith(f" {literal_eval(answer)[0]}"), working
    else:
        assert number(re.findall(r"[\d,]+", working)[-1]) == number(answer), working


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("draw", [mmmu.rows, mmmu_pro.standard, mmmu_pro.vision])
def test_college_workings(
    draw: Callable[[int, int], Iterator[Mapping[str, object]]], seed: int, workings: list[str]
) -> None:
    for row in draw(seed, 40):
        first, *others = workings
        assert not any(others)
        assert bool(first) == ("_Design_" not in str(row["id"]))
        if first:
            answered(row, checked(first))
        workings.clear()


@pytest.mark.parametrize("subset", ["OE_MM_maths_en_COMP", "OE_MM_maths_zh_CEE", "OE_MM_physics_en_COMP"])
def test_olympiad_workings(subset: str, workings: list[str]) -> None:
    for row in olympiadbench.rows(subset, 0, 40):
        first, *others = workings
        assert not any(others)
        (answer,) = literal_eval(str(row["final_answer"]))
        assert checked(first).endswith(f" {answer}"), first
        workings.clear()
