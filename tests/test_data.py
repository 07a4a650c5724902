import gzip
import hashlib
import io
import json
import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path

import PIL.Image
import pytest

from evalkit.data import Local, Mini, Recorded
from evalkit.errors import DataError
from evalkit.images import encoded
from evalkit.types import Dataset, Image, Source


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    PIL.Image.new("RGB", (4, 3), (shade, shade, shade)).save(stream, "PNG")
    return stream.getvalue()


def mini(seed: int, n: int) -> Iterator[Mapping[str, object]]:
    for number in range(n):
        yield {"id": f"{seed}-{number}", "image": png(number)}


def dataset(name: str = "toy", subset: str | None = None) -> Dataset:
    return Dataset(name=name, repo=f"owner/{name}", subset=subset, split="test", mini=mini)


def write(folder: Path, *lines: object, pictures: Mapping[str, bytes] | None = None) -> Path:
    """Lay a task's folder: bytes are written as they are, anything else as JSON."""
    (folder / "images").mkdir(parents=True)
    for name, data in (pictures or {}).items():
        (folder / "images" / name).write_bytes(data)
    encoded_lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    (folder / "data.jsonl").write_bytes(b"".join(line + b"\n" for line in encoded_lines))
    return folder / "data.jsonl"


def everything(source: Source) -> list[tuple[Image, ...]]:
    return [row.images("image") for row in source.rows(dataset())]


def failure(source: Source) -> str:
    """Return the one sentence that reading everything ends with."""
    with pytest.raises(DataError) as caught:
        everything(source)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_mini_draws_the_same_rows_for_the_same_seed() -> None:
    rows = list(Mini(seed=7, n=3).rows(dataset()))
    assert [row.text("id") for row in rows] == ["7-0", "7-1", "7-2"]
    picture = rows[1].images("image")[0]
    assert (picture.sha256, picture.width, picture.height) == (hashlib.sha256(png(1)).hexdigest(), 4, 3)
    assert encoded(picture) == png(1)
    assert (Mini(seed=7).name, Mini(seed=7).revision(dataset())) == ("mini", "seed 7")


def test_mini_without_rows_says_what_to_set() -> None:
    assert failure(Mini(n=0)) == "the mini set of toy has no rows: set data.n above 0"


def test_a_local_row_names_its_line_and_opens_its_picture_when_asked(tmp_path: Path) -> None:
    file = write(tmp_path / "toy", {"q": "a", "image": "a.png"}, b"", {"q": "b", "n": 3}, pictures={"a.png": png(9)})
    source = Local(str(tmp_path))
    first, second = source.rows(dataset())
    assert (first.where, second.where) == (f"line 1 of {file}", f"line 3 of {file}")
    (picture,) = first.images("image")
    assert (picture.name, picture.sha256) == ("a.png", hashlib.sha256(png(9)).hexdigest())
    assert second.images("image") == ()
    assert source.revision(dataset()) == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"
    assert source.name == "local"


def test_a_local_picture_is_a_reference_and_not_its_bytes(tmp_path: Path) -> None:
    noise = io.BytesIO()
    PIL.Image.frombytes("RGB", (200, 200), os.urandom(120_000)).save(noise, "PNG")
    write(tmp_path / "toy", {"image": "a.png"}, pictures={"a.png": noise.getvalue()})
    (picture,) = next(Local(str(tmp_path)).rows(dataset())).images("image")
    assert len(pickle.dumps(picture)) < 1000
    assert encoded(picture) == noise.getvalue()


def test_a_picture_of_many_rows_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "toy", {"image": "a.png"}, {"image": "a.png"}, pictures={"a.png": png(1)})
    first, second = Local(str(tmp_path)).rows(dataset())
    opened = first.images("image")
    (tmp_path / "toy" / "images" / "a.png").unlink()
    assert second.images("image") == opened


def test_local_yields_rows_before_it_has_read_the_file(tmp_path: Path) -> None:
    write(tmp_path / "toy", {"q": "a"}, {"q": "b"}, b"{")
    rows = Local(str(tmp_path)).rows(dataset())
    assert [next(rows).text("q"), next(rows).text("q")] == ["a", "b"]
    with pytest.raises(DataError, match="line 3 of "):
        next(rows)


def test_a_subset_has_its_own_folder_or_shares_the_dataset_s(tmp_path: Path) -> None:
    def first(path: Path, subset: str | None) -> str:
        return next(Local(str(path)).rows(dataset(subset=subset))).text("q")

    write(tmp_path / "toy", {"q": "shared"})
    write(tmp_path / "toy" / "vision (10)", {"q": "own"})
    assert first(tmp_path, None) == "shared"
    assert first(tmp_path, "vision (10)") == "own"
    assert first(tmp_path, "standard") == "shared"
    assert first(tmp_path / "toy", None) == "shared"
    assert first(tmp_path / "toy", "vision (10)") == "own"


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    write(tmp_path / "toy", b'\xef\xbb\xbf{"q": "a"}\r', b'{"q": "b"}\r')
    assert [row.text("q") for row in Local(str(tmp_path)).rows(dataset())] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"q": ', "is not JSON (Expecting value at character 8)"),
        (b"[" * 100_000, "is not JSON (maximum recursion depth exceeded"),
        (b'["q"]', "is a list, not an object"),
        (b'{"q": "caf\xe9"}', "is not UTF-8 at byte 11"),
        ({"image": "gone.png"}, "gone.png (No such file or directory): add the file, or remove the row"),
        ({"image": "a\0.png"}, "embedded null byte"),
        ({"image": ""}, "Is a directory"),
        ({"image": 5}, "should be a file name but is a int"),
        ({"image": "../data.jsonl"}, "names '../data.jsonl', which is outside"),
        ({"image": "x/../../data.jsonl"}, "which is outside"),
        ({"image": "/etc/hostname"}, "names '/etc/hostname', which is outside"),
        ({"image": "text.png"}, "text.png is not a picture"),
    ],
)
def test_a_bad_line_is_named_with_its_file(tmp_path: Path, line: object, says: str) -> None:
    file = write(tmp_path / "toy", {"q": "fine"}, line, pictures={"text.png": b"not a picture"})
    message = failure(Local(str(tmp_path)))
    assert message.startswith(f"line 2 of {file}")
    assert says in message


def test_what_is_missing_is_named_with_what_is_there(tmp_path: Path) -> None:
    assert failure(Local(str(tmp_path / "gone"))) == (
        f"there is no folder {tmp_path / 'gone'}: set data.path to the folder that holds toy/data.jsonl"
    )
    write(tmp_path / "chartqa", {"q": "a"})
    write(tmp_path / "ai2d", {"q": "a"})
    message = failure(Local(str(tmp_path)))
    assert f"found no {tmp_path / 'toy' / 'data.jsonl'}" in message
    assert "(task folders there: ai2d, chartqa)" in message


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "toy", b"", b"  ")
    assert failure(Local(str(tmp_path))) == f"{file} has no rows: put one JSON object on each line"


@pytest.mark.parametrize(
    ("name", "rows", "field"),
    [("ai2d", 10, "image"), ("chartqa", 200, "image"), ("docvqa", 44, "image"), ("mmmu_pro", 11, "image_1")],
)
def test_real_samples_are_read(shared: Path, name: str, rows: int, field: str) -> None:
    source = Local(str(shared / "samples"))
    read = list(source.rows(dataset(name, subset="vision")))
    assert len(read) == rows
    assert all(picture.width > 0 for row in read for picture in row.images(field))
    assert sum(len(row.images(field)) for row in read) == rows


def test_a_file_is_found_in_the_first_folder_that_has_it(tmp_path: Path) -> None:
    root = write(tmp_path / "toy", {"pdf": "a.pdf"}, {"pdf": "b.pdf"}, pictures={"a.pdf": b"", "b.pdf": b""}).parent
    (root / "documents").mkdir()
    (root / "documents" / "a.pdf").touch()
    rows = list(Local(str(tmp_path)).rows(dataset()))
    found = [row.file("document", "pdf", folders=("documents", "images")) for row in rows]
    assert found == [root / "documents" / "a.pdf", root / "images" / "b.pdf"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("gone.pdf", "has no 'gone.pdf' in documents or images: add the file, or remove the row"),
        ("a\0.pdf", "has no 'a\\x00.pdf' in documents or images"),
        ("", "has no '' in documents or images"),
        ("../data.jsonl", "names '../data.jsonl', which is outside"),
        (5, "should be a file name but is a int"),
    ],
)
def test_a_file_that_is_not_there_is_named_with_its_row(tmp_path: Path, value: object, says: str) -> None:
    file = write(tmp_path / "toy", {"pdf": value})
    (row,) = Local(str(tmp_path)).rows(dataset())
    with pytest.raises(DataError) as caught:
        row.file("document", "pdf", folders=("documents", "images"))
    assert str(caught.value).startswith(f"line 1 of {file}, field 'pdf'")
    assert says in str(caught.value)


def test_mini_has_its_files_at_hand_and_recorded_answers_have_none(tmp_path: Path) -> None:
    (row,) = Mini(n=1).rows(dataset())
    assert row.file("image", folders=("documents",)) == png(0)
    with pytest.raises(DataError, match="should be a file's bytes but is a str"):
        row.file("id", folders=("documents",))
    (row,) = recorded(tmp_path / "a.jsonl", {"pdf": "a.pdf", "response": "x"}).rows(dataset())
    assert row.file("pdf", folders=("documents",)) is None


def recorded(path: Path, *records: Mapping[str, object]) -> Recorded:
    lines = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return Recorded(str(path))


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.jsonl.gz"])
def test_recorded_answers_are_rows_without_pictures(tmp_path: Path, name: str) -> None:
    record = {"id": "1", "benchmark": "toy", "answers": ["a"], "image": "a.png"}
    source = recorded(tmp_path / name, {**record, "response": "A."}, {"id": "2", "response": ""})
    first, second = source.rows(dataset())
    assert (first.text("response"), first.texts("answers"), first.images("image")) == ("A.", ("a",), ())
    assert (second.where, second.text("response")) == (f"line 2 of {tmp_path / name}", "")
    assert source.revision(dataset()) == f"sha256:{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()[:12]}"
    assert source.name == "recorded"


def test_answers_for_another_benchmark_name_the_task_to_type(tmp_path: Path) -> None:
    source = recorded(tmp_path / "a.jsonl", {"benchmark": "chartqa", "response": "x"})
    assert failure(source) == (
        f"line 1 of {tmp_path / 'a.jsonl'} holds an answer for chartqa, not for toy: type task=chartqa"
    )


@pytest.mark.parametrize("record", [{"id": "1"}, {"response": None}, {"response": 3}, {"response": ["a"]}])
def test_a_record_without_a_text_is_refused(tmp_path: Path, record: Mapping[str, object]) -> None:
    message = failure(recorded(tmp_path / "a.jsonl", {"response": "fine"}, record))
    assert message.startswith(f"line 2 of {tmp_path / 'a.jsonl'} has no text in 'response'")


@pytest.mark.parametrize(("kept", "tail"), [(0, b"no gzip"), (-20, b""), (10, b"\xff" * 50)])
def test_a_damaged_archive_is_one_sentence(tmp_path: Path, kept: int, tail: bytes) -> None:
    path = tmp_path / "a.jsonl.gz"
    source = recorded(path, *({"response": f"answer {number}"} for number in range(50)))
    path.write_bytes(path.read_bytes()[:kept] + tail)
    assert failure(source).startswith(f"{path} cannot be read (")


def test_a_recorded_path_that_is_no_file_says_what_is_there(tmp_path: Path) -> None:
    recorded(tmp_path / "a.jsonl", {"response": "x"})
    assert "(files there: a.jsonl)" in failure(Recorded(str(tmp_path)))
    assert failure(Recorded(str(tmp_path / "gone"))).startswith(f"there is no file {tmp_path / 'gone'}: set data.path")
    assert failure(recorded(tmp_path / "none.jsonl")).startswith(f"{tmp_path / 'none.jsonl'} has no rows")


@pytest.mark.parametrize(
    "name",
    [
        "docvqa/qwen2_vl_7b_instruct.jsonl",
        "chartqa/qwen2.5-vl-7b_direct.jsonl",
        "ocrbench/rule_full1000.jsonl",
        "mmmu_pro/gpt-4o_standard10_cot.jsonl",
        "mathvista/gpt4_2shot_code.jsonl.gz",
    ],
)
def test_real_recorded_answers_are_read(shared: Path, name: str) -> None:
    file = shared / "parity" / name
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    rows = list(Recorded(str(file)).rows(dataset(name.split("/")[0])))
    assert len(rows) == data.count(b"\n") > 100
    assert all("response" in row and "id" in row for row in rows)
