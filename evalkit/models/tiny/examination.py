"""A trained checkpoint sits the generated exams: seeds, fonts and words that training never drew; the real scorers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from evalkit import config, pipeline
from evalkit.models.tiny.lessons import gold, named
from evalkit.runners._question import question
from evalkit.runners.transformers import TransformersRunner
from evalkit.types import Sample, Score, Task

LONGEST = 320


def examine(checkpoint: Path, seeds: Sequence[int], n: int, batch_size: int = 32) -> Iterator[dict[str, object]]:
    """Yield a line for each seed and task: its score, the share of exact answers, and the seconds it took."""
    runner = TransformersRunner(id=str(checkpoint), batch_size=batch_size, max_new_tokens=LONGEST, dtype="float32")
    for seed in seeds:
        for task in config.setup(["+suite=all", f"data.seed={seed}", f"data.n={n}"]).tasks:
            clock = time.monotonic()
            samples = pipeline.load(task, None)
            asked = pipeline.render(task, samples)
            texts = {response.key: response.text for response in runner.generate(each.request for each in asked)}
            scores, exact = [], 0
            sat = [(one, each) for one, each in zip(samples, asked, strict=True) if _scorable(task, one)]
            for sample, each in sat:
                text = texts.get(each.key, "")
                found = task.extract(sample, text)
                value = task.score(sample, found.prediction)
                scores.append(Score(sample.id, sample.group, found.prediction, found.rule, "ok", value))
                asked_for = question(each.request)
                exact += text.strip().endswith(asked_for.answered(named(asked_for, gold(sample))))
            total = task.aggregate(task.settle([one for one, _ in sat], scores))
            yield {
                "seed": seed,
                "task": task.name,
                "n": len(scores),
                "score": round(total.value, 2),
                "of": total.scale,
                "exact": round(exact / len(scores), 3),
                "seconds": round(time.monotonic() - clock, 1),
            }


def _scorable(task: Task, sample: Sample) -> bool:
    return bool(sample.answers) and not task.needs_judge(sample)
