"""The hub source on Parquet replicas with the official datasets' columns, as a mirror and behind a hub of our own."""

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest
from hub_server import (
    AI2D,
    CHARTQA,
    LABELLED,
    OCRBENCH,
    STANDARD,
    TEXT,
    VISION,
    cell,
    png,
    publish,
    publish_docvqa,
    serve,
)

from evalkit.errors import ConfigError, DataError
from evalkit.hub import Hub
from evalkit.images import encoded
from evalkit.rows import Row
from evalkit.types import Dataset


def dataset(repo: str, split: str, subset: str | None = None) -> Dataset:
    return Dataset(
        name=repo.split("/")[-1].lower(), repo=repo, subset=subset, split=split, mini=lambda seed, n: iter(())
    )


def docvqa(split: str = "validation") -> Dataset:
    return dataset("lmms-lab/DocVQA", split, "DocVQA")


def read(root: Path, of: Dataset) -> list[Row]:
    return list(Hub(mirror=str(root / "mirror"), cache_dir=str(root / "cache")).rows(of))


def failure(root: Path, of: Dataset) -> str:
    with pytest.raises(DataError) as caught:
        read(root, of)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_docvqa(tmp_path: Path) -> None:
    publish_docvqa(tmp_path / "mirror")
    row, second = read(tmp_path, docvqa())
    assert (row.where, second.where) == ("row 0 of lmms-lab/DocVQA", "row 1 of lmms-lab/DocVQA")
    assert (row.text("questionId"), row.texts("answers"), row.text("docId")) == ("1", ("a", "A"), "5")
    assert "question_types" not in row
    (picture,) = row.images("image")
    assert (picture.name, picture.width) == ("page.png", 60)
    assert picture.sha256 == hashlib.sha256(png(1, side=60)).hexdigest()
    assert encoded(picture) == png(1, side=60)


def test_withheld_answers_are_absent(tmp_path: Path) -> None:
    publish_docvqa(tmp_path / "mirror")
    (row,) = read(tmp_path, docvqa("test"))
    with pytest.raises(DataError, match="row 0 of lmms-lab/DocVQA has no 'answers'"):
        row.texts("answers")


def test_mmmu_pro_in_both_settings(tmp_path: Path) -> None:
    pictures = {"image_1": cell(png(1)), "image_3": cell(png(3))}
    files = {
        "standard (10 options)/test": (STANDARD, [{"id": "a", "options": "['x', 'y']", "answer": "B", **pictures}]),
        "vision/test": (VISION, [{"id": "b", "image": cell(png(2)), "options": "['x', 'y']", "answer": "A"}]),
    }
    publish(tmp_path / "mirror", "MMMU/MMMU_Pro", files)
    (standard,) = read(tmp_path, dataset("MMMU/MMMU_Pro", "test", "standard (10 options)"))
    fields = [f"image_{number}" for number in range(1, 8)]
    assert [encoded(picture) for picture in standard.images(*fields)] == [png(1), png(3)]
    assert [field for field in fields if field in standard] == ["image_1", "image_3"]
    assert standard.options("options") == ("x", "y")
    (vision,) = read(tmp_path, dataset("MMMU/MMMU_Pro", "test", "vision"))
    assert (vision.text("id"), encoded(vision.images("image")[0])) == ("b", png(2))


@pytest.mark.parametrize(
    ("repo", "features", "values"),
    [
        ("lmms-lab/ChartQA", CHARTQA, {"type": "human_test", "question": "q", "answer": "3"}),
        ("echo840/OCRBench", OCRBENCH, {"dataset": "IIIT5K", "question": "q", "answer": ["CENTRE"]}),
        ("lmms-lab/ai2d", AI2D, {"question": "q", "options": ["w", "x", "y", "z"], "answer": "2"}),
        ("HuggingFaceM4/ChartQA", LABELLED, {"query": "q", "label": ["3"], "half": 1}),
    ],
)
def test_a_dataset_of_one_subset(
    tmp_path: Path, repo: str, features: Mapping[str, Any], values: dict[str, Any]
) -> None:
    publish(tmp_path / "mirror", repo, {"default/test": (features, [{**values, "image": cell(png(5))}])})
    (row,) = read(tmp_path, dataset(repo, "test"))
    assert {field: row.values[field] for field in values} == values
    assert encoded(row.images("image")[0]) == png(5)


def test_a_picture_is_read_only_when_asked_for_and_never_kept(tmp_path: Path) -> None:
    rows = [
        {"question": "a", "image": cell(png(1, side=200))},
        {"question": "b", "image": cell(b"no picture", "x.png")},
    ]
    publish(tmp_path / "mirror", "o/Toy", {"default/test": (CHARTQA, rows)})
    good, bad = read(tmp_path, dataset("o/Toy", "test"))
    assert bad.text("question") == "b"
    with pytest.raises(DataError, match=r"row 1 of o/Toy, field 'image': x\.png is not a picture"):
        bad.images("image")
    (picture,) = good.images("image")
    copy = pickle.loads(pickle.dumps(picture))  # noqa: S301
    assert len(pickle.dumps(picture)) < 5000 < len(encoded(copy)) == len(png(1, side=200))


def test_a_picture_that_lies_outside_the_files_is_refused(tmp_path: Path) -> None:
    pair = {"question": TEXT, "image": {"bytes": datasets.Value("binary"), "path": TEXT}}
    publish(tmp_path / "mirror", "o/Toy", {"default/test": (pair, [{"image": {"bytes": None, "path": "/a.png"}}])})
    (row,) = read(tmp_path, dataset("o/Toy", "test"))
    with pytest.raises(DataError, match="row 0 of o/Toy, field 'image' holds no picture's bytes"):
        row.images("image")


def test_pictures_are_found_in_files_that_other_tools_wrote(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    folder = publish(
        tmp_path / "mirror", "o/Toy", {"default/test": (CHARTQA, [{"image": cell(png(1))}, {"answer": "3"}])}
    )
    (file,) = (folder / "data").iterdir()
    pq.write_table(pq.read_table(file).replace_schema_metadata(None), file)
    (folder / "README.md").unlink()
    first, second = read(tmp_path, dataset("o/Toy", "test"))
    assert encoded(first.images("image")[0]) == png(1)
    assert second.images("image") == ()


def test_a_mirror_may_hold_one_split_only(tmp_path: Path) -> None:
    folder = publish_docvqa(tmp_path / "mirror")
    shutil.rmtree(folder / "InfographicVQA")
    (folder / "DocVQA" / "test-00000-of-00001.parquet").unlink()
    assert len(read(tmp_path, docvqa())) == 2
    assert "has no Parquet file DocVQA/test-*: type 'hf download lmms-lab/DocVQA" in failure(tmp_path, docvqa("test"))


def test_a_mirror_s_path_is_no_pattern(tmp_path: Path) -> None:
    publish_docvqa(tmp_path / "a [b]*" / "mirror")
    assert len(read(tmp_path / "a [b]*", docvqa())) == 2


def test_a_changed_mirror_is_read_anew_and_has_another_revision(tmp_path: Path) -> None:
    source = Hub(mirror=str(tmp_path / "mirror"), cache_dir=str(tmp_path / "cache"))
    folder = publish_docvqa(tmp_path / "mirror")
    (file,) = (folder / "DocVQA").glob("validation-*")
    before = [row.text("questionId") for row in read(tmp_path, docvqa())], source.revision(docvqa())
    stamp = file.stat().st_mtime_ns
    publish_docvqa(tmp_path / "mirror", first="3")
    os.utime(file, ns=(stamp, stamp))
    after = [row.text("questionId") for row in read(tmp_path, docvqa())], source.revision(docvqa())
    assert (before[0], after[0]) == (["1", "2"], ["3", "2"])
    assert before[1] != after[1]
    assert source.revision(docvqa()).startswith("sha256:")
    assert source.name == "hub"


def test_what_a_mirror_lacks_is_named_with_what_it_has(tmp_path: Path) -> None:
    folder = publish_docvqa(tmp_path / "mirror")
    has = f"{folder} has no "
    assert failure(tmp_path, docvqa("dev")) == f"{has}split 'dev': set task.split to one it has ('validation', 'test')"
    message = failure(tmp_path, dataset("lmms-lab/DocVQA", "test", "Docs"))
    assert message == f"{has}subset 'Docs': set task.subset to one it has ('DocVQA', 'InfographicVQA')"
    assert failure(tmp_path, dataset("o/Toy", "test")).startswith(
        f"there is no folder {tmp_path / 'mirror' / 'o/Toy'}: type"
    )


@pytest.mark.parametrize(
    "configs",
    ["{a: 1}", "[1]", "[{config_name: default, data_files: [{split: test}]}]", "[", "[{data_files: ../Toy/data/*}]"],
)
def test_a_readme_that_declares_nothing_usable_is_one_sentence(tmp_path: Path, configs: str) -> None:
    folder = publish(tmp_path / "mirror", "o/Toy", {"default/train": (CHARTQA, [{"answer": "3"}])})
    (folder / "README.md").write_text(f"---\nconfigs: {configs}\n---\n")
    message = failure(tmp_path, dataset("o/Toy", "train"))
    assert message.startswith(str(folder))
    assert "type 'hf download o/Toy" in message


def test_a_damaged_file_and_an_empty_split_are_one_sentence(tmp_path: Path) -> None:
    folder = publish(tmp_path / "mirror", "o/Toy", {"default/test": (CHARTQA, []), "default/dev": (CHARTQA, [{}])})
    assert failure(tmp_path, dataset("o/Toy", "test")) == "split 'test' of o/Toy has no rows: choose another task.split"
    (folder / "data" / "dev-00000-of-00001.parquet").write_bytes(b"PAR1 no more")
    assert failure(tmp_path, dataset("o/Toy", "dev")).startswith(f"{folder} cannot be read (")


def test_without_the_extra_the_command_to_type_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ConfigError, match=r"pip install 'evalkit\[hub\]'"):
        Hub(mirror="m").revision(docvqa())


ASK = """
import json, sys
from evalkit.errors import DataError
from evalkit.hub import Hub
from evalkit.types import Dataset
for settings, wanted in json.loads(sys.argv[1]):
    dataset = Dataset(name="docvqa", mini=lambda seed, n: iter(()), **wanted)
    try:
        rows = list(Hub(**settings).rows(dataset))
        print(json.dumps([Hub(**settings).revision(dataset), [row.text("questionId") for row in rows]]))
    except DataError as error:
        print(json.dumps(str(error)))
"""
Question = tuple[dict[str, str], dict[str, str]]
NOWHERE = 9  # the discard port, where nothing listens


def ask(root: Path, port: int, *questions: Question, offline: bool = False) -> list[Any]:
    """Read DocVQA in a process of its own: the libraries fix the hub's address and offline mode when imported.

    A question is settings of the source and fields of the dataset; the answer is its revision and ids, or a sentence.
    """
    official = {"repo": "lmms-lab/DocVQA", "subset": "DocVQA", "split": "validation"}
    cache = {"cache_dir": str(root / "cache")}
    asked = [(cache | settings, official | wanted) for settings, wanted in questions]
    here = {
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HOME": str(root / "home"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASK, json.dumps(asked)],
        env={**os.environ, **here, "HF_HUB_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_online_the_commit_is_resolved_and_later_the_cache_serves_it(tmp_path: Path) -> None:
    old, new, third = "a" * 40, "b" * 40, "c" * 40
    publish_docvqa(tmp_path / "old")
    publish_docvqa(tmp_path / "new", first="3")
    with serve(tmp_path / "old", old) as port:
        assert ask(tmp_path, port, ({}, {})) == [[old, ["1", "2"]]]
    with serve(tmp_path / "new", new) as port:
        assert ask(tmp_path, port, ({}, {})) == [[new, ["3", "2"]]]
    newest: Question = ({}, {})
    pinned: Question = ({"commit": old}, {})
    expected = [[new, ["3", "2"]], [old, ["1", "2"]]]
    assert ask(tmp_path, NOWHERE, newest, pinned, offline=True) == expected
    *found, missing = ask(tmp_path, NOWHERE, newest, pinned, ({"commit": third}, {}))
    assert found == expected
    there = f"(there: DocVQA at {old}, DocVQA at {new})"
    assert f"the cache does not hold lmms-lab/DocVQA DocVQA at {third} {there}: run once with" in missing


def test_online_what_does_not_exist_is_named(tmp_path: Path) -> None:
    publish_docvqa(tmp_path / "hub")
    wrong: list[Question] = [
        ({}, {"subset": "Docs"}),
        ({}, {"split": "dev"}),
        ({"commit": "v9"}, {}),
        ({}, {"repo": "o/No"}),
    ]
    with serve(tmp_path / "hub", "a" * 40) as port:
        subset, split, commit, repo = ask(tmp_path, port, *wrong)
    has = "lmms-lab/DocVQA has no "
    assert subset == f"{has}subset 'Docs': set task.subset to one it has ('DocVQA', 'InfographicVQA')"
    assert split == f"{has}split 'dev': set task.split to one it has ('validation', 'test')"
    assert commit == f"{has}commit, branch or tag 'v9': set data.commit to one it has"
    assert repo.startswith("the hub has no dataset 'o/No' that you may read: check task.repo")


def test_offline_without_a_cache_says_what_to_do(tmp_path: Path) -> None:
    assert ask(tmp_path, NOWHERE, ({}, {}), offline=True) == [
        "the hub cannot be reached and the cache does not hold lmms-lab/DocVQA DocVQA (there: none of it): "
        "run once with a network (and no HF_HUB_OFFLINE), or type 'hf download lmms-lab/DocVQA --repo-type dataset "
        "--local-dir DIR/lmms-lab/DocVQA' where there is one and set data.mirror=DIR, or set data=local data.path=DIR"
    ]
