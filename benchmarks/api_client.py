"""The endpoint runner against a bare asyncio client of the same SDK, on a server of this machine that takes 50 ms.

python benchmarks/api_client.py [--requests 1000] [--in-flight 64] [--rounds 5] [--memory 100000]

Both sides alternate; the ratio is the median of the rounds'. Seconds of the processor are the client's own, so that a
busy machine does not move them much. `--memory` asks so many more questions, each with a picture, drawn as the runner
takes them, and gives the memory of the client's process (RSS, Linux) on the way.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path

from measure import Figures, Table, publish

from evalkit.images import from_bytes
from evalkit.runners.openai import OpenAIRunner
from evalkit.types import Message, Request

ANSWER = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "B"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11},
    }
).encode()


def serve(latency: float, tell: Connection) -> None:
    """Answer every POST after `latency` seconds; tell the port."""
    start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):  # the client has what it wants
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                await reader.readexactly(int(fields[b"content-length"]))
                await asyncio.sleep(latency)
                writer.write(start + ANSWER)
                await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        tell.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


@contextmanager
def server(latency: float) -> Iterator[str]:
    """Run the server in a process of its own, so that it takes no time of the client's."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(latency, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/v1"
    finally:
        process.terminate()


def bare(url: str, requests: Sequence[Request], in_flight: int) -> float:
    """Return the seconds that the SDK alone takes, with a semaphore."""
    import openai

    async def main() -> float:
        slots = asyncio.Semaphore(in_flight)
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:

            async def one(request: Request) -> None:
                async with slots:
                    text = str(request.messages[0].parts[0])
                    await client.chat.completions.create(
                        model="m", messages=[{"role": "user", "content": text}], max_tokens=16, temperature=0
                    )

            began = time.perf_counter()
            await asyncio.gather(*(one(request) for request in requests))
            return time.perf_counter() - began

    return asyncio.run(main())


def ours(url: str, requests: Sequence[Request], in_flight: int) -> float:
    """Return the seconds that the runner takes."""
    runner = OpenAIRunner(model="m", base_url=url, concurrency=in_flight)
    began = time.perf_counter()
    answers = list(runner.generate(requests))
    took = time.perf_counter() - began
    assert sum(answer.text == "B" for answer in answers) == len(requests)
    return took


def resident() -> float:
    """Return the MiB of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def memory(url: str, count: int, in_flight: int) -> tuple[dict[int, float], float]:
    """Return the process' MiB after so many answers, and the seconds that all took."""
    import PIL.Image

    stream = io.BytesIO()
    PIL.Image.frombytes("RGB", (64, 64), random.Random(0).randbytes(64 * 64 * 3)).save(stream, "PNG")
    picture = from_bytes(stream.getvalue(), "noise", "benchmark")
    requests = (Request((Message("user", (picture, f"question {number}")),), 16) for number in range(count))
    marks = {count // 100, count // 10, count // 2, count}
    found, began = {0: resident()}, time.perf_counter()
    runner = OpenAIRunner(model="m", base_url=url, concurrency=in_flight)
    for number, answer in enumerate(runner.generate(requests), start=1):
        assert answer.text == "B", answer.error
        if number in marks:
            found[number] = resident()
    return found, time.perf_counter() - began


def main() -> None:
    """Measure both in turn, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that the server takes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, default=0, help="requests of the memory part")
    chosen = parser.parse_args()
    requests = [Request((Message("user", (f"question {number}",)),), 16) for number in range(chosen.requests)]
    clients: dict[str, Callable[[str, Sequence[Request], int], float]] = {"bare": bare, "evalkit": ours}
    seconds: dict[str, list[float]] = {name: [] for name in clients}
    processor: dict[str, list[float]] = {name: [] for name in clients}
    with server(chosen.latency) as url:
        ours(url, requests[:64], chosen.in_flight)  # imports and connections
        for _ in range(chosen.rounds):
            for name, client in clients.items():
                before = time.process_time()
                seconds[name].append(client(url, requests, chosen.in_flight))
                processor[name].append(time.process_time() - before)
        mebibytes, lasted = memory(url, chosen.memory, chosen.in_flight) if chosen.memory else ({}, 0.0)
    rates = {name: chosen.requests / statistics.median(each) for name, each in seconds.items()}
    ratios = [one / other for one, other in zip(seconds["bare"], seconds["evalkit"], strict=True)]
    busy = {name: 1000 * statistics.median(each) / chosen.requests for name, each in processor.items()}
    rows = tuple(
        (name, f"{rates[key]:.0f}", f"{busy[key]:.2f} ms", f"{share:.2f}")
        for name, key, share in (
            ("bare asyncio client", "bare", 1.0),
            ("evalkit", "evalkit", statistics.median(ratios)),
        )
    )
    tables = [Table("", ("client", "requests/s", "processor a request", "of bare"), rows)]
    if mebibytes:
        kept = tuple((f"{number:,}", f"{each:.1f} MiB") for number, each in mebibytes.items())
        title = (
            f"evalkit's memory over {chosen.memory:,} requests with a picture, {chosen.memory / lasted:.0f} a second"
        )
        tables.append(Table(title, ("after requests", "memory"), kept))
    numbers: dict[str, object] = {
        "seconds": seconds, "requests_per_second": rates, "ratios": ratios, "processor_ms_per_request": busy,
        "memory_mib": mebibytes, "memory_seconds": lasted,
    }  # fmt: skip
    said = (
        f"{chosen.requests:,} requests, {chosen.in_flight} in flight, to a server of this machine that takes "
        f"{chosen.latency * 1000:g} ms; medians of {chosen.rounds} alternating rounds, and of their ratios"
    )
    publish(
        Figures(
            "api_client",
            "Endpoints",
            "python benchmarks/api_client.py",
            said,
            tuple(tables),
            numbers,
            ("openai", "httpx"),
        )
    )


if __name__ == "__main__":
    main()
