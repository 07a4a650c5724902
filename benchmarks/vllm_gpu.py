"""The bare vLLM engine, evalkit's vllm runner on the same engine, and evalkit's transformers runner: samples a second.

On a GPU, at the shape of Qwen2.5-VL-7B: `python benchmarks/vllm_gpu.py [--transformers]`. The two sides take turns on
one engine, on the same 256 prompts with one picture each and answers of the same lengths (`workload.py`). Bare is
`LLM.generate` on decoded pictures and one text, no answer put into words; the runner is asked as by a run: encoded
pictures, the chat template, answers in words.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import workload
from measure import Figures, Table, publish
from safetensors.numpy import save_file

from evalkit.images import decode
from evalkit.runners.transformers import TransformersRunner
from evalkit.runners.vllm import VLLMRunner
from evalkit.types import Request, Runner

# All rounds do the same work, so nothing of one may be kept for the next.
ENGINE: dict[str, object] = {
    "load_format": "dummy",
    "enable_prefix_caching": False,
    "mm_processor_cache_gb": 0,
    "limit_mm_per_prompt": {"image": 1},
    "max_num_seqs": 256,
    "seed": 0,
}


def bare(llm: Any, requests: Sequence[Request]) -> Callable[[Sequence[Request]], int]:
    """Return what asks the engine without evalkit, its pictures decoded beforehand; it returns the tokens answered."""
    from vllm import SamplingParams

    prompts = {
        request.key: {"prompt": workload.prompt(), "multi_modal_data": {"image": decode(request.images[0])}}
        for request in requests
    }

    def ask(wanted: Sequence[Request]) -> int:
        sampling = [
            SamplingParams(temperature=0, max_tokens=each.max_tokens, ignore_eos=True, detokenize=False)
            for each in wanted
        ]
        answers = llm.generate([prompts[each.key] for each in wanted], sampling, use_tqdm=False)
        return sum(len(answer.outputs[0].token_ids) for answer in answers)

    return ask


def through(runner: Runner) -> Callable[[Sequence[Request]], int]:
    """Return what asks a runner; it returns the tokens answered."""

    def ask(wanted: Sequence[Request]) -> int:
        responses = list(runner.generate(wanted))
        failures = [response.error for response in responses if response.error is not None]
        assert not failures, failures[:3]
        assert {response.key for response in responses} == {request.key for request in wanted}
        return sum(response.completion_tokens or 0 for response in responses)

    return ask


def measured(ask: Callable[[Sequence[Request]], int], requests: Sequence[Request]) -> float:
    """Return the samples a second of one round."""
    start = time.perf_counter()
    tokens = ask(requests)
    seconds = time.perf_counter() - start
    assert tokens == sum(request.max_tokens for request in requests), tokens
    return len(requests) / seconds


def with_transformers(requests: Sequence[Request], small: bool) -> dict[str, object]:
    """Measure the transformers runner once, after a warm-up of 8."""
    from evalkit.runners._engine import Engine
    from evalkit.runners._loading import Loaded

    runner = TransformersRunner(id="workload")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # In place of loading a checkpoint, whose 16 GB of random weights nobody wants on a disk.
    runner.__dict__["_engine"] = Engine(Loaded(workload.processor(), workload.model(device, small)), None, 2, None)
    ask = through(runner)
    measured(ask, requests[:8])
    return {"samples": len(requests), "samples_per_second": measured(ask, requests)}


def with_vllm(requests: Sequence[Request], small: bool, until: float) -> dict[str, object]:
    """Measure both sides in turns, at least twice each, and as often as there is time for until the clock says so."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = workload.checkpoint(Path(name), small)
        save_file({"none": np.zeros(1)}, folder / "model.safetensors")
        runner = VLLMRunner(
            id=folder,
            dtype="float32" if small else "bfloat16",
            max_model_len=4096,
            gpu_memory_utilization=0.85,
            engine=ENGINE,
            sampling={"ignore_eos": True},
        )
        sides = {"runner": through(runner)}
        measured(sides["runner"], requests[:8])
        from vllm import LLM
        from vllm.v1.engine.llm_engine import LLMEngine

        with mock.patch.object(LLMEngine, "from_engine_args", return_value=runner._engine._engine):
            llm = LLM(model=str(folder), dtype="float32" if small else "bfloat16", max_model_len=4096)
        sides["bare"] = bare(llm, requests)
        measured(sides["bare"], requests[:8])
        started = time.perf_counter() - start
        found: dict[str, list[float]] = {"bare": [], "runner": []}
        longest = 0.0
        while len(found["runner"]) < 2 or (len(found["runner"]) < 6 and time.perf_counter() + 1.2 * longest < until):
            clock = time.perf_counter()
            for side, rates in found.items():
                rates.append(measured(sides[side], requests))
            longest = max(longest, time.perf_counter() - clock)
    medians = {side: statistics.median(rates) for side, rates in found.items()}
    return {
        "seconds_to_start": started,
        "engine": {name: str(value) for name, value in ENGINE.items()},
        "in_one_process": os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") == "0",
        "rounds": found,
        "samples_per_second": medians,
        "ratio": medians["runner"] / medians["bare"],
        "wanted_ratio": 0.95,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transformers", action="store_true", help="measure the transformers runner first")
    parser.add_argument("--only-transformers", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=workload.COUNT)
    parser.add_argument("--seconds", type=float, default=200, help="when to begin no further round, from the start")
    parser.add_argument("--small", action="store_true", help="a reduced shape, for a machine without a GPU")
    chosen = parser.parse_args()
    until = time.perf_counter() + chosen.seconds
    requests = workload.requests(chosen.count, *((56, 32) if chosen.small else ()))
    if chosen.only_transformers:
        print(json.dumps(with_transformers(requests, chosen.small)))
        return
    lengths = [request.max_tokens for request in requests]
    found: dict[str, Any] = {}
    if chosen.transformers:
        # In a process of its own, which gives the GPU's memory back.
        again = [sys.executable, __file__, "--only-transformers", "--count", str(chosen.count)]
        done = subprocess.run([*again, *(["--small"] if chosen.small else [])], stdout=subprocess.PIPE, check=True)
        found["transformers"] = json.loads(done.stdout.splitlines()[-1])
    found.update(with_vllm(requests, chosen.small, until))
    publish(figures(found, lengths, chosen.small))


def figures(found: dict[str, Any], lengths: Sequence[int], small: bool) -> Figures:
    """Return the figures of `with_vllm`, and of `with_transformers` where it was measured, with their circumstances."""
    rates, ratio = found["samples_per_second"], found["ratio"]
    rows = [
        (name, f"{rates[side]:.2f}", f"{share:.2f}", ", ".join(f"{each:.2f}" for each in found["rounds"][side]))
        for name, side, share in (("bare engine", "bare", 1.0), ("evalkit, vllm", "runner", ratio))
    ]
    if "transformers" in found:
        rate = found["transformers"]["samples_per_second"]
        rows.append(("evalkit, transformers", f"{rate:.2f}", f"{rate / rates['bare']:.2f}", ""))
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    said = (
        f"{len(lengths)} prompts with a picture each, answers of {sum(lengths) / len(lengths):.0f} tokens "
        f"(16 to {max(lengths)}), {device}; the two sides in turns on one engine"
    )
    return Figures(
        "vllm_gpu_small" if small else "vllm_gpu", "vLLM, Qwen2.5-VL-7B shape", "python benchmarks/vllm_gpu.py", said,
        (Table("", ("", "samples/s", "of bare", "rounds"), tuple(rows)),), found, ("vllm", "torch", "transformers"),
        ("Bare: `LLM.generate` with all requests at once, which processes all pictures before the first answer. "
         "The runner hands requests over while the engine works.",),
    )  # fmt: skip


if __name__ == "__main__":
    main()
