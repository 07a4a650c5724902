"""How far a run is, while it runs: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from evalkit.types import Response


@contextmanager
def bar(label: str, total: int) -> Iterator[Callable[[Response], None]]:
    """Show done, rate and remaining time of `total` requests, and how many failed; yields what counts a response."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    failures = 0
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[failed]}"),
        console=console,
        disable=not console.is_terminal or not total,
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=total, rate="", failed="")

        def seen(response: Response) -> None:
            nonlocal failures
            failures += response.error is not None
            speed = progress.tasks[task].speed
            rate = f"{speed:.1f}/s" if speed else ""
            progress.update(task, advance=1, rate=rate, failed=f"{failures} failed" if failures else "")

        yield seen
