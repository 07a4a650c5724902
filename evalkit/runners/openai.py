"""Any endpoint that speaks OpenAI's chat completions: OpenAI itself, vLLM, SGLang, llama.cpp, a proxy before others."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from evalkit.errors import ConfigError, ImageError, ModelError
from evalkit.runners import chat_completions
from evalkit.types import Failure, FailureKind, Request, Response

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletionMessageParam

TokenParameter = Literal["max_tokens", "max_completion_tokens"]

# Always given to the SDK, which would else take OPENAI_BASE_URL, of which the identity would know nothing.
_OPENAI_URL = "https://api.openai.com/v1"
# All other statuses below 500 blame the request, all from 500 on the server.
_STATUS_KINDS: Mapping[int, FailureKind] = {408: "timeout", 409: "server", 429: "rate_limit"}
_LONGEST_EXCERPT = 400


@dataclass(frozen=True, kw_only=True)
class OpenAIRunner:
    """Asks `model` at `base_url` (OpenAI's own where None).

    `api_key_env` names the environment variable with the key, which is read when asking starts and kept nowhere;
    beside a `base_url` it may be unset. `concurrency` is the number of requests in flight, `timeout` the seconds that
    each try may be silent, and `max_retries` how often a try is repeated after a timeout, a lost connection, 408, 409,
    429 or 5xx. `system` goes before every transcript. `token_parameter` is the endpoint's name for the bound on the
    answer; `send_temperature` False leaves the temperature out, for models that take none. `extra_body` is JSON to add
    to the body of each request. Raises ConfigError where a value cannot work.
    """

    model: str
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 8
    timeout: float = 600.0
    max_retries: int = 5
    system: str | None = None
    token_parameter: TokenParameter = "max_tokens"
    send_temperature: bool = True
    extra_body: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # A key pasted as a name or into the URL would show in every record, so no sentence repeats either.
        if not re.fullmatch(r"[A-Za-z_]\w*", self.api_key_env, re.ASCII):
            self._refuse("api_key_env is the name of a variable, never the key: use a name, and export the key as it")
        if self.base_url is not None and not _is_bare_url(self.base_url):
            self._refuse("base_url is no http://HOST:PORT/v1 without user, password and query: mend it")
        if self.token_parameter not in get_args(TokenParameter):
            self._refuse(f"token_parameter={self.token_parameter}: use {' or '.join(get_args(TokenParameter))}")
        if self.concurrency < 1 or self.timeout <= 0 or self.max_retries < 0:
            self._refuse("concurrency, timeout and max_retries are at least 1, above 0 and at least 0: mend them")
        set_here = {"model", "messages", "stream", "n", self.token_parameter}
        taken = (set_here | {"temperature"} if self.send_temperature else set_here).intersection(self.extra_body)
        if taken:
            self._refuse(f"extra_body sets {', '.join(sorted(taken))}, which the runner sets itself: remove it")

    def _refuse(self, sentence: str) -> None:
        raise ConfigError(f"model {self.model}: {sentence}")

    @property
    def url(self) -> str:
        """Where requests go: `base_url`, or OpenAI's."""
        return self.base_url or _OPENAI_URL

    def identity(self) -> Mapping[str, str]:
        """Return engine, model, base_url, system, temperature (`sent` or `not sent`) and extra_body (JSON)."""
        return {
            "engine": "openai",
            "model": self.model,
            "base_url": self.url,
            "system": self.system or "",
            "temperature": "sent" if self.send_temperature else "not sent",
            "extra_body": json.dumps(self.extra_body, sort_keys=True),
        }

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield one response per request as they finish, holding at most `concurrency` requests at a time.

        Requests are drawn, and their pictures read, in the caller's thread as slots become free. Closing the iterator
        cancels what is in flight. Raises ModelError where the SDK or the key is missing, where the endpoint rejects
        the key (401), and where it refuses the model (403, 404) before it has answered anything.
        """
        with _session(self) as session:
            for request in requests:
                objection = chat_completions.objection(request)
                if objection:
                    yield chat_completions.failed(request, Failure("request", objection))
                    continue
                try:
                    messages = chat_completions.messages(request, self.system)
                except ImageError as error:
                    yield chat_completions.failed(request, Failure("preprocess", str(error)))
                    continue
                session.submit(request, messages)
                yield from session.collect(block=len(session.pending) >= self.concurrency)
            while session.pending:
                yield from session.collect(block=True)


@contextmanager
def _session(runner: OpenAIRunner) -> Iterator[_Session]:
    """Run an event loop on a thread of its own; at the end what is in flight is cancelled, and the thread ends."""
    try:
        import openai
        from anyio.from_thread import start_blocking_portal
    except ImportError:
        raise ModelError(f"model {runner.model} needs the openai SDK: pip install 'evalkit[api]'") from None
    key = _key(runner)
    client = openai.AsyncOpenAI(
        base_url=runner.url,
        # A server of one's own wants no key, but the SDK insists on one.
        api_key=key or "none",
        # A host that does not even accept the connection is not worth the minutes that an answer may take.
        timeout=openai.Timeout(runner.timeout, connect=min(runner.timeout, 30.0)),
        max_retries=runner.max_retries,
    )
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(client):
        session = _Session(runner, key, client, portal)
        try:
            yield session
        finally:
            # Before the client closes, or they would take that for a lost connection and try again.
            for future in session.pending:
                future.cancel()


def _key(runner: OpenAIRunner) -> str:
    """Return the key, or "" where there is none and `base_url` names a server that may want none."""
    name = runner.api_key_env
    key = os.environ.get(name, "").strip()
    if not key and runner.base_url is None:
        raise ModelError(
            f"model {runner.model} needs a key: export {name}=..., or set base_url to a server of your own"
        )
    if not (key.isascii() and key.isprintable()):
        raise ModelError(f"{name} holds characters that no key has, such as a line break: export it again")
    return key


class _Mishap(NamedTuple):
    """Why a request brought no body to read; `status` is that of HTTP, 0 where there was none."""

    status: int
    failure: Failure


@dataclass
class _Session:
    """One call of `generate`: the open client, what is in flight, and whether the endpoint has `answered` yet."""

    runner: OpenAIRunner
    key: str = field(repr=False)
    client: AsyncOpenAI = field(repr=False)
    portal: BlockingPortal = field(repr=False)
    pending: set[Future[Response]] = field(default_factory=set)
    answered: bool = False

    def submit(self, request: Request, messages: Sequence[ChatCompletionMessageParam]) -> None:
        self.pending.add(self.portal.start_task_soon(self._ask, request, messages))

    def collect(self, block: bool) -> Iterator[Response]:
        """Yield what has finished; if `block`, wait until something has."""
        done, self.pending = wait(self.pending, None if block else 0, FIRST_COMPLETED)
        # An error that ends the run comes after the answers that are already paid for.
        for future in sorted(done, key=lambda future: future.exception() is not None):
            yield future.result()

    async def _ask(self, request: Request, messages: Sequence[ChatCompletionMessageParam]) -> Response:
        outcome = await self._send(request, messages)
        if isinstance(outcome, bytes):
            response = chat_completions.response(request, outcome)
            self.answered = self.answered or response.error is None or response.error.kind == "refused"
        else:
            # 403 and 404 may be about one prompt, as is plain once the endpoint has answered others.
            if outcome.status == 401 or (outcome.status in (403, 404) and not self.answered):
                raise ModelError(self._rejection(outcome))
            response = chat_completions.failed(request, outcome.failure)
        if response.error is None:
            return response
        return replace(response, error=replace(response.error, message=self._excerpt(response.error.message)))

    async def _send(self, request: Request, messages: Sequence[ChatCompletionMessageParam]) -> bytes | _Mishap:
        """Return the body of the answer unread, since the SDK's own reading takes any JSON for a completion."""
        import openai

        sampling: dict[str, object] = {self.runner.token_parameter: request.max_tokens}
        if self.runner.send_temperature:
            sampling["temperature"] = request.temperature
        try:
            answer = await self.client.chat.completions.with_raw_response.create(
                model=self.runner.model, messages=messages, extra_body={**sampling, **self.runner.extra_body}
            )
        except openai.APITimeoutError:
            tries = f"{self.runner.max_retries + 1} x {self.runner.timeout:g} s"
            return _Mishap(0, Failure("timeout", f"{self.runner.url} gave no answer within {tries}"))
        except openai.APIStatusError as error:
            kind = _STATUS_KINDS.get(error.status_code, "server" if error.status_code >= 500 else "request")
            return _Mishap(error.status_code, Failure(kind, error.message))
        except openai.APIError as error:
            cause = error.__cause__ or error
            return _Mishap(
                0, Failure("server", f"{self.runner.url}: {error.message} ({type(cause).__name__}: {cause})")
            )
        return answer.content

    def _rejection(self, mishap: _Mishap) -> str:
        model, name = self.runner.model, self.runner.api_key_env
        advice = {
            401: f"rejects the key: export a valid one as {name}" if self.key else f"wants a key: export it as {name}",
            403: f"does not let this key use model {model}: export another key as {name}, or choose another model",
            404: f"knows no model {model}: correct model, or base_url, whose path is mostly /v1",
        }
        return f"{self.runner.url} {advice[mishap.status]} ({self._excerpt(mishap.failure.message)})"

    def _excerpt(self, text: str) -> str:
        """Shorten what a server said, which may repeat the key that it was sent."""
        text = text.replace(self.key, f"${self.runner.api_key_env}") if self.key else text
        return text if len(text) <= _LONGEST_EXCERPT else f"{text[:_LONGEST_EXCERPT]}..."


def _is_bare_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        well_formed = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that do not close
        return False
    return well_formed and not (parts.username or parts.password or parts.query or parts.fragment)
