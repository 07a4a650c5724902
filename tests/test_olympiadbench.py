"""OlympiadBench as a task: its rows from every kind of copy, its prompts, its mini edition and its mean."""

from __future__ import annotations

import ast
import json
import logging
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evalkit.data import Local, Mini, Recorded
from evalkit.errors import DataError
from evalkit.limits import Outcome
from evalkit.metrics.olympiad import Verdict
from evalkit.rows import Row
from evalkit.tasks import olympiadbench, olympiadbench_prompt
from evalkit.tasks.mini import olympiadbench as mini
from evalkit.tasks.olympiadbench import SUBSETS, OlympiadBench
from evalkit.types import Dataset, Image, Sample, Score

ROW = {"id": 7, "question": "How many?", "final_answer": ["5"], "answer_type": "Numerical"}
FIELDS = (
    *("id", "question", "solution", "final_answer", "context"),
    *(f"image_{k}" for k in range(1, 10)),
    *("modality", "difficulty", "is_multiple_answer", "unit", "answer_type", "error", "question_type", "subfield"),
    *("subject", "language"),
)


class Given:
    """A source of the same rows for the subsets that it is given, with pictures by name."""

    name = "given"

    def __init__(self, *rows: Mapping[str, object], only: str | None = None) -> None:
        self.given, self.only = rows, only

    def rows(self, dataset: Dataset) -> Iterator[Row]:
        """Yield them."""
        if self.only in (None, dataset.subset):
            for number, row in enumerate(self.given, start=1):
                yield Row(row, f"row {number}", lambda value, where: Image(str(value) * 64, 1, 1, str(value)))

    def revision(self, dataset: Dataset) -> str:
        """Return nothing."""
        return ""


def sample(subset: str = "OE_MM_physics_en_COMP", **fields: object) -> Sample:
    only: Sample
    (only,) = OlympiadBench(source=Given({**ROW, **fields}, only=subset)).load()
    return only


def shown(one: Sample) -> list[str]:
    request = OlympiadBench(source=Mini()).render(one)
    assert [message.role for message in request.messages] == ["system", "user"]
    return [f"<{part.name}>" if isinstance(part, Image) else part for part in request.messages[1].parts]


def local(folder: Path, *rows: Mapping[str, object]) -> OlympiadBench:
    folder.mkdir(parents=True)
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return OlympiadBench(source=Local(str(folder.parent)))


def test_pictures_stand_where_the_hub_marks_their_columns() -> None:
    one = sample(question="Compare <image_3>\nand <image_1>.", image_1="a", image_2=None, image_3="c")
    assert shown(one)[1:] == ["<c>", "and", "<a>", "."]
    assert shown(one)[0].endswith("result explicitly.\nCompare")


def test_pictures_stand_where_the_first_edition_names_their_files() -> None:
    one = sample(question="Of <img_912> and <img_87>, is <img_912> longer?", image_1="a", image_2="b")
    assert shown(one)[1:] == ["<a>", "and", "<b>", ", is", "<a>", "longer?"]


def test_a_tenth_column_is_found_and_a_picture_without_a_mark_comes_first() -> None:
    one = sample(question="See <image_10>.", image_2="b", image_10="j")
    parts = shown(one)
    assert [parts[0], *parts[2:]] == ["<b>", "<j>", "."]


def test_marks_stay_where_there_are_no_pictures() -> None:
    assert shown(sample(question="See <img_912>."))[0].endswith("See <img_912>.")


def test_context_is_for_physics() -> None:
    assert sample(context="A rod.").question == "A rod.\nHow many?"
    assert sample(context=None).question == "How many?"
    assert sample("OE_MM_maths_en_COMP", context="A rod.").question == "How many?"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"question": "<img_1> <img_2>", "image_1": "a"}, "row 1 asks for 2 pictures but has 1"),
        ({"error": "small"}, "row 1: could not convert string to float: 'small' in 'error'"),
        ({"answer_type": "Essay"}, "row 1: unknown answer type 'Essay'"),
        ({"final_answer": []}, "row 1 has an empty 'final_answer'"),
        ({"final_answer": None}, "row 1 has no 'final_answer'"),
    ],
)
def test_malformed_rows_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        sample(**fields)


def test_one_file_for_all_subsets_is_read_once(tmp_path: Path) -> None:
    said = {"question_type": "Open-ended", "modality": "Text-only", "subject": "Physics", "language": "Chinese"}
    rows = [{**ROW, **said}, {**ROW, "id": 8}, {**ROW, "id": 9, "question_type": "Theorem proof"}]
    task = local(tmp_path / "olympiadbench", *rows, {**ROW, "id": "OE_TO_maths_zh_COMP/3"}, {**ROW, "id": 8})
    assert [one.id for one in task.load()] == [
        "OE_MM_maths_en_COMP/8",
        "OE_MM_maths_en_COMP/8",
        "OE_TO_maths_zh_COMP/3",
        "OE_TO_physics_zh_CEE/7",
    ]


def test_a_folder_for_each_subset(tmp_path: Path) -> None:
    for subset in SUBSETS:
        local(tmp_path / subset, {**ROW, "question": subset})
    samples = list(OlympiadBench(source=Local(str(tmp_path))).load())
    assert [one.id for one in samples] == [f"{subset}/7" for subset in SUBSETS]
    assert Counter(one.group for one in samples) == {"maths_en": 2, "maths_zh": 4, "physics_en": 2, "physics_zh": 2}


def test_recorded_answers(tmp_path: Path) -> None:
    record = {"id": "OE_TO_maths_en_COMP/1", "question": "q", "answer": ["5"], "response": "5", "precision": None}
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    (one,) = OlympiadBench(source=Recorded(str(tmp_path / "a.jsonl"))).load()
    assert (one.id, one.answers, one.response, one.group) == (record["id"], ("5",), "5", "maths_en")


KIND = "The answer of The problem should be a numerical value. "


@pytest.mark.parametrize(
    ("answer_type", "multiple", "english", "chinese"),
    [
        ("Numerical", False, KIND, "，答案类型为数值"),
        ("Expression", True, "The problem has multiple answers, each of them should be an expression. ",
         "，题目有多个答案，答案类型均为表达式"),
        ("Numerical,Equation", True, "The problem has multiple answers, with the answers in order being a numerical "
         "value, an equation. ", "，题目有多个答案，答案类型分别为数值、方程"),
        ("Interval,Interval", True, "The problem has multiple answers, each of them should be an interval. ",
         "，题目有多个答案，答案类型均为区间"),
        ("Tuple", True, "", ""),
        ("Need_human_evaluate", False, "", ""),
    ],
)  # fmt: skip
def test_prompts_name_the_kind_of_answer(answer_type: str, multiple: bool, english: str, chinese: str) -> None:
    told = olympiadbench_prompt.instruction("en", "maths", answer_type, multiple, has_unit=False)
    assert told.startswith(
        f"The following is an open-ended problem from an International Math competition. {english}Please calculate"
    )
    told = olympiadbench_prompt.instruction("zh", "physics", answer_type, multiple, has_unit=False)
    assert told.startswith(f"以下是中国物理竞赛中的解答题{chinese}。请根据")


def test_prompts_say_how_to_end() -> None:
    told = olympiadbench_prompt.instruction("en", "maths", "Tuple", multiple=True, has_unit=True)
    assert told.endswith(
        '"So the final answer is \\boxed{multiple answers connected with commas}(unit)." and give the result '
        "explicitly, note that the unit of the answer should not be included in \\boxed{}."
    )
    told = olympiadbench_prompt.instruction("zh", "maths", "Tuple", multiple=True, has_unit=True)
    assert told.endswith(
        "“所以最终答案是\\boxed{用英文逗号连接的多个答案}(单位)。”显式给出结果，注意答案的单位不要放在\\boxed{}中。"
    )
    assert olympiadbench_prompt.system("zh", "physics").endswith("完成下面的物理竞赛题目。")


def test_what_cannot_be_compared_is_wrong_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    task, one = OlympiadBench(source=Mini()), sample()
    for outcome, reason in (
        (Outcome("timeout"), "timeout"),
        (Outcome("crash"), "crash"),
        (Outcome("done", Verdict(False, "too_long")), "too_long"),
    ):
        monkeypatch.setattr(olympiadbench, "_judging", lambda _, outcome=outcome: lambda *_: outcome)
        with caplog.at_level(logging.WARNING):
            assert task.score(one, "5") == 0
        assert f"{one.id}: the answer could not be compared ({reason})" in caplog.messages[-1]


def test_the_mean_is_over_problems_and_says_what_is_missing() -> None:
    task = OlympiadBench(source=Mini())
    scores = [
        Score(str(index), group, "x", "boxed", "ok", value)
        for index, (group, value) in enumerate([("maths_en", 1), ("maths_en", 1), ("maths_en", 0), ("physics_zh", 0)])
    ]
    total = task.aggregate(scores)
    assert (total.value, total.scale, total.metric) == (50, 100, "accuracy")
    assert total.parts == {"maths_en": pytest.approx(200 / 3), "physics_zh": 0}
    assert "without maths_zh, physics_en" in total.note
    complete = [replace(scores[0], group=group) for group in ("maths_en", "maths_zh", "physics_en", "physics_zh")]
    assert task.aggregate(complete).note == ""


def test_mini_rows_have_the_hubs_fields_and_are_the_same_each_time() -> None:
    for subset in SUBSETS:
        rows = list(mini.rows(subset, 3, 12))
        assert all(tuple(row) == FIELDS for row in rows)
        assert rows == list(mini.rows(subset, 3, 13))[:12]
        assert rows != list(mini.rows(subset, 4, 12))
        assert list(mini.rows(subset, 3, 0)) == []
        for row in rows:
            pictures = [k for k in range(1, 10) if row[f"image_{k}"] is not None]
            assert {int(k) for k in re.findall(r"<image_(\d)>", str(row["question"]))} == set(pictures)
            assert bool(pictures) == (row["modality"] == "Multimodal")


@pytest.mark.parametrize(("n", "expected"), [(1, 10), (40, 40), (41, 50)])
def test_mini_subsets_share_the_rows(n: int, expected: int) -> None:
    samples = list(OlympiadBench(source=Mini(0, n)).load())
    assert len(samples) == len({one.id for one in samples}) == expected
    assert {one.group for one in samples} == {"maths_en", "maths_zh", "physics_en", "physics_zh"}


def value(steps: str) -> float:
    """Compute a step of arithmetic in LaTeX, such as 2^2+3 \\cdot 4, by walking Python's syntax tree."""
    plain = re.sub(r"\\sqrt\{([^{}]*)\}", r"((\1)**0.5)", steps.strip("$").split("=")[-1])
    plain = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"((\1)/(\2))", plain).replace("\\cdot", "*").replace("^", "**")

    def walk(node: ast.AST) -> float:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        assert isinstance(node, ast.BinOp)
        left, right = walk(node.left), walk(node.right)
        operations = {
            ast.Add: left + right,
            ast.Sub: left - right,
            ast.Mult: left * right,
            ast.Div: left / right if right else math.nan,
        }
        return left**right if isinstance(node.op, ast.Pow) else operations[type(node.op)]

    return walk(ast.parse(plain, mode="eval").body)


@pytest.mark.parametrize("maker", [mini.rectangles, mini.resistors, mini.fall], ids=lambda maker: maker.__name__)
def test_mini_golds_follow_from_the_steps(maker: Any) -> None:
    from random import Random

    for seed in range(30):
        problem = maker(Random(seed))
        assert value(problem.steps) == pytest.approx(float(problem.gold), abs=0.051 if problem.error else 1e-9)


def test_every_mini_gold_is_right_by_the_judge_and_no_other_problems_is() -> None:
    task = OlympiadBench(source=Mini(1, 60))
    samples = list(task.load())
    for one, other in zip(samples, [*samples[1:], samples[0]], strict=True):
        right = task.extract(one, f"So the final answer is \\boxed{{{one.answers[0]}}}.")
        assert task.score(one, right.prediction) == 1
        if one.meta["answer_type"] != other.meta["answer_type"]:
            assert task.score(one, f"\\boxed{{{other.answers[0]}}}") == 0


def test_the_mended_judge_stands_beside_the_official_one() -> None:
    task = OlympiadBench(source=Mini(n=10))
    sample = next(iter(task.load()))
    twice = replace(sample, answers=("5",), meta={**sample.meta, "answer_type": "Numerical", "error": ""})
    said = r"\boxed{5}, that is \boxed{5}"
    assert task.score(twice, said) == 0
    assert replace(task, scorer="fixed").score(twice, said) == 1
