"""Rows and command lines that are broken, odd or hostile: read as stated, or refused in one sentence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from bad_input import ROW, assert_plain, docvqa, evaluate, png, refusal, statuses
from chat_server import serving

from evalkit.cli import main
from evalkit.runners.openai import OpenAIRunner
from evalkit.store import read_lines
from evalkit.types import Message, Request, Sample

GOOD = json.dumps(ROW).encode()


def without(field: str) -> bytes:
    return json.dumps({key: value for key, value in ROW.items() if key != field}).encode()


def with_(**fields: object) -> bytes:
    return json.dumps({**ROW, **fields}).encode()


# What reads as rows, and the ids of the samples that come of it.
READ: dict[str, tuple[bytes, Sequence[str]]] = {
    "one id twice": (GOOD + b"\n" + with_(question="And?") + b"\n" + GOOD, ("1", "1#2", "1#3")),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD, ("1",)),
    "lines end as on Windows": (GOOD + b"\r\n" + with_(questionId="2") + b"\r\n", ("1", "2")),
    "no line's end at the end": (GOOD, ("1",)),
    "blank lines": (b"\n \n" + GOOD + b"\n\n", ("1",)),
    "id and answer are numbers": (with_(questionId=7, answers=[5, 2.5]), ("7",)),
    "one answer, not in a list": (with_(answers="a page"), ("1",)),
    "fields that nobody asked for": (with_(extra={"a": [1, {"b": None}]}), ("1",)),
    "a field twice, of which the last counts": (GOOD[:-1] + b', "questionId": "9"}', ("9",)),
    "NUL in the question": (with_(question="What\0 is it?"), ("1",)),
    "terminal codes in the id": (with_(questionId="\x1b[31m1\u202e"), ("\x1b[31m1\u202e",)),
    "question of 2,000 words": (with_(question="What is it? " * 700), ("1",)),
}
REFUSED: dict[str, tuple[bytes, str]] = {
    "no answers": (without("answers"), "line 1 of .* has no 'answers': add the field"),
    "answers are null": (with_(answers=None), "has no 'answers'"),
    "answers are NaN, as tables have for nothing": (GOOD[:-12] + b"NaN}", "has no 'answers'"),
    "an answer is null": (with_(answers=["a", None]), "should be a list of texts but holds a NoneType"),
    "answers in lists": (with_(answers=[["a"], ["b"]]), "should be a list of texts but holds a list"),
    "answers are an object": (with_(answers={"text": "a"}), "should be a text but is a dict"),
    "answer is true": (with_(answers=True), "should be a text but is a bool"),
    "no question": (without("question"), "has no 'question'"),
    "question is a list": (with_(question=["What?"]), "should be a text but is a list"),
    "no id": (without("questionId"), "has no 'id' or 'questionId'"),
    "no picture's field at all": (b'{"a": 1}', "has no 'id' or 'questionId'.*fields present: a"),
    "another encoding": (GOOD.decode().encode("utf-16"), "is not UTF-8"),
    "latin letters": (b'{"question": "caf\xe9"}', "line 1 of .* is not UTF-8 at byte 18"),
    "garbage behind a row": (GOOD + b" trailing", "is not JSON .*put one JSON object on each line"),
    "two rows on a line": (GOOD + GOOD, "is not JSON"),
    "a list": (b"[" + GOOD + b"]", "is a list, not an object"),
    "a number": (b"5", "is a int, not an object"),
    "pretty-printed": (json.dumps(ROW, indent=1).encode(), "line 1 of .* is not JSON"),
    "nested without end": (b'{"a":' * 100_000, "is not JSON"),
    "number of 5,000 digits": (with_(questionId=1)[:-1] + b', "n": ' + b"7" * 5000 + b"}", "is not JSON"),
    "zip": (b"PK\x03\x04" + bytes(200), "is not JSON|is not UTF-8"),
    "empty": (b"", "has no rows"),
    "white space": (b"\n\n \n", "has no rows"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "ids"), READ.values(), ids=READ.keys())
def test_odd_rows_are_read(
    content: bytes, ids: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = docvqa(tmp_path, [])
    (folder / "data.jsonl").write_bytes(content)
    status, run = evaluate(folder)
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    assert_plain(out)
    assert tuple(statuses(run)) == tuple(ids)


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_row_is_one_sentence(
    content: bytes, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = docvqa(tmp_path, [])
    (folder / "data.jsonl").write_bytes(content)
    status, run = evaluate(folder)
    assert status == 1
    sentence = refusal(capsys)
    assert re.search(reason, sentence), sentence
    assert not run.responses.exists()


def test_a_question_that_no_tokenizer_takes_fails_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, run = evaluate(docvqa(tmp_path, [ROW, {**ROW, "questionId": "\ud800", "question": "\udfff?"}]))
    assert status == 1
    assert "1 of 2 samples of docvqa have no score, first \\ud800 (the processor cannot take this" in refusal(capsys)
    assert statuses(run)["\ud800"] == ("failed", "preprocess")


def test_a_question_that_no_endpoint_can_be_sent_fails_alone() -> None:
    requests = [Request((Message("user", (text,)),), 8) for text in ("\ud800?", "fine?")]
    with serving(lambda exchange: exchange.answer("yes")) as server:
        found = {each.key: each for each in OpenAIRunner(model="m", base_url=server.url).generate(requests)}
    assert (failure := found[requests[0].key].error) is not None
    assert failure.kind == "request"
    assert found[requests[1].key].text == "yes"


def test_a_line_that_would_fill_the_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalkit.data._LONGEST_LINE", 1 << 20)
    folder = docvqa(tmp_path, [ROW, {**ROW, "question": "x" * (1 << 20)}])
    assert evaluate(folder)[0] == 1
    assert "line 2 of" in refusal(capsys)


def test_answers_are_kept_when_the_data_breaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = docvqa(tmp_path, [ROW, {**ROW, "questionId": "2", "question": "And?"}])
    assert evaluate(folder)[0] == 0
    data = (folder / "data.jsonl").read_bytes()
    capsys.readouterr()
    (folder / "data.jsonl").write_bytes(data + b"{")
    status, run = evaluate(folder)
    assert status == 1
    assert "line 3 of" in refusal(capsys)
    kept = run.responses.read_bytes()
    (folder / "data.jsonl").write_bytes(data)
    assert evaluate(folder)[0] == 0
    assert "0 answers generated, 2 there before" in capsys.readouterr().out
    assert run.responses.read_bytes() == kept


MMMU: Mapping[str, object] = {
    "id": "validation_Art_1",
    "question": "Which? <image 1>",
    "options": "['red', 'blue']",
    "answer": "A",
    "question_type": "multiple-choice",
    "image_1": "page.png",
}
OPTIONS: dict[str, tuple[object, tuple[str, ...] | str]] = {
    "a list": (["red", "blue"], ("red", "blue")),
    "a list in a text": ("['red', 'blue']", ("red", "blue")),
    "a tuple in a text": ("('red', 'blue')", ("red", "blue")),
    "numbers": ([1, 2.5], ("1", "2.5")),
    "options that are lists, as the official prompt has them": ("[['red', 'blue'], 'x']", ("['red', 'blue']", "x")),
    "a stray backslash": ("['$\\\\alpha$', '\\q']", ("$\\alpha$", "\\q")),
    "a call": ("__import__('os').system('touch owned')", "should be a list but reads"),
    "a comprehension": ("[x for x in 'ab']", "should be a list but reads"),
    "cut off": ("['red', 'bl", "should be a list but reads"),
    "a set of lists, which cannot be": ("{[], 1}", "should be a list but reads"),
    "an endless number": ("[" + "9" * 5000 + "]", "should be a list but reads"),
    "nested without end": ("[" * 5000 + "]" * 5000, "should be a list but reads"),
    "an object": ({"A": "red"}, "should be a list but is a dict"),
    "a number": (5, "should be a list but is a int"),
    "plain text": ("red, blue", "should be a list but reads"),
}


@pytest.mark.parametrize(("options", "outcome"), OPTIONS.values(), ids=OPTIONS.keys())
def test_options_however_they_are_written(
    options: object,
    outcome: tuple[str, ...] | str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "mmmu"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "page.png").write_bytes(png())
    (folder / "data.jsonl").write_text(json.dumps({**MMMU, "options": options}))
    status = main(
        ["run", "task=mmmu", "model=untrained", "data=local", f"data.path={folder.parent}", f"results_dir={tmp_path}"]
    )
    if isinstance(outcome, str):
        assert status == 1
        assert outcome in refusal(capsys)
    else:
        assert status == 0
        samples = list(read_lines(tmp_path / "runs" / "untrained" / "mmmu" / "samples.jsonl", Sample))
        assert samples[0].choices == outcome
    assert not (tmp_path / "owned").exists()
