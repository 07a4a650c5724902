"""What evalkit itself takes for a sample: a suite of 32,800 questions with pictures, answered by a runner at once.

python benchmarks/overhead.py [--questions 32800] [--rounds 3]

The questions are the generated ones, repeated until each of the ten tasks has its official share, their pictures
enlarged to the sizes usual there and each another file. They lie on disk as `data=local` has them. The run goes from
the start of Python to the leaderboard, on one core.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from measure import Figures, Spent, Table, publish, spent

from evalkit.types import Dataset, Request, Response

# Width and height in pixels as they are usual, and how many questions share a picture.
PICTURES = {
    "mmmu": (800, 600, 1),
    "mmmu_pro": (1280, 1000, 1),
    "chartqa": (850, 600, 2),
    "docvqa": (1700, 2200, 1),
    "ocrbench": (600, 400, 1),
    "ai2d": (700, 550, 1),
    "mathvista": (700, 500, 1),
    "olympiadbench": (600, 400, 1),
    "megabench": (1000, 750, 1),
    "mmlongbench_doc": (0, 0, 1),
}
BASES = 20
PAGES = 47
PACKAGES = ("pillow", "msgspec", "numpy", "pandas", "pypdfium2")


class Null:
    """Answers at once, without a look."""

    def identity(self) -> Mapping[str, str]:
        """Return its name."""
        return {"engine": "null"}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield one and the same short answer to each request."""
        for request in requests:
            yield Response(request.key, "The answer is easy to see.\nAnswer: B", "stop", 900, 12)


def enlarged(data: bytes, width: int, height: int) -> bytes:
    """Return a picture in another size, with a scanner's noise, as a JPEG."""
    import numpy as np
    import PIL.Image

    with PIL.Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture.convert("RGB").resize((width, height)), np.float32)
    noise = np.random.default_rng(0).normal(0, 4, (height, width, 1))
    out = io.BytesIO()
    PIL.Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def lengthened(data: bytes) -> bytes:
    """Return a document with its pages repeated until there are as many as is usual."""
    from evalkit.documents import import_pdfium

    pypdfium2 = import_pdfium()

    source, long = pypdfium2.PdfDocument(data), pypdfium2.PdfDocument.new()
    while len(long) < PAGES:
        long.import_pages(source)
    out = io.BytesIO()
    long.save(out)
    return out.getvalue()


def write(folder: Path, task: str, dataset: Dataset, size: int) -> int:
    """Write a dataset of so many questions as `data=local` has it; return the bytes of its files."""
    width, height, shared = PICTURES[task]
    home = folder / dataset.name / (dataset.subset or "")
    (home / "images").mkdir(parents=True, exist_ok=True)
    bases = list(islice(dataset.mini(0, 10 * BASES), BASES))
    files: dict[bytes, bytes] = {}
    total = 0

    def stored(value: bytes, number: int) -> str:
        nonlocal total
        document = value.startswith(b"%PDF")
        if value not in files:
            files[value] = lengthened(value) if document else enlarged(value, width, height)
        place = f"{list(files).index(value)}-{number // shared // len(bases)}"
        name = f"{place}.pdf" if document else f"{place}.jpg"
        if not (home / "images" / name).exists():
            # What follows the end of a picture is not looked at, yet makes it another file.
            content = files[value] + (b"" if document else b"%016d" % number)
            total += (home / "images" / name).write_bytes(content)
        return name

    def changed(value: object, number: int) -> object:
        if isinstance(value, bytes):
            return stored(value, number)
        return [changed(each, number) for each in value] if isinstance(value, list) else value

    with (home / "data.jsonl").open("w") as out:
        for number in range(size):
            row = {name: changed(value, number) for name, value in bases[number % len(bases)].items()}
            for name in ("id", "questionId", "pid"):
                if name in row:
                    row[name] = f"{row[name]}{number:06d}" if str(row[name]).isdecimal() else f"{row[name]}_{number}"
            if task == "mmmu":
                row["id"] = f"validation_{dataset.subset}_{number}"
            for name in ("question", "query_text"):
                if name in row:
                    row[name] = f"{row[name]} ({number})"
            if isinstance(row.get("document"), str):
                row["doc_id"] = row["document"]
            out.write(json.dumps(row) + "\n")
    return total


def suite(folder: Path, questions: int) -> tuple[int, int]:
    """Write the ten tasks' data; return questions and bytes."""
    from evalkit import config

    tasks = config.setup(["+suite=all", "model=chance"]).tasks
    whole = sum(task.size for task in tasks)
    count = total = 0
    for task in tasks:
        datasets = task.datasets()
        for dataset in datasets:
            size = max(1, round(task.size * questions / whole / len(datasets)))
            total += write(folder, task.name, dataset, size)
            count += size
    return count, total


def run(folder: Path) -> None:
    """Ask everything once, write the leaderboard, and print what the stages took as JSON."""
    started = time.perf_counter()
    from evalkit import config
    from evalkit.evaluation import evaluate
    from evalkit.leaderboard import write as leaderboard

    words = ["+suite=all", "data=local", f"data.path={folder / 'data'}", "model=chance", "model.name=null"]
    setup = config.setup([*words, f"results_dir={folder / 'results'}"])
    setup = replace(setup, model=replace(setup.model, runner=Null()))
    seconds, n, before = {"start": time.perf_counter() - started}, 0, time.perf_counter()
    for outcome in evaluate(setup, print):
        now = time.perf_counter()
        seconds[outcome.result.task], before = now - before, now
        n += outcome.result.n
    leaderboard(setup.results_dir, setup.published)
    seconds["leaderboard"] = time.perf_counter() - before
    print(json.dumps({"n": n, "seconds": seconds}))


def main() -> None:
    """Make the data, run on one core, and print medians."""
    parser = argparse.ArgumentParser(description="What evalkit itself takes for a sample.")
    parser.add_argument("--questions", type=int, default=32_800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--run", type=Path, metavar="FOLDER", help="only run once on the data that lies there")
    given = parser.parse_args()
    if given.run:
        run(given.run)
        return
    rounds: list[tuple[Spent, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n, size = suite(folder / "data", given.questions)
        for _ in range(given.rounds):
            shutil.rmtree(folder / "results", ignore_errors=True)
            took = spent([sys.executable, __file__, "--run", name], cores=1)
            rounds.append((took, json.loads(took.said.splitlines()[-1])))
    (middle, stages) = sorted(rounds, key=lambda each: each[0].seconds)[len(rounds) // 2]
    assert stages["n"] == n
    per = tuple((task, f"{1000 * took:,.0f} ms") for task, took in stages["seconds"].items())
    publish(
        Figures(
            name="overhead",
            title="What evalkit itself takes",
            command="python benchmarks/overhead.py",
            workload=f"{n:,} questions of ten tasks with {size / 1e9:.1f} GB of pictures and documents as data=local, "
            "a runner that answers at once, from the start of Python to the leaderboard, on one core; the median of "
            f"{given.rounds} runs.",
            tables=(
                Table(
                    "",
                    ("", "all", "a sample"),
                    (
                        ("clock", f"{middle.seconds:.1f} s", f"{1000 * middle.seconds / n:.2f} ms"),
                        ("processor", f"{middle.processor:.1f} s", f"{1000 * middle.processor / n:.2f} ms"),
                        ("peak memory of the largest process", f"{middle.peak_mib:,.0f} MiB", ""),
                    ),
                ),
                Table("By task, in one of the runs", ("", "clock"), per),
            ),
            numbers={
                "questions": n,
                "bytes": size,
                "seconds": [took.seconds for took, _ in rounds],
                "processor": [took.processor for took, _ in rounds],
                "peak_mib": [took.peak_mib for took, _ in rounds],
                "stages": stages["seconds"],
            },
            packages=PACKAGES,
        )
    )


if __name__ == "__main__":
    main()
