"""Runs replicas of another runner on a Ray cluster: on the GPUs of one box, or of many nodes. Knows no benchmark."""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property, partial
from typing import Any

from evalkit.errors import ConfigError, ModelError
from evalkit.runners._replicas import Replica, Replicas
from evalkit.runners.endpoint import EndpointRunner
from evalkit.types import Request, Response, Runner


@dataclass(frozen=True, kw_only=True)
class RayRunner:
    """Answers with `workers` replicas of `runner`, each in a process of its own.

    `address` is a running cluster's: `auto` for the one that this machine belongs to, HOST:PORT, or ray://HOST:PORT;
    None starts one on this machine, which ends with this object or process. A process that is connected already stays
    with its cluster. `gpus_per_worker` and `cpus_per_worker` are what Ray sets aside for each worker, fractions
    included; None is one GPU where the cluster has any, else none. A worker is given at most `chunk` requests and,
    together, pictures at a time, best several times its batch; at most three chunks a worker are drawn and unanswered.
    `init` has more arguments of `ray.init`. Raises ConfigError where a value cannot work.

    Above temperature 0 an answer may depend on which requests a worker was given together.
    """

    runner: Runner
    workers: int = 2
    address: str | None = None
    gpus_per_worker: float | None = None
    cpus_per_worker: float = 1.0
    chunk: int = 256
    init: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.runner, EndpointRunner):
            raise ConfigError(f"model {self.runner.model} is an endpoint, which needs no replicas: set its concurrency")
        if self.workers < 1 or self.chunk < 1 or self.cpus_per_worker < 0 or (self.gpus_per_worker or 0) < 0:
            raise ConfigError("workers and chunk are at least 1, and a worker's GPUs and CPUs at least 0: mend them")

    def identity(self) -> Mapping[str, str]:
        """Return the identity of `runner`: its answers are the same, and stored ones count for both."""
        return self.runner.identity()

    def weights(self) -> Mapping[str, str]:
        """Return what one replica says of its weights; empty before loading."""
        return self._replicas.weights() if "_replicas" in self.__dict__ else {}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield one response per request as they finish, drawing requests as workers become free.

        What a dead worker had not answered is asked of others; a request with which three workers died is a failure
        (`request`). Once a stop is asked for, each worker ends as its runner does. Raises ModelError where there is no
        cluster or too small a one, where workers have another model or die at once, and where `runner` does.
        """
        yield from self._replicas.answer(requests)

    @cached_property
    def _replicas(self) -> Replicas:
        try:
            import ray
        except ImportError:
            raise ConfigError("model=ray needs the package ray: type pip install 'evalkit[ray]'") from None
        if not ray.is_initialized():
            self._connect()
        gpus = self._set_aside(ray.cluster_resources())  # type: ignore[no-untyped-call]
        actor = ray.remote(num_cpus=self.cpus_per_worker, num_gpus=gpus, max_restarts=0)(Replica)
        runner = _portable(self.runner)
        return Replicas(lambda: actor.remote(runner), self.identity(), self.workers, self.chunk)

    def _connect(self) -> None:
        import ray

        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options: dict[str, Any] = {"address": self.address, "log_to_driver": False, "logging_level": logging.ERROR}
        if self.address is None:
            cores = max(1, math.ceil(self.workers * self.cpus_per_worker))
            options |= {"address": "local", "num_cpus": cores, "include_dashboard": False}
        main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(**{**options, **self.init})
        except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
            where = f"no Ray cluster at {self.address}" if self.address else "Ray does not start here"
            said = " ".join(str(error).split())[:300]
            raise ModelError(f"{where} ({said}): type ray start --head on one node, or mend address") from error
        finally:
            if main:  # Ray takes the signal for itself, and a run is to store what is in flight
                signal.signal(signal.SIGTERM, before)
        weakref.finalize(self, ray.shutdown)

    def _set_aside(self, total: Mapping[str, float]) -> float:
        """Return the GPUs of a worker. Raises ModelError where the cluster has too little for all."""
        gpus = self.gpus_per_worker if self.gpus_per_worker is not None else float(total.get("GPU", 0) > 0)
        for name, each in (("GPU", gpus), ("CPU", self.cpus_per_worker)):
            there = total.get(name, 0.0)
            if each * self.workers > there:
                raise ModelError(
                    f"{self.workers} workers with {each:g} {name} each need more than the {there:g} {name} of the Ray "
                    f"cluster: lower model.workers or model.{name.lower()}s_per_worker, or add nodes"
                )
        return gpus


def _portable(runner: Any) -> Any:
    """Return a copy that can be sent to another machine, without what the runner may have cached of this one.

    Functions that prepare a checkpoint become plain ones, since those that a config makes refuse to be sent.
    """
    if not is_dataclass(runner) or isinstance(runner, type):
        return runner
    values = {each.name: getattr(runner, each.name) for each in fields(runner) if each.init}
    plain = {k: partial(v.func, *v.args, **v.keywords) for k, v in values.items() if isinstance(v, partial)}
    return replace(runner, **plain)
