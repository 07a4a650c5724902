"""The local runner beside the loops that people write over `transformers`: one prompt at a time, and static batches.

`python benchmarks/local_runner.py`: the embedded model on the generated questions of all tasks, on this machine's
processor, medians of five. `--gpu`: the workload of workload.py on one GPU (`--gpu --small`: reduced, anywhere).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import workload
from measure import Figures, Table, publish

from evalkit.images import decode
from evalkit.runners._conversation import conversation, special_tokens
from evalkit.runners._engine import Engine
from evalkit.runners._loading import Loaded
from evalkit.types import Request, Response

PACKAGES = ("torch", "transformers", "torchvision")


def loop(model: Any, processor: Any, requests: Sequence[Request], size: int, cap: int | None = None) -> list[Any]:
    """Ask so many requests at a time in the order of their arrival; return the tokens of each answer."""
    answers, special = [], special_tokens(processor)
    for start in range(0, len(requests), size):
        batch = requests[start : start + size]
        texts = [
            processor.apply_chat_template(conversation(each, special), add_generation_prompt=True, tokenize=False)
            for each in batch
        ]
        pictures = [[decode(image) for image in each.images] for each in batch]
        inputs = processor(
            text=texts,
            images=pictures if any(pictures) else None,
            padding=True,
            padding_side="left",
            return_tensors="pt",
            add_special_tokens=not texts[0].startswith(processor.tokenizer.bos_token),
        ).to(model.device, model.dtype)
        limits = [min(each.max_tokens, cap or each.max_tokens) for each in batch]
        pad = processor.tokenizer.pad_token_id
        tokens = model.generate(**inputs, max_new_tokens=max(limits), do_sample=False, pad_token_id=pad)
        new = tokens[:, inputs["input_ids"].shape[1] :].tolist()
        answers += [answer[:limit] for answer, limit in zip(new, limits, strict=True)]
    synchronise()
    return answers


def synchronise() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def seconds(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def alike(requests: Sequence[Request], size: int) -> list[list[Request]]:
    """Split requests, in their order, where the number of pictures changes, as most processors need it."""
    runs: list[list[Request]] = []
    for each in requests:
        if runs and len(runs[-1]) < size and len(runs[-1][0].images) == len(each.images):
            runs[-1].append(each)
        else:
            runs.append([each])
    return runs


def on_processor(limit: int, rounds: int) -> Figures:
    """Measure the embedded model on the generated questions."""
    from evalkit import config, pipeline  # which need what a machine with a GPU may lack

    setup = config.setup(["+suite=all", "model=tiny", f"limit={limit}"])
    asked = [each for task in setup.tasks for each in pipeline.render(task, pipeline.load(task, limit))]
    requests = list({each.key: each.request for each in asked}.values())
    runner: Any = setup.model.runner
    list(runner.generate(requests[:2]))
    model, processor, cap = runner._engine._model, runner._engine._processor, runner.max_new_tokens
    model.generation_config.top_k = None

    def static(size: int) -> None:
        for batch in alike(requests, size):
            loop(model, processor, batch, size, cap)

    found: dict[str, list[float]] = {"one at a time": [], "static batches of 8": [], "evalkit": []}
    reading = []
    for _ in range(rounds):
        found["one at a time"].append(seconds(lambda: static(1)))
        found["static batches of 8"].append(seconds(lambda: static(8)))
        with watched(runner._engine._continuous._decoder) as split:
            found["evalkit"].append(seconds(lambda: list(runner.generate(requests))))
        reading.append(split["reading prompts"])
        print({name: round(times[-1], 1) for name, times in found.items()}, split, flush=True)
    middle = {name: statistics.median(times) for name, times in found.items()}
    rates = {name: len(requests) / took for name, took in middle.items()}
    said = (
        f"{len(requests)} generated questions of {len(setup.tasks)} tasks, model tiny, up to {cap} tokens, "
        f"{os.cpu_count()} cores, the model on {torch.get_num_threads()}; medians of {rounds} rounds"
    )
    read = statistics.median(reading)
    note = (
        f"Of evalkit's {middle['evalkit']:.1f} s reading prompts and pictures takes {read:.1f}: were all else free, it "
        f"would be {middle['one at a time'] / read:.1f} times one at a time."
    )
    return Figures(
        "local_runner", "Local runner, embedded model", "python benchmarks/local_runner.py", said,
        (table(rates),), {"samples_per_second": rates, "seconds": found, "reading": reading}, PACKAGES, (note,),
    )  # fmt: skip


def table(rates: dict[str, float]) -> Table:
    """Return the rates beside the first."""
    first = next(iter(rates.values()))
    rows = tuple((name, f"{rate:.3g}", f"{rate / first:.1f}") for name, rate in rates.items())
    return Table("samples a second", ("runner", "samples/s", "ratio"), rows)


def on_gpu(small: bool) -> Figures:
    """Measure the workload: loops on its first requests, the runner on all; rates at the mean length of all."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    count, side, longest = (24, 112, 64) if small else (workload.COUNT, workload.SIDE, 1024)
    requests = workload.requests(count, side, longest)
    mean = sum(each.max_tokens for each in requests) / count
    model, processor = workload.model(device, small), workload.processor()
    brief = [Request(each.messages, 4, attempt=1) for each in requests]
    loop(model, processor, brief[:2], 1)
    rates: dict[str, float] = {}
    looped: dict[str, list[list[int]]] = {}
    for name, size, some in (
        ("one at a time", 1, 4),
        ("static batch of 32", 32, 32),
        ("static batch of 128", 128, 128),
    ):
        start = time.perf_counter()
        looped[name] = loop(model, processor, requests[:some], size)
        rates[name] = sum(map(len, looped[name])) / (time.perf_counter() - start) / mean
        print(f"{name}: {rates[name]:.3f} samples/s", flush=True)
    if device == "cuda":
        torch.cuda.empty_cache()
    engine = Engine(Loaded(processor, model), None, 4, None)
    list(engine.answer(brief[:8]))
    said_of: dict[str, list[int]] = {}
    respond = engine.response
    engine.response = lambda request, tokens, count: respond(  # type: ignore[assignment]
        request, said_of.setdefault(request.key, list(tokens)), count
    )
    with watched(engine._continuous and engine._continuous._decoder) as split:
        start, answered = time.perf_counter(), list(engine.answer(requests))
        took = time.perf_counter() - start
    assert {each.key: each.completion_tokens for each in answered} == {each.key: each.max_tokens for each in requests}
    rates["evalkit"] = count / took
    split["waiting and the rest"] = took - sum(split.values())
    print(f"evalkit: {rates['evalkit']:.3f} samples/s; {split}", flush=True)
    profile = profiled(lambda: list(engine.answer([Request(each.messages, 48, attempt=2) for each in requests[:64]])))
    alone = looped["one at a time"]
    same = {
        "evalkit": agreement(alone, [said_of[each.key] for each in requests]),
        **{name: agreement(alone, found) for name, found in looped.items()},
    }
    best = max(rate for name, rate in rates.items() if name.startswith("static"))
    tables = (
        table(rates),
        Table(
            "where its seconds go", ("part", "seconds"), tuple((name, f"{took:.1f}") for name, took in split.items())
        ),
        Table(
            "tokens before the first that differs from one at a time",
            ("runner", "share"),
            tuple((name, f"{share:.1%}") for name, share in same.items()),
        ),
        Table("device, 64 answers of 48 tokens", ("part", "share"), tuple((n, f"{v:.1%}") for n, v in profile.items())),
    )
    numbers = {
        "samples_per_second": rates,
        "beside_best_static": rates["evalkit"] / best,
        "seconds": split,
        "device": profile,
        "agreement": same,
    }
    said = (
        f"{count} prompts with a picture of {side}x{side}, answers of {mean:.0f} tokens (16 to {longest}), "
        f"{name_of(device)}, 4 workers"
    )
    return Figures(
        "local_runner_small" if small else "local_runner_gpu", "Local runner, Qwen2.5-VL-7B shape",
        "python benchmarks/local_runner.py --gpu", said, tables, numbers, PACKAGES,
        ("Loops: their first 4, 32 and 128 requests, once; rates by tokens, at the mean length of all.",),
    )  # fmt: skip


def agreement(alone: Sequence[Sequence[int]], others: Sequence[Sequence[int]]) -> float:
    """Return the share of tokens that come before an answer's first difference; random weights make it a low bound."""
    pairs = [list(zip(*both, strict=True)) for both in zip(alone, others, strict=False)]
    kept = sum(next((place for place, (a, b) in enumerate(pair) if a != b), len(pair)) for pair in pairs)
    return kept / sum(map(len, pairs))


def name_of(device: str) -> str:
    """Return the device in words."""
    return torch.cuda.get_device_name() if device == "cuda" else device


@contextmanager
def watched(decoder: Any) -> Iterator[dict[str, float]]:
    """Yield how many seconds a decoder takes meanwhile for each part of its work."""
    split = {"reading prompts": 0.0, "decoding": 0.0}
    admit, step = decoder.admit, decoder.step
    decoder.admit = timed(admit, split, "reading prompts")
    decoder.step = timed(step, split, "decoding")
    try:
        yield split
    finally:
        decoder.admit, decoder.step = admit, step


def timed(method: Callable[..., list[Response]], split: dict[str, float], name: str) -> Callable[..., list[Response]]:
    """Return the method, adding to `split` the seconds that it takes."""

    def run(*arguments: Any) -> list[Response]:
        start = time.perf_counter()
        found = method(*arguments)
        split[name] += time.perf_counter() - start
        return found

    return run


def profiled(action: Callable[[], object]) -> dict[str, float]:
    """Return the share of the time in which the device was idle, and the shares of the ten costliest kernels."""
    activities = torch.profiler.ProfilerActivity
    if not torch.cuda.is_available():
        return {}
    with torch.profiler.profile(activities=[activities.CUDA]) as profile:
        synchronise()
        start = time.perf_counter()
        action()
        synchronise()
        took = (time.perf_counter() - start) * 1e6
    kernels = sorted(profile.key_averages(), key=lambda each: each.self_device_time_total, reverse=True)
    busy = sum(each.self_device_time_total for each in kernels)
    return {"idle": 1 - busy / took, **{each.key[:60]: each.self_device_time_total / took for each in kernels[:10]}}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="store_true", help="the workload of workload.py")
    parser.add_argument("--small", action="store_true", help="with --gpu: a reduced shape, for a machine without a GPU")
    parser.add_argument("--limit", type=int, default=8, help="generated questions a task")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    publish(on_gpu(chosen.small) if chosen.gpu else on_processor(chosen.limit, chosen.rounds))


if __name__ == "__main__":
    main()
