"""How long report.html takes to open: python benchmarks/report_open.py [SAMPLES] (default 32,000, of one run).

Answers and prompts are of random words, about 1.4 and 1.2 thousand characters each, which compress worse than real
ones; no pictures. Prints the size of the page, the time to write it, and for the overview and the run's own address the
time from the start of loading to the load event and to the first rows, median of five loads in headless Chromium, and
the processor time of the page's own thread, which other work on the machine does not move.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from measure import Figures, Table, publish
from playwright.sync_api import Browser, sync_playwright

from evalkit import config
from evalkit.pipeline import grade
from evalkit.record import RunRecord
from evalkit.report import page
from evalkit.store import RunDir, write_json, write_lines
from evalkit.summary import summarise
from evalkit.types import Asked, Response, Sample

LOADS = 5
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")


def made(results: Path, n: int) -> None:
    """Write a run of n samples, as if a model had answered them."""
    chance = random.Random(0)
    words = ["".join(chance.choices("etaoinshrdlucmfw", k=chance.randint(2, 9))) for _ in range(3000)]

    def text(length: int) -> str:
        return " ".join(chance.choices(words, k=length))

    setup = config.setup(["task=docvqa", "model=replay", "data=mini", "model.name=large"])
    task = setup.tasks[0]
    samples = [Sample(f"question/{i}", f"{text(130)}?", (text(1),), group=f"group {i % 30}") for i in range(n)]
    asked = [Asked(sample.id, request.key, request) for sample in samples for request in [task.render(sample)]]
    answers = [
        Response(each.key, f"{text(210)}\nAnswer: {sample.answers[0] if i % 3 else text(1)}", "stop", 300, 400)
        for i, (sample, each) in enumerate(zip(samples, asked, strict=True))
    ]
    run = RunDir(results / "runs" / "large" / task.name)
    record = RunRecord("large", task.name, None, "", setup.task_configs[task.name], {}, {}, "mini", "", None, {})
    write_json(run.record, record)
    write_lines(run.samples, samples)
    write_lines(run.requests, asked)
    write_lines(run.responses, answers)
    summarise(run, task, grade(run, task))


def opened(browser: Browser, address: str, shown: str) -> tuple[float, float, float]:
    """Return the milliseconds to the load event and to the first rows, and those that the page's thread computed."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    session = tab.context.new_cdp_session(tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    tab.goto(address)
    tab.wait_for_selector(shown)
    tab.evaluate("new Promise(requestAnimationFrame)")
    load = tab.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    rows = tab.evaluate("performance.getEntriesByName('rows')[0]?.startTime ?? 0")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    tab.close()
    return load, rows, 1000 * metrics["TaskDuration"]


def searched(browser: Browser, address: str) -> float:
    """Return the milliseconds from the first search's last letter to its result, which reads every sample."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    tab.goto(address)
    tab.wait_for_selector("#rows li a")
    started = time.perf_counter()
    tab.fill("#filter-q", "no such words")
    tab.locator("#count").get_by_text("0 of").wait_for()
    tab.close()
    return 1000 * (time.perf_counter() - started)


def main() -> None:
    """Make the run, write the page, and open it."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 32_000
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        results = Path(folder)
        made(results, n)
        started = time.perf_counter()
        published, _ = config.published([])
        file = page.write(results, published, config.task, page.Options())
        rows = [("written", f"{time.perf_counter() - started:.1f} s", f"{file.stat().st_size / 2**20:.1f} MiB")]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        run = f"{file.as_uri()}#/task/large/docvqa"
        for name, address, shown in (("overview", file.as_uri(), ".board"), ("the run", run, "#rows li a")):
            load, shown_after, computed = zip(*(opened(browser, address, shown) for _ in range(LOADS)), strict=True)
            seen = f", first rows after {median(shown_after):.0f} ms" if any(shown_after) else ""
            opened_after = f"{median(load):.0f} ms (slowest {max(load):.0f}){seen}"
            rows.append((f"{name} opened", opened_after, f"{median(computed):.0f} ms of the page's own thread"))
        rows.append(("first search through all answers", f"{searched(browser, run):.0f} ms", ""))
        browser.close()
    publish(
        Figures(
            name="report_open",
            title="report.html",
            command="python benchmarks/report_open.py",
            workload=f"{n:,} samples of one run without pictures; medians of {LOADS} loads in headless Chromium.",
            tables=(Table("", ("", "clock", ""), tuple(rows)),),
            numbers={"samples": n},
            packages=("playwright", "jinja2"),
        )
    )


if __name__ == "__main__":
    main()
