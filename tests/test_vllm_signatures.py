"""Whether the stand-in for vLLM takes what vLLM itself takes, where that is installed."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import fake_vllm
import pytest
from fake_vllm import LLMEngine


def test_the_stand_in_has_the_signatures_of_vllm() -> None:
    if find_spec("vllm") is None:
        pytest.skip("vllm is not installed: its signatures cannot be compared with the stand-in's")
    real: Any = import_module("vllm")
    renderer = import_module("vllm.renderers.base").BaseRenderer
    engine = import_module("vllm.v1.engine.llm_engine").LLMEngine

    def names(function: Any) -> Sequence[str]:
        return list(inspect.signature(function).parameters)

    for method in ("from_engine_args", "add_request", "step", "abort_request"):
        assert names(getattr(LLMEngine, method)) == names(getattr(engine, method)), method
    assert names(fake_vllm.Renderer.render_cmpl) == names(renderer.render_cmpl)
    taken = set(inspect.signature(real.EngineArgs).parameters)
    assert {each.name for each in fields(fake_vllm.EngineArgs)} <= taken
    assert {each.name for each in fields(fake_vllm.SamplingParams)} <= set(real.SamplingParams.__struct_fields__)
    assert {each.name for each in fields(fake_vllm.CompletionOutput)} <= {
        each.name for each in fields(real.CompletionOutput)
    }
    assert {each.name for each in fields(fake_vllm.RequestOutput)} <= set(names(real.RequestOutput))
    assert import_module("vllm.exceptions").VLLMValidationError.__mro__[1] is ValueError
    assert issubclass(import_module("vllm.v1.engine.exceptions").EngineDeadError, Exception)
    assert import_module("vllm.usage.usage_lib").UsageContext.LLM_CLASS.value == "LLM_CLASS"
