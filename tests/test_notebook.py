"""The metrics as Hugging Face `evaluate` loads them: offline, one definition, the numbers of the pure functions."""

from __future__ import annotations

import doctest
import importlib
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from evalkit.errors import ConfigError
from evalkit.metrics.anls import anls
from evalkit.metrics.choice import letters, parse_mmmu_pro
from evalkit.metrics.containment import contains_answer
from evalkit.metrics.mmlongbench import Judged, accuracy, eval_score, f1
from evalkit.metrics.relaxed_accuracy import relaxed_accuracy

N = 1000
WORDS = (
    "42",
    "43",
    "4 2",
    "62%",
    "0.62",
    "1,000",
    "Greyport",
    "greyport ",
    "Straße",
    "x^2 = Y",
    "Not answerable",
    "B",
    "(C)",
)
FORMATS = ("Int", "Float", "Str", "List", "None")

Columns = dict[str, list[Any]]


def texts(draw: random.Random) -> list[str]:
    return draw.choices(WORDS, k=draw.randint(1, 3))


def open_questions() -> Columns:
    draw = random.Random(1)
    return {
        "predictions": [" ".join(texts(draw)) for _ in range(N)],
        "references": [texts(draw) for _ in range(N)],
    }


def formula_questions() -> Columns:
    return open_questions() | {"formulas": [number % 3 == 0 for number in range(N)]}


def choice_questions() -> Columns:
    draw = random.Random(2)
    choices = [draw.sample(WORDS, k=draw.randint(2, 10)) for _ in range(N)]
    said = [draw.choice(("Answer: {}", "It is ({}).", "{}", "none")).format(draw.choice("ABCDE")) for _ in range(N)]
    return {"predictions": said, "references": [draw.choice("ABC") for _ in range(N)], "choices": choices}


def document_questions() -> Columns:
    draw = random.Random(3)
    golds = [draw.choice(WORDS) for _ in range(N)]
    return {
        "predictions": [draw.choice((gold, *WORDS)) for gold in golds],
        "references": golds,
        "answer_formats": [draw.choice(FORMATS) for _ in range(N)],
    }


def rows(columns: Columns) -> list[tuple[Any, ...]]:
    return list(zip(*columns.values(), strict=True))


def pure_choice(columns: Columns) -> dict[str, float]:
    found = [parse_mmmu_pro(said, choices).prediction for said, _, choices in rows(columns)]
    right = [letter == gold for letter, gold in zip(found, columns["references"], strict=True)]
    return {"accuracy": fmean(right), "unparsed": found.count(None)}


def pure_documents(columns: Columns) -> dict[str, float]:
    none = "Not answerable"
    judged = [Judged(eval_score(gold, said, kind), gold != none, said != none) for said, gold, kind in rows(columns)]
    return {"accuracy": accuracy(judged), "f1": f1(judged)}


@dataclass(frozen=True)
class Case:
    name: str
    kind: str
    columns: Callable[[], Columns]
    pure: Callable[[Columns], dict[str, float]]


CASES = [
    Case("anls", "ANLS", open_questions, lambda c: {"anls": fmean(anls(p.strip(), g) for p, g in rows(c))}),
    Case(
        "relaxed_accuracy", "RelaxedAccuracy", open_questions,
        lambda c: {"relaxed_accuracy": fmean(relaxed_accuracy(p, g) for p, g in rows(c))},
    ),
    Case(
        "containment", "Containment", formula_questions,
        lambda c: {"containment": fmean(contains_answer(p, g, formula=f) for p, g, f in rows(c))},
    ),
    Case("mmmu_pro", "MMMUPro", choice_questions, pure_choice),
    Case("mmlongbench_doc", "MMLongBenchDoc", document_questions, pure_documents),
]  # fmt: skip
every_metric = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, imported only now: it takes seconds, and the libraries read where their caches lie on import."""

    def refuse(*_: object) -> None:
        pytest.fail("reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return importlib.import_module("evalkit.notebook")


def load(notebook: Any, name: str, cache: Path) -> Any:
    return importlib.import_module("evaluate").load(notebook.path(name), cache_dir=str(cache))


@every_metric
def test_class_and_loaded_metric_give_the_number_of_the_pure_function(
    case: Case, notebook: Any, tmp_path: Path
) -> None:
    columns = case.columns()
    expected = case.pure(columns)
    assert 0 < next(iter(expected.values())) < 1
    own = getattr(notebook, case.kind)(cache_dir=str(tmp_path / "own"))
    assert own.compute(**columns) == expected
    loaded = load(notebook, case.name, tmp_path / "loaded")
    assert type(loaded).__name__ == case.kind
    assert loaded.compute(**columns) == expected
    assert loaded.inputs_description == type(own).__doc__


@every_metric
def test_adding_one_by_one_or_in_batches_is_the_same(case: Case, notebook: Any, tmp_path: Path) -> None:
    columns = case.columns()
    metric = load(notebook, case.name, tmp_path)
    for said, gold, *more in rows(columns)[:200]:
        metric.add(prediction=said, reference=gold, **dict(zip(list(columns)[2:], more, strict=True)))
    for start in range(200, N, 300):
        metric.add_batch(**{name: column[start : start + 300] for name, column in columns.items()})
    assert metric.compute() == case.pure(columns)


@every_metric
def test_the_example_in_the_docstring_is_true(case: Case, notebook: Any) -> None:
    assert doctest.testmod(importlib.import_module(f"{notebook.__name__}.{case.name}")) == (0, 1)


def test_every_metric_has_a_path_and_a_case(notebook: Any) -> None:
    assert sorted(case.name for case in CASES) == list(notebook.NAMES)
    assert all(Path(notebook.path(name)).is_file() for name in notebook.NAMES)
    with pytest.raises(ConfigError, match="there is no metric 'bleu': choose one of anls, containment"):
        notebook.path("bleu")


def test_settings_reach_the_pure_function(notebook: Any, tmp_path: Path) -> None:
    strict = notebook.ANLS(cache_dir=str(tmp_path)).compute(
        predictions=["Greyport"], references=[["Grayport"]], threshold=0.9
    )
    assert strict == {"anls": 0}
    wide = notebook.RelaxedAccuracy(cache_dir=str(tmp_path)).compute(
        predictions=["90"], references=[["100"]], tolerance=0.1
    )
    assert wide == {"relaxed_accuracy": 1}


def test_an_unparsed_choice_is_worth_nothing_or_its_chance(notebook: Any, tmp_path: Path) -> None:
    columns = choice_questions()
    metric = notebook.MMMUPro(cache_dir=str(tmp_path))
    values = []
    for said, gold, choices in rows(columns):
        letter = parse_mmmu_pro(said, choices).prediction
        chance = 1 / len(choices) if gold in letters(len(choices)) else 0
        values.append(chance if letter is None else float(letter == gold))
    found = metric.compute(**columns, unparsed="expected")
    assert found["accuracy"] == fmean(values)
    assert found["unparsed"] > 0
    with pytest.raises(ValueError, match='"zero" or "expected", not \'half\''):
        metric.compute(**columns, unparsed="half")


def test_a_lost_answer_is_an_empty_one(notebook: Any, tmp_path: Path) -> None:
    metric = notebook.ANLS(cache_dir=str(tmp_path))
    assert metric.compute(predictions=["a", None], references=[["a"], ["b"]]) == {"anls": 0.5}


def test_one_gold_answer_must_stand_in_a_list(notebook: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a list"):
        notebook.ANLS(cache_dir=str(tmp_path)).compute(predictions=["42"], references=["42"])


def test_without_evaluate_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules.update(evaluate=None, datasets=None)\n"
        "from evalkit.errors import ConfigError\n"
        "try: import evalkit.notebook\n"
        "except ConfigError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "evalkit.notebook needs datasets: pip install 'evalkit[notebook]'\n"
