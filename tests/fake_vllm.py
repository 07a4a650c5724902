"""Stands in for vLLM 0.23 where it cannot be installed: the calls that the runner makes, and a scheduler in small.

A token of a prompt is a character, a picture is 4 tokens. An answer is the tokens FIRST, FIRST + 1 and so on, one a
step, as many as it may have, or as the prompt has characters: the last is then END.
"""

from __future__ import annotations

import enum
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

PICTURE = 4
FIRST, END = 20, 2


class EngineDeadError(Exception):
    pass


class VLLMValidationError(ValueError):
    pass


class RequestOutputKind(enum.Enum):
    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


class UsageContext(enum.StrEnum):
    LLM_CLASS = "LLM_CLASS"
    ENGINE_CONTEXT = "ENGINE_CONTEXT"


@dataclass(kw_only=True)
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    max_tokens: int | None = 16
    ignore_eos: bool = False
    stop: list[str] | None = None
    detokenize: bool = True
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE


@dataclass
class EngineArgs:
    model: str = ""
    revision: str | None = None
    dtype: str = "auto"
    quantization: str | None = None
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    gpu_memory_utilization: float = 0.92
    max_model_len: int | None = None
    trust_remote_code: bool = False
    disable_log_stats: bool = False
    max_num_seqs: int | None = None
    mm_processor_cache_gb: float = 4
    limit_mm_per_prompt: Mapping[str, int] = field(default_factory=dict)


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: Sequence[int]
    finish_reason: str | None = None


@dataclass
class RequestOutput:
    request_id: str
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    finished: bool


@dataclass(frozen=True)
class TokenizeParams:
    max_total_tokens: int
    add_special_tokens: bool = True

    def with_kwargs(self, **tokenization_kwargs: Any) -> TokenizeParams:
        return TokenizeParams(self.max_total_tokens, **tokenization_kwargs)


class Renderer:
    """Turns prompts into tokens, for one thread at a time."""

    def __init__(self, longest: int) -> None:
        self.default_cmpl_tok_params = TokenizeParams(longest)
        self.prompts: list[dict[str, Any]] = []
        self.tokenizing: list[TokenizeParams] = []
        self.slowness = 0.0
        self._busy = threading.Lock()

    def render_cmpl(
        self,
        prompts: Sequence[dict[str, Any]],
        tok_params: TokenizeParams | None = None,
        *,
        prompt_extras: dict[str, Any] | None = None,
        skip_mm_cache: bool = False,
    ) -> list[dict[str, Any]]:
        assert self._busy.acquire(blocking=False), "two threads at once"
        try:
            time.sleep(self.slowness)
            tokenizing = tok_params or self.default_cmpl_tok_params
            return [self._rendered(prompt, tokenizing, skip_mm_cache) for prompt in prompts]
        finally:
            self._busy.release()

    def _rendered(self, prompt: dict[str, Any], tokenizing: TokenizeParams, skip_mm_cache: bool) -> dict[str, Any]:
        self.prompts.append(prompt)
        self.tokenizing.append(tokenizing)
        if len(prompt["prompt"]) > tokenizing.max_total_tokens:
            raise VLLMValidationError("the prompt is too long")
        pictures = prompt.get("multi_modal_data", {}).get("image", [])
        assert len(pictures) == len(prompt.get("multi_modal_uuids", {}).get("image", []))
        if any(picture.width == 13 for picture in pictures):
            raise RuntimeError("13 is no width for this processor")
        assert skip_mm_cache, "the pixels of a picture that a refused request has shown are lost"
        tokens = list(range(len(prompt["prompt"]) + PICTURE * len(pictures)))
        return {"type": "multimodal" if pictures else "token", "prompt_token_ids": tokens, "prompt": prompt["prompt"]}


class LLMEngine:
    """Answers in steps; `dies_after` is how many steps it does before it
    breaks, `pace` the seconds of one."""

    made: list[LLMEngine]
    generation_config: dict[str, Any]

    def __init__(self, arguments: EngineArgs, usage_context: UsageContext) -> None:
        self.arguments, self.usage_context = arguments, usage_context
        self.longest = arguments.max_model_len or 4096
        most = arguments.max_num_seqs or (256 if usage_context is UsageContext.LLM_CLASS else 128)
        self.vllm_config = SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=most))
        self.model_config = SimpleNamespace(get_diff_sampling_param=lambda: dict(type(self).generation_config))
        self.renderer = Renderer(self.longest)
        self.running: dict[str, tuple[dict[str, Any], SamplingParams, list[int]]] = {}
        self.sampling: dict[str, SamplingParams] = {}
        self.aborted: list[str] = []
        self.peak = self.steps = 0
        self.dies_after: int | None = None
        self.gives_up_on, self.pace = "", 0.0

    @classmethod
    def from_engine_args(
        cls,
        engine_args: EngineArgs,
        usage_context: UsageContext = UsageContext.ENGINE_CONTEXT,
        stat_loggers: list[Any] | None = None,
        enable_multiprocessing: bool = False,
    ) -> LLMEngine:
        if engine_args.quantization == "unheard_of":
            raise ValueError("Unknown quantization method: unheard_of")
        cls.made.append(cls(engine_args, usage_context))
        return cls.made[-1]

    def add_request(
        self,
        request_id: str,
        prompt: dict[str, Any],
        params: SamplingParams,
        arrival_time: float | None = None,
        lora_request: Any | None = None,
        tokenization_kwargs: dict[str, Any] | None = None,
        trace_headers: Mapping[str, str] | None = None,
        priority: int = 0,
        prompt_text: str | None = None,
    ) -> str:
        assert request_id not in self.sampling
        if "type" not in prompt:
            raise TypeError("a raw prompt, whose names of pictures are passed over")
        if len(prompt["prompt_token_ids"]) > self.longest:
            raise ValueError(f"The decoder prompt is longer than the maximum model length of {self.longest}.")
        self.running[request_id] = prompt, params, []
        self.sampling[request_id] = params
        self.peak = max(self.peak, len(self.running))
        return request_id

    def step(self) -> list[RequestOutput]:
        self.steps += 1
        time.sleep(self.pace)
        if self.dies_after is not None and self.steps > self.dies_after:
            raise EngineDeadError("EngineCore encountered an issue.")
        finished = []
        for name in list(self.running)[: self.vllm_config.scheduler_config.max_num_seqs]:
            prompt, params, tokens = self.running[name]
            assert params.output_kind is RequestOutputKind.FINAL_ONLY
            tokens.append(FIRST + len(tokens) % 50)
            reason = "length" if len(tokens) == params.max_tokens else None
            if len(tokens) == len(prompt["prompt"]):
                tokens[-1], reason = END, "stop"
            if self.gives_up_on and self.gives_up_on in prompt["prompt"]:
                reason = "error"
            if reason is not None:
                text = f"{len(tokens)} tokens in words" if params.detokenize else ""
                answer = CompletionOutput(index=0, text=text, token_ids=tokens, finish_reason=reason)
                finished.append(RequestOutput(name, prompt["prompt_token_ids"], [answer], finished=True))
                del self.running[name]
        return finished

    def abort_request(self, request_ids: list[str], internal: bool = False) -> None:
        if self.dies_after is not None and self.steps > self.dies_after:
            raise EngineDeadError("EngineCore encountered an issue.")
        self.aborted += request_ids
        for name in request_ids:
            self.running.pop(name, None)  # it may have finished


def install(monkeypatch: pytest.MonkeyPatch) -> type[LLMEngine]:
    """Put the stand-in where `import vllm` finds it; returns the class that lists the engines which were made."""

    class Engine(LLMEngine):
        made: list[LLMEngine] = []  # noqa: RUF012 - a list for each test
        generation_config: dict[str, Any] = {}  # noqa: RUF012

    names: dict[str, dict[str, Any]] = {
        "vllm": {"EngineArgs": EngineArgs, "LLMEngine": Engine, "SamplingParams": SamplingParams},
        "vllm.exceptions": {"VLLMValidationError": VLLMValidationError},
        "vllm.sampling_params": {"RequestOutputKind": RequestOutputKind},
        "vllm.usage": {},
        "vllm.usage.usage_lib": {"UsageContext": UsageContext},
        "vllm.v1": {},
        "vllm.v1.engine": {},
        "vllm.v1.engine.exceptions": {"EngineDeadError": EngineDeadError},
    }
    for name, attributes in names.items():
        module = ModuleType(name)
        module.__path__ = []
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr("evalkit.runners.vllm.minor_version", lambda package, required=True: "0.23")
    return Engine
