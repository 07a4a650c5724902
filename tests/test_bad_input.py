"""Bad input through the command line: each one sentence, a non-zero exit, and no stored answer lost."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest
from PIL import Image

from evalkit.cli import main

ROW: dict[str, object] = {"questionId": "1", "question": "What is it?", "image": "page.png", "answers": ["a page"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two questions on one good page."""
    task = tmp_path / "data" / "docvqa"
    (task / "images").mkdir(parents=True)
    Image.effect_noise((60, 80), 50).save(task / "images" / "page.png")
    write(task, [ROW, {**ROW, "questionId": "2", "question": "And this?"}])
    return task


def write(task: Path, rows: list[dict[str, object]]) -> None:
    (task / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def evaluate(task: Path, *more: str) -> int:
    results = task.parent.parent / "results"
    return main(
        [
            "run",
            "task=docvqa",
            "model=untrained",
            "data=local",
            f"data.path={task.parent}",
            f"results_dir={results}",
            *more,
        ]
    )


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert err.startswith("evalkit: ")
    assert err.count("\n") == 1, err
    return err


def test_good_input_is_good(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder) == 0
    out = capsys.readouterr()
    assert "n=2 of 5349, data=local · 2 answers generated" in out.out
    assert out.err == ""


def test_missing_data_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "task=docvqa", "data=local", f"data.path={tmp_path / 'nowhere'}"]) == 1
    assert "nowhere" in complaint(capsys)


def test_task_folder_missing_says_which_are_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder.rename(folder.parent / "chartqa")
    assert evaluate(folder) == 1
    assert "chartqa" in complaint(capsys)


def test_a_suite_goes_on_without_the_tasks_that_the_folder_lacks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = folder.parent.parent / "results"
    assert main(["run", "+suite=vqa", "data=local", f"data.path={folder.parent}", f"results_dir={results}"]) == 0
    out = capsys.readouterr()
    assert "docvqa · tiny" in out.out
    assert [line.split(":")[1].strip() for line in out.err.splitlines()] == ["skipped chartqa", "skipped ocrbench"]
    folder.rename(folder.parent / "unknown")
    assert main(["run", "+suite=vqa", "data=local", f"data.path={folder.parent}", f"results_dir={results}"]) == 1


def test_line_that_is_not_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (folder / "data.jsonl").open("a") as file:
        file.write('{"questionId": "3", \n')
    assert evaluate(folder) == 1
    sentence = complaint(capsys)
    assert "line 3 of" in sentence
    assert "data.jsonl" in sentence


def test_missing_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, [ROW, {**ROW, "image": "gone.png"}])
    assert evaluate(folder) == 1
    sentence = complaint(capsys)
    assert "gone.png" in sentence
    assert "line 2" in sentence


def test_picture_outside_its_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, [{**ROW, "image": "../data.jsonl"}])
    assert evaluate(folder) == 1
    assert "../data.jsonl" in complaint(capsys)


def test_file_that_is_no_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images" / "page.png").write_text("<svg/>")
    assert evaluate(folder) == 1
    assert "is not a picture that Pillow can open" in complaint(capsys)


def test_truncated_picture_fails_its_sample_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (folder / "images" / "page.png").read_bytes()
    (folder / "images" / "torn.png").write_bytes(page[: len(page) // 2])
    write(folder, [ROW, {**ROW, "questionId": "2", "image": "torn.png"}])
    assert evaluate(folder) == 1
    sentence = complaint(capsys)
    assert "1 of 2 samples of docvqa have no score, first 2 (" in sentence
    assert "torn.png is truncated or damaged" in sentence
    (folder / "images" / "torn.png").write_bytes(page)
    assert evaluate(folder) == 0
    assert "1 answers generated, 1 there before" in capsys.readouterr().out


def test_empty_dataset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "data.jsonl").write_text("\n")
    assert evaluate(folder) == 1
    assert "no rows" in complaint(capsys)


@pytest.mark.parametrize("field", ["answers", "question"])
def test_absent_field(folder: Path, field: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, [ROW, {name: value for name, value in ROW.items() if name != field}])
    assert evaluate(folder) == 1
    sentence = complaint(capsys)
    assert f"has no '{field}'" in sentence
    assert "line 2" in sentence


def test_model_folder_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "model=hf", f"model.id={folder / 'no-model'}") == 1
    assert "no-model" in complaint(capsys)


def test_model_folder_without_a_processor(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model = tmp_path / "bare"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "llava_next"}')
    assert evaluate(folder, "model=hf", f"model.id={model}") == 1
    sentence = complaint(capsys)
    assert str(model) in sentence
    assert "processor" in sentence


def test_full_disk_keeps_what_is_stored(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(folder, "limit=1") == 0
    stored = folder.parent.parent / "results" / "runs" / "untrained" / "docvqa" / "responses.jsonl"
    before = stored.read_bytes()
    capsys.readouterr()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # From here on the system refuses every file that would grow beyond 8 KiB, as it does when the disk is full.
    with stored.open("ab") as file:
        file.write(b" " * 8000 + b"\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        assert evaluate(folder) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    sentence = complaint(capsys)
    assert "cannot write" in sentence
    assert "free space" in sentence
    assert evaluate(folder) == 0
    assert stored.read_bytes().startswith(before)
    assert "1 answers generated, 1 there before" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_results_that_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = folder.parent.parent / "results"
    results.mkdir(mode=0o500)
    assert evaluate(folder) == 1
    assert "Permission denied" in complaint(capsys)
