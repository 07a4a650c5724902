"""MathVista as a task: what it loads and asks, how models end their answers, and what the generated edition draws."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import pytest
from toy import Rows

from evalkit.data import Mini
from evalkit.errors import DataError
from evalkit.metrics.mathvista import judge_prompt, names_choice, normalise, read_judge
from evalkit.metrics.mathvista_rules import extract
from evalkit.tasks.mathvista import MathVista
from evalkit.tasks.mini import charts
from evalkit.tasks.mini import mathvista as mini
from evalkit.tasks.mini.drawing import Canvas
from evalkit.types import Sample

ANGLES = ("35°", "55°", "70°", "110°")
FRACTIONS = ("\\frac{2}{3}", "\\frac{3}{4}", "\\frac{4}{5}")


def row(**fields: object) -> dict[str, object]:
    return {
        "pid": "8", "question": "How long is it?", "image": "images/8.jpg", "choices": None, "unit": "cm",
        "precision": 1.0, "answer": "2.5", "question_type": "free_form", "answer_type": "float", "query": "official",
        "metadata": {"task": "math word problem", "skills": ["arithmetic reasoning", "numeric commonsense"]}, **fields,
    }  # fmt: skip


def task(*rows: Mapping[str, object], **fields: Any) -> MathVista:
    return MathVista(source=Rows(tuple(dict(each) for each in rows)), **fields)


def load(**fields: object) -> Sample:
    sample: Sample
    (sample,) = task(row(**fields)).load()
    return sample


def text_of(sample: Sample, **fields: Any) -> str:
    (text,) = task(**fields).render(sample).messages[0].parts
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("Angle Q is 70°, so P is half of 110°.\n\n**Answer: B**", "B"),
        ("... which leaves\n\n### Final Answer\n\n\\[\n\\boxed{\\text{B}}\n\\]", "B"),
        ("The correct answer is **(B) 55°**.\n\nIf it were (C), the sides would differ.", "B"),
        ("<think>(A)? No, (C).</think>The answer is (B).", "B"),
        ("**B. 55°**", "B"),
        ("(B) 55°\nThe two sides are equal.", "B"),
        ("Hence ∠P = 110° / 2 = 55°", "B"),
        ("The angle measures 55 degrees.", "B"),
        ("因此，∠P的度数是55°，选项B是正确答案。", "B"),
        ("答案：B", "B"),
        ("The choice that matches this is B.", "B"),
        ("Among the options, B is correct.", "B"),
        ("b", "B"),
    ],
)  # fmt: skip
def test_a_choice_is_read_however_it_is_stated(response: str, letter: str) -> None:
    found = extract(response, "multi_choice", "text", ANGLES, "What is the size of the angle at P?")
    assert found.prediction == letter
    assert found.rule != "none"


@pytest.mark.parametrize(
    ("response", "number"),
    [
        ("Therefore 4 + 3 = 7.\n\nAnswer: 7", "7"),
        ("So there are **7** windows on the 2 floors.", "7"),
        ("\\boxed{1{,}250} is not read, but \\boxed{1,250} is", "1250"),
        ("The total is $1.65.", "1.65"),
        ("There are seven windows.", "7"),
        ("The ratio is 40/3 ≈ 13.33", "13.33"),
        ("-4", "-4"),
        ("答案为7", "7"),
        ("They pay $2 and $3, for a total of $5.", "5"),
    ],
)
def test_a_number_is_read_however_it_is_stated(response: str, number: str) -> None:
    assert extract(response, "free_form", "float", (), "How many are on the 2 floors?").prediction in (
        number, str(float(number)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("response", "choices"),
    [
        ("I cannot determine the angle without the figure.", ANGLES),
        ("That makes 90°. However, none of the options match this result.", ANGLES),
        ("(A) 35°\n(B) 55°\n(C) 70°\n(D) 110°", ANGLES),
        ("The answer cannot be determined from the given information.", ()),
        ("**", ANGLES),
    ],
)
def test_where_nothing_is_stated_nothing_is_found(response: str, choices: tuple[str, ...]) -> None:
    found = extract(
        response, "multi_choice" if choices else "free_form", "text" if choices else "integer", choices, "?"
    )
    assert (found.prediction, found.rule) == ("N/A", "none")


def test_formulas_are_compared_without_their_commands() -> None:
    assert extract("So sin B = $\\dfrac{3}{4}$.", "multi_choice", "text", FRACTIONS, "sin B?").prediction == "B"


@pytest.mark.parametrize(
    "pattern", ["The answer is maybe so. ", "= ", "1, ", "(A", "\\boxed{", "not ", "\n", "答案", "A "]
)
@pytest.mark.parametrize("question_type", ["multi_choice", "free_form"])
def test_a_runaway_response_takes_no_time(pattern: str, question_type: str) -> None:
    start = time.perf_counter()
    extract(pattern * (20_000 // len(pattern)), question_type, "integer", ANGLES, "?")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("extraction", "kind", "expected"),
    [
        ("(e)", ("multi_choice", "text", None), "10"),  # no such letter: the nearest text to "E"
        (" b ", ("multi_choice", "text", None), "10"),  # lower case counts in brackets alone
        ("(b) 10", ("multi_choice", "text", None), "200"),
        ("", ("multi_choice", "text", None), "10"),
        (None, ("free_form", "integer", None), None),
        ("inf", ("free_form", "integer", None), None),
        ("-0.6", ("free_form", "integer", None), "0"),
        ("1,000", ("free_form", "integer", None), None),
        ("2.675", ("free_form", "float", 2.0), "2.67"),
        ("1", ("free_form", "float", 1), "1.0"),
        ("1.5", ("free_form", "float", None), None),
    ],
)
def test_normalising(extraction: str | None, kind: tuple[str, str, float | None], expected: str | None) -> None:
    assert normalise(extraction, *kind, ("10", "200")) == expected


@pytest.mark.parametrize(
    ("extraction", "named"), [("B", True), ("(b) 10", True), ("200", True), ("C", False), ("N/A", False), (None, False)]
)
def test_what_a_strict_reading_takes_for_a_choice(extraction: str | None, named: bool) -> None:
    assert names_choice(extraction, ("10", "200")) is named


def test_the_judges_prompt_solves_one_case_of_each_kind() -> None:
    prompt = judge_prompt("Question: How many?", "I count 3.")
    for kind in ("integer answer", "one decimal place", "two decimal places", "a Python list", "option letter"):
        assert prompt.count(f"{kind}") == 1, kind
    assert prompt.count("Extracted answer: ") == 6
    assert prompt.endswith("Question: How many?\n\nModel response: I count 3.\n\nExtracted answer: ")


@pytest.mark.parametrize(
    ("text", "answer"),
    [("B", "B"), ("\n 7 \nsince ...", "7"), ("Extracted answer: [1, 2]", "[1, 2]"), ('"N/A"', "N/A"), (" \n", "")],
)
def test_reading_the_judge(text: str, answer: str) -> None:
    assert read_judge(text) == answer


def test_a_row_of_the_hub_counts_towards_its_task_and_skills() -> None:
    sample = load()
    assert sample.id == "8"
    assert sample.group == "free_form float, math word problem, arithmetic reasoning, numeric commonsense"
    assert task().score(sample, "2.46") == 1
    assert task().score(sample, "2.44") == 0


def test_direct_asks_the_ready_made_query() -> None:
    assert text_of(load(), style="direct") == "official"
    assert text_of(load(query=None), style="direct") == (
        "Hint: Please answer the question requiring a floating-point number with one decimal place and provide the "
        "final value, e.g., 1.2, 1.3, 1.4, at the end.\nQuestion: How long is it? (Unit: cm)"
    )


def test_chain_of_thought_hints_after_the_question() -> None:
    lines = text_of(load(precision=2.0)).splitlines()
    assert lines[0] == "Question: How long is it? (Unit: cm)"
    assert "two decimal places" in lines[1]
    assert lines[-1] == "Solution:"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"question_type": "multi_choice", "answer_type": "text"}, "choices"),
        ({"question_type": "multi_choice", "answer_type": "text", "choices": []}, "without choices"),
        ({"answer_type": "text"}, "'text'"),
        ({"precision": None}, "'precision' must be 1 or 2"),
        ({"metadata": {"skills": ["x"]}}, "'task'"),
    ],
)
def test_a_malformed_row_says_what_is_wrong(fields: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(**fields)


def test_the_generated_edition_is_asked_and_answered() -> None:
    made = MathVista(source=Mini(n=32))
    samples = list(made.load())
    kinds = {sample.group.split(", ")[0] for sample in samples}
    assert kinds == {"multi_choice", "free_form integer", "free_form float", "free_form list"}
    for sample in samples:
        text, picture = made.render(sample).messages[0].parts
        assert isinstance(text, str)
        assert picture == sample.images[0]
        said = f"Let me see.\nAnswer: {sample.answers[0]}"
        assert made.score(sample, made.extract(sample, said).prediction) == 1, sample.question


def test_generated_answers_follow_from_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    def watch(owner: Any, name: str, place: int) -> None:
        draw = getattr(owner, name)

        def watched(*where: Any, **style: Any) -> None:
            drawn.append(where[place])
            draw(*where, **style)

        monkeypatch.setattr(owner, name, watched)

    watch(charts, "columns", 2)
    watch(Canvas, "table", 2)
    watch(Canvas, "polygon", 1)
    for each in mini.rows(3, 96):
        question, gold = str(each["question"]), str(each["answer"])
        seen: Any = drawn.pop() if drawn else None
        if isinstance(seen, list) and isinstance(seen[0][0], str):
            seen = dict(seen[1:])
        if question.startswith("Is "):
            one, other = question.removeprefix("Is ").removesuffix("?").split(" greater than ")
            assert gold == ("yes" if seen[one] > seen[other] else "no")
        elif question.startswith("How many bars"):
            assert int(gold) == sum(value > float(question.split()[-1].rstrip("?")) for value in seen.values())
        elif "in total" in question or "need to buy" in question:
            named = [value for name, value in seen.items() if name in question]
            assert float(gold) == pytest.approx(sum(float(str(value).lstrip("$")) for value in named))
        elif "range" in question:
            assert int(gold) == max(map(int, seen.values())) - min(map(int, seen.values()))
        elif "which two years" in question:
            first, second = gold.strip("[]").split(", ")
            assert seen[first] == seen[second]
            assert len(set(seen.values())) == 4
        elif "degree" in question:
            p, q, r = seen
            turn = math.atan2(r[1] - q[1], r[0] - q[0]) - math.atan2(p[1] - q[1], p[0] - q[0])
            assert math.cos(turn) == pytest.approx(math.cos(math.radians(float(gold.rstrip("°")))), abs=1e-9)
        drawn.clear()
        choices = each["choices"]
        assert choices is None or (isinstance(choices, list) and len(set(choices)) == len(choices))
        assert choices is None or gold in choices
