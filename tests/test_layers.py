"""Who may import whom, how long a file may be, and what must never be imported to answer quickly."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    **{".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / "evalkit").rglob("*.py")},
    **{
        "evalkit." + ".".join(path.relative_to(ROOT).with_suffix("").parts): path
        for path in (ROOT / "tasks").rglob("*.py")
    },
}
ENGINES = ("torch", "transformers", "accelerate", "optimum", "openai", "datasets", "huggingface_hub", "vllm")

# Module prefix -> the only evalkit modules that it may import (itself and its own package apart).
MAY_IMPORT = {
    "evalkit.errors": (),
    "evalkit.types": ("evalkit.rows",),  # for annotations only
    "evalkit.metrics": ("evalkit.types", "evalkit.errors"),
    "evalkit.limits": ("evalkit.errors",),
    "evalkit.media": ("evalkit.types", "evalkit.errors", "evalkit.images"),
    "evalkit.sandbox_child": (),
    "evalkit.sandbox": ("evalkit.errors",),
    "evalkit.prompts": ("evalkit.types",),
    "evalkit.images": ("evalkit.types", "evalkit.errors"),
    "evalkit.rows": ("evalkit.types", "evalkit.errors"),
    "evalkit.billing": ("evalkit.types",),
    "evalkit.archives": ("evalkit.errors",),
    "evalkit.data": ("evalkit.archives", "evalkit.types", "evalkit.errors", "evalkit.rows", "evalkit.images"),
    "evalkit.network": (),
    "evalkit.redaction": (),
    "evalkit.usage": (),
    "evalkit.hub_api": ("evalkit.archives", "evalkit.data", "evalkit.errors", "evalkit.network"),
    "evalkit.documents": ("evalkit.types", "evalkit.errors"),
    "evalkit.hub": (
        "evalkit.hub_api",
        "evalkit.network",
        "evalkit.data",
        "evalkit.types",
        "evalkit.errors",
        "evalkit.rows",
        "evalkit.images",
    ),
    "evalkit.tasks": (
        "evalkit.types",
        "evalkit.errors",
        "evalkit.rows",
        "evalkit.prompts",
        "evalkit.metrics",
        "evalkit.documents",
        "evalkit.limits",
        "evalkit.media",
        "evalkit.sandbox",
    ),
    "evalkit.runners": (
        "evalkit.types",
        "evalkit.errors",
        "evalkit.images",
        "evalkit.models.minimax_vl_01",  # the family that transformers lacks
        "evalkit.network",
        "evalkit.interrupts",
    ),
    # Training is a program of its own, which draws and scores as a run does.
    **dict.fromkeys(
        [f"evalkit.models.tiny.{name}" for name in ("train", "examination", "feed", "lessons", "drills", "watch")],
        (
            "evalkit",
            "evalkit.config",
            "evalkit.data",
            "evalkit.errors",
            "evalkit.images",
            "evalkit.models",
            "evalkit.pipeline",
            "evalkit.rows",
            "evalkit.runners",
            "evalkit.tasks",
            "evalkit.types",
        ),
    ),
    "evalkit.models": ("evalkit.errors", "evalkit.runners._devices"),
    "evalkit.architectures": ("evalkit.models.minimax_vl_01.grid",),
    "evalkit.plan": ("evalkit.types", "evalkit.architectures", "evalkit.runners"),
    "evalkit.store": ("evalkit.types", "evalkit.errors"),
    "evalkit.responses": ("evalkit.types", "evalkit.errors", "evalkit.redaction", "evalkit.store"),
    "evalkit.interrupts": ("evalkit.types",),
    "evalkit.uncertainty": (),
    "evalkit.record": ("evalkit", "evalkit.types", "evalkit.uncertainty"),
    "evalkit.published": ("evalkit.types",),
    "evalkit.grading": ("evalkit.types",),
    "evalkit.score_cache": ("evalkit.types", "evalkit.errors", "evalkit.grading", "evalkit.store"),
    "evalkit.pipeline": (
        "evalkit.types",
        "evalkit.errors",
        "evalkit.grading",
        "evalkit.score_cache",
        "evalkit.store",
        "evalkit.responses",
        "evalkit.interrupts",
        "evalkit.record",
    ),
    "evalkit.parity": ("evalkit.types", "evalkit.errors", "evalkit.rows", "evalkit.data"),
    "evalkit.comparison": ("evalkit.types", "evalkit.errors", "evalkit.store", "evalkit.pipeline"),
    "evalkit.audit": (
        "evalkit.types",
        "evalkit.errors",
        "evalkit.metrics",
        "evalkit.store",
        "evalkit.responses",
        "evalkit.record",
        "evalkit.pipeline",
    ),
    "evalkit.differences": (
        "evalkit.types",
        "evalkit.errors",
        "evalkit.store",
        "evalkit.responses",
        "evalkit.record",
    ),
    "evalkit.ratings": (
        "evalkit.types",
        "evalkit.errors",
        "evalkit.rows",
        "evalkit.data",
        "evalkit.metrics",
        "evalkit.store",
        "evalkit.record",
    ),
    "evalkit.submission": (
        "evalkit.types",
        "evalkit.errors",
        "evalkit.store",
        "evalkit.responses",
        "evalkit.record",
        "evalkit.config",
        "evalkit.pipeline",
    ),
    "evalkit.selfcheck": ("evalkit.types", "evalkit.images", "evalkit.responses", "evalkit.runners", "evalkit.store"),
    "evalkit.notebook": ("evalkit.errors", "evalkit.limits", "evalkit.metrics"),
    "evalkit.progress": ("evalkit.types", "evalkit.uncertainty"),
    "evalkit.summary": (
        "evalkit.types",
        "evalkit.metrics.mean",
        "evalkit.pipeline",
        "evalkit.store",
        "evalkit.record",
        "evalkit.uncertainty",
    ),
    "evalkit.paired": (
        "evalkit.types",
        "evalkit.errors",
        "evalkit.store",
        "evalkit.record",
        "evalkit.summary",
        "evalkit.uncertainty",
    ),
    "evalkit.verdict": ("evalkit.published", "evalkit.record", "evalkit.uncertainty"),
    "evalkit.leaderboard": (
        "evalkit.errors",
        "evalkit.store",
        "evalkit.record",
        "evalkit.published",
        "evalkit.uncertainty",
        "evalkit.verdict",
    ),
    "evalkit.report": (
        "evalkit.types",
        "evalkit.errors",
        "evalkit.images",
        "evalkit.store",
        "evalkit.responses",
        "evalkit.record",
        "evalkit.published",
        "evalkit.pipeline",
        "evalkit.audit",
        "evalkit.verdict",
    ),
    "evalkit.config": ("evalkit.types", "evalkit.errors", "evalkit.published", "evalkit.redaction"),
}


def imports(path: Path) -> set[str]:
    """Absolute modules that a file imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
    return found


def within(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_layers(module: str) -> None:
    layer = next((prefix for prefix in MAY_IMPORT if within(module, prefix)), None)
    if layer is None:
        tops = (
            "evalkit.cli",
            "evalkit.commands",
            "evalkit.estimate",
            "evalkit.evaluation",
            "evalkit.__main__",
            "evalkit.__init__",
        )
        assert any(within(module, each) for each in tops), f"{module} has no layer"
        return
    for imported in imports(MODULES[module]):
        if within(imported, "evalkit"):
            # The package itself, which holds the version, is no licence for all its modules.
            allowed = imported in MAY_IMPORT[layer] or any(
                within(imported, each) for each in (layer, *MAY_IMPORT[layer]) if each != "evalkit"
            )
            assert allowed, f"{module} imports {imported}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_one_layer_knows_each_library(module: str) -> None:
    owners = {
        "hydra": ("evalkit.config",),
        "omegaconf": ("evalkit.config",),
        "torch": ("evalkit.runners", "evalkit.models"),
        "transformers": ("evalkit.runners", "evalkit.models"),
        "pandas": ("evalkit.leaderboard",),
        "datasets": ("evalkit.hub", "evalkit.notebook"),
        "evaluate": ("evalkit.notebook",),
        "pypdfium2": ("evalkit.documents",),
        "sympy": ("evalkit.metrics",),
        "antlr4": ("evalkit.metrics",),
        "openai": ("evalkit.runners",),
        "anthropic": ("evalkit.runners",),
        "ray": ("evalkit.runners",),
        "tenacity": ("evalkit.runners",),
        "vllm": ("evalkit.runners",),
        "jinja2": ("evalkit.report",),
    }
    for imported in imports(MODULES[module]):
        owner = owners.get(imported.split(".")[0])
        assert owner is None or any(within(module, each) for each in owner), f"{module} imports {imported}"


@pytest.mark.parametrize("path", sorted([*MODULES.values(), *(ROOT / "tests").glob("*.py")]), ids=lambda p: p.name)
def test_no_file_has_two_subjects(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["list"], ["--version"]])
def test_answers_without_engines(arguments: list[str]) -> None:
    code = (
        "import sys; from evalkit.cli import main; status = main(sys.argv[1:]); "
        f"loaded = [name for name in {(*ENGINES, 'hydra', 'pandas')!r} if name in sys.modules]; "
        "assert not loaded, loaded; sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


def test_readme_names_every_module_of_the_engine() -> None:
    tree = (ROOT / "README.md").read_text(encoding="utf-8").split("## Inside")[1]
    for path in (ROOT / "evalkit").glob("[a-z]*.py"):
        assert f"  {path.name} " in tree, path.name


def test_readme_names_every_task() -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("## Tasks")[1].split("##")[0]
    for path in (ROOT / "configs" / "task").glob("*.yaml"):
        assert f"| `{path.stem}` |" in table, path.stem
