"""Checklists by themselves: order, fence and labels, the strict reading of a judge, and the score."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.metrics import checklist
from evalkit.metrics.checklist import Item, Kind, checklist_score, fence, labelled, read_judge


def test_the_order_of_items_is_drawn_from_the_seed_and_the_same_for_every_response() -> None:
    items = tuple(Item(str(number), f"Item {number}.") for number in range(8))
    orders = {
        seed: [item.id for item in labelled(items, text, seed).values()] for seed in ("0/x", "1/x") for text in "ab"
    }
    assert [item.id for item in labelled(items, "another", "0/x").values()] == orders["0/x"]
    assert orders["0/x"] != orders["1/x"] != [item.id for item in items]
    assert sorted(orders["0/x"]) == [item.id for item in items]


@given(st.text(max_size=200))
def test_no_response_holds_its_own_fence(response: str) -> None:
    line = fence(response)
    assert line not in response
    assert line.split()[1][:6] not in response
    # Nor does one that was written by somebody who knows how the fence is made.
    assert fence(response + line) not in response + line


def test_a_mark_that_the_response_happens_to_hold_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    # Marks of one digit, since nobody can write all those of six.
    monkeypatch.setattr(checklist, "_MARK", 1)
    response = "0123456789abcde"
    assert fence(response).startswith("=== f")
    assert set(labelled([Item("a", "A.")], response, "")) == {"f-1"}


LABELS = {"f-1": Item("a", "A."), "f-2": Item("b", "B.")}
GOOD = '{"items": [{"id": "f-2", "verdict": "no"}, {"id": "f-1", "verdict": "yes", "why": "seen {twice}"}]}'


@pytest.mark.parametrize(
    ("text", "verdicts"),
    [
        (GOOD, {"a": "yes", "b": "no"}),
        (f"Let me {{see}}.\n```json\n{GOOD}\n```\nDone {{}}.", {"a": "yes", "b": "no"}),
        (GOOD.replace("f-2", "f-1"), None),
        (GOOD.replace("f-2", "f-3"), None),
        (GOOD.replace('"no"', '"No"'), None),
        (GOOD.replace('"no"', "false"), None),
        (GOOD.replace('"f-2"', "2"), None),
        (GOOD[:-1], None),
        (GOOD[1:-1], None),
        (f'{{"note": 1}} {GOOD}', None),
        (GOOD.replace('{"items"', '{"items": [], "items"'), None),
        ('{"items": {"f-1": "yes", "f-2": "no"}}', None),
        ('{"items": ["f-1", "f-2"]}', None),
        ("score: 10", None),
        ("", None),
        ('{"a":' * 20_000, None),
    ],
)
def test_a_verdict_is_read_strictly(text: str, verdicts: dict[str, str] | None) -> None:
    assert read_judge(LABELS, text) == verdicts


VERDICT = st.sampled_from(["yes", "no", "na"])
DRAWN = st.tuples(st.floats(0.1, 9), st.sampled_from(["must", "nice", "penalty"]), VERDICT)


@given(st.lists(DRAWN, max_size=8))
def test_scores_stay_in_range_and_a_truer_statement_never_costs(drawn: list[tuple[float, Kind, str]]) -> None:
    others = [Item(str(number), "", weight, kind) for number, (weight, kind, _) in enumerate(drawn)]
    items = [Item("first", "", 1.0, "nice"), *others]
    verdicts = {"first": "yes", **{str(i): each for i, (_, _, each) in enumerate(drawn)}}
    value = checklist_score(items, verdicts)
    assert 0 <= value <= 1
    for item in items:
        if verdicts[item.id] == "no":
            better = checklist_score(items, {**verdicts, item.id: "yes"})
            assert better <= value + 1e-12 if item.kind == "penalty" else better >= value - 1e-12


def test_nothing_that_applies_is_no_score() -> None:
    with pytest.raises(ValueError, match="no item of the checklist applies"):
        checklist_score([Item("a", "A."), Item("b", "B.", 1, "penalty")], {"a": "na", "b": "yes"})
