"""Which requests are asked together, and preparing their inputs in other threads while the model is busy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from evalkit.errors import ImageError
from evalkit.images import decode
from evalkit.types import Failure, FailureKind, Request, Response

if TYPE_CHECKING:
    import PIL.Image


class Processor(Protocol):
    """Turns requests and their pictures, RGB and in the order of the transcript, into the model's inputs."""

    def __call__(self, requests: Sequence[Request], pictures: Sequence[Sequence[PIL.Image.Image]]) -> Mapping[str, Any]:
        """Return tensors with one row per request. May raise anything."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Requests of like sampling, with the model's inputs for them: one row each, in their order."""

    requests: tuple[Request, ...]
    inputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of requests that were to be one batch: usually one, and no failures."""

    batches: tuple[Batch, ...]
    failures: tuple[Response, ...]


def failed(request: Request, kind: FailureKind, message: str) -> Response:
    """Answer a request with the reason why it has no answer."""
    return Response(request.key, "", error=Failure(kind, message))


def cost(request: Request) -> float:
    """Estimate the tokens of a prompt: most families have about one to 4 characters and one to 28x28 pixels."""
    return text_cost(request) + sum(image.width * image.height for image in request.images) / 28**2


def text_cost(request: Request) -> float:
    """Estimate the tokens of a prompt's texts."""
    return sum(len(part) for message in request.messages for part in message.parts if isinstance(part, str)) / 4


def opening(request: Request) -> Hashable:
    """Return a prompt up to its last picture, which others may have in common with it; empty without pictures."""
    parts = [(message.role, part) for message in request.messages for part in message.parts]
    last = max((place for place, (_, part) in enumerate(parts) if not isinstance(part, str)), default=-1)
    return tuple((role, part if isinstance(part, str) else (part.sha256,)) for role, part in parts[: last + 1])


def sampling(request: Request) -> Hashable:
    """Return what one call of `generate` has in common, besides the number of pictures."""
    return request.max_tokens, request.temperature


class Plan:
    """Requests in the order in which they are to be asked: like with like, and the most expensive first.

    So memory that is too small shows at once, and rows of a batch need little padding. All requests of a batch are
    `alike` and have as many pictures: not every family takes text alone beside pictures, and in Mllama a row with fewer
    pictures than its neighbours would see their padding, which changes its answer.
    """

    def __init__(self, requests: Sequence[Request], alike: Callable[[Request], Hashable] = sampling) -> None:
        shown = {each.key: tuple(image.sha256 for image in each.images) or each.key for each in requests}
        begun = {each.key: opening(each) or each.key for each in requests}
        dearest: dict[Hashable, float] = {}
        places: dict[Hashable, int] = {}
        for place, request in enumerate(requests):
            for like in (shown[request.key], begun[request.key]):
                dearest[like] = max(dearest.get(like, 0), cost(request))
                places.setdefault(like, place)

        def rank(request: Request) -> tuple[float, ...]:
            # Those that show the same, and those that begin alike, stay together: that need be read only once.
            pictures, beginning = shown[request.key], begun[request.key]
            return dearest[pictures], -places[pictures], dearest[beginning], -places[beginning], cost(request)

        groups: dict[Hashable, deque[Request]] = {}
        for request in sorted(requests, key=rank, reverse=True):
            groups.setdefault((len(request.images), alike(request)), deque()).append(request)
        self._groups = deque(groups.values())

    def __bool__(self) -> bool:
        return bool(self._groups)

    def take(self, size: int, most: float = float("inf"), size_alike: int = 0) -> tuple[Request, ...]:
        """Remove and return the next batch: at most `size` requests that cost at most `most`, or a single one.

        What begins alike costs little more than one; of that alone a batch may be `size_alike`, if that is more. The
        first costs most; others are padded to its length.
        """
        group = self._groups[0]
        batch = [group.popleft()]
        spent = each = cost(batch[0])
        alike = True
        while group:
            same = opening(group[0]) and opening(group[0]) == opening(batch[-1])
            alike = bool(alike and same)
            spent += text_cost(group[0]) if same else each
            if spent > most or len(batch) >= (max(size, size_alike) if alike else size):
                break
            batch.append(group.popleft())
        if not group:
            self._groups.popleft()
        return tuple(batch)


class Preparation:
    """Decodes pictures in `workers` threads and calls the processor, which must bear that, in as many others.

    So many batches are worth preparing while the model works on one, which is what bounds memory.
    """

    def __init__(
        self, processor: Processor, workers: int, decoding: ThreadPoolExecutor, processing: ThreadPoolExecutor
    ) -> None:
        self.ahead = workers
        self._processor = processor
        self._decoding = decoding
        self._processing = processing

    @classmethod
    @contextmanager
    def open(cls, processor: Processor, workers: int) -> Iterator[Preparation]:
        """Start the threads, and end them without finishing what nobody waits for any more."""
        decoding = ThreadPoolExecutor(workers, "evalkit-decode")
        processing = ThreadPoolExecutor(workers, "evalkit-process")
        try:
            yield cls(processor, workers, decoding, processing)
        finally:
            processing.shutdown(wait=False, cancel_futures=True)
            decoding.shutdown(cancel_futures=True)
            processing.shutdown()

    def submit(self, requests: Sequence[Request], share: bool = False) -> Future[Prepared]:
        """Begin to prepare one batch; if told to `share`, requests that begin alike get the same list of pictures."""
        decoded: dict[Hashable, Future[list[PIL.Image.Image]]] = {}
        pictures = []
        for place, request in enumerate(requests):
            like = (share and opening(request)) or place
            if like not in decoded:
                decoded[like] = self._decoding.submit(_decode_all, request)
            pictures.append(decoded[like])
        return self._processing.submit(self._prepare, requests, pictures)

    def _prepare(self, requests: Sequence[Request], pictures: Sequence[Future[list[PIL.Image.Image]]]) -> Prepared:
        whole: list[tuple[Request, list[PIL.Image.Image]]] = []
        failures: list[Response] = []
        for request, future in zip(requests, pictures, strict=True):
            try:
                whole.append((request, future.result()))
            except ImageError as error:
                failures.append(failed(request, "preprocess", str(error)))
        if not whole:
            return Prepared((), tuple(failures))
        together = self._process(whole)
        if isinstance(together, Batch):
            return Prepared((together,), tuple(failures))
        # One of them is to blame, or the processor cannot take these together: either way each is tried alone.
        batches: list[Batch] = []
        for each in whole:
            alone = self._process([each]) if len(whole) > 1 else together
            if isinstance(alone, Batch):
                batches.append(alone)
            else:
                said = " ".join(str(alone).split())[:300]
                message = f"the processor cannot take this request ({type(alone).__name__}: {said})"
                failures.append(failed(each[0], "preprocess", message))
        return Prepared(tuple(batches), tuple(failures))

    def _process(self, whole: Sequence[tuple[Request, list[PIL.Image.Image]]]) -> Batch | Exception:
        requests = tuple(request for request, _ in whole)
        try:
            return Batch(requests, self._processor(requests, [pictures for _, pictures in whole]))
        # Templates and processors are a checkpoint's own and raise whatever they like about one odd sample, which
        # must not end the run.
        except Exception as error:
            return error


def _decode_all(request: Request) -> list[PIL.Image.Image]:
    return [decode(image) for image in request.images]
