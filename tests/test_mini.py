"""The generated editions: the same on every run, in the hub's fields, and every picture holds what is asked of it."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw
import pytest

from evalkit import images
from evalkit.rows import Row
from evalkit.tasks.mini import ai2d, chartqa, docvqa, mmmu_pro, ocrbench

Draw = Callable[[int, int], Iterator[Mapping[str, object]]]

EDITIONS: dict[str, Draw] = {
    "docvqa": docvqa.rows,
    "chartqa": chartqa.rows,
    "ocrbench": ocrbench.rows,
    "ai2d": ai2d.rows,
    "mmmu_pro standard": mmmu_pro.standard,
    "mmmu_pro vision": mmmu_pro.vision,
}
PICTURES = tuple(f"image_{k}" for k in range(1, 8))
SCHEMAS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "docvqa": {"questionId": str, "question": str, "question_types": list, "image": bytes, "docId": int,
               "ucsf_document_id": str, "ucsf_document_page_no": str, "answers": list, "data_split": str},
    "chartqa": {"type": str, "question": str, "answer": str, "image": bytes},
    "ocrbench": {"dataset": str, "question": str, "question_type": str, "answer": list, "image": bytes},
    "ai2d": {"question": str, "options": list, "answer": str, "image": bytes},
    "mmmu_pro standard": {"id": str, "question": str, "options": str, "explanation": str,
                          **dict.fromkeys(PICTURES, (bytes, type(None))), "img_type": str, "answer": str,
                          "topic_difficulty": str, "subject": str},
    "mmmu_pro vision": {"id": str, "image": bytes, "options": str, "answer": str, "subject": str},
}  # fmt: skip
OCR_CATEGORIES = {
    "Regular Text Recognition", "Irregular Text Recognition", "Artistic Text Recognition", "Handwriting Recognition",
    "Digit String Recognition", "Non-Semantic Text Recognition", "Scene Text-centric VQA", "Doc-oriented VQA",
    "Key Information Extraction", "Handwritten Mathematical Expression Recognition",
}  # fmt: skip
Written = tuple[PIL.Image.Image, str, tuple[float, float, float, float]]
every_edition = pytest.mark.parametrize("edition", EDITIONS)


def digests() -> list[str]:
    return [hashlib.sha256(repr(list(draw(3, 12))).encode()).hexdigest() for draw in EDITIONS.values()]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[Written]:
    """Every text that is drawn from here on: the picture it went on, the words, and the box of their ink."""
    record: list[Written] = []
    draw = PIL.ImageDraw.ImageDraw.text

    def text(
        self: PIL.ImageDraw.ImageDraw, xy: Any, words: str, fill: Any, font: Any, anchor: str, **more: Any
    ) -> None:
        record.append((self._image, words, self.textbbox(xy, words, font, anchor)))
        draw(self, xy, words, fill, font, anchor, **more)

    monkeypatch.setattr(PIL.ImageDraw.ImageDraw, "text", text)
    return record


def pictures_of(row: Mapping[str, object]) -> dict[str, bytes]:
    return {field: value for field, value in row.items() if isinstance(value, bytes)}


def test_another_process_draws_the_same_bytes() -> None:
    # With another hash seed, too: the order of a set must not reach a picture.
    code = "import test_mini; print(*test_mini.digests())"
    environment = {**os.environ, "PYTHONHASHSEED": "1234", "PYTHONPATH": str(Path(__file__).parent)}
    other = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.split() == digests()


@every_edition
def test_a_shorter_draw_is_the_start_of_a_longer_one(edition: str) -> None:
    draw = EDITIONS[edition]
    longer = list(draw(5, 9))
    assert list(draw(5, 5)) == longer[:5]
    assert list(draw(5, 0)) == []
    assert list(draw(6, 9)) != longer


@every_edition
def test_rows_have_the_hubs_fields(edition: str) -> None:
    schema = SCHEMAS[edition]
    for row in EDITIONS[edition](0, 12):
        assert list(row) == list(schema)
        for field, kind in schema.items():
            assert isinstance(row[field], kind), field
            if isinstance(row[field], list):
                assert row[field], field
                assert all(isinstance(item, str) and item for item in row[field]), field  # type: ignore[attr-defined]


@every_edition
def test_pictures_decode(edition: str) -> None:
    for row in EDITIONS[edition](1, 12):
        assert pictures_of(row)
        for field, data in pictures_of(row).items():
            image = images.from_bytes(data, field, "a row")
            assert images.decode(image).size == (image.width, image.height)
            assert 30 <= image.height <= 1100
            assert 60 <= image.width <= 1100


@every_edition
def test_texts_are_whole_and_apart(edition: str, written: list[Written]) -> None:
    for _ in EDITIONS[edition](2, 20):
        for picture, words, box in written:
            assert min(box[:2]) >= 0, words
            assert box[2] <= picture.width, words
            assert box[3] <= picture.height, words
        for (on, one, a), (also_on, other, b) in combinations(written, 2):
            # Masks of mode L on which OCRBench's letters touch are single words; bold letters are drawn twice.
            if on is also_on and one != other and not (edition == "ocrbench" and on.mode == "L"):
                assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (one, other)
        written.clear()


def test_docvqa_answers_stand_on_the_page(written: list[Written]) -> None:
    page, text, pages, ids = b"", "", [], set()
    for row in docvqa.rows(4, 40):
        if row["image"] != page:
            page, text = row["image"], " ".join(words for _, words, _ in written)
            pages.append(row["docId"])
            written.clear()
        assert any(answer in text for answer in row["answers"]), row["question"]
        assert row["docId"] == pages[-1]
        assert 1 <= len(row["answers"]) <= 3
        assert row["data_split"] == "val"
        ids.add(row["questionId"])
    assert pages == list(range(1, len(pages) + 1))
    assert len(pages) < 20
    assert len(ids) == 40


def test_ocrbench_covers_the_ten_categories_and_draws_each_answer(written: list[Written]) -> None:
    categories = []
    for row in ocrbench.rows(4, 60):
        categories.append(row["question_type"])
        answer, *_ = row["answer"]
        letter_by_letter = "".join(words for _, words, _ in written)
        if row["dataset"] == "HME100k":
            tokens = Counter(token for token in answer.split() if len(token) == 1 and token not in "{}^_")
            assert not tokens - Counter(letter_by_letter)
        elif row["dataset"] != "ChartQA_Human":
            assert answer in letter_by_letter or answer in " ".join(words for _, words, _ in written)
        written.clear()
    assert set(categories[:10]) == OCR_CATEGORIES
    assert set(Counter(categories).values()) == {6}


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


def test_mmmu_pro_vision_shows_the_standard_question_whole(written: list[Written]) -> None:
    standard = {row["id"]: row for row in mmmu_pro.standard(8, 12)}
    written.clear()
    for row in mmmu_pro.vision(8, 12):
        plain = standard[row["id"]]
        assert {field: row[field] for field in ("options", "answer", "subject")}.items() <= plain.items()
        sheet = max((picture for picture, _, _ in written), key=lambda picture: picture.width)
        text = " ".join(words for picture, words, _ in written if picture is sheet)
        asked = str(plain["question"]).replace("<image ", "Figure ").replace(">", "")
        assert asked in text
        for letter, option in zip("ABCDEFGHIJ", Row(row, "").options("options"), strict=False):
            shown = option.replace("<image ", "Figure ").replace(">", "")
            assert f"{letter}. {shown}" in text or f"({letter}) {shown}" in text
        height = images.from_bytes(pictures_of(row)["image"], "image", "a row").height
        assert max(box[3] for picture, _, box in written if picture is sheet) <= 2 * height
        written.clear()
