"""What must answer without loading an engine, on a run that is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from report_runs import answered, run_of
from test_layers import ENGINES


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with one run."""
    folder = tmp_path_factory.mktemp("results")
    answered(folder, "m", "docvqa", lambda place, sample: f"Final Answer: {sample.answers[0]}", 4)
    return folder


@pytest.mark.parametrize("verb", ["--help", "list", "score", "score --scorer all", "report", "report --no-html"])
def test_answers_without_engines(results: Path, verb: str) -> None:
    words = verb.split()
    words += [str(run_of(results, "m", "docvqa").path)] if words[0] == "score" else []
    words += [f"results_dir={results}"] if words[0] == "report" else []
    code = (
        "import sys; from evalkit.cli import main; status = main(sys.argv[1:]); "
        f"loaded = [name for name in {(*ENGINES, 'evaluate', 'sympy', 'pypdfium2')!r} if name in sys.modules]; "
        "assert not loaded, loaded; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_the_first_request_comes_before_the_tables_are_loaded(tmp_path: Path) -> None:
    code = (
        "import sys; from evalkit.runners.chance import Chance; from evalkit.cli import main\n"
        "def generate(self, requests):\n"
        "    next(iter(requests))\n"
        "    sys.exit(sum(name in sys.modules for name in ('pandas', 'numpy', 'torch', 'tabulate', 'jinja2')))\n"
        "Chance.generate = generate\n"
        "main(sys.argv[1:]); sys.exit('asked nothing')"
    )
    words = ["run", "task=docvqa", "model=chance", "data.n=1", f"results_dir={tmp_path}"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
