"""Anthropic's Messages API, and what else speaks it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from evalkit.runners._session import failed
from evalkit.runners.chat_completions import joined, objection
from evalkit.runners.endpoint import EndpointRunner
from evalkit.runners.pictures import Limits, prepared
from evalkit.runners.pricing import ImageTokens, area_750
from evalkit.types import Failure, FinishReason, Image, Request, Response

if TYPE_CHECKING:
    from types import ModuleType

_FINISH_REASONS: Mapping[str | None, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


@dataclass(frozen=True, kw_only=True)
class AnthropicRunner(EndpointRunner):
    """Asks through Anthropic's SDK.

    The vendor takes 100 pictures a request, 5 MB and 8,000 pixels a side each, and 2,000 a side where there are more
    than 20 (https://docs.anthropic.com/en/docs/build-with-claude/vision). What it shrinks itself is left to it.
    """

    engine: ClassVar[str] = "anthropic"
    vendor_url: ClassVar[str] = "https://api.anthropic.com"
    set_here: ClassVar[frozenset[str]] = frozenset(
        {"model", "messages", "stream", "max_tokens", "system", "temperature"}
    )

    api_key_env: str = "ANTHROPIC_API_KEY"
    # The file's limit is of its base64 text, which is a third longer.
    pictures: Limits = field(default_factory=lambda: Limits(count=100, side=2000, bytes=5 * 1024 * 1024 * 3 // 4))
    image_tokens: ImageTokens = area_750

    def objection(self, request: Request) -> str | None:
        """Say what the Messages API cannot express."""
        return objection(request)

    def body(self, request: Request) -> Mapping[str, Any]:
        """Return the arguments of `messages.create`; system turns become its `system`."""
        source = cache(self._source)  # a picture that is shown twice is encoded once
        turns = [
            {"role": message.role, "content": [_block(part, source) for part in joined(message.parts)]}
            for message in request.messages
            if message.role != "system"
        ]
        texts = [self.system or ""]
        texts += ["".join(map(str, message.parts)) for message in request.messages if message.role == "system"]
        extra: dict[str, object] = {"messages": turns}
        if self.send_temperature:
            extra["temperature"] = request.temperature
        system = "\n\n".join(filter(None, texts))
        return {
            "model": self.model,
            "messages": (),  # the SDK walks through its own arguments for keys to rename, of which these have none
            "max_tokens": request.max_tokens,
            **({"system": system} if system else {}),
            "extra_body": {**extra, **self.extra_body},
        }

    def _source(self, image: Image) -> Mapping[str, str]:
        data, mime = prepared(image, self.pictures)
        return {"type": "base64", "media_type": mime, "data": base64.b64encode(data).decode("ascii")}

    def sdk(self) -> ModuleType:
        """Import anthropic."""
        import anthropic

        return anthropic

    def client(self, key: str) -> AbstractAsyncContextManager[Any]:
        """Open a client; a server of one's own wants no key, but the SDK insists on one."""
        import anthropic

        timeout = anthropic.Timeout(self.timeout, connect=min(self.timeout, 30.0))
        return anthropic.AsyncAnthropic(base_url=self.url, api_key=key or "none", timeout=timeout, max_retries=0)

    async def send(self, client: Any, body: Mapping[str, Any]) -> bytes:
        """Ask once."""
        answer = await client.messages.with_raw_response.create(**body)
        return bytes(answer.http_response.content)

    def read(self, request: Request, content: bytes) -> Response:
        """Read a message: the texts of its blocks; thinking is no part of the answer."""
        try:
            message = msgspec.json.decode(content, type=_Message)
        except ValueError as error:  # msgspec's own are of this class, and so is that of bytes that are no UTF-8
            text = content.decode("utf-8", "replace")
            return failed(request, Failure("server", f"the answer is no message ({error}): {text}"))
        text = "".join(block.text for block in message.content if block.type == "text")
        reason = _FINISH_REASONS.get(message.stop_reason, "unknown")
        failure = None
        if reason == "content_filter" and not text:
            failure = Failure("refused", "the endpoint declined to answer")
        elif not message.content and reason not in ("length", "stop"):
            failure = Failure("server", f"the answer has no content (stop_reason {message.stop_reason})")
        usage = message.usage or _Usage()
        return Response(request.key, text, reason, usage.prompt_tokens, usage.output_tokens, failure)


def _block(part: str | Image, source: Callable[[Image], Mapping[str, str]]) -> Mapping[str, object]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "source": source(part)}


class _Block(msgspec.Struct):
    type: str
    text: str = ""


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None

    @property
    def prompt_tokens(self) -> int | None:
        """All tokens that were read, from a cache or not."""
        if self.input_tokens is None:
            return None
        return self.input_tokens + (self.cache_creation_input_tokens or 0) + (self.cache_read_input_tokens or 0)


class _Message(msgspec.Struct):
    """What counts of a message's JSON."""

    content: list[_Block]
    stop_reason: str | None = None
    usage: _Usage | None = None
