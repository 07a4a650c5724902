"""Replicas of a runner on a Ray cluster: who has which requests, and who gets them when a worker dies."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import islice
from typing import Any

from evalkit.errors import EvalkitError, ImageError, ModelError
from evalkit.images import encoded
from evalkit.interrupts import Wanted, stopped
from evalkit.types import Failure, Image, Request, Response, Runner

# Workers that a request may take with it in a row, the last of them alone, and workers that may die before any answers.
DEATHS, FRUITLESS = 3, 10
# Into so many parts goes what a dead worker had begun, so that the second death finds who is to blame among 256.
PARTS = 16
# Calls that wait in a worker's own queue, so that it need not wait for the next; what a stop comes too late for.
AHEAD = 8
# Chunks a worker that are drawn from the iterator and not answered: two at work or queued, one to share out evenly.
WINDOW = 3
# Seconds until a stop is noticed, and until a cluster without room for a single worker is given up.
NOTICE, PATIENCE = 0.5, 600.0


class Replica:
    """What runs in a worker's process."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._answers: Iterator[Response] = iter(())
        self._stopped = False

    def identity(self) -> dict[str, str]:
        """Return what can change an answer here."""
        return dict(self._runner.identity())

    def weights(self) -> dict[str, str]:
        """Return what the runner says of its weights, if it says anything."""
        return dict(getattr(self._runner, "weights", dict)())

    def answer(self, stop: bool, requests: Sequence[Request] | None) -> Response | None:
        """Return the next answer, to these requests if there are any; None where there is none any more."""
        self._stopped = self._stopped or stop
        if requests is not None:
            self._answers = iter(self._runner.generate(Wanted(requests, lambda: self._stopped)))
        return next(self._answers, None)


@dataclass
class _Asked:
    request: Request
    deaths: int = 0


@dataclass(eq=False)
class _Chunk:
    """Requests that a worker has been given and not answered; for `uncalled` of them its answer was not called for."""

    asked: list[_Asked]
    uncalled: int


@dataclass(eq=False)
class _Worker:
    """A replica seen from outside: its calls in flight in their order, each with its chunk, None for the first word."""

    actor: Any
    calls: deque[tuple[Any, _Chunk | None]] = field(default_factory=deque)
    chunk: _Chunk | None = None

    @property
    def ready(self) -> bool:
        return not self.calls or self.calls[0][1] is not None

    @property
    def busy(self) -> bool:
        return any(chunk is not None for _, chunk in self.calls)


class Replicas:
    """`count` replicas that `start` starts, which must have this `identity`; each is given `chunk` requests at most."""

    def __init__(self, start: Callable[[], Any], identity: Mapping[str, str], count: int, chunk: int) -> None:
        self._start, self._identity, self._count, self._chunk = start, dict(identity), count, chunk
        self._workers: list[_Worker] = []
        self._fruitless = 0

    def answer(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield the responses as they come, drawing requests while fewer than the window are unanswered.

        Raises ModelError where the workers have another model, and where none starts or none lives to answer.
        """
        source, stop, ended = iter(requests), False, False
        self._waiting: deque[_Asked] = deque()
        self._suspects: deque[list[_Asked]] = deque()
        self._unanswered = self._fruitless = self._even = 0
        self._heard = time.monotonic()
        while len(self._workers) < self._count:
            self._workers.append(self._started())
        try:
            while True:
                stop = stop or stopped(requests)
                if not stop:
                    self._draw(source)
                for worker in self._workers:
                    self._occupy(worker, stop)
                waiting = not stop and (self._waiting or self._suspects)
                ended = not (waiting or any(worker.busy for worker in self._workers))
                if ended:
                    break
                yield from self._collect()
        finally:
            # What they still work on nobody wants, and one that was stopped stays so.
            if stop or not ended:
                self.close()

    def weights(self) -> Mapping[str, str]:
        """Return what one worker says of its weights; empty while there is none."""
        import ray
        from ray.exceptions import RayActorError

        try:
            found: Mapping[str, str] = ray.get(self._workers[0].actor.weights.remote()) if self._workers else {}
        except RayActorError:  # it died since its last answer
            return {}
        return found

    def close(self) -> None:
        """End the workers; the next request starts others."""
        import ray

        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers = []

    def _started(self) -> _Worker:
        actor = self._start()
        return _Worker(actor, deque([(actor.identity.remote(), None)]))

    def _draw(self, source: Iterator[Request]) -> None:
        room = WINDOW * self._count * self._chunk - self._unanswered
        drawn = [_Asked(request) for request in islice(source, max(0, room))]
        self._unanswered += len(drawn)
        self._waiting.extend(drawn)
        if drawn:
            self._even = -(-len(self._waiting) // self._count)

    def _occupy(self, worker: _Worker, stop: bool) -> None:
        """Keep a worker's queue filled, with what is left of its chunk and then with another."""
        while worker.ready and len(worker.calls) < AHEAD:
            requests = None
            if not (worker.chunk and worker.chunk.uncalled):
                asked = [] if stop else self._share()
                if not asked:
                    return
                worker.chunk = _Chunk(asked, len(asked))
                requests = _packed([each.request for each in asked])
            worker.chunk.uncalled -= 1
            worker.calls.append((worker.actor.answer.remote(stop, requests), worker.chunk))

    def _share(self) -> list[_Asked]:
        """Take the next chunk: at the end each worker's even share of what is left."""
        if self._suspects:
            return self._suspects.popleft()
        share: list[_Asked] = []
        pictures = 0
        while self._waiting and len(share) < min(self._chunk, self._even):
            pictures += len(self._waiting[0].request.images)
            # Their files are all in memory at once.
            if share and pictures > self._chunk:
                break
            share.append(self._waiting.popleft())
        return share

    def _collect(self) -> Iterator[Response]:
        import ray

        heads = {worker.calls[0][0]: worker for worker in self._workers if worker.calls}
        ray.wait(list(heads), num_returns=1, timeout=NOTICE)
        # All that are there, or a quick worker would keep the others waiting.
        done, _ = ray.wait(list(heads), num_returns=len(heads), timeout=0)
        if done:
            self._heard = time.monotonic()
        elif time.monotonic() - self._heard > PATIENCE and not any(worker.ready for worker in self._workers):
            raise ModelError(
                f"the Ray cluster has started none of {self._count} workers within {PATIENCE:g} s: wait until its GPUs "
                "and CPUs are free, or lower model.workers, model.gpus_per_worker or model.cpus_per_worker"
            )
        for call in done:
            yield from self._take(heads[call])

    def _take(self, worker: _Worker) -> Iterator[Response]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        call, chunk = worker.calls.popleft()
        try:
            said = ray.get(call)
        except RayTaskError as error:
            # Ray's own text is the worker's traceback.
            raise error.cause if isinstance(error.cause, EvalkitError) else error from None
        except RayError as error:  # it died, or its node, or the way there
            ray.kill(worker.actor)
            yield from self._bury(worker, chunk, str(error))
            return
        if chunk is None:
            self._require_same(said)
        elif said is None:
            # It was stopped.
            self._unanswered -= len(chunk.asked)
            chunk.asked, chunk.uncalled = [], 0
        else:
            chunk.asked.remove(next(each for each in chunk.asked if each.request.key == said.key))
            self._unanswered -= 1
            self._fruitless = 0
            yield said

    def _bury(self, worker: _Worker, chunk: _Chunk | None, reason: str) -> Iterator[Response]:
        """Give a dead worker's requests to others, those that it had begun in parts, and start another in its place.

        Which of those killed it nobody knows; in the end each is alone and answers for itself.
        """
        reason = " ".join(reason.split())[:300]
        self._fruitless += 1
        if self._fruitless >= FRUITLESS:
            raise ModelError(f"{FRUITLESS} workers died, and none of them answered anything (the last: {reason})")
        begun = chunk.asked if chunk else []
        queued = dict.fromkeys(other for _, other in worker.calls if other is not None and other is not chunk)
        for other in reversed(queued):
            if any(each.deaths for each in other.asked):
                self._suspects.appendleft(other.asked)
            else:
                self._waiting.extendleft(reversed(other.asked))
        worker.actor, worker.calls, worker.chunk = (fresh := self._started()).actor, fresh.calls, None
        for each in begun:
            each.deaths += 1
        if len(begun) == 1 and begun[0].deaths >= DEATHS:
            self._unanswered -= 1
            message = f"{begun[0].deaths} workers in a row died of this request (the last: {reason})"
            yield Response(begun[0].request.key, "", error=Failure("request", message))
        else:
            size = max(1, -(-len(begun) // PARTS))
            self._suspects.extend(begun[start : start + size] for start in range(0, len(begun), size))

    def _require_same(self, identity: Mapping[str, str]) -> None:
        there, here = identity, self._identity
        changed = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
        if changed:
            changes = ", ".join(f"{k} is {there.get(k, 'absent')} and here {here.get(k, 'absent')}" for k in changed)
            raise ModelError(f"a worker has another model than this process ({changes}): install the same on all nodes")


def _packed(requests: Sequence[Request]) -> list[Request]:
    """Put the pictures' files into the requests, since the worker's node may not have them."""

    @cache  # a picture that several requests show travels once
    def packed(image: Image) -> Image:
        try:
            return replace(image, read=partial(bytes, encoded(image)))
        except ImageError as error:
            return replace(image, read=partial(_unreadable, str(error)))

    return [
        replace(
            request,
            messages=tuple(
                replace(turn, parts=tuple(packed(part) if isinstance(part, Image) else part for part in turn.parts))
                for turn in request.messages
            ),
        )
        for request in requests
    ]


def _unreadable(reason: str) -> bytes:
    raise ImageError(reason)
