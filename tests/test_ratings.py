"""People's ratings of a run: their own number, the agreement with the judge and each other, and files gone wrong."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_in_house import ROW, approving, local, run

from evalkit.cli import main
from evalkit.ratings import FIELDS
from evalkit.runners.replay import Scripted
from evalkit.store import RunDir, read_json, read_lines, write_lines
from evalkit.types import Sample

Line = tuple[str, str, str, str]
# A checklist of two merits and a penalty, over two tasks of two samples and one.
CHECKLIST = [
    {"id": "right", "text": "It is right.", "weight": 3, "kind": "must"},
    {"id": "kind", "text": "It is kind."},
    {"id": "long", "text": "It rambles.", "weight": 2, "kind": "penalty"},
]
SAMPLES = (("s1", "talk"), ("s2", "talk"), ("s3", "look"))
ITEMS = ("right", "kind", "long")


def rated(rater: str, *verdicts: str) -> list[Line]:
    """Three verdicts a sample, such as "yes yes no"."""
    return [
        (sample, item, rater, verdict)
        for (sample, _), given in zip(SAMPLES, verdicts, strict=False)
        for item, verdict in zip(ITEMS, given.split(), strict=False)
    ]


ANN = rated("ann", "yes yes no", "yes no no", "no yes no")
BOB = rated("bob", "yes no no", "yes no no", "yes yes yes")


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A run of three samples, which the judge thinks are all that is said of them."""
    return made(tmp_path, Scripted(approving))


def made(folder: Path, judge: Scripted | None) -> Path:
    rows = [{**ROW, "id": name, "task": task, "question": name, "checklist": CHECKLIST} for name, task in SAMPLES]
    local(folder / "data", *rows)
    more = ("data=local", f"data.path={folder / 'data'}")
    run(folder / "r", Scripted(lambda _: "An answer."), judge, *more)
    return folder / "r" / "runs" / "m" / "in_house"


def written(folder: Path, lines: list[Line], name: str = "ratings.csv") -> Path:
    path = folder / name
    if name.endswith(".jsonl"):
        path.write_text("".join(json.dumps(dict(zip(FIELDS, line, strict=True))) + "\n" for line in lines))
        return path
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([FIELDS, *lines])
    return path


def report(directory: Path) -> dict[str, Any]:
    return read_json(directory / "ratings.json", dict[str, Any])


def digests(directory: Path) -> dict[str, str]:
    files = (path for path in directory.iterdir() if path.name != "ratings.json")
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_people_have_a_number_of_their_own(judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = digests(judged)
    assert main(["ratings", str(judged), str(written(tmp_path, ANN + BOB))]) == 0
    assert digests(judged) == before
    found = report(judged)
    # s1: 4 of 4 and 3 of 4. s2: 3 of 4 twice. s3: a must that failed, and 4 less 2 of 4.
    assert found["values"] == {"s1": 0.875, "s2": 0.75, "s3": 0.25}
    assert found["people"]["parts"] == {"look": 25, "talk": 81.25}
    assert found["people"]["value"] == 53.125
    # The judge says yes to everything: 4 less 2 of 4 throughout, so its order of the samples is undefined.
    assert found["judge"]["value"] == 50
    assert (found["judge_name"], found["judge_n"], found["n"], found["of"]) == ("wise", 3, 3, 3)
    assert (found["tau_b"], found["ratings"], found["raters"]) == (None, 18, ["ann", "bob"])
    out = capsys.readouterr().out
    assert "in_house · m · people: checklist score 53.12 of 100 · n=3 of 3, 2 raters, 18 ratings" in out
    assert "in_house · m · judge wise, same samples: checklist score 50.00 of 100 · n=3" in out
    assert "Kendall's tau-b of the samples' scores undefined" in out
    assert "  wise, ann: Cohen's kappa 0.000 (9 items)" in out


def test_agreement_is_that_of_the_items(judged: Path, tmp_path: Path) -> None:
    main(["ratings", str(judged), str(written(tmp_path, ANN + BOB))])
    found = report(judged)
    # Of 9 items they agree on 6; ann says yes to 4, bob to 5: chance is 40 of 81.
    assert found["people_pairs"] == [
        {"first": "ann", "second": "bob", "items": 9, "kappa": pytest.approx((6 / 9 - 40 / 81) / (41 / 81))}
    ]
    # 18 values, 9 of each; 3 units of different ones: 1 - 17 * (3 * 2) / (18 * 18 - 2 * 81).
    assert found["alpha"] == pytest.approx(1 - 17 * 6 / 162)
    # With the judge's nine yes: 27 values, 18 of them yes. Both people said yes to 3 items; in the other 6 units one of
    # three values differs from the two others, which makes 4 ordered pairs out of 3 - 1.
    assert found["judge_alpha"] == pytest.approx(1 - 26 * (6 * 4 / 2) / (27**2 - 18**2 - 9**2))


def test_the_judges_order_of_samples_is_set_against_peoples(tmp_path: Path) -> None:
    def picky(text: str) -> str:
        lines = text.split("CHECKLIST\n")[-1].split("\n\n")[0].splitlines()
        good = {"s1": ("right", "kind"), "s2": ("right",), "s3": ()}[text.split("[user]\n")[1].split("\n")[0].strip()]
        return json.dumps(
            {
                "items": [
                    {"id": line.split(":")[0], "verdict": "yes" if line.split()[-1][:-1] in good else "no"}
                    for line in lines
                ]
            }
        )

    judge = Scripted(lambda request: picky("".join(str(part) for part in request.messages[0].parts)))
    directory = made(tmp_path, judge)
    main(["ratings", str(directory), str(written(tmp_path, ANN + BOB))])
    assert report(directory)["tau_b"] == 1


def test_what_the_judge_did_not_judge_is_left_out_of_the_comparison_alone(tmp_path: Path) -> None:
    directory = made(tmp_path, Scripted(lambda request: "Hm." if "s3" in str(request.messages) else approving(request)))
    main(["ratings", str(directory), str(written(tmp_path, ANN + BOB))])
    found = report(directory)
    assert (found["n"], found["judge_n"], found["judge_pairs"][0]["items"]) == (3, 2, 6)
    # Two units of three yes, four in which one differs; 18 values, 11 of them yes.
    assert found["judge_alpha"] == pytest.approx(1 - 17 * (4 * 4 / 2) / (18**2 - 11**2 - 7**2))


def test_json_lines_give_the_same(judged: Path, tmp_path: Path) -> None:
    main(["ratings", str(judged), str(written(tmp_path, ANN + BOB))])
    first = report(judged)
    main(["ratings", str(judged), str(written(tmp_path, BOB + ANN, "ratings.jsonl"))])
    assert {**report(judged), "revision": first["revision"]} == first


def test_a_sample_rated_in_part_has_no_value_but_its_items_count(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [*ANN[:3], *ANN[3:5], *rated("bob", "yes no no", "na na yes")]
    assert main(["ratings", str(judged), str(written(tmp_path, lines))]) == 0
    found = report(judged)
    assert found["values"] == {"s1": 0.875}
    assert found["left_out"] == {"rated in part": 1, "nothing applies": 1}
    assert found["people_pairs"][0]["items"] == 5
    assert "n=1 of 3" in capsys.readouterr().out


def test_without_a_judge_people_have_a_number_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = made(tmp_path, None)
    assert main(["ratings", str(directory), str(written(tmp_path, ANN))]) == 0
    found = report(directory)
    assert found["people"]["value"] == pytest.approx(100 * (0.875 + 0) / 2)
    assert (found["judge"], found["judge_alpha"], found["alpha"], found["judge_pairs"]) == (None, None, None, [])
    assert "judge" not in capsys.readouterr().out.splitlines()[0]


def test_many_raters_are_summed_up(judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [(sample, item, f"r{number}", verdict) for number in range(6) for sample, item, _, verdict in ANN]
    main(["ratings", str(judged), str(written(tmp_path, lines))])
    assert "  15 pairs: Cohen's kappa 1.000 at the median (0 undefined)" in capsys.readouterr().out
    assert len(report(judged)["people_pairs"]) == 15


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([("s9", "right", "ann", "yes")], "line 2 of FILE rates 's9', which is no sample of this run"),
        ([("s1", "tone", "ann", "yes")], "rates item 'tone', but s1 has right, kind, long"),
        ([("s1", "right", "ann", "maybe")], "has the verdict 'maybe': write one of yes, no, na"),
        ([("s1", "right", " ", "yes")], "names no rater"),
        ([ANN[0], ANN[0]], "line 3 of FILE is ann's second verdict on item 'right' of s1"),
        ([], "FILE has no ratings"),
    ],
)
def test_a_file_gone_wrong_is_one_sentence(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[Line], sentence: str
) -> None:
    file = written(tmp_path, lines)
    assert main(["ratings", str(judged), str(file)]) == 1
    err = capsys.readouterr().err
    assert sentence in err.replace(str(file), "FILE")
    assert err.count("\n") == 1
    assert not (judged / "ratings.json").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (lambda run, folder: [], "type python -m evalkit ratings RUN_DIR FILE"),
        (lambda run, folder: [run, "--json"], "type python -m evalkit ratings RUN_DIR FILE"),
        (lambda run, folder: [folder, "x.csv"], "give a run directory"),
        (lambda run, folder: [run, "ratings.xlsx"], "is neither CSV nor JSON Lines by its name"),
        (lambda run, folder: [run, folder / "gone.csv"], "gone.csv cannot be read (No such file"),
        (lambda run, folder: [run, written_raw(folder, b"sample_id,item_id,rater\ns1,right,a\n")], "has no 'verdict'"),
        (lambda run, folder: [run, written_raw(folder, b"sample_id,item_id,rater,verdict\n\xff")], "in UTF-8"),
    ],
)  # fmt: skip
def test_wrong_words_are_one_sentence(
    judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    words: Callable[[Path, Path], list[object]], sentence: str,
) -> None:  # fmt: skip
    assert main(["ratings", *map(str, words(judged, tmp_path))]) == 1
    assert sentence in capsys.readouterr().err


def written_raw(folder: Path, content: bytes) -> Path:
    path = folder / "raw.csv"
    path.write_bytes(content)
    return path


def test_a_run_without_checklists_is_refused(judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = [replace(sample, meta={}) for sample in read_lines(RunDir(judged).samples, Sample)]
    write_lines(RunDir(judged).samples, samples)
    assert main(["ratings", str(judged), str(written(tmp_path, ANN))]) == 1
    assert "has no checklists: give a run of in_house" in capsys.readouterr().err
