"""Real servers on the loopback interface: started as processes of their own, waited for, and ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def running(command: Sequence[str], log: Path, seconds: float = 300.0) -> Iterator[str]:
    """Start a server and yield its URL once /health answers; PORT in a word of `command` is a free port.

    Raises AssertionError, with what the server said, where it ends before or is not ready in time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    port = url.rpartition(":")[2]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [word.replace("PORT", port) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        latest = time.monotonic() + seconds
        while not healthy(url):
            assert process.poll() is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < latest, log.read_text(errors="replace")[-3000:]
            time.sleep(0.2)
        yield url
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)


def healthy(url: str) -> bool:
    """Whether a server answers /health with 200."""
    local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with suppress(OSError), local.open(f"{url}/health", timeout=5) as answer:
        return bool(answer.status == 200)
    return False
