"""How much an installation brings: packages and megabytes of the core and of each extra, in fresh environments.

python benchmarks/install.py [EXTRA ...]

Each is installed from the package index at the versions of constraints.txt; `core` is evalkit without any extra. What
was measured before, and is not asked for now, stays.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from measure import RESULTS, ROOT, Figures, Table, publish

CORE = "core"
# Not without being asked for: gigabytes, or another extra once more.
LARGE = ("dev", "local", "vllm", "ray")


def cleaned(name: str) -> str:
    """Return a package's name without its version and markers."""
    return name.strip().split(";")[0].split("=")[0].split(">")[0].split("[")[0]


def installed(extra: str) -> dict[str, object]:
    """Install evalkit with one extra; return packages, megabytes, seconds and the five largest folders."""
    wanted = str(ROOT) if extra == CORE else f"{ROOT}[{extra}]"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        start = time.perf_counter()
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--no-compile", "-c", ROOT / "constraints.txt", wanted], check=True
        )
        seconds = time.perf_counter() - start
        listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True)
        names = {each["name"].lower() for each in json.loads(listed.stdout)} - {"pip", "setuptools"}
        (site,) = (Path(folder) / "lib").glob("python*/site-packages")
        sizes = {
            each.name: sum(file.stat().st_size for file in (each.rglob("*") if each.is_dir() else [each]))
            for each in site.iterdir()
        }
    own = {
        name: size for name, size in sizes.items() if name.split("-")[0] not in ("pip", "setuptools", "_distutils_hack")
    }
    largest = sorted(own, key=lambda name: -own[name])[:5]
    return {
        "extra": extra,
        "packages": len(names),
        "megabytes": sum(own.values()) / 1e6,
        "seconds": seconds,
        "largest": {name: own[name] / 1e6 for name in largest},
    }


def main() -> None:
    """Install each and print the table."""
    parser = argparse.ArgumentParser(description="How much an installation brings.")
    parser.add_argument("extras", nargs="*", help="extras to install; default: the core and the small ones")
    given = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = given.extras or [CORE, *(name for name in project["optional-dependencies"] if name not in LARGE)]
    before = RESULTS / "install.json"
    kept = json.loads(before.read_text(encoding="utf-8"))["numbers"]["installs"] if before.is_file() else []
    found = {each["extra"]: each for each in kept} | {extra: installed(extra) for extra in extras}
    rows = [
        (
            str(each["extra"]),
            f"{each['packages']}",
            f"{each['megabytes']:,.0f}",
            ", ".join(f"{name} {size:,.0f}" for name, size in each["largest"].items()),
        )
        for each in found.values()
    ]
    publish(
        Figures(
            name="install",
            title="Installation",
            command="python benchmarks/install.py",
            workload="Fresh environments from the package index at the versions of constraints.txt; an extra includes "
            "the core. Files of pip and byte code are not counted.",
            tables=(Table("", ("extra", "packages", "MB", "largest (MB)"), tuple(rows)),),
            numbers={"installs": list(found.values())},
        )
    )


if __name__ == "__main__":
    main()
