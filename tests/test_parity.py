"""The scorers against recorded official scores, through the command that anybody can run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit.cli import main


def write(path: Path, *records: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def record(number: int, score: float) -> dict[str, object]:
    return {
        "id": f"q{number}", "benchmark": "docvqa", "response": "0.22", "official_prediction": "0.22",
        "answers": ["0.28"], "official_score": score,
    }  # fmt: skip


def test_every_recorded_score_is_met(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", str(shared / "parity"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["agree"] == report["compared"] > 20_000
    for file in report["files"]:
        assert file["disagree"] == []
        if file["compared"]:
            assert file["aggregate"] == pytest.approx(file["official_aggregate"], abs=1e-12)


def test_a_disagreement_is_named_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "docvqa" / "model.jsonl", record(1, 0.75), record(2, 1.0))
    (tmp_path / "docvqa" / "model.meta.json").write_text('{"official_aggregate": {"anls": 0.875}}')
    assert main(["parity", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "1 of      2 agree" in out
    assert "differs: q2" in out
    assert main(["parity", str(tmp_path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["compared"], report["agree"]) == (2, 1)
    (file,) = report["files"]
    assert file["disagree"] == ["q2"]
    assert file["aggregate"] == 0.75
    assert file["official_aggregate"] == 0.875
    assert file["stored_aggregate"] == {"anls": 0.875}


def test_what_is_not_compared_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        tmp_path / "mixed.jsonl", record(1, 0.75), {"id": "a", "benchmark": "toy", "official_score": 1}, {"id": "b"}
    )  # fmt: skip
    assert main(["parity", str(tmp_path), "--json"]) == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    assert (file["n"], file["compared"]) == (3, 1)
    assert file["skipped"] == {"no task toy": 1, "no official score": 1}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["parity"], "give one folder of recorded answers"),
        (["parity", "a", "b"], "give one folder of recorded answers"),
        (["parity", "--jsno"], "give one folder of recorded answers"),
        (["parity", "nowhere"], "there are no recorded answers below nowhere"),
    ],
)
def test_wrong_words(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 1
    assert sentence in capsys.readouterr().err


def test_nothing_compared_is_no_agreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "toy.jsonl", {"id": "a", "benchmark": "toy", "official_score": 1})
    assert main(["parity", str(tmp_path)]) == 1
    assert "could be compared" in capsys.readouterr().err
