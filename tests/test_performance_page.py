"""docs/performance.md: made of the figures of the benchmarks, and nothing in either names a machine."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
from measure import RESULTS, Figures, Table, publish, spent  # noqa: E402
from pages import PAGE, made  # noqa: E402

FIGURES = sorted(RESULTS.glob("*.json"))


@pytest.mark.parametrize("file", [*FIGURES, PAGE], ids=lambda file: file.name)
def test_nothing_names_the_machine(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not any(name in text for name in (platform.node(), str(ROOT), "/tmp/", "/home/", "/root/"))  # noqa: S108


def test_figures_come_where_they_are_named_and_the_others_at_the_end() -> None:
    known = {
        "command": "python x.py",
        "workload": "Ten sums.",
        "tables": [{"title": "Sums", "columns": ["n", "a|b"], "rows": [["10", "1.5 s"]]}],
        "notes": [],
        "machine": {"processor": "P", "cores": "2", "memory": "8 GiB", "python": "3.11.7"},
        "versions": {"numpy": "2.0"},
    }
    page = made("# A\n\n<!-- one -->\n\n<!-- two -->\n", {"one": known, "other": {"rates": [{"x": 1.23456}], "n": 3}})
    assert "Ten sums.\n\nSums:\n\n| n | a b |\n| --- | --- |\n| 10 | 1.5 s |" in page
    assert "`python x.py` · P, 2 cores, 8 GiB · Python 3.11.7 · numpy 2.0" in page
    assert "*Not measured here: `python benchmarks/two.py`.*" in page
    assert page.endswith("## other\n\n| figure | value |\n| --- | --- |\n| rates 1 x | 1.235 |\n| n | 3 |\n")


def test_what_is_published_can_be_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("measure.RESULTS", tmp_path)
    table = Table("", ("what", "seconds"), (("one", "1.0 s"),))
    publish(Figures("sums", "Sums", "python sums.py", "Ten sums.", (table,), {"n": 1}, packages=("numpy", "none such")))
    assert "one   1.0 s" in capsys.readouterr().out
    found = json.loads((tmp_path / "sums.json").read_text(encoding="utf-8"))
    assert list(found["versions"]) == ["numpy"]
    assert "one | 1.0 s" in made("<!-- sums -->", {"sums": found})


def test_a_process_is_measured_with_its_children_and_its_failure_is_raised() -> None:
    took = spent([sys.executable, "-c", "print('x', len(b'x' * (64 << 20)))"])
    assert (took.said, took.peak_mib > 64, took.seconds > 0, took.processor > 0) == (
        f"x {64 << 20}\n",
        True,
        True,
        True,
    )
    with pytest.raises(RuntimeError, match="ended with 3: wrong"):
        spent([sys.executable, "-c", "print('wrong'); raise SystemExit(3)"])
