"""A chat completions server on the loopback interface, with the ways in which one can answer or fail."""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Server:
    """Hands each POST to `answer`; `seen` are all that came, `peak` the most that were there at once."""

    answer: Callable[[Exchange], None]
    url: str = ""
    seen: list[Exchange] = field(default_factory=list)
    now: int = 0
    peak: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Exchange:
    """One POST: what came, and the ways to answer it."""

    handler: BaseHTTPRequestHandler
    body: dict[str, Any]
    server: Server

    @property
    def prompt(self) -> str:
        return str(self.body["messages"][-1]["content"])

    def send(self, status: int, payload: bytes, headers: dict[str, str] | None = None) -> None:
        self.handler.send_response(status)
        every = {"Content-Type": "application/json", "Content-Length": str(len(payload)), **(headers or {})}
        for name, value in every.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(payload)

    def answer(self, content: str) -> None:
        choice = {"message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 11, "completion_tokens": 3}
        self.send(200, json.dumps({"choices": [choice], "usage": usage}).encode())


@contextmanager
def serving(answer: Callable[[Exchange], None]) -> Iterator[Server]:
    state = Server(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # cancelled between headers and body
                self.close_connection = True
                return
            exchange = Exchange(self, json.loads(body), state)
            with state.lock:
                state.seen.append(exchange)
                state.now += 1
                state.peak = max(state.peak, state.now)
            try:
                state.answer(exchange)
            finally:
                with state.lock:
                    state.now -= 1

        def log_message(self, *args: object) -> None: ...

    class LoopbackServer(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            if not isinstance(sys.exception(), ConnectionError):  # a client that cancels is no fault
                raise

    with LoopbackServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}/v1"
        try:
            yield state
        finally:
            state.closing.set()
            server.shutdown()
            thread.join()


def error(status: int, message: str) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.send(status, json.dumps({"error": {"message": message}}).encode())


def reset(exchange: Exchange) -> None:
    """End the connection with a TCP reset."""
    exchange.handler.close_connection = True
    exchange.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(exchange.handler.connection.detach())


def hang(exchange: Exchange) -> None:
    exchange.server.closing.wait(30)
    exchange.handler.close_connection = True


def half(exchange: Exchange) -> None:
    exchange.send(200, b'{"choices": [{"mess', {"Content-Length": "100"})
    exchange.handler.close_connection = True
