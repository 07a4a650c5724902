"""Makes docs/performance.md from what the benchmarks wrote: `python benchmarks/pages.py`.

The prose is that of benchmarks/performance.md, in which a line `<!-- NAME -->` stands for the figures of
results/benchmarks/NAME.json. Figures that it does not name come at the end.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from measure import RESULTS, ROOT

TEMPLATE = Path(__file__).with_name("performance.md")
PAGE = ROOT / "docs" / "performance.md"
PLACE = re.compile(r"^<!-- ([a-z0-9_]+) -->$", re.MULTILINE)


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(str(cell).replace('|', ' ') for cell in line)} |" for line in lines)


def flat(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the numbers of figures that come without a table of their own, each under its path."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from flat(each, f"{name} {key}".strip())
    elif isinstance(value, list) and any(isinstance(each, Mapping | list) for each in value):
        for place, each in enumerate(value, start=1):
            yield from flat(each, f"{name} {place}".strip())
    elif isinstance(value, list):
        yield name, ", ".join(map(shown, value))
    else:
        yield name, shown(value)


def shown(value: object) -> str:
    """Return a number with as many digits as it is good for, and anything else as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def section(figures: Any) -> str:
    """Return one benchmark's figures with their circumstances."""
    if not isinstance(figures, dict) or "tables" not in figures:
        return table(["figure", "value"], [list(each) for each in flat(figures)])
    tables = [
        "\n\n".join(filter(None, (each["title"] and f"{each['title']}:", table(each["columns"], each["rows"]))))
        for each in figures["tables"]
    ]
    machine = figures["machine"]
    circumstances = [
        f"`{figures['command']}`",
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory']}",
        f"Python {machine['python']}",
        *(f"{name} {version}" for name, version in figures["versions"].items()),
    ]
    return "\n\n".join((figures["workload"], *tables, *figures["notes"], f"<sub>{' · '.join(circumstances)}</sub>"))


def made(template: str, results: Mapping[str, Any]) -> str:
    """Return the page. A name without figures says how to make them."""

    def put(place: re.Match[str]) -> str:
        name = place[1]
        return section(results[name]) if name in results else f"*Not measured here: `python benchmarks/{name}.py`.*"

    left = [name for name in results if name not in PLACE.findall(template)]
    ends = [f"## {name}\n\n{section(results[name])}" for name in sorted(left)]
    return "\n\n".join((PLACE.sub(put, template).rstrip(), *ends)) + "\n"


def main() -> int:
    """Write the page."""
    files = sorted(RESULTS.glob("*.json"))
    if not files:
        print(f"there are no figures in {RESULTS.relative_to(ROOT)}: type make bench", file=sys.stderr)
        return 1
    results = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(made(TEMPLATE.read_text(encoding="utf-8"), results), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)} from {', '.join(results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
