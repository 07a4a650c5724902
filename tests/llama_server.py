"""A program: serves the GGUF file that it is given as OpenAI's chat completions, by llama.cpp, on a loopback port."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any


def main(model: str, port: str) -> None:
    xllamacpp: Any = import_module("xllamacpp")
    wanted = xllamacpp.CommonParams()
    wanted.model.path = model
    wanted.hostnames = ["127.0.0.1"]
    wanted.port = int(port)
    wanted.n_ctx = 2048
    wanted.n_parallel = 1
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 2
    wanted.sampling.seed = 0
    server = xllamacpp.Server(wanted)
    signal.pause()
    del server  # which has served meanwhile


if __name__ == "__main__":
    main(*sys.argv[1:])
