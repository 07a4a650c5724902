"""Requests in flight to one endpoint: what is tried again, what failed, and what ends the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from evalkit.errors import ModelError
from evalkit.runners.pacing import Pace
from evalkit.runners.retrying import tries
from evalkit.types import Failure, FailureKind, Request, Response

if TYPE_CHECKING:
    from types import ModuleType

    from anyio.from_thread import BlockingPortal

    from evalkit.runners.endpoint import EndpointRunner

# All other statuses below 500 blame the request, all from 500 on the server.
_STATUS_KINDS: Mapping[int, FailureKind] = {408: "timeout", 409: "server", 429: "rate_limit"}
_OVERLOADED = ("timeout", "rate_limit", "server")
_LONGEST_EXCERPT = 400


def failed(request: Request, error: Failure) -> Response:
    """Return the response to a request that brought no answer."""
    return Response(request.key, "", error=error)


class _Mishap(NamedTuple):
    """Why a request brought no body to read; `status` is that of HTTP, 0 where there was none."""

    status: int
    failure: Failure


@dataclass
class Session:
    """One call of `generate`: the open client, what is in flight, and whether the endpoint has `answered` yet."""

    runner: EndpointRunner
    sdk: ModuleType = field(repr=False)
    key: str = field(repr=False)
    client: Any = field(repr=False)
    portal: BlockingPortal = field(repr=False)
    pace: Pace
    answered: bool
    pending: set[Future[Response]] = field(default_factory=set)
    _done: SimpleQueue[Future[Response]] = field(default_factory=SimpleQueue, repr=False)

    def submit(self, request: Request, body: Mapping[str, Any]) -> None:
        future = self.portal.start_task_soon(self._ask, request, body)
        self.pending.add(future)
        future.add_done_callback(self._done.put)

    def collect(self, block: bool) -> Iterator[Response]:
        """Yield what has finished; if `block`, wait until something has."""
        done = [self._done.get()] if block else []
        while not self._done.empty():
            done.append(self._done.get())
        self.pending.difference_update(done)
        # An error that ends the run comes after the answers that are already paid for.
        for future in sorted(done, key=lambda future: future.exception() is not None):
            response = future.result()
            self.runner.ledger.settle(response)
            yield response

    async def _ask(self, request: Request, body: Mapping[str, Any]) -> Response:
        outcome = await self._send(body)
        if isinstance(outcome, bytes):
            response = self.runner.read(request, outcome)
            self.answered = self.answered or response.error is None or response.error.kind == "refused"
        else:
            # 403 and 404 may be about one prompt, as is plain once the endpoint has answered others.
            if outcome.status == 401 or (outcome.status in (403, 404, 410) and not self.answered):
                raise ModelError(self._rejection(outcome))
            response = failed(request, outcome.failure)
        if response.error is None:
            return response
        return replace(response, error=replace(response.error, message=self._excerpt(response.error.message)))

    async def _send(self, body: Mapping[str, Any]) -> bytes | _Mishap:
        runner, sdk = self.runner, self.sdk
        try:
            return await self._once(body)
        except sdk.APIError as error:
            first = error
        try:
            # Only now, since nearly all requests are done with the first try, which `tries` counts.
            async for attempt in tries(runner.max_retries, sdk):
                with attempt:
                    if attempt.retry_state.attempt_number == 1:
                        raise first
                    return await self._once(body)
        except sdk.APITimeoutError:
            silence = f"{runner.max_retries + 1} x {runner.timeout:g} s"
            return _Mishap(0, Failure("timeout", f"{runner.url} gave no answer within {silence}"))
        except sdk.APIStatusError as error:
            return _Mishap(error.status_code, Failure(_kind(error.status_code), _told(error)))
        except sdk.APIError as error:
            cause = error.__cause__ or error
            return _Mishap(0, Failure("server", f"{runner.url}: {error.message} ({type(cause).__name__}: {cause})"))
        raise AssertionError("the last try returns or raises")

    async def _once(self, body: Mapping[str, Any]) -> bytes:
        sent_in = self.pace.round
        try:
            content = await self.runner.send(self.client, body)
        except self.sdk.APIError as error:
            if _kind(getattr(error, "status_code", 500)) in _OVERLOADED:
                self.pace.overloaded(sent_in)
            raise
        self.pace.answered()
        return content

    def _rejection(self, mishap: _Mishap) -> str:
        model, name = self.runner.model, self.runner.api_key_env
        if self.runner.retired and mishap.status in (404, 410):
            return f"{self.runner.url} no longer serves {model} ({self.runner.retired}): choose another model"
        advice = {
            401: f"rejects the key: export a valid one as {name}" if self.key else f"wants a key: export it as {name}",
            403: f"does not let this key use model {model}: export another key as {name}, or choose another model",
            404: f"knows no model {model}: correct model, or base_url, whose path is mostly /v1",
            410: f"no longer has model {model}: choose another model",
        }
        return f"{self.runner.url} {advice[mishap.status]} ({self._excerpt(mishap.failure.message)})"

    def _excerpt(self, text: str) -> str:
        """Shorten what a server said, which may repeat the key that it was sent."""
        text = text.replace(self.key, f"${self.runner.api_key_env}") if self.key else text
        return text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]}..."


def _told(error: Any) -> str:
    """Return what a server said; the SDK's message leaves out a body that is not of the official form."""
    said = " ".join(error.response.text.split())
    message: str = error.message
    return message if not said or any(part in message for part in (" - ", said)) else f"{message} - {said}"


def _kind(status: int) -> FailureKind:
    return _STATUS_KINDS.get(status, "server" if status >= 500 else "request")
