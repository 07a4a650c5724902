"""The report without a browser: what it says of a sample, what it packs, and what its page lets in."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from report_runs import answered, run_of

from evalkit import config
from evalkit.cli import main
from evalkit.errors import ConfigError, ImageError
from evalkit.images import from_bytes
from evalkit.record import RunRecord
from evalkit.report import page, pictures, samples
from evalkit.store import read_json, read_lines, write_json, write_lines
from evalkit.types import Failure, Image, Message, Request, Response, Sample, Score, Status, Task


@pytest.mark.parametrize(
    ("text", "prediction", "parts"),
    [
        ("A cat. Answer: A", "A", ["A cat. Answer: ", "A", ""]),
        ("Both A and B; so A!", "A", ["Both A and B; so ", "A", "!"]),
        ("BAT", "A", ["BAT"]),
        ("It is Paris, in France", "paris", ["It is ", "Paris", ", in France"]),
        ("x = (1+2)*", "(1+2)*", ["x = ", "(1+2)*", ""]),
        ("42 and 142", "42", ["", "42", " and 142"]),
        ("nothing here", None, ["nothing here"]),
        ("nothing here", "  ", ["nothing here"]),
        ("\U0001f600 yes \U0001f600", "yes", ["\U0001f600 ", "yes", " \U0001f600"]),
        ("", "A", [""]),
    ],
)
def test_the_last_mention_of_the_prediction_is_marked(text: str, prediction: str | None, parts: list[str]) -> None:
    assert samples.marked(text, prediction) == parts


SAMPLE = Sample("s", "Which?", ("B",), choices=("x", "y"))
REQUEST = Request((Message("user", ("Which?",)),), max_tokens=64)


@pytest.mark.parametrize(
    ("status", "rule", "value", "prediction", "error", "says"),
    [
        ("ok", "bare", 1.0, "B", None, "The rule 'bare' found an answer, which scored 1 against the gold 'B'."),
        ("unparsed", "none", 0.5, None, None, "No rule found an answer, for which the scorer gave 0.5."),
        ("unparsed", "none", 0.0, "y", None, "No rule found an answer; the whole text scored 0 against"),
        ("truncated", "none", 0.0, None, None, "limit of 64 tokens"),
        ("empty", "none", 0.0, None, None, "The answer is empty."),
        ("refused", "bare", 0.0, "B", None, "refused to answer"),
        ("failed", "rate_limit", None, None, Failure("rate_limit", "429"), "The request failed (rate limit): 429"),
        ("failed", "judge_timeout", None, None, None, "The judge gave no verdict on this answer (timeout)."),
        ("not_scored", "no_judge", None, None, None, "It is not scored: it needs a judge"),
        ("not_scored", "bare", None, "B", None, "its gold answer is not public"),
    ],
)
def test_why(
    status: Status, rule: str, value: float | None, prediction: str | None, error: Failure | None, says: str
) -> None:
    score = Score("s", "", prediction, rule, status, value)
    assert says in samples.why(SAMPLE, score, REQUEST, Response("k", "text", error=error))


def test_why_without_a_response() -> None:
    score = Score("s", "", None, "not_asked", "failed", None)
    assert "no answer yet" in samples.why(SAMPLE, score, REQUEST, None)


def unpacked(packed: str) -> Any:
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_packed_data_is_the_same_again_and_no_markup() -> None:
    hostile = {"text": "</script><script>alert(1)</script>\u2028 \ud800 é"}
    packed = page.packed(hostile)
    assert unpacked(packed) == hostile
    assert packed == page.packed(hostile)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", packed)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    answered(folder, "alpha", "docvqa", lambda place, sample: f"Answer: {sample.answers[0]}", n=5)
    return folder


def entries(results: Path) -> list[dict[str, Any]]:
    run = run_of(results, "alpha", "docvqa")
    return list(samples.entries(run, config.task(read_json(run.record, RunRecord).task)))


def test_entries_join_the_run_s_files(results: Path) -> None:
    found = entries(results)
    run = run_of(results, "alpha", "docvqa")
    scores = list(read_lines(run.scores, Score))
    assert [each["id"] for each in found] == [score.sample_id for score in scores]
    first = found[0]
    assert first["value"] == scores[0].value == 1.0
    assert first["golds"] == next(read_lines(run.samples, Sample)).answers
    assert first["answer"] == ["Answer: ", scores[0].prediction, ""]
    ((role, parts),) = first["prompt"]
    assert role == "user"
    assert 0 in parts  # the picture, by its place
    assert all("docvqa" not in str(part) for part in parts)


def test_an_index_has_a_column_for_each_thing_the_list_needs(results: Path) -> None:
    columns = samples.index(entries(results))
    assert columns["value"] == [1.0] * 5
    assert [columns["names"]["status"][place] for place in columns["status"]] == ["ok"] * 5
    assert samples.index([{**entries(results)[0], "question": "word " * 200}])["question"][0].endswith("…")


def test_a_replayed_answer_is_no_part_of_the_prompt(tmp_path: Path) -> None:
    recorded = Path(tmp_path / "alpha.jsonl")
    recorded.write_text('{"id": "1", "question": "Which?", "answers": ["B"], "response": "B"}\n', encoding="utf-8")
    arguments = ["task=docvqa", "model=replay", "data=recorded", f"data.path={recorded}", f"results_dir={tmp_path}"]
    assert main(["run", *arguments]) == 0
    ((role, parts),) = entries(tmp_path)[0]["prompt"]
    assert role == "user"
    assert "Which?" in parts[0]


def test_a_judge_s_words_are_shown(tmp_path: Path) -> None:
    answered(tmp_path, "alpha", "mathvista", lambda place, sample: "42 or so", n=2)
    run = run_of(tmp_path, "alpha", "mathvista")
    record = read_json(run.record, RunRecord)
    task = config.task(record.task)
    sample = next(read_lines(run.samples, Sample))
    question = task.ask_judge(sample, "42 or so")
    assert question is not None
    write_json(run.record, replace(record, judge="lynx"))
    write_lines(run.verdicts("lynx"), [Response(question.key, "the answer is 42")])
    assert [each["verdicts"] for each in samples.entries(run, task)] == [["the answer is 42"], []]
    assert [each["verdicts"] for each in samples.entries(run, None)] == [[], []]


def picture(size: tuple[int, int] = (2000, 1000)) -> Image:
    file = io.BytesIO()
    PIL.Image.new("RGB", size, "teal").save(file, "PNG")
    return from_bytes(file.getvalue(), "teal.png", "row 1")


def test_a_picture_is_copied_once_and_made_smaller(tmp_path: Path) -> None:
    image = picture()
    copy = pictures.path(tmp_path, image.sha256)
    pictures.copy(tmp_path, [replace(SAMPLE, images=(image,))], {image.sha256})
    with PIL.Image.open(copy) as made:
        assert (made.size, made.format) == ((1600, 800), "WEBP")
    assert [path.name for path in copy.parent.iterdir()] == [f"{image.sha256}.webp"]
    assert base64.b64decode(pictures.embedded(tmp_path, image.sha256)) == copy.read_bytes()


def test_what_is_not_wanted_or_is_damaged_is_left_out(tmp_path: Path) -> None:
    def gone() -> bytes:
        raise ImageError("page 3 is gone")

    damaged = Image("0" * 64, 9, 9, "page 3", gone)
    pictures.copy(tmp_path, [replace(SAMPLE, images=(damaged, picture((9, 9))))], {damaged.sha256})
    assert not (tmp_path / pictures.FOLDER).exists()


def written(results: Path, **options: bool) -> str:
    published, _ = config.published([f"results_dir={results}"])
    return page.write(results, published, config.task, page.Options(**options)).read_text(encoding="utf-8")


def test_pictures_lie_beside_the_page_or_in_it(results: Path) -> None:
    beside = written(results)
    copies = sorted(path.stem for path in (results / pictures.FOLDER).iterdir())
    assert len(copies) == len({sha for each in entries(results) for sha, *_ in each["pictures"]}) > 0
    assert f'id="picture-{copies[0]}"' not in beside
    assert f'id="picture-{copies[0]}"' in written(results, embed=True)


def test_the_same_runs_make_the_same_page(results: Path) -> None:
    assert written(results) == written(results)


def block(html: str, name: str) -> Any:
    found = re.search(f'<script type="text/plain" id="{name}">([^<]+)</script>', html)
    assert found is not None
    return unpacked(found[1])


def summary(html: str) -> dict[str, Any]:
    found = re.search('<script type="application/json" id="summary">(.*?)</script>', html)
    assert found is not None
    value = json.loads(found[1])
    assert isinstance(value, dict)
    return value


def test_the_hub_is_left_alone_unless_asked(tmp_path: Path) -> None:
    answered(tmp_path, "alpha", "docvqa", lambda place, sample: "17", n=2)
    run = run_of(tmp_path, "alpha", "docvqa")
    write_json(run.record, replace(read_json(run.record, RunRecord), source="hub"))
    notes = [each["note"] for each in summary(written(tmp_path))["runs"]]
    assert len(notes) == 1
    assert "--hub-pictures" in notes[0]
    assert not (tmp_path / pictures.FOLDER).exists()
    assert summary(written(tmp_path, hub=True))["runs"][0]["note"] == ""


def test_generated_questions_are_called_so_beside_their_score(tmp_path: Path) -> None:
    answered(tmp_path, "alpha", "docvqa", lambda place, sample: "17", n=2)
    label = '<span class="interval">mini, synthetic</span>'
    assert written(tmp_path).count(label) == 1
    result = run_of(tmp_path, "alpha", "docvqa").result
    write_json(result, json.loads(result.read_text(encoding="utf-8")) | {"source": "hub"})
    assert label not in written(tmp_path)


def test_a_task_that_is_not_here_is_shown_without_pictures(tmp_path: Path) -> None:
    answered(tmp_path, "alpha", "docvqa", lambda place, sample: "17", n=2)

    def absent(node: Mapping[str, object]) -> Task:
        raise ConfigError(f"no {node['_target_']} </script><script>alert(1)</script>")

    published, _ = config.published([f"results_dir={tmp_path}"])
    html = page.write(tmp_path, published, absent, page.Options()).read_text(encoding="utf-8")
    assert "not installed" in str(summary(html))
    assert len(block(html, "part-0-0")) == 2


def test_no_markup_comes_from_a_run(tmp_path: Path) -> None:
    answered(tmp_path, "alpha", "docvqa", lambda place, sample: "<script>alert(1)</script>", n=2)
    run = run_of(tmp_path, "alpha", "docvqa")
    hostile = '"><script>alert(2)</script><img src=x onerror=alert(3)>'
    values = json.loads(run.result.read_text(encoding="utf-8"))
    values |= {"metric": hostile, "split": hostile, "notes": [hostile], "policies": {hostile: hostile}}
    write_json(run.result, values)
    html = written(tmp_path)
    assert "alert(" not in html.replace("&lt;script&gt;alert(2)", "").replace("onerror=alert(3)&gt;", "")
    assert html.count("&#34;&gt;&lt;script&gt;alert(2)") >= 3
    assert "<script>alert(1)" in str(block(html, "part-0-0"))


def test_the_policy_lets_in_the_page_s_own_script_and_nothing_else(results: Path) -> None:
    html = written(results)
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert found is not None
    policy = unescape(found[1])
    script = re.search(r'<script type="module">(.*?)</script>', html, re.DOTALL)
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert script is not None
    assert style is not None
    for text in (script[1], style[1]):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy
    # The published table's page is the only link that leads away.
    assert set(re.findall(r'(?:src|href)="(?!#|data:)([^"]+)"', html)) == {config.published([])[0].url}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|XMLHttp", script[1])


def test_the_command_writes_the_page_unless_told_not_to(results: Path, tmp_path: Path) -> None:
    assert main(["report", "--no-html", f"results_dir={tmp_path}"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leaderboard.md", "scores.csv"]
    assert main(["report", f"results_dir={tmp_path}"]) == 0
    assert "There are no runs yet" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert main(["report", "--embed-pictures", f"results_dir={results}"]) == 0
    assert 'id="picture-' in (results / "report.html").read_text(encoding="utf-8")
