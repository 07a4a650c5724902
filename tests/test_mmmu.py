"""MMMU as a task: which rows it reads, what it asks, and what becomes of answers in which no option was found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from toy import Rows

from evalkit.data import Local, Mini
from evalkit.errors import DataError
from evalkit.images import decode, from_bytes
from evalkit.metrics.open_answer import open_answer_matches, parse_mmmu_open
from evalkit.rows import Row
from evalkit.store import loads
from evalkit.tasks.mini import mmmu as mini
from evalkit.tasks.mmmu import MMMU, SUBJECTS
from evalkit.types import Dataset, Image, Sample, Score, Status, Style

HERE = Path(__file__).parent


def row(subject: str, number: object = 1, **fields: object) -> dict[str, object]:
    return {
        "id": f"validation_{subject}_{number}", "question": "Which?", "options": "['one', 'two', 'three', 'four']",
        "answer": "A", "question_type": "multiple-choice", **fields,
    }  # fmt: skip


def samples_of(*rows: dict[str, object]) -> list[Sample]:
    return list(MMMU(source=Rows(rows)).load())


@dataclass(frozen=True)
class Hub:
    """A source that keeps each subject in a subset of its own, and remembers which were asked for."""

    name: str = "hub"
    asked: list[str | None] = field(default_factory=list)

    def rows(self, dataset: Dataset) -> Iterator[Row]:
        self.asked.append(dataset.subset)
        return iter(Row(row(str(dataset.subset), number), "a row") for number in (1, 2))

    def revision(self, dataset: Dataset) -> str:
        return f"commit of {dataset.subset}"


def test_there_are_thirty_subjects_in_the_alphabets_order() -> None:
    assert len(set(SUBJECTS)) == 30
    assert list(SUBJECTS) == sorted(SUBJECTS)
    assert (SUBJECTS[0], SUBJECTS[3:5], SUBJECTS[-1]) == ("Accounting", ("Art", "Art_Theory"), "Sociology")


def test_each_subject_is_a_subset_on_the_hub() -> None:
    source = Hub()
    loaded = list(MMMU(source=source).load())
    assert source.asked == list(SUBJECTS)
    assert [sample.group for sample in loaded] == [subject for subject in SUBJECTS for _ in (1, 2)]
    assert len({sample.id for sample in loaded}) == 60


def test_one_subject_can_be_asked_alone() -> None:
    source = Hub()
    assert {sample.group for sample in MMMU(source=source, subset="Art").load()} == {"Art"}
    assert source.asked == ["Art"]
    mixed = Rows((row("Art"), row("Art_Theory"), row("Art", 2)))
    loaded = list(MMMU(source=mixed, subset="Art").load())
    assert [sample.id for sample in loaded] == ["validation_Art_1", "validation_Art_2"]


@pytest.mark.parametrize("subjects", [["Music", "Art", "Music"], ["Accounting"], ["Accounting", "Sociology"], ["Art"]])
def test_one_file_for_all_subjects_is_read_once(tmp_path: Path, subjects: list[str]) -> None:
    rows = [row(subject, number) for number, subject in enumerate(subjects)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    task = MMMU(source=Local(str(tmp_path)))
    assert [sample.id for sample in task.load()] == [each["id"] for each in rows]
    assert task.revision().startswith("sha256:")
    assert "," not in task.revision()


def test_a_subject_with_a_folder_of_its_own_is_not_read_twice(tmp_path: Path) -> None:
    for folder, rows in ((tmp_path / "mmmu", [row("Accounting"), row("Art")]),
                         (tmp_path / "mmmu" / "Accounting", [row("Accounting", 7)])):  # fmt: skip
        folder.mkdir()
        (folder / "data.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    loaded = list(MMMU(source=Local(str(tmp_path))).load())
    assert [sample.id for sample in loaded] == ["validation_Accounting_7", "validation_Art_1"]


def test_many_pins_become_one() -> None:
    one, two = MMMU(source=Hub()).revision(), MMMU(source=Hub(), subset="Art").revision()
    assert one.startswith("sha256:")
    assert len(one) == 19
    assert two == "commit of Art"


@pytest.mark.parametrize(
    ("answer", "answers"),
    [
        ("1.06", ("1.06",)),
        ("['24/7', '3.429']", ("24/7", "3.429")),
        ("[24, 3.429]", ("24", "3.429")),
        (["Tampa", "Florida"], ("Tampa", "Florida")),
        ("[0, 1)", ("[0, 1)",)),
        ("[x, y]", ("[x, y]",)),
        ("[]", ("[]",)),
    ],
)
def test_several_gold_answers_are_a_list_in_a_text(answer: object, answers: tuple[str, ...]) -> None:
    (sample,) = samples_of(row("Math", question_type="open", options="[]", answer=answer))
    assert (sample.answers, sample.choices) == (answers, ())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"options": "[]"}, "is multiple-choice without options: mend its options or its question_type"),
        ({"options": None}, "has no 'options'"),
        ({"question": None}, "has no 'question'"),
        ({"question_type": None}, "has no 'question_type'"),
        ({"id": "7"}, "has no 'subject'"),
        ({"answer": None}, "has no 'answer'"),
    ],
)
def test_a_row_that_lacks_something_is_named(fields: dict[str, object], sentence: str) -> None:
    with pytest.raises(DataError, match=f"row 1 of mmmu.*{sentence}"):
        samples_of(row("Art", **fields))


def test_a_picture_that_is_asked_for_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    picture = next(value for value in next(iter(mini.rows(0, 1))).values() if isinstance(value, bytes))
    (tmp_path / "images" / "one.png").write_bytes(picture)
    rows = [row("Art", options="['<image 3>', 'two']", question="<image 1>?", image_1="one.png")]
    (tmp_path / "data.jsonl").write_text(json.dumps(rows[0]))
    with pytest.raises(DataError, match="asks for <image 3> but has no image_3: mend the row"):
        list(MMMU(source=Local(str(tmp_path))).load())


@pytest.mark.parametrize("style", ["cot", "direct"])
def test_prompt_snapshot_of_an_open_question(style: Style) -> None:
    lines = [json.loads(line) for line in (HERE / "golden" / "mmmu.jsonl").read_text().splitlines()]
    case = next(line for line in lines if "choices" not in line["sample"])
    request = MMMU(source=Rows(()), style=style).render(loads(json.dumps(case["sample"]).encode(), Sample))
    parts = [f"<<{part.name}>>" if isinstance(part, Image) else part for part in request.messages[0].parts]
    shown = "\n".join(["[user]", *parts, f"[max_tokens {request.max_tokens}, temperature {request.temperature:g}]", ""])
    assert shown == (HERE / "snapshots" / f"mmmu_open_{style}.txt").read_text()


def unanswered(*samples: Sample, status: Status = "unparsed") -> list[Score]:
    return [Score(sample.id, sample.group, None, "none", status, 0.0) for sample in samples]


def drawn(samples: Sequence[Sample], scores: Sequence[Score]) -> list[str | None]:
    return [score.prediction for score in MMMU(source=Rows(())).settle(samples, scores)]


def test_one_stream_runs_through_the_subjects_in_their_order() -> None:
    # What random.seed(42) and a random.choice of four options a time give: A, A, C, B, B, B.
    rows = [row("Music", 2), row("Accounting", 9), row("Art_Theory"), row("Music", 1), row("Art", 5), row("Accounting")]
    samples = samples_of(*rows)
    settled = MMMU(source=Rows(())).settle(samples, unanswered(*samples))
    assert [(score.sample_id.removeprefix("validation_"), score.prediction) for score in settled] == [
        ("Music_2", "B"), ("Accounting_9", "A"), ("Art_Theory_1", "B"), ("Music_1", "B"), ("Art_5", "C"),
        ("Accounting_1", "A"),
    ]  # fmt: skip
    assert [score.value for score in settled] == [0, 1, 0, 0, 0, 1]
    assert {(score.rule, score.status) for score in settled} == {("none", "unparsed")}


def test_only_an_answer_without_an_option_takes_a_draw() -> None:
    samples = samples_of(*(row("Art", number) for number in range(4)), row("Art", 4, question_type="open", answer="5"))
    scores = unanswered(*samples)
    scores[0] = replace(scores[0], prediction="D", rule="bare", status="ok")
    scores[1] = replace(scores[1], rule="timeout", status="failed", value=None)
    scores[4] = replace(scores[4], status="empty")
    assert drawn(samples, scores) == ["D", None, "A", "A", None]
    assert drawn(samples, unanswered(*samples)) == ["A", "A", "C", "B", None]


def test_the_number_of_options_bends_the_stream() -> None:
    samples = samples_of(row("Art", 1, options="['one', 'two', 'three', 'four', 'five']"), row("Art", 2))
    both = drawn(samples, unanswered(*samples))
    assert both == ["A", "A"]
    samples = samples_of(*(row("Art", number, options=str(list("abcdefghi"))) for number in range(4)))
    assert drawn(samples, unanswered(*samples)) == ["B", "A", "E", "D"]


def test_settling_again_draws_the_same_and_other_policies_draw_nothing() -> None:
    samples = samples_of(*(row("Art", number) for number in range(50)))
    scores = unanswered(*samples)
    assert drawn(samples, scores) == drawn(samples, scores)
    assert set(drawn(samples, scores)) == set("ABCD")
    for policy in ("zero", "expected"):
        task = MMMU(source=Rows(()), unparsed=policy)
        assert task.settle(samples, scores) == scores
        assert task.policies() == {"unparsed": policy}


def test_every_question_counts_alike_in_all_and_in_its_domain() -> None:
    groups = [("Art", 1.0), ("Art", 1.0), ("Art", 0.0), ("Music", 0.0), ("Math", 1.0)]
    scores = [Score(str(number), group, "A", "bare", "ok", value) for number, (group, value) in enumerate(groups)]
    total = MMMU(source=Rows(())).aggregate(scores)
    assert (total.metric, total.value, total.scale, total.note) == ("accuracy", 60, 100, "")
    assert total.parts == {
        "Art_and_Design": 50, "Science": 100, "Art": pytest.approx(200 / 3), "Math": 100, "Music": 0,
    }  # fmt: skip


HUBS_FIELDS = [
    "id", "question", "options", "explanation", *(f"image_{k}" for k in range(1, 8)), "img_type", "answer",
    "topic_difficulty", "question_type", "subfield",
]  # fmt: skip


def test_the_generated_edition_has_the_hubs_fields_and_pictures() -> None:
    for each in mini.rows(1, 18):
        assert list(each) == HUBS_FIELDS
        for name, value in each.items():
            assert isinstance(value, bytes | None if name.startswith("image_") else str), name
            if isinstance(value, bytes):
                image = from_bytes(value, name, "a row")
                assert decode(image).size == (image.width, image.height)


def test_a_shorter_draw_is_the_start_of_a_longer_one() -> None:
    longer = list(mini.rows(5, 12))
    assert list(mini.rows(5, 8)) == longer[:8]
    assert list(mini.rows(6, 8)) != longer[:8]


@pytest.mark.parametrize("n", [1, 2, 40])
def test_the_generated_edition_is_drawn_once_for_all_subjects(n: int) -> None:
    assert len(list(MMMU(source=Mini(seed=0, n=n)).load())) == n


def test_the_generated_golds_are_right_as_they_stand_and_evenly_placed() -> None:
    task = MMMU(source=Mini(seed=8, n=120), style="direct")
    samples = list(task.load())
    assert {sample.group for sample in samples} <= set(SUBJECTS)
    assert len({sample.id for sample in samples}) == 120
    chosen = [sample for sample in samples if sample.choices]
    letters = Counter(sample.answers[0] for sample in chosen)
    assert sorted(letters) == list("ABCD")
    assert max(letters.values()) - min(letters.values()) <= 8
    for sample in chosen:
        assert 2 <= len(set(sample.choices)) == len(sample.choices) <= 5
        assert sample.answers[0] in "ABCDE"[: len(sample.choices)]
    written = [sample for sample in samples if not sample.choices]
    assert 8 <= len(written) <= 20
    assert any(len(sample.answers) > 1 for sample in written)
    for sample in written:
        for answer in sample.answers:
            assert task.score(sample, task.extract(sample, answer).prediction) == 1
            assert open_answer_matches(parse_mmmu_open(f"I think so. The answer is {answer}."), sample.answers)
    for sample in samples:
        request = task.render(sample)
        assert sorted(image.sha256 for image in request.images) == sorted(image.sha256 for image in sample.images)
        assert "<image" not in str([part for part in request.messages[0].parts if isinstance(part, str)])
