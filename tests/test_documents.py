"""Pages of PDFs as pictures: their names and sizes without rendering, their pixels, and what is wrong in a sentence."""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import PIL.Image
import pytest

from evalkit import documents
from evalkit.documents import Document, pages, read_document, sheets
from evalkit.errors import ConfigError, DataError, ImageError
from evalkit.images import decode, encoded
from evalkit.types import Image

pdfium = pytest.importorskip("pypdfium2")

COLOURS = ("red", "lime", "blue", "yellow", "black", "white", "gray")


def pdf(*sizes: tuple[int, int]) -> bytes:
    """Return a PDF with a page of each size in points, each in its colour."""
    sheets = [PIL.Image.new("RGB", size, colour) for size, colour in zip(sizes, COLOURS, strict=False)]
    buffer = io.BytesIO()
    sheets[0].save(buffer, "PDF", save_all=True, append_images=sheets[1:], resolution=72, creationDate=None)
    return buffer.getvalue()


def opened(*sizes: tuple[int, int]) -> Document:
    return read_document(pdf(*sizes), "report.pdf", "row 1")


def colour(image: Image, x: float, y: float) -> str:
    """Return the name of the colour at a place, given as shares of width and height."""
    picture = decode(image)
    seen = picture.getpixel((int(x * (picture.width - 1)), int(y * (picture.height - 1))))
    assert isinstance(seen, tuple)

    def distance(name: str) -> int:
        wanted = PIL.Image.new("RGB", (1, 1), name).getpixel((0, 0))
        assert isinstance(wanted, tuple)
        return sum(abs(a - b) for a, b in zip(seen, wanted, strict=True))

    return min(COLOURS, key=distance)


def failure(content: Path | bytes) -> str:
    with pytest.raises(DataError) as caught:
        read_document(content, "report.pdf", "row 1")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_page_is_a_jpeg_of_the_promised_size() -> None:
    shown = pages(opened((60, 80), (101, 50)), dpi=144, limit=120)
    assert [image.name for image in shown] == ["report.pdf page 1", "report.pdf page 2"]
    assert [(image.width, image.height) for image in shown] == [(120, 160), (202, 100)]
    assert [decode(image).size for image in shown] == [(120, 160), (202, 100)]
    assert [colour(image, 0.5, 0.5) for image in shown] == ["red", "lime"]
    assert PIL.Image.open(io.BytesIO(encoded(shown[0]))).format == "JPEG"


def test_a_turned_page_has_the_sides_that_are_seen() -> None:
    document = pdfium.PdfDocument(pdf((60, 80)))
    document[0].set_rotation(90)
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    (page,) = pages(read_document(buffer.getvalue(), "turned.pdf", "row 1"), dpi=72, limit=120)
    assert (page.width, page.height) == decode(page).size == (80, 60)


def test_the_first_pages_only() -> None:
    assert len(pages(opened(*[(10, 10)] * 7), dpi=72, limit=3)) == 3
    assert len(sheets(opened(*[(10, 10)] * 7), dpi=72, limit=3, most=5, columns=3)) == 3


def test_no_page_is_rendered_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    document = opened((40, 40), (41, 41))
    monkeypatch.setattr(documents, "_draw", lambda *_: pytest.fail("rendered"))
    assert len(pages(document, dpi=72, limit=120)) == 2
    assert len(sheets(document, dpi=72, limit=120, most=1, columns=3)) == 1


def test_a_page_that_is_read_again_is_not_rendered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    (page,) = pages(opened((42, 42)), dpi=72, limit=120)
    first = encoded(page)
    monkeypatch.setattr(documents, "_draw", lambda *_: pytest.fail("rendered"))
    assert encoded(page) == first


def test_names_follow_the_document_the_page_and_the_resolution() -> None:
    document, other = opened((40, 40), (40, 40)), opened((40, 40), (40, 41))
    named = [
        *(image.sha256 for image in pages(document, dpi=72, limit=120)),
        *(image.sha256 for image in pages(document, dpi=144, limit=120)),
        *(image.sha256 for image in pages(other, dpi=72, limit=120)),
        *(image.sha256 for image in sheets(document, dpi=72, limit=120, most=1, columns=3)),
        *(image.sha256 for image in sheets(document, dpi=72, limit=120, most=1, columns=1)),
    ]
    assert len(set(named)) == len(named) == 8
    assert {len(name) for name in named} == {64}
    again = read_document(pdf((40, 40), (40, 40)), "another name.pdf", "row 9")
    assert [image.sha256 for image in pages(again, dpi=72, limit=120)] == named[:2]
    assert document.sha256 == hashlib.sha256(pdf((40, 40), (40, 40))).hexdigest()


def test_a_file_is_held_by_its_path_and_rendered_in_any_process(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(pdf((300, 300)))
    (page,) = pages(read_document(tmp_path / "report.pdf", "report.pdf", "row 1"), dpi=72, limit=120)
    kept = pickle.dumps(page)
    assert len(kept) < 1000
    assert decode(pickle.loads(kept)).size == (300, 300)  # noqa: S301


def test_sheets_hold_pages_in_rows() -> None:
    document = opened(*[(30, 40)] * 7)
    first, second = sheets(document, dpi=72, limit=120, most=2, columns=3)
    assert (first.name, second.name) == ("report.pdf pages 1 to 4", "report.pdf pages 5 to 7")
    assert (first.width, first.height) == decode(first).size == (90, 80)
    assert (second.width, second.height) == decode(second).size == (90, 40)
    seen = [colour(first, x, y) for y in (0.25, 0.75) for x in (0.16, 0.5, 0.84)]
    assert seen == ["red", "lime", "blue", "yellow", "white", "white"]
    assert [colour(second, x, 0.5) for x in (0.16, 0.5, 0.84)] == ["black", "white", "gray"]


def test_one_column_is_a_stack() -> None:
    (stack,) = sheets(opened(*[(30, 40)] * 3), dpi=72, limit=120, most=1, columns=1)
    assert decode(stack).size == (stack.width, stack.height) == (30, 120)
    assert [colour(stack, 0.5, y) for y in (0.16, 0.5, 0.84)] == ["red", "lime", "blue"]


def test_no_more_sheets_than_allowed_and_no_page_lost() -> None:
    for count in range(1, 8):
        shown = sheets(opened(*[(9, 9)] * count), dpi=72, limit=120, most=5, columns=3)
        assert len(shown) <= 5
        assert shown[-1].name.endswith(f" {count}")


def test_threads_do_not_meet_in_the_renderer() -> None:
    shown = [page for side in range(50, 58) for page in pages(opened(*[(side, 50)] * 7), dpi=144, limit=120)]
    with ThreadPoolExecutor(8) as threads:
        sizes = list(threads.map(lambda page: decode(page).size, shown))
    assert sizes == [(page.width, page.height) for page in shown]


@pytest.mark.parametrize("content", [b"", b"no PDF", pdf((30, 30))[:200]])
def test_a_damaged_file_is_one_sentence(content: bytes) -> None:
    assert failure(content).startswith("row 1: report.pdf is no PDF that can be opened (")


def test_a_document_without_pages_is_refused() -> None:
    document = pdfium.PdfDocument.new()
    buffer = io.BytesIO()
    document.save(buffer)
    document.close()
    assert "report.pdf" in failure(buffer.getvalue())


def test_an_encrypted_document_is_refused() -> None:
    # A lock to which no password is the key.
    lock = b"/Encrypt <</Filter /Standard /V 1 /R 2 /P -4 /O <%b> /U <%b>>> /ID [<00> <00>]" % (b"00" * 32, b"00" * 32)
    locked = pdf((30, 30)).replace(b"trailer\n<<", b"trailer\n<<" + lock)
    assert failure(locked) == "row 1: report.pdf is encrypted: replace it by a copy that needs no password"


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    assert failure(tmp_path / "gone.pdf") == (
        "row 1: cannot read report.pdf (No such file or directory): add the file, or remove the row"
    )


def test_a_page_that_would_fill_the_memory_is_refused() -> None:
    document = Document("0" * 64, "poster.pdf", ((14400.0, 14400.0),), b"")
    with pytest.raises(DataError, match=r"poster\.pdf page 1 would have 28800 x 28800 pixels at 144 dpi: set a lower"):
        pages(document, dpi=144, limit=120)


def test_a_file_that_changes_later_fails_its_sample_alone(tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(pdf((31, 31)))
    (page,) = pages(read_document(file, "report.pdf", "row 1"), dpi=72, limit=120)
    file.write_bytes(b"no PDF any more")
    with pytest.raises(ImageError, match=r"page 1 of report\.pdf or a later one cannot be rendered"):
        encoded(page)
    file.unlink()
    with pytest.raises(ImageError, match=r"report\.pdf page 1 cannot be read any more"):
        encoded(page)


def test_without_the_package_the_command_to_type_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    with pytest.raises(ConfigError, match=r"type pip install 'evalkit\[pdf\]'"):
        read_document(b"", "report.pdf", "row 1")
