"""The wire format of OpenAI's chat completions: transcripts to messages, bodies to responses. Opens no connection.

Source: https://platform.openai.com/docs/api-reference/chat, non-streaming, one choice.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from evalkit.runners._session import failed
from evalkit.runners.pictures import Limits, prepared
from evalkit.types import Failure, FinishReason, Image, Message, Request, Response

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionContentPartParam, ChatCompletionMessageParam

_HALF = re.compile("[\ud800-\udfff]")
_FINISH_REASONS: Mapping[str | None, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
}


def objection(request: Request) -> str | None:
    """Say what makes a transcript one that chat completions cannot express; None where they can."""
    if not request.messages:
        return "the transcript is empty: give it a user's turn"
    if request.messages[-1].role == "assistant":
        return "the transcript ends in an answer, which chat completions do not continue: use model=replay to score it"
    if any(isinstance(part, Image) for message in request.messages if message.role != "user" for part in message.parts):
        return "a picture stands outside the user's turns, where chat completions take none: move it to one"
    if any(isinstance(part, str) and _HALF.search(part) for message in request.messages for part in message.parts):
        return "the transcript holds half of a surrogate pair, which UTF-8 cannot carry: mend the row"
    return None


def messages(request: Request, system: str | None, limits: Limits) -> list[ChatCompletionMessageParam]:
    """Write a transcript, to which there is no objection, with `system` before it and its pictures as data URLs.

    Raises ImageError where a picture cannot be read.
    """
    transcript = list(request.messages)
    if system and transcript[0].role == "system":
        # One system turn, since many chat templates take no second.
        transcript[0] = Message("system", (f"{system}\n\n", *transcript[0].parts))
    elif system:
        transcript.insert(0, Message("system", (system,)))

    @cache  # a picture that is shown twice is encoded once
    def url(image: Image) -> str:
        data, mime = prepared(image, limits)
        return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"

    return [_message(message, url) for message in transcript]


def _message(message: Message, url: Callable[[Image], str]) -> ChatCompletionMessageParam:
    text = "".join(part for part in message.parts if isinstance(part, str))
    if message.role == "system":
        return {"role": "system", "content": text}
    if message.role == "assistant":
        return {"role": "assistant", "content": text}
    if not any(isinstance(part, Image) for part in message.parts):
        return {"role": "user", "content": text}
    return {"role": "user", "content": [_part(part, url) for part in joined(message.parts)]}


def joined(parts: Iterable[str | Image]) -> list[str | Image]:
    """Join neighbouring texts, since servers differ in what they put between two, and drop empty ones."""
    joined: list[str | Image] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        elif part:
            joined.append(part)
    return joined


def _part(part: str | Image, url: Callable[[Image], str]) -> ChatCompletionContentPartParam:
    if isinstance(part, Image):
        return {"type": "image_url", "image_url": {"url": url(part)}}
    return {"type": "text", "text": part}


class _Answer(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Answer
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    """What counts of a chat completion's JSON."""

    choices: list[_Choice]
    usage: _Usage | None = None


def response(request: Request, body: bytes) -> Response:
    """Read the body of a chat completion; one that holds no answer becomes a failure, `refused` or `server`."""
    try:
        completion = msgspec.json.decode(body, type=_Completion)
    except ValueError as error:  # msgspec's own are of this class, and so is that of bytes that are no UTF-8
        text = body.decode("utf-8", "replace")
        return failed(request, Failure("server", f"the answer is no chat completion ({error}): {text}"))
    if not completion.choices:
        return failed(request, Failure("server", "the answer has no choices"))
    answer, finish_reason = completion.choices[0].message, completion.choices[0].finish_reason
    text, failure = answer.content or "", None
    if answer.refusal or (finish_reason == "content_filter" and not text):
        text, failure = "", Failure("refused", answer.refusal or "the endpoint's content filter withheld the answer")
    # A server that splits off the reasoning sends null where that used up all tokens: an answer, but a truncated one.
    elif answer.content is None and finish_reason != "length":
        failure = Failure("server", f"the answer has no content (finish_reason {finish_reason})")
    usage = completion.usage or _Usage()
    reason = _FINISH_REASONS.get(finish_reason, "unknown")
    return Response(request.key, text, reason, usage.prompt_tokens, usage.completion_tokens, failure)
