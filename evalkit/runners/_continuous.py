"""Answers begun as soon as others have ended: what to read when, and what to do when memory runs out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from evalkit.runners._batches import Batch, Plan, Preparation, Prepared, cost, failed
from evalkit.runners._trouble import free_memory, trouble_of
from evalkit.types import Request, Response

if TYPE_CHECKING:
    from evalkit.runners._decoding import Answer, Decoder
    from evalkit.runners._engine import Engine

# Tokens, of pictures and text, that are read together: enough to keep a device busy.
READ = 8192
# Prompts read together before the first has shown how many tokens they have.
AT_FIRST = 8


class Continuous:
    """Answers requests greedily, at most `most` at a time; remembers what memory allows.

    Prompts are read in batches of like length, packed by their tokens; an answer that ends leaves its row of the cache
    to one that waits. `engine` answers by itself what fails here.
    """

    def __init__(self, decoder: Decoder, engine: Engine, most: int) -> None:
        self._decoder = decoder
        self._engine = engine
        self._most = most
        self._read = READ
        self._ratio = 0.0  # tokens for each that `cost` estimates

    def answer(
        self, requests: Sequence[Request], preparation: Preparation, stopped: Callable[[], bool]
    ) -> Iterator[Response]:
        """Yield one response per request, each as its answer ends; once `stopped`, only those in progress."""
        plan = Plan(requests, alike=lambda request: None)
        ahead: deque[Future[Prepared]] = deque()
        ready: deque[Batch] = deque()
        try:
            while True:
                over = stopped()
                while plan and len(ahead) <= preparation.ahead and not over:
                    # Of what begins alike half the rows: waiting for them takes less than reading the beginning again.
                    taken = plan.take(self._size(), self._cost(), size_alike=self._most // 2)
                    ahead.append(preparation.submit(taken, share=True))
                live = len(self._decoder.live)
                if over or not (ready or ahead):
                    if not live:
                        return
                elif not ready and (not live or ahead[0].done()):
                    prepared = ahead.popleft().result()
                    yield from prepared.failures
                    ready.extend(prepared.batches)
                if ready and not over and (not live or self._fits(ready[0])):
                    yield from self._begin(ready, ahead, preparation)
                elif live:
                    yield from self._go_on(ahead, preparation)
        finally:
            self._decoder.give_up(0)

    def _fits(self, batch: Batch) -> bool:
        count = len(batch.requests)
        return len(self._decoder.live) + count <= self._most and self._decoder.room(count, self._need(batch))

    def _need(self, batch: Batch) -> int:
        return _width(batch) + max(self._engine.limit(request) for request in batch.requests)

    def _begin(
        self, ready: deque[Batch], ahead: deque[Future[Prepared]], preparation: Preparation
    ) -> Iterator[Response]:
        batch = ready.popleft()
        count, width = len(batch.requests), _width(batch)
        self._ratio = width / max(cost(batch.requests[0]), 1)
        if count > 1 and not self._fits(batch):
            self._again(batch.requests, count // 2, ahead, preparation)
            return
        try:
            ended = self._decoder.admit(batch.requests, list(map(self._engine.limit, batch.requests)), batch.inputs)
        # The code of a model's family may raise anything about one odd sample, which must not end the run.
        except Exception as error:
            trouble = trouble_of(error)
        else:
            yield from map(self._response, ended)
            return
        free_memory()  # here, where the exception no longer holds on to tensors
        if trouble.kind != "oom" and count > 1:
            self._again(batch.requests, 1, ahead, preparation)
        elif trouble.kind == "oom" and count > 1:
            self._read = width * (count // 2)
            self._again(batch.requests, count // 2, ahead, preparation)
        elif trouble.kind == "oom" and self._decoder.features.give_up():
            ready.appendleft(batch)  # which may fit where nothing is remembered
        elif trouble.kind == "oom" and self._decoder.live:
            self._decoder.shrink(len(self._decoder.live))
            ready.appendleft(batch)  # until fewer others take the memory
        else:
            if trouble.kind == "oom":
                # The halving was this one's fault and says nothing about the others.
                self._read, self._decoder.budget = READ, None
            yield failed(batch.requests[0], trouble.kind, trouble.message)

    def _go_on(self, ahead: deque[Future[Prepared]], preparation: Preparation) -> Iterator[Response]:
        try:
            ended = self._decoder.step()
        # As above; whose fault it was shows when they are asked one by one.
        except Exception as error:
            trouble = trouble_of(error)
        else:
            yield from map(self._response, ended)
            return
        free_memory()
        keep = len(self._decoder.live) // 2 if trouble.kind == "oom" else 0
        given = self._decoder.shrink(keep)
        if keep:
            self._again(given, len(given), ahead, preparation)
        else:
            for request in given:
                yield from self._engine.together(preparation.submit([request]).result(), preparation)

    def _again(
        self, requests: Sequence[Request], size: int, ahead: deque[Future[Prepared]], preparation: Preparation
    ) -> None:
        pieces = [requests[start : start + size] for start in range(0, len(requests), size)]
        ahead.extendleft(preparation.submit(piece, share=True) for piece in reversed(pieces))

    def _response(self, answer: Answer) -> Response:
        return self._engine.response(answer.request, answer.tokens, answer.prompt_tokens)

    def _size(self) -> int:
        # A quarter at most, or rows that are free would wait for as many others to get free.
        quarter = max(1, self._most // 4)
        return min(quarter, AT_FIRST) if self._ratio == 0 else quarter

    def _cost(self) -> float:
        return self._read / self._ratio if self._ratio else float("inf")


def _width(batch: Batch) -> int:
    width: int = batch.inputs["input_ids"].shape[1]
    if "tail_ids" in batch.inputs:
        width += batch.inputs["tail_ids"].shape[1]
    return width
