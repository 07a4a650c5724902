"""Configuration: every file builds, and every mistake is one sentence that says what to type."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from evalkit import config
from evalkit.errors import ConfigError
from evalkit.runners.openai import OpenAIRunner
from evalkit.runners.pricing import Price

ROOT = Path(__file__).parents[1]
NEEDS = {
    "hf": ["model.id=some/model"],
    "vllm": ["model.id=some/model"],
    "vllm_server": ["model.id=some/model"],
    "endpoint": ["model.base_url=http://127.0.0.1:1", "model.model=m"],
    "anthropic": ["model.model=m"],
    "replay": ["data=recorded", "data.path=dir/answers-1.jsonl.gz"],
}
ALIASES = {"m_longdoc": "mmlongbench_doc"}


MODELS = config.options("model")


@pytest.mark.parametrize("model", MODELS)
def test_every_model_builds(model: str) -> None:
    built = config.setup(["task=docvqa", f"model={model}", *NEEDS.get(model, [])]).model
    named = {"endpoint": "m", "anthropic": "m", "replay": "answers-1", "hf": "model"}
    named |= {"vllm": "model", "vllm_server": "model"}
    assert built.name == {**named, "ray": "tiny"}.get(model, model.replace("_", "-"))
    assert callable(built.runner.generate)
    assert callable(built.runner.identity)


@pytest.mark.parametrize(("task", "data"), list(product(config.options("task"), config.options("data"))))
def test_every_task_builds_with_every_source(task: str, data: str) -> None:
    path = ["data.path=somewhere"] if data in ("local", "recorded") else []
    (built,) = config.setup([f"task={task}", f"data={data}", *path]).tasks
    assert (built.name, built.source.name) == (ALIASES.get(task, task), data)


@pytest.mark.parametrize("suite", config.options("suite"))
def test_every_suite_composes(suite: str) -> None:
    assert config.setup([f"+suite={suite}"]).tasks


def test_suite_all_has_every_task() -> None:
    # in_house needs a judge, and rows of one's own.
    everything = sorted({*config.options("task")} - {"in_house", *ALIASES})
    assert sorted(task.name for task in config.setup(["suite=all"]).tasks) == everything


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_target_exists_and_every_file_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert any(line.startswith("# ") and "@package" not in line for line in text.splitlines())
    targets = [line.split("_target_:")[1].strip() for line in text.splitlines() if "_target_:" in line]
    assert all(callable(get_object(target)) for target in targets)


def test_several_tasks_in_one_run() -> None:
    for words in (["task=chartqa,docvqa"], ["task=[chartqa,docvqa]"], ["task=chartqa,docvqa", "limit=3"]):
        assert [task.name for task in config.setup(words).tasks] == ["chartqa", "docvqa"]


def test_a_sweep_is_every_combination() -> None:
    assert list(config.sweep(["task=chartqa,docvqa", "limit=1,2", "model=tiny"])) == [
        ["task=chartqa", "limit=1", "model=tiny"],
        ["task=chartqa", "limit=2", "model=tiny"],
        ["task=docvqa", "limit=1", "model=tiny"],
        ["task=docvqa", "limit=2", "model=tiny"],
    ]


def test_what_is_shown_is_the_whole_configuration() -> None:
    shown = OmegaConf.create(config.show(["task=docvqa", "limit=4"]))
    assert OmegaConf.select(shown, "limit") == 4
    assert OmegaConf.select(shown, "tasks.docvqa.style") == "cot"


def test_a_task_is_built_from_what_its_record_has() -> None:
    built = config.setup(["+suite=all", "data=local", "data.path=x", "tasks.mmmu_pro.unparsed=zero"])
    for task in built.tasks:
        assert config.task(built.task_configs[task.name]) == task


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "no task selected: add task=NAME"),
        (["task=docvqua"], "unknown task 'docvqua': type task=docvqa or another of ai2d, chartqa"),
        (["task=docvqa,nope"], "unknown task 'nope'"),
        (["+suite=nope"], "unknown suite 'nope': type +suite=all"),
        (["task=docvqa", "judge=tinny"], "unknown judge 'tinny': type judge=tiny "),
        (["task=docvqa", "model=hff"], "unknown model 'hff': type model=hf "),
        (["task=docvqa", "data=disk"], "unknown data 'disk'"),
        (["task=docvqa", "limitt=3"], "unknown key 'limitt': did you mean limit=...?"),
        (["task=docvqa", "tasks.docvqa.stile=cot"], "unknown key 'tasks.docvqa.stile'"),
        (["task=docvqa", "tasks.chartqa.style=cot"], "unknown key 'tasks.chartqa.style'"),
        (["task=docvqa", "data.path=x"], "the chosen data has no key 'data.path': choose another data (hub, local"),
        (["task=docvqa", "+tasks.docvqa.colour=red"], "DocVQA takes no 'colour': remove that key"),
        (["task=docvqa", "docvqa"], "cannot read 'docvqa': write key=value"),
        (["task=docvqa", "data=local"], "data.path has no value: add data.path=..."),
        (["task=docvqa", "model=hf"], "model.id has no value: add model.id=..."),
        (["task=docvqa", "model=replay"], "model=replay goes with data=recorded data.path=FILE"),
        (["task=docvqa", "limit=0"], "limit=0 is no number of samples"),
        (["task=docvqa", "limit=ten"], "limit=ten is no number of samples"),
        (["task=docvqa", "+suite=all"], "give either task=... or +suite=..., not both"),
        (["task=docvqa", "model.name=a/b"], "model.name=a/b cannot name a folder"),
        (["task=docvqa", "model.name=.."], "model.name=.. cannot name a folder"),
        (["task=docvqa", "model.column=GPT-5"], "no published column 'GPT-5': choose model.column from GPT-4o 11-20,"),
        (["task=docvqa", "published=none"], "unknown published 'none'"),
        (["task="], "unknown task ''"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.setup(words)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Qwen/Qwen2-VL-7B-Instruct", "Qwen2-VL-7B-Instruct"),
        ("/models/my model/", "my-model"),
        ("answers.jsonl.gz", "answers"),
        ("org/gpt-4o:2024", "gpt-4o-2024"),
        ("///", "model"),
    ],
)
def test_models_are_named_after_paths(path: str, name: str) -> None:
    assert config.basename(path) == name


def test_published_table_is_the_model_cards() -> None:
    table = config.setup(["task=docvqa"]).published
    assert len(table.columns) == 8
    assert [row.task for row in table.rows] == [
        "mmmu", "mmmu_pro", "chartqa", "docvqa", "ocrbench", "ai2d", "mathvista", "olympiadbench",
        "mmlongbench_doc", "megabench", "in_house",
    ]  # fmt: skip
    assert [row.task for row in table.rows if not row.public] == ["in_house"]
    assert {row.task for row in table.rows if row.starred} == {
        "mmmu", "mmmu_pro", "chartqa", "docvqa", "ai2d", "mathvista",
    }  # fmt: skip
    assert {row.task: list(row.values.values()) for row in table.rows} == {
        "mmmu": [63.5, 72.0, 68.4, 70.6, 64.5, 66.5, 62.1, 68.5],
        "mmmu_pro": [54.5, 54.7, 50.9, 57.0, 43.2, 47.3, 36.0, 52.7],
        "chartqa": [88.1, 90.8, 88.7, 88.3, 91.2, 91.5, 85.5, 91.7],
        "docvqa": [91.1, 94.2, 91.5, 92.9, 97.1, 96.1, 90.1, 96.4],
        "ocrbench": [806, 790, 800, 846, 856, 847, 805, 865],
        "ai2d": [83.1, 82.0, 80.9, 85.1, 84.4, 86.8, 78.9, 83.3],
        "mathvista": [62.1, 65.4, 70.6, 73.1, 69.6, 68.4, 57.3, 68.6],
        "olympiadbench": [25.2, 28.4, 32.1, 46.1, 21.9, 25.1, 19.3, 24.2],
        "mmlongbench_doc": [41.4, 31.4, 26.2, 31.4, 11.6, 19.7, 13.9, 32.5],
        "megabench": [49.4, 51.4, 45.9, 53.9, 46.8, 45.3, 19.9, 47.4],
        "in_house": [62.3, 47.0, 49.2, 72.1, 40.6, 34.8, 13.6, 56.6],
    }


def test_task_sizes_and_styles_follow_the_card() -> None:
    built = config.setup(["+suite=all"])
    rows = {row.task: row for row in built.published.rows}
    assert {task.name: task.style for task in built.tasks} == {task.name: rows[task.name].style for task in built.tasks}


def test_every_published_column_is_one_config_away() -> None:
    columns = [config.setup(["task=docvqa", f"model={name}", *NEEDS.get(name, [])]).model.column for name in MODELS]
    published = config.setup(["task=docvqa"]).published.columns
    assert {*filter(None, columns)} == {*published}


def test_a_vendor_s_model_has_its_price_and_its_limits() -> None:
    runner = config.setup(["task=docvqa", "model=gpt_4o", "model.budget=5"]).model.runner
    assert isinstance(runner, OpenAIRunner)
    assert (runner.model, runner.pictures.count, runner.budget) == ("gpt-4o-2024-11-20", 500, 5)
    assert runner.price == Price(2.5, 10.0)
    assert runner.image_tokens(1024, 1024) == 765
