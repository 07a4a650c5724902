"""Runs a checkpoint on this machine with vLLM, whose scheduler batches what it holds. Knows no benchmark."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from evalkit.errors import ConfigError, ModelError
from evalkit.interrupts import stopped
from evalkit.runners._batches import Preparation, Prepared, cost, failed
from evalkit.runners._checkpoint import Checkpoint, Place, locate, minor_version
from evalkit.runners._conversation import conversation, special_tokens
from evalkit.runners._loading import load_processor
from evalkit.types import FinishReason, Request, Response

if TYPE_CHECKING:
    import PIL.Image

# What is drawn and not yet answered, in estimated tokens of prompts: about 10 GB of prepared pixels.
MOST_TOKENS = 2**19
_FINISH_REASONS: Mapping[str, FinishReason] = {"stop": "stop", "length": "length"}
_SET_HERE = frozenset({"n", "max_tokens", "temperature", "seed", "output_kind", "detokenize"})


@dataclass(frozen=True, kw_only=True)
class VLLMRunner:
    """Answers with the image-text-to-text checkpoint `id`, loading it into vLLM at the first request.

    `id` and `revision` are as for TransformersRunner. `dtype`, `quantization`, `tensor_parallel_size`,
    `pipeline_parallel_size`, `gpu_memory_utilization` (of each GPU, 0 to 1) and `max_model_len` (tokens of prompt and
    answer, None for the model's own bound) are vLLM's engine arguments of these names, and `engine` holds any others;
    `sampling` holds further fields of its SamplingParams. `workers` threads decode pictures ahead of the engine.
    `max_new_tokens` caps every request's `max_tokens`. Raises ConfigError where a value cannot work.

    Temperature 0 is greedy decoding. Above it the checkpoint's own top_p, top_k and min_p hold, and each request has a
    seed of its own, so what is asked beside it is no part of its answer. A repetition penalty of the checkpoint's
    generation_config.json holds in either case.
    """

    id: Place
    revision: str | None = None
    dtype: str = "auto"
    quantization: str | None = None
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    gpu_memory_utilization: float = 0.9
    max_model_len: int | None = None
    max_new_tokens: int | None = None
    workers: int = 2
    trust_remote_code: bool = False
    engine: Mapping[str, object] = field(default_factory=dict)
    sampling: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("tensor_parallel_size", "pipeline_parallel_size", "workers", "max_model_len", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ConfigError(f"{name}={value!r} cannot work: set {name} to 1 or more")
        if not 0 < self.gpu_memory_utilization <= 1:
            raise ConfigError(f"gpu_memory_utilization={self.gpu_memory_utilization} cannot work: set 0.9, or up to 1")
        for name, given, own in (
            ("engine", self.engine, {"model", *self._arguments()}),
            ("sampling", self.sampling, _SET_HERE),
        ):
            if taken := sorted(own.intersection(given)):
                raise ConfigError(f"{name} sets {', '.join(taken)}, which the runner sets itself: remove it")

    def identity(self) -> Mapping[str, str]:
        """Return what can change an answer; the number of GPUs is no part of it.

        Neither imports nor loads the engine. Raises ModelError where there is no whole checkpoint, ConfigError where
        vLLM is not installed.
        """
        if minor_version("vllm", required=False) == "absent":
            raise ConfigError(_NOT_INSTALLED)
        return {
            "engine": "vllm",
            "id": self._checkpoint.name,
            "revision": self.revision or "",
            "weights": self._checkpoint.fingerprint(),
            "dtype": self.dtype,
            "quantization": self.quantization or "",
            "max_model_len": str(self.max_model_len or ""),
            "max_new_tokens": str(self.max_new_tokens or ""),
            "trust_remote_code": str(self.trust_remote_code).lower(),
            "engine_arguments": json.dumps(dict(self.engine), sort_keys=True, default=str),
            "sampling": json.dumps(dict(self.sampling), sort_keys=True, default=str),
            **{name: minor_version(name) for name in ("vllm", "transformers", "torch")},
        }

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield one response per request as they finish, drawing requests as the engine has room for more.

        Once a stop is asked for, what the engine holds is still answered. What cannot be answered fails alone: a
        damaged picture or one that the processor rejects (`preprocess`), a prompt longer than the model takes
        (`request`). Closing the iterator takes back what the engine holds. Raises ModelError where the checkpoint
        cannot be loaded or the engine breaks down, ConfigError where vLLM is not installed.
        """
        drawn = iter(requests)
        first = next(drawn, None)
        if first is not None:
            yield from self._engine.answer(first, drawn, lambda: stopped(requests))

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        return locate(self.id, self.revision, self.trust_remote_code)

    def _arguments(self) -> dict[str, object]:
        names = ("dtype", "quantization", "tensor_parallel_size", "pipeline_parallel_size", "gpu_memory_utilization")
        return {name: getattr(self, name) for name in (*names, "max_model_len", "trust_remote_code")}

    @cached_property
    def _engine(self) -> _Engine:
        # Unless the user set them: vLLM would tell its makers of each start, and the terminal of each step of it.
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
        folder = self._checkpoint.download()
        processor = load_processor(folder, self.trust_remote_code)
        try:
            from vllm import EngineArgs, LLMEngine
            from vllm.usage.usage_lib import UsageContext
        except ModuleNotFoundError as error:
            raise ConfigError(_NOT_INSTALLED) from error
        arguments = {"model": str(folder), "disable_log_stats": True, **self._arguments(), **self.engine}
        try:
            # Of all contexts this one has the defaults for many requests at once.
            engine = LLMEngine.from_engine_args(EngineArgs(**arguments), usage_context=UsageContext.LLM_CLASS)
        # Arguments, files, memory, drivers: anything can be wrong, and the cure is the user's.
        except Exception as error:
            raise ModelError(
                f"vLLM cannot load {folder} ({_said(error)}): mend what it names, by model.max_model_len, "
                "model.gpu_memory_utilization, model.tensor_parallel_size or model.engine"
            ) from error
        return _Engine(engine, processor, self.workers, self.max_new_tokens, self.sampling)


class _Engine:
    """A loaded model that answers; what it is asked is prepared in other threads while it works."""

    def __init__(
        self, engine: Any, processor: Any, workers: int, cap: int | None, sampling: Mapping[str, object]
    ) -> None:
        self._engine = engine
        self._processor = processor
        self._special = special_tokens(processor)
        self._rendering = threading.Lock()
        self._names = count(1)
        self._workers = workers
        self._cap = cap
        # A quarter more than run at once, so that a place that falls free is filled at the next step.
        self._most = engine.vllm_config.scheduler_config.max_num_seqs * 5 // 4
        own = engine.model_config.get_diff_sampling_param()
        # Words are made of whole answers, as TransformersRunner does, unless the engine is to look for some in them.
        self._in_words = bool(sampling.get("stop"))
        own = {name: own[name] for name in own.keys() - _SET_HERE}
        self._sampling = {**own, **sampling, "detokenize": self._in_words}

    def answer(self, first: Request, rest: Iterator[Request], stopped: Callable[[], bool]) -> Iterator[Response]:
        """Yield one response per request, `first` included, until `stopped`."""
        upcoming: Request | None = first
        preparing: deque[tuple[Request, Future[Prepared]]] = deque()
        held: dict[str, Request] = {}
        tokens = 0.0
        with Preparation.open(self._inputs, self._workers) as preparation:
            try:
                while upcoming is not None or preparing or held:
                    # At least one, however long it is.
                    while upcoming is not None and (
                        not (preparing or held)
                        or (len(preparing) + len(held) < self._most and tokens + cost(upcoming) <= MOST_TOKENS)
                    ):
                        tokens += cost(upcoming)
                        preparing.append((upcoming, preparation.submit([upcoming])))
                        upcoming = next(rest, None)
                    if stopped():
                        upcoming = None
                        preparing.clear()
                    # The engine goes on with what it holds rather than wait for what is being prepared.
                    while preparing and (preparing[0][1].done() or not held):
                        request, future = preparing.popleft()
                        name = str(next(self._names))
                        refusal = self._add(name, request, future.result())
                        if refusal is None:
                            held[name] = request
                        else:
                            tokens -= cost(request)
                            yield refusal
                    for output in self._step() if held else ():
                        request = held.pop(output.request_id)
                        tokens -= cost(request)
                        yield self._response(request, output)
            except ModelError:
                held.clear()  # a broken engine takes nothing back
                if not stopped():  # Ctrl-C in a terminal ends the engine's own processes, too
                    raise
            finally:
                if held:
                    self._engine.abort_request(list(held))

    def _inputs(self, requests: Sequence[Request], pictures: Sequence[Sequence[PIL.Image.Image]]) -> Mapping[str, Any]:
        from vllm.exceptions import VLLMValidationError

        ((request,), (images,)) = requests, pictures
        turns = conversation(request, self._special)
        text = self._processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        prompt: dict[str, Any] = {"prompt": text}
        if images:
            # By these names the engine knows a picture again that another question showed it.
            prompt["multi_modal_data"] = {"image": list(images)}
            prompt["multi_modal_uuids"] = {"image": [image.sha256 for image in request.images]}
        renderer = self._engine.renderer
        begin = self._processor.tokenizer.bos_token
        tokenizing = renderer.default_cmpl_tok_params
        if begin and text.startswith(begin):
            tokenizing = tokenizing.with_kwargs(add_special_tokens=False)  # or the text would begin twice
        try:
            with self._rendering:  # the engine's own processor and its cache are for one thread at a time
                # Without skip_mm_cache pixels are left out that the engine should have already, which it has not where
                # a request is refused after this, or handed over in another order.
                (rendered,) = renderer.render_cmpl([prompt], tokenizing, skip_mm_cache=True)
        except VLLMValidationError as error:
            return {"objection": _said(error)}
        return {"prompt": rendered}

    def _add(self, name: str, request: Request, prepared: Prepared) -> Response | None:
        """Hand over a request; return its failure where it cannot be."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError

        if not request.messages or request.messages[-1].role == "assistant":
            return failed(request, "request", "the transcript does not end in a question: end it in a user's turn")
        if prepared.failures:
            return prepared.failures[0]
        inputs = prepared.batches[0].inputs
        if "objection" in inputs:
            return failed(request, "request", f"the model cannot take this request ({inputs['objection']})")
        fields = {
            **self._sampling,
            "max_tokens": min(request.max_tokens, self._cap or request.max_tokens),
            "temperature": request.temperature,
            "seed": int(request.key[:8], 16) if request.temperature else None,
            "output_kind": RequestOutputKind.FINAL_ONLY,
        }
        try:
            self._engine.add_request(name, inputs["prompt"], SamplingParams(**fields))
        except EngineDeadError as error:
            raise ModelError(_BROKEN.format(_said(error))) from error
        # As with processors: any error can come of one odd sample, mostly ValueError of a prompt that is too long.
        except Exception as error:
            return failed(request, "request", f"the model cannot take this request ({_said(error)})")
        return None

    def _step(self) -> list[Any]:
        try:
            return [output for output in self._engine.step() if output.finished]
        # In whatever way the engine fails, no other request could do better.
        except Exception as error:
            raise ModelError(_BROKEN.format(_said(error))) from error

    def _response(self, request: Request, output: Any) -> Response:
        (answer,) = output.outputs
        tokens, reason = list(answer.token_ids), _FINISH_REASONS.get(answer.finish_reason)
        if reason is None:
            return failed(request, "server", f"vLLM gave up on this request (finish_reason {answer.finish_reason})")
        # The token that ends an answer is none of its words, whether or not its tokenizer calls it special.
        said = tokens[:-1] if reason == "stop" else tokens
        text = answer.text if self._in_words else self._processor.tokenizer.decode(said, skip_special_tokens=True)
        return Response(request.key, text, reason, len(output.prompt_token_ids), len(tokens))


_NOT_INSTALLED = "this model runs on vLLM, which is not installed: type pip install 'evalkit[vllm]'"
_BROKEN = "vLLM's engine failed ({}): run the same command again, which keeps the answers so far"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
