"""A loaded model that answers: what it is shown, how it is asked, and what becomes of what it cannot take."""

from __future__ import annotations

import copy
import hashlib
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import torch

from evalkit.runners._batches import Batch, Plan, Preparation, Prepared, failed
from evalkit.runners._continuous import Continuous
from evalkit.runners._conversation import conversation, special_tokens
from evalkit.runners._decoding import Decoder, obstacle
from evalkit.runners._loading import Loaded
from evalkit.runners._prefixes import shared
from evalkit.runners._trouble import free_memory, trouble_of
from evalkit.types import Request, Response

if TYPE_CHECKING:
    import PIL.Image

# Requests asked together by `generate` where nobody says how many.
TOGETHER = 8
# Answers in progress where nobody says how many: more no longer make a step worth more.
IN_FLIGHT = {"cuda": 256}
IN_FLIGHT_ELSEWHERE = 32


class Engine:
    """A loaded model that answers; remembers what memory allows. `batch_size` bounds the answers in progress."""

    def __init__(self, loaded: Loaded, batch_size: int | None, workers: int, cap: int | None) -> None:
        # cuDNN's attention plans anew for each length of the keys, which takes 40 ms for each token.
        torch.backends.cuda.enable_cudnn_sdp(False)
        # A fast tokenizer refuses to be changed in one thread, as for padding, while another thread uses it.
        self._tokenizer = copy.deepcopy(loaded.processor.tokenizer)
        self._processor = loaded.processor
        self._spare: SimpleQueue[Any] = SimpleQueue()
        self._special = special_tokens(loaded.processor)
        self._model = loaded.model
        self.weights = loaded.weights
        self._defaults = copy.deepcopy(loaded.model.generation_config)
        self._batch_size = self._wanted_size = batch_size or TOGETHER
        self._workers = workers
        self._cap = cap
        ends = self._defaults.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])
        self._obstacles: set[str] = set()
        settings = self._settings(1, 0)
        self._continuous: Continuous | None = None
        hindered = obstacle(self._model, settings)
        if hindered is None:
            most = batch_size or IN_FLIGHT.get(self._model.device.type, IN_FLIGHT_ELSEWHERE)
            self._continuous = Continuous(Decoder(self._model, settings, self._ends), self, most)
        else:
            self._say(hindered)

    def answer(self, requests: Sequence[Request], stopped: Callable[[], bool] = lambda: False) -> Iterator[Response]:
        """Yield one response per request, until `stopped`."""
        steady = [each for each in requests if self._continuous is not None and each.temperature == 0]
        with Preparation.open(self._inputs, self._workers) as preparation:
            if steady and self._continuous is not None:
                yield from self._continuous.answer(steady, preparation, stopped)
            plan = Plan([each for each in requests if self._continuous is None or each.temperature > 0])
            if plan and self._continuous is not None:
                self._say("a temperature above 0 is for the library's own sampling")
            ahead: deque[Future[Prepared]] = deque()
            while (plan or ahead) and not stopped():
                while plan and len(ahead) <= preparation.ahead:
                    ahead.append(preparation.submit(plan.take(self._batch_size)))
                yield from self.together(ahead.popleft().result(), preparation)

    def together(self, prepared: Prepared, preparation: Preparation) -> Iterator[Response]:
        """Answer what was prepared in static batches: the library's `generate`, until the last row has ended."""
        yield from prepared.failures
        for batch in prepared.batches:
            trouble = None
            if len(batch.requests) <= self._batch_size:
                try:
                    responses = self._generate(batch)
                # The code of a model's family may raise anything about one odd sample, which must not end the run.
                except Exception as error:
                    trouble = trouble_of(error)
                else:
                    yield from responses
                    continue
                # Here, where the exception no longer holds on to the batch's tensors.
                free_memory()
            if trouble is not None and len(batch.requests) == 1:
                if trouble.kind == "oom":
                    # The halving was this one's fault and says nothing about the others.
                    self._batch_size = self._wanted_size
                yield failed(batch.requests[0], trouble.kind, trouble.message)
                continue
            if trouble is not None and trouble.kind == "oom":
                self._batch_size = len(batch.requests) // 2
            size = 1 if trouble is not None and trouble.kind != "oom" else self._batch_size
            for start in range(0, len(batch.requests), size):
                smaller = preparation.submit(batch.requests[start : start + size])
                yield from self.together(smaller.result(), preparation)

    def limit(self, request: Request) -> int:
        """Return how many tokens the answer may have."""
        return min(request.max_tokens, self._cap or request.max_tokens)

    def response(self, request: Request, tokens: Sequence[int], prompt_tokens: int) -> Response:
        """Put an answer's tokens into words."""
        end = next((index for index, token in enumerate(tokens) if token in self._ends), None)
        text = self._tokenizer.decode(tokens[:end], skip_special_tokens=True)
        return Response(
            request.key,
            text,
            finish_reason="length" if end is None else "stop",
            prompt_tokens=prompt_tokens,
            completion_tokens=len(tokens) if end is None else end + 1,
        )

    def _say(self, obstacle: str) -> None:
        if obstacle not in self._obstacles:
            self._obstacles.add(obstacle)
            logging.getLogger(__name__).warning("answering in static batches, which takes longer: %s", obstacle)

    def _inputs(self, requests: Sequence[Request], pictures: Sequence[Sequence[PIL.Image.Image]]) -> Mapping[str, Any]:
        try:
            processor = self._spare.get_nowait()
        except Empty:  # one for each thread, since processors are not thread-safe
            processor = copy.deepcopy(self._processor)
            if self._model.device.type != "cpu":
                # Of this thread: several that each share their work out only get in each other's way.
                torch.set_num_threads(1)
        try:
            return self._processed(processor, requests, pictures)
        finally:
            self._spare.put(processor)

    def _processed(
        self, processor: Any, requests: Sequence[Request], pictures: Sequence[Sequence[PIL.Image.Image]]
    ) -> Mapping[str, Any]:
        turns = [conversation(request, self._special) for request in requests]
        texts = [processor.apply_chat_template(each, add_generation_prompt=True, tokenize=False) for each in turns]
        options: dict[str, Any] = {"padding": True, "padding_side": "left", "return_tensors": "pt"}
        begin = processor.tokenizer.bos_token
        if begin and all(text.startswith(begin) for text in texts):
            options["add_special_tokens"] = False  # or the text would begin twice

        def process(rows: Sequence[int]) -> Any:
            if any(pictures):
                options["images"] = [list(pictures[row]) for row in rows]
            return processor(text=[texts[row] for row in rows], **options)

        own = [id(each) for each in pictures]
        together = (
            shared(processor, texts, [own.index(one) for one in own], process) if len(set(own)) < len(own) else None
        )
        inputs: Mapping[str, Any] = process(range(len(texts))) if together is None else together
        return inputs

    def _generate(self, batch: Batch) -> list[Response]:
        first = batch.requests[0]
        settings = self._settings(self.limit(first), first.temperature)
        # `generate` fills what the settings leave open from the model's own, which must then not be the checkpoint's.
        self._model.generation_config = settings
        inputs = batch.inputs.to(self._model.device, self._model.dtype)  # type: ignore[attr-defined]
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            torch.manual_seed(_seed(batch.requests))
            tokens = self._model.generate(**inputs, generation_config=settings)
        answers = tokens[:, inputs["input_ids"].shape[1] :].tolist()
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [
            self.response(request, answer, length)
            for request, answer, length in zip(batch.requests, answers, lengths, strict=True)
        ]

    def _settings(self, max_new_tokens: int, temperature: float) -> Any:
        settings = copy.deepcopy(self._defaults)
        settings.max_length = None
        settings.max_new_tokens = max_new_tokens
        settings.do_sample = temperature > 0
        settings.temperature = temperature or None
        if temperature == 0:
            settings.top_p = settings.top_k = settings.min_p = settings.typical_p = None
        if settings.pad_token_id is None:
            settings.pad_token_id = self._tokenizer.pad_token_id
        return settings


def _seed(requests: Sequence[Request]) -> int:
    return int.from_bytes(hashlib.sha256("".join(request.key for request in requests).encode()).digest()[:7], "big")
