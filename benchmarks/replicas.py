"""One worker beside several on a Ray cluster of this machine: samples a second of the same questions.

On processors, with the embedded model: `python benchmarks/replicas.py [--workers 2]`. On GPUs, one a worker, with
random weights of Qwen2.5-VL-7B's shape on the workload of workload.py: `python benchmarks/replicas.py --gpus 2`; with a
checkpoint on generated questions: `python benchmarks/replicas.py --gpus 2 --model hf --set id=FOLDER`. Loading is left
out: each worker has answered some questions before the clock starts.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ray
import workload
from measure import Figures, Table, publish

from evalkit.runners._replicas import _packed
from evalkit.runners.ray import RayRunner
from evalkit.types import Request, Response, Runner

PACKAGES = ("ray", "torch", "transformers")


class RandomWeights:
    """The workload's model, made where it answers, so that no checkpoint need lie anywhere."""

    def __init__(self, small: bool) -> None:
        self.small = small
        self._engine: Any = None

    def identity(self) -> Mapping[str, str]:
        """Return its shape."""
        return {"engine": "workload", "small": str(self.small)}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield the answers of evalkit's engine."""
        if self._engine is None:
            import torch

            from evalkit.runners._engine import Engine
            from evalkit.runners._loading import Loaded

            model = workload.model("cuda" if torch.cuda.is_available() else "cpu", self.small)
            self._engine = Engine(Loaded(workload.processor(), model), None, 4, None)
        yield from self._engine.answer(list(requests))


def chosen_model(name: str, settings: Sequence[str], limit: int) -> tuple[Runner, list[Request]]:
    """Return a configured model's runner, and `limit` generated questions."""
    from evalkit import config, pipeline

    words = [f"model={name}", *(f"model.{each}" for each in settings)]
    (task,) = config.setup(["task=docvqa", f"data.n={limit}", *words]).tasks
    asked = pipeline.render(task, pipeline.load(task, limit))
    return config.model(words).runner, [each.request for each in asked]


def rates(runner: Runner, requests: Sequence[Request], workers: int, gpus: float, rounds: int) -> list[float]:
    """Return the samples a second of each round."""
    replicas = RayRunner(runner=runner, workers=workers, gpus_per_worker=gpus, chunk=-(-len(requests) // workers))
    warm = _packed([replace(each, max_tokens=4, attempt=1) for each in requests[:4]])
    list(replicas.generate(warm[:1]))  # starts the workers
    every = [worker.actor for worker in replicas._replicas._workers]
    for asked in (warm, *[None] * len(warm)):  # the last call finds the end
        ray.get([actor.answer.remote(False, asked) for actor in every])
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        answers = list(replicas.generate(requests))
        found.append(len(requests) / (time.perf_counter() - start))
        failed = [answer.error for answer in answers if answer.error]
        assert not failed, failed[0]
        assert len(answers) == len(requests)
    return found


def main() -> None:
    """Measure one worker, then several, and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="on processors")
    parser.add_argument("--gpus", type=int, default=0, help="workers with a GPU each, instead")
    parser.add_argument("--model", help="a model's config; else tiny, or with --gpus random weights")
    parser.add_argument("--set", action="append", default=[], help="a setting of that config, such as id=FOLDER")
    parser.add_argument("--small", action="store_true", help="random weights of a reduced shape, on any machine")
    parser.add_argument("--requests", type=int, default=0, help="how many; else 40, or the workload's")
    parser.add_argument("--rounds", type=int, default=0, help="how many; else 3, or 1 with --gpus")
    chosen = parser.parse_args()
    workers, rounds = chosen.gpus or chosen.workers, chosen.rounds or (1 if chosen.gpus else 3)
    runner: Runner
    if chosen.small or (chosen.gpus and not chosen.model):
        side, longest = (112, 64) if chosen.small else (workload.SIDE, 1024)
        count = chosen.requests or (24 if chosen.small else workload.COUNT)
        runner, requests = RandomWeights(chosen.small), workload.requests(count, side, longest)
        model = "random weights, reduced" if chosen.small else "random weights of Qwen2.5-VL-7B's shape"
        asked = f"prompts with a picture of {side} x {side}, answers of 16 to {longest} tokens"
    else:
        model = chosen.model or "tiny"
        runner, requests = chosen_model(model, chosen.set, chosen.requests or 40)
        asked = "generated questions of docvqa"
    kind = "_small" if chosen.small else "_gpu" if chosen.gpus else ""
    # Here, or the cluster of the first measurement would have room for its workers alone.
    ray.init(
        address="local",
        num_cpus=workers,
        num_gpus=chosen.gpus or None,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    found = {count: rates(runner, requests, count, float(bool(chosen.gpus)), rounds) for count in (1, workers)}
    medians = {count: statistics.median(each) for count, each in found.items()}
    rows = tuple((str(count), f"{rate:.3g}", f"{rate / medians[1]:.2f}") for count, rate in medians.items())
    place = f"{chosen.gpus} GPUs" if chosen.gpus else "processors"
    publish(
        Figures(
            f"replicas{kind}",
            "Replicas through Ray",
            "python benchmarks/replicas.py" + (f" --gpus {chosen.gpus}" if chosen.gpus else ""),
            f"{len(requests)} {asked}, {model}, {place}, medians of {rounds}",
            (Table("samples a second", ("workers", "samples/s", "ratio"), rows),),
            {
                "samples_per_second": {str(count): each for count, each in found.items()},
                "ratio": medians[workers] / medians[1],
            },
            PACKAGES,
        )
    )


if __name__ == "__main__":
    main()
