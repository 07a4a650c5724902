"""The command line as a person uses it: verbs, files, exit codes and sentences."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from evalkit.cli import VERBS, main
from evalkit.runners.replay import Scripted
from evalkit.types import Failure, Request


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Three recorded answers to DocVQA questions: one right, one close, one wrong."""
    path = tmp_path / "some-model.jsonl"
    answers = [("42", "42"), ("0.28", "0.22"), ("Reynolds", "nobody")]
    rows = [
        {"id": f"q{i}", "benchmark": "docvqa", "question": "?", "answers": [gold], "response": said}
        for i, (gold, said) in enumerate(answers)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def replay(recorded: Path, results: Path, *more: str) -> int:
    words = ["run", "task=docvqa", "model=replay", "data=recorded", f"data.path={recorded}", f"results_dir={results}"]
    return main([*words, *more])


def files(results: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(results)): path.read_bytes()
        for path in sorted(results.rglob("*"))
        if path.is_file() and path.name != "record.json"
    }


def test_run_writes_everything_and_says_what(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(recorded, tmp_path / "r") == 0
    out = capsys.readouterr()
    assert out.err == ""
    assert "docvqa · some-model: ANLS 58.33 of 100 · n=3 of 5349, data=recorded · 3 answers generated" in out.out
    line = next(line for line in out.out.splitlines() if line.startswith("docvqa  some-model  58.33 of 100 (ANLS) "))
    assert re.search(r"\d to \d+\.\d\d  +90\.1 to 97\.1  +3 of 5,349  +recorded", line)
    folder = tmp_path / "r" / "runs" / "some-model" / "docvqa"
    assert {path.name for path in folder.iterdir()} == {
        "samples.jsonl", "requests.jsonl", "responses.jsonl", "scores.jsonl", "scores.cache", "result.json",
        "record.json",
    }  # fmt: skip
    record = json.loads((folder / "record.json").read_text())
    assert record["identity"] == {"engine": "replay"}
    assert record["sessions"][0]["answers"] == 3
    assert record["revision"].startswith("sha256:")
    assert record["versions"]["evalkit"]


def test_run_again_and_score_change_nothing(recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = tmp_path / "r"
    replay(recorded, results)
    before = files(results)
    assert replay(recorded, results) == 0
    assert "0 answers generated, 3 there before" in capsys.readouterr().out
    assert files(results) == before
    assert main(["score", str(results / "runs" / "some-model" / "docvqa")]) == 0
    assert main(["report", f"results_dir={results}"]) == 0
    after = files(results)
    assert after.pop("report.html")
    assert after == before


def test_score_imports_no_engine(recorded: Path, tmp_path: Path) -> None:
    replay(recorded, tmp_path / "r")
    code = (
        "import sys; from evalkit.cli import main; status = main(sys.argv[1:]); "
        "loaded = {'torch', 'transformers', 'datasets', 'evaluate', 'pandas'} & set(sys.modules); "
        "assert not loaded, loaded; sys.exit(status)"
    )
    run = str(tmp_path / "r" / "runs" / "some-model" / "docvqa")
    done = subprocess.run([sys.executable, "-c", code, "score", run], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ANLS 58.33" in done.stdout


def test_score_of_everything_below_results(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replay(recorded, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    assert main(["score"]) == 0
    assert "scored again" in capsys.readouterr().out


def test_score_of_a_run_that_names_foreign_code_refuses(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(recorded, tmp_path / "r")
    folder = tmp_path / "r" / "runs" / "some-model" / "docvqa"
    record = json.loads((folder / "record.json").read_text())
    marker = tmp_path / "executed"
    record["task"] = {"_target_": "os.system", "command": f"touch {marker}"}
    (folder / "record.json").write_text(json.dumps(record))
    assert main(["score", str(folder)]) == 1
    assert "evalkit: cannot build os.system" in capsys.readouterr().err
    assert not marker.exists()


def answers_by(monkeypatch: pytest.MonkeyPatch, runner: Scripted) -> None:
    monkeypatch.setattr("evalkit.runners.replay.Replay", lambda: runner)


def test_incomplete_run_says_which_sample_and_fails(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers_by(monkeypatch, Scripted(lambda _: Failure("oom", "the picture is too large for the card")))
    assert replay(recorded, tmp_path / "r") == 1
    err = capsys.readouterr().err
    assert err == (
        "evalkit: 3 of 3 samples of docvqa have no score, first q0 (the picture is too large for the card): "
        "mend that and run the same command again, or add allow_incomplete=true\n"
    )
    assert replay(recorded, tmp_path / "r", "allow_incomplete=true") == 0
    assert "(nothing scored)" in (tmp_path / "r" / "leaderboard.md").read_text()


def test_interrupt_keeps_answers_and_says_how_to_go_on(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: Request) -> str:
        if "nobody" in str(request.messages):
            raise KeyboardInterrupt
        return "42"

    answers_by(monkeypatch, Scripted(answer))
    assert replay(recorded, tmp_path / "r") == 130
    assert "run the same command again to go on" in capsys.readouterr().err
    stored = tmp_path / "r" / "runs" / "some-model" / "docvqa" / "responses.jsonl"
    assert len(stored.read_text().splitlines()) == 2


def test_multirun_runs_every_combination(tmp_path: Path, recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(recorded, tmp_path / "r", "model.name=one,two", "--multirun") == 0
    assert "docvqa · one:" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "r" / "runs").iterdir()} == {"one", "two"}


def test_cfg_prints_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "task=docvqa", f"results_dir={tmp_path / 'r'}", "--cfg", "job"]) == 0
    assert "evalkit.tasks.docvqa.DocVQA" in capsys.readouterr().out
    assert not (tmp_path / "r").exists()


def test_help_names_every_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("docvqa", "mmmu_pro", "+suite=", "replay", "data.path=DIR", "--multirun"))
    assert main([]) == 0
    assert "python -m evalkit run task=docvqa" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_says_how_it_is_used(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    assert capsys.readouterr().out.lstrip().startswith(f"python -m evalkit {verb} ")
    assert main([verb, "-h"]) == 0
    out = capsys.readouterr().out
    assert f"python -m evalkit {verb}" in out
    others = {other for other in VERBS if f"python -m evalkit {other} " in out} - {verb}
    assert verb == "run" or not others
    assert main([verb, "task=docvqa", "--help"]) == 0
    assert f"python -m evalkit {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["evaluate"], 2, "unknown command 'evaluate': type one of run, "),
        (["run", "--dry-run"], 1, "unknown option '--dry-run'"),
        (["run", "--cfg", "all"], 1, "type --cfg job"),
        (["run"], 1, "no task selected"),
        (["list", "tasks"], 1, "list takes no argument such as 'tasks'"),
        (["score", "no/such/run"], 1, "no/such/run/record.json does not exist: give a run directory"),
        (["score", "--all"], 1, "unknown option '--all'"),
        (["report", "--readme", "no/such/file.md"], 1, "cannot read no/such/file.md"),
    ],
)
def test_wrong_words_are_one_sentence(
    words: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(words) == status
    err = capsys.readouterr().err
    assert err.startswith("evalkit: ")
    assert sentence in err
    assert err.count("\n") == 1
