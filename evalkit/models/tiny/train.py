"""Trains the tiny model.

python -m evalkit.models.tiny.train --out DIR --fonts DIR [--seconds 560] [--resume DIR]

One GPU, or a processor for a look (`--tiny --steps 30`). Writes DIR/checkpoint (bf16, what `model=hf model.id=` takes),
DIR/state.pt for `--resume`, DIR/log.jsonl, and after the end the scores on unseen seeds, fonts and words.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from multiprocessing import Value
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import LlavaNextForConditionalGeneration

from evalkit import config
from evalkit.models.tiny import build, trained
from evalkit.models.tiny.examination import examine
from evalkit.models.tiny.feed import Feed, Room
from evalkit.models.tiny.learner import Learner
from evalkit.models.tiny.trained import SMALL, Shape

WARM_UP = 200
COOLING = 0.55  # the share of the training after which the learning rate falls
SHARD = "12MB"


def rate(step: int, progress: float, peak: float, warm_up: int) -> float:
    """Return the learning rate: up at first, level, and down along a cosine."""
    falling = max(0.0, (progress - COOLING) / (1 - COOLING))
    return peak * min(1.0, (step + 1) / warm_up) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * falling)))


def optimisers(learner: Learner, peak: float) -> list[tuple[torch.optim.Optimizer, float]]:
    """Return Muon for the matrices within layers and AdamW for all else, each with its highest learning rate."""
    matrices = {value for layer in learner.layers for value in layer.parameters() if value.ndim == 2}
    others = [value for value in learner.parameters() if value not in matrices]
    ordered = [value for value in learner.parameters() if value in matrices]
    muon = torch.optim.Muon(ordered, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
    adam = torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.05)
    return [(muon, 3 * peak), (adam, peak)]


def batches(loader: DataLoader[Any], device: torch.device) -> Iterator[dict[str, Any]]:
    """Yield batches on the device."""
    for batch in loader:
        yield {
            name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
            for name, value in batch.items()
        }


def resume(learner: Learner, tools: Sequence[tuple[torch.optim.Optimizer, float]], folder: Path) -> int:
    """Go on from an earlier training's folder; return for how many steps the head has to learn by itself.

    Where the state was not kept the checkpoint serves, which has no head: one that knows nothing would spoil the tower.
    """
    if not (folder / "state.pt").is_file():
        loaded = LlavaNextForConditionalGeneration.from_pretrained(folder / "checkpoint", dtype=torch.float32)
        learner.model.load_state_dict(loaded.state_dict())
        return WARM_UP
    state = torch.load(folder / "state.pt", map_location=learner.head.weight.device, weights_only=True)
    learner.load_state_dict(state["learner"])
    for (tool, _), kept in zip(tools, state["tools"], strict=True):
        tool.load_state_dict(kept)
    return 0


def correct(batch: dict[str, Any], wrong: torch.Tensor) -> list[float]:
    """Return for each lesson of a batch 1.0 where all of its answer is right, else 0.0."""
    counts = torch.cat([wrong.new_zeros(1, dtype=torch.long), wrong.cumsum(0)])[batch["bounds"].long()].diff()
    return [float(count == 0) for count in counts[: len(batch["kinds"])].tolist()]


def save(learner: Learner, shape: Shape, folder: Path) -> None:
    """Write the checkpoint, with weights in bf16 in files of at most `SHARD`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().to("cpu", torch.bfloat16) for name, value in learner.model.state_dict().items()}
    learner.model.save_pretrained(folder, state_dict=weights, max_shard_size=SHARD)
    trained.write_parts(folder, shape)


def train(options: argparse.Namespace) -> Path:
    """Train and return the checkpoint's folder."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(options.seed)
    torch.set_float32_matmul_precision("high")
    if device.type == "cpu":
        torch.set_num_threads(1)  # more wait for each other on a machine that does anything else
    shape = SMALL if options.tiny else Shape()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    learner = Learner(shape).to(device)
    tools = optimisers(learner, options.rate)
    alone = resume(learner, tools, Path(options.resume)) if options.resume else 0
    if options.compile:
        for layer in learner.layers:
            layer.compile()
    progress = Value("d", options.start)
    faces = sorted(str(path) for path in Path(options.fonts).rglob("*") if path.suffix in (".ttf", ".otf"))
    tasks = config.setup(["+suite=all"]).tasks
    room = Room(options.budget, options.budget * 7 // 1024, max(64, options.budget // 256), min(options.budget, 6144))
    feed = Feed(tasks, faces, shape, room, options.seed, progress, options.exams)
    loader = DataLoader(feed, None, num_workers=options.workers, pin_memory=device.type == "cuda",
                        prefetch_factor=4 if options.workers else None)  # fmt: skip
    cast = torch.autocast(device.type, torch.bfloat16) if device.type == "cuda" else nullcontext()
    started, shown, seen, waited = time.monotonic(), 0.0, 0, 0.0
    sums: dict[str, list[float]] = defaultdict(list)
    with (out / "log.jsonl").open("a") as log:
        source = batches(loader, device)
        for step in range(options.steps):
            clock = time.monotonic()
            batch = next(source)
            waited += time.monotonic() - clock
            if not step:
                started = time.monotonic()  # what the workers need to begin with is no time of training
            elapsed = time.monotonic() - started
            done = max(step / options.steps, elapsed / options.seconds)
            if done >= 1:
                break
            progress.value = options.start + (options.end - options.start) * done
            for tool, peak in tools:
                for group in tool.param_groups:
                    group["lr"] = rate(step, progress.value, peak, max(1, min(WARM_UP, options.steps // 4)))
                tool.zero_grad(set_to_none=True)
            with cast:
                answers, patches, wrong = learner(batch, head_alone=step < alone)
                loss = answers + (1.0 if progress.value < 0.7 else 0.3) * patches
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
            for tool, _ in tools:
                tool.step()
            seen += len(batch["kinds"])
            # Reading a value waits for the device.
            if step % 10 == 0 or options.steps <= 100:
                sums["loss"].append(answers.item())
                sums["patches"].append(patches.item())
                sums["filled"].append(batch["ids"].ne(build.PAD).float().mean().item())
                for kind, one in zip(batch["kinds"], correct(batch, wrong), strict=True):
                    sums[kind].append(one)
            if elapsed - shown > options.every or step == options.steps - 1:
                means = {name: round(sum(values) / len(values), 4) for name, values in sums.items() if values}
                line = {
                    "step": step,
                    "seconds": round(elapsed, 1),
                    "waited": round(waited, 1),
                    "lessons": seen,
                    **means,
                }
                print(json.dumps(line), flush=True)
                log.write(json.dumps(line) + "\n")
                log.flush()
                shown = elapsed
                sums.clear()
    kept = {"learner": learner.state_dict(), "tools": [tool.state_dict() for tool, _ in tools]}
    torch.save(kept, out / "state.pt")
    save(learner, shape, out / "checkpoint")
    return out / "checkpoint"


def main() -> None:
    """Read the command line, train, and examine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder for checkpoint, state and log")
    parser.add_argument("--fonts", required=True, help="folder of training fonts (ttf, otf); none of evaluation's")
    parser.add_argument("--resume", help="folder of an earlier training's --out")
    parser.add_argument("--start", type=float, default=0.0, help="where in the curriculum to begin, 0 to 1")
    parser.add_argument("--end", type=float, default=1.0, help="where in the curriculum to end")
    parser.add_argument("--exams", type=float, default=0.85, help="the share of exams at the curriculum's end")
    parser.add_argument("--steps", type=int, default=10**6)
    parser.add_argument("--seconds", type=float, default=560.0)
    parser.add_argument("--budget", type=int, default=131072, help="tokens of a batch")
    parser.add_argument("--rate", type=float, default=1e-3, help="the highest learning rate")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--every", type=float, default=20.0, help="seconds between lines of the log")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compile", action="store_true", help="compile the layers")
    parser.add_argument("--tiny", action="store_true", help="a much smaller model, to see that all of it runs")
    parser.add_argument("--examine", type=int, default=24, help="rows of each task in the examination; 0 for none")
    parser.add_argument("--seeds", type=int, nargs="*", default=[101], help="unseen seeds of the examination")
    options = parser.parse_args()
    checkpoint = train(options)
    if options.examine:
        for line in examine(checkpoint, options.seeds, options.examine):
            print(json.dumps(line), flush=True)
            with (Path(options.out) / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
