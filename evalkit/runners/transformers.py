"""Runs a checkpoint on this machine with Hugging Face's `transformers`. Knows no benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, get_args

from evalkit.errors import ConfigError
from evalkit.interrupts import stopped
from evalkit.runners._batches import failed
from evalkit.runners._checkpoint import Checkpoint, Place, locate, minor_version
from evalkit.runners._loading import load
from evalkit.types import Request, Response

if TYPE_CHECKING:
    from evalkit.runners._engine import Engine

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantize = Literal["int8", "int4"]


@dataclass(frozen=True, kw_only=True)
class TransformersRunner:
    """Answers with the image-text-to-text checkpoint `id`, loading it at the first request.

    `id` is a hub id, a folder, or a function that prepares a folder; `revision` is a hub id's branch, tag or commit.
    `dtype` auto is the checkpoint's own. `device` auto is cuda, else mps, else cpu; `device_map` overrides it, auto
    spreading the model over all GPUs by size, layers as many layers on each. `quantize` stores the language model's
    linear layers in 8 or 4 bits, to fit rather than to speed up; or all but `modules_to_not_convert`. `batch_size`
    bounds the answers in progress, None for as many as memory holds; `workers` threads decode pictures and write
    prompts meanwhile. `threads` bounds the cores that one operation on the processor takes, None for no bound: a small
    model is fastest with 1, above all on a busy machine. `max_new_tokens` caps every request's `max_tokens`.
    `trust_remote_code` runs code that comes with the checkpoint: for a hub id, of the commit that `revision` must then
    name in full. `attn_implementation` is a kernel's name in `transformers`. Raises ConfigError where a value cannot
    work.

    An answer that ends makes room for the next, and prompts that begin with the same pictures are read once. Families,
    settings and kernels for which that is not known to be exact are asked in static batches, which is logged once.

    Temperature 0 is greedy decoding. Above it the checkpoint's own top_p and top_k hold (`transformers`' top_k of 50
    where it names none), and a static batch is seeded from its requests, so an answer is repeatable with the same
    batch_size and the same requests pending. A repetition penalty that the checkpoint's authors set in its
    generation_config.json holds in either case.
    """

    id: Place
    revision: str | None = None
    dtype: Dtype = "auto"
    device: str = "auto"
    device_map: str | Mapping[str, object] | None = None
    quantize: Quantize | None = None
    modules_to_not_convert: Sequence[str] | None = None
    batch_size: int | None = None
    workers: int = 2
    threads: int | None = None
    max_new_tokens: int | None = None
    trust_remote_code: bool = False
    attn_implementation: str | None = None

    def __post_init__(self) -> None:
        if self.dtype not in get_args(Dtype):
            raise ConfigError(f"unknown dtype {self.dtype!r}: set dtype to one of {', '.join(get_args(Dtype))}")
        if self.quantize is not None and self.quantize not in get_args(Quantize):
            raise ConfigError(f"unknown quantize {self.quantize!r}: set quantize to int8 or int4, or leave it out")
        for name, value in (
            ("batch_size", self.batch_size),
            ("workers", self.workers),
            ("threads", self.threads),
            ("max_new_tokens", self.max_new_tokens),
        ):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ConfigError(f"{name}={value!r} cannot work: set {name} to 1 or more")

    def identity(self) -> Mapping[str, str]:
        """Return what can change an answer: weights and settings, dtype, quantisation, engine and its versions.

        Neither imports nor loads the engine. Raises ModelError where there is no whole checkpoint, or no engine.
        """
        packages = ["transformers", "torch", *(["optimum-quanto"] if self.quantize else [])]
        return {
            "engine": "transformers",
            "id": self._checkpoint.name,
            "revision": self.revision or "",
            "weights": self._checkpoint.fingerprint(),
            "dtype": self.dtype,
            "quantize": self.quantize or "",
            **({"modules_to_not_convert": ",".join(kept)} if (kept := self.modules_to_not_convert) else {}),
            "max_new_tokens": str(self.max_new_tokens or ""),
            "attn_implementation": self.attn_implementation or "",
            "trust_remote_code": str(self.trust_remote_code).lower(),
            **{name: minor_version(name) for name in packages},
            # Its presence decides which code scales the pictures, hence a little of what the model sees.
            "torchvision": minor_version("torchvision", required=False),
        }

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield one response per request, the costliest prompts first; draws all requests, but not their pictures.

        Each comes as it ends. Once a stop is asked for, the answers in progress are the last. What cannot be answered
        fails alone: a damaged picture or one that the processor rejects (`preprocess`), a prompt that does not fit into
        memory by itself (`oom`), one that the model cannot take (`request`). Raises ModelError where the checkpoint
        cannot be loaded, or the device breaks down.
        """
        answerable = []
        for request in requests:
            if not request.messages or request.messages[-1].role == "assistant":
                yield failed(request, "request", "the transcript does not end in a question: end it in a user's turn")
            else:
                answerable.append(request)
        if answerable:
            yield from self._engine.answer(answerable, lambda: stopped(requests))

    def weights(self) -> Mapping[str, str]:
        """Return the bytes of the loaded weights and the modules that quantising left alone; empty before loading."""
        return self._engine.weights if "_engine" in self.__dict__ else {}

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        return locate(self.id, self.revision, self.trust_remote_code)

    @cached_property
    def _engine(self) -> Engine:
        loaded = load(
            self._checkpoint.download(),
            dtype=self.dtype,
            device=self.device,
            device_map=self.device_map,
            quantize=self.quantize,
            modules_to_not_convert=self.modules_to_not_convert,
            attn_implementation=self.attn_implementation,
            trust_remote_code=self.trust_remote_code,
        )
        from evalkit.runners._engine import Engine  # which needs the packages whose lack `load` explains

        if self.threads is not None:
            import torch

            torch.set_num_threads(self.threads)
        return Engine(loaded, self.batch_size, self.workers, self.max_new_tokens)
