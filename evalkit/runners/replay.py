"""Answers that are there already, and answers by a function: no model, no network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from evalkit.types import Failure, Request, Response


@dataclass(frozen=True)
class Replay:
    """Answers a request with the answer that its transcript already ends in; a request without one fails."""

    def identity(self) -> Mapping[str, str]:
        """Nothing but the engine: a recorded answer is part of its request, hence of its key."""
        return {"engine": "replay"}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield the recorded answers in the order of the requests."""
        for request in requests:
            last = request.messages[-1]
            if last.role == "assistant":
                text = "".join(part for part in last.parts if isinstance(part, str))
                yield Response(request.key, text)
            else:
                failure = Failure("not_recorded", "no answer is recorded with this question: use data=recorded")
                yield Response(request.key, "", error=failure)


@dataclass(frozen=True)
class Scripted:
    """Answers by a function of the request: a model for tests, yours included.

    `answer` returns a text, or a Failure to stand for a request that brings none.
    """

    answer: Callable[[Request], str | Failure]
    name: str = "scripted"
    asked: list[Request] = field(default_factory=list, compare=False)

    def identity(self) -> Mapping[str, str]:
        """Return the name it was given."""
        return {"engine": "scripted", "name": self.name}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield the answers in the order of the requests, noting each request in `asked`."""
        for request in requests:
            self.asked.append(request)
            answer = self.answer(request)
            if isinstance(answer, Failure):
                yield Response(request.key, "", error=answer)
            else:
                yield Response(request.key, answer, finish_reason="stop")
