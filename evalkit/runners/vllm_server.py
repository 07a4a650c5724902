"""Starts `vllm serve` on this machine, asks it as an endpoint and stops it: for models that need several nodes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any

from evalkit.errors import ConfigError, ModelError
from evalkit.runners._checkpoint import Checkpoint, Place, locate, minor_version
from evalkit.runners.openai import OpenAIRunner
from evalkit.types import Request, Response

# What says where and on how much the server runs, but not what it answers.
_PLACES = frozenset(
    {"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "distributed_executor_backend"}
    | {"gpu_memory_utilization", "max_num_seqs", "max_num_batched_tokens"}
)
_SET_HERE = frozenset({"model", "host", "port", "served_model_name", "revision"})
_PAUSE = 0.2
# Seconds for a server to end by itself; its lines of log that an error repeats.
_GRACE = 30.0
_LINES = 12


@dataclass(frozen=True, kw_only=True)
class VLLMServerRunner:
    """Answers through a `vllm serve` of its own, from the first request to the end of this object or process.

    `id` and `revision` are as for TransformersRunner; a hub id is handed to vLLM, since each node has its own cache.
    `arguments` are options of `vllm serve` by name: True is the bare option, False its `--no-` form, None leaves it
    out, a list is several values, a mapping is JSON. `command` is the program. It listens on the loopback interface
    alone, at `port` or a free one, and may take `start_timeout` seconds until it is ready. If VLLM_API_KEY is set, it
    wants that key, and is given it. `concurrency` and `timeout` are as for OpenAIRunner.
    Raises ConfigError where a value cannot work.
    """

    id: Place
    revision: str | None = None
    arguments: Mapping[str, object] = field(default_factory=dict)
    command: str = "vllm"
    port: int | None = None
    start_timeout: float = 3600.0
    concurrency: int = 256
    timeout: float = 3600.0

    def __post_init__(self) -> None:
        if taken := sorted(_SET_HERE.intersection(_underscored(self.arguments))):
            raise ConfigError(f"arguments sets {', '.join(taken)}, which the runner sets itself: remove it")
        if self.concurrency < 1 or self.timeout <= 0 or self.start_timeout <= 0:
            raise ConfigError("concurrency is at least 1, timeout and start_timeout are above 0: mend them")

    def identity(self) -> Mapping[str, str]:
        """Return what can change an answer; number and place of the GPUs are no part of it. Starts nothing.

        Raises ModelError where there is no whole checkpoint.
        """
        arguments = {name: value for name, value in _underscored(self.arguments).items() if name not in _PLACES}
        return {
            "engine": "vllm_server",
            "id": self._checkpoint.name,
            "revision": self.revision or "",
            "weights": self._checkpoint.fingerprint(),
            "arguments": json.dumps(arguments, sort_keys=True, default=str),
            "vllm": minor_version("vllm", required=False),
        }

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield one response per request as they finish, as OpenAIRunner does.

        Raises ConfigError where there is no `command`, ModelError with the end of the server's log where it does not
        become ready, or dies; what was answered before stays answered.
        """
        endpoint, server = self._endpoint, self._server
        for response in endpoint.generate(requests):
            if response.error is not None and server.died():
                raise ModelError(f"{server.name} died: {server.end_of_log()}")
            yield response

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        return locate(self.id, self.revision)

    @cached_property
    def _server(self) -> _Server:
        program = shutil.which(self.command)
        if program is None:
            raise ConfigError(
                f"there is no program {self.command}: type pip install 'evalkit[vllm]', or set model.command to one"
            )
        checkpoint, port = self._checkpoint, self.port or _free_port()
        place = str(checkpoint.folder) if checkpoint.folder is not None else checkpoint.name
        options = {"host": "127.0.0.1", "port": port, "served_model_name": checkpoint.name}
        options |= {"revision": checkpoint.commit, **_underscored(self.arguments)}
        server = _Server([program, "serve", place, *words(options)], port)
        # Runs where this object goes, and else when the interpreter ends, also after Ctrl-C or an error.
        weakref.finalize(self, server.stop)
        try:
            server.wait(self.start_timeout)
        except BaseException:
            server.stop()
            raise
        return server

    @cached_property
    def _endpoint(self) -> OpenAIRunner:
        return OpenAIRunner(
            model=self._checkpoint.name,
            base_url=f"http://127.0.0.1:{self._server.port}/v1",
            api_key_env="VLLM_API_KEY",
            concurrency=self.concurrency,
            timeout=self.timeout,
            max_retries=2,  # a server of one's own has no bad hours to wait for
        )


class _Server:
    """A server process in a session of its own, so that Ctrl-C in a terminal does not reach it before its answers."""

    def __init__(self, command: list[str], port: int) -> None:
        self.name = f"{command[0]} serve"
        self.port = port
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it is read for as long as the server runs
        environment = {"VLLM_NO_USAGE_STATS": "1", **os.environ}  # unless the user wants to report each start
        self._process = subprocess.Popen(  # noqa: S603 - a program that the user named
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )

    def died(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def wait(self, seconds: float) -> None:
        """Return once the server is ready. Raises ModelError where it ends before, or takes longer."""
        latest = time.monotonic() + seconds
        local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while not self.died():
            with suppress(OSError), local.open(f"http://127.0.0.1:{self.port}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
            if time.monotonic() > latest:
                raise ModelError(
                    f"{self.name} was not ready after {seconds:g} s: set a longer model.start_timeout, or see its log: "
                    f"{self.end_of_log()}"
                )
            time.sleep(_PAUSE)
        raise ModelError(
            f"{self.name} ended with status {self._process.returncode} before it was ready: mend model.arguments by "
            f"the end of its log: {self.end_of_log()}"
        )

    def end_of_log(self) -> str:
        """Return the last lines of what the server said."""
        size = os.fstat(self._log.fileno()).st_size
        start = max(0, size - 16_384)
        text = os.pread(self._log.fileno(), size - start, start).decode(errors="replace")
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        return "\n".join(lines[-_LINES:]) or "(it said nothing)"

    def stop(self) -> None:
        """End the server and all that it started, by force what does not end by itself."""
        if self._log.closed:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._log.close()


def words(options: Mapping[str, Any]) -> list[str]:
    """Write options as words of a command line."""
    found: list[str] = []
    for name, value in options.items():
        option = name.replace("_", "-")
        if value is None:
            continue
        if isinstance(value, bool):
            found.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, list | tuple):
            found += [f"--{option}", *map(str, value)]
        else:
            found += [f"--{option}", json.dumps(value) if isinstance(value, Mapping) else str(value)]
    return found


def _underscored(options: Mapping[str, object]) -> dict[str, object]:
    return {name.lstrip("-").replace("-", "_"): value for name, value in options.items()}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
