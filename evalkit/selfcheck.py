"""Whether pictures, prompts, batching and scorers behave as released: a model's run beside what was recorded of it.

The digests and the scorers' values are the same on every machine, whatever the model. The score of a model that can
read shows the path of a picture as a whole; the two probes show it for one that cannot, since its answers still depend
on what it sees.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata

from evalkit.images import decode, from_bytes
from evalkit.responses import read_responses
from evalkit.runners._question import question
from evalkit.store import RunDir
from evalkit.types import Asked, Image, Request, Response, Runner, Sample, Task

# How many samples of a task are asked again, for each of the two probes.
PROBED = 4
# Greedy answers flip between processors and versions of torch: so many samples a task may.
FLIPPED = 2
# What decides the pixels of a generated picture.
DRAWN_WITH = ("pillow", "pypdfium2")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one task showed.

    `prompts` is a digest of all texts and of the places and sizes of their pictures, `pictures` one of the pixels in
    the order in which they are shown. `right` and `wrong` are the mean values, in [0, 1], of the gold answer and of the
    next sample's gold answer, each given in the form that the prompt asks for. `score` is the task's, on its own scale,
    and `step` what one of its samples is worth. Of the first samples with pictures, `seen` were answered otherwise when
    these were blank, and `alone` were answered the same when asked one by one. `answers` are digests of all answers, in
    the samples' order, with spaces between; empty in older records.
    """

    prompts: str
    pictures: str
    right: float
    wrong: float
    score: float
    step: float
    seen: int
    alone: int
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """What was recorded of a model: on which rows, drawn with which versions, and each task's behaviour."""

    data: str
    drawn_with: Mapping[str, str]
    tasks: Mapping[str, Behaviour] = field(default_factory=dict)


@dataclass(frozen=True)
class Blanked:
    """A model that is shown white sheets of the same size in place of the pictures."""

    runner: Runner

    def identity(self) -> Mapping[str, str]:
        """Return the model's, and that it saw nothing."""
        return {**self.runner.identity(), "pictures": "blank"}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        """Yield one response per request; requests that differ in nothing but their pictures are asked once."""
        keys: dict[str, list[str]] = {}
        blank: dict[str, Request] = {}
        for request in requests:
            other = blanked(request)
            blank[other.key] = other
            keys.setdefault(other.key, []).append(request.key)
        for response in self.runner.generate(blank.values()):
            for key in keys[response.key]:
                yield replace(response, key=key)


def blanked(request: Request) -> Request:
    """Return the request with a white sheet in each picture's place."""

    def parts(old: Iterable[str | Image]) -> tuple[str | Image, ...]:
        return tuple(_white(part) if isinstance(part, Image) else part for part in old)

    return replace(request, messages=tuple(replace(turn, parts=parts(turn.parts)) for turn in request.messages))


def _white(image: Image) -> Image:
    import PIL.Image

    buffer = io.BytesIO()
    PIL.Image.new("RGB", (image.width, image.height), "white").save(buffer, "PNG")
    return from_bytes(buffer.getvalue(), image.name, image.name)


def drawn_with() -> dict[str, str]:
    """Return the versions of what draws the pictures; `absent` for a package that is not installed."""
    versions = {}
    for package in DRAWN_WITH:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "absent"
    return versions


def behaviour(
    run: RunDir, task: Task, samples: Sequence[Sample], asked: Sequence[Asked], score: tuple[float, float], ask: Runner
) -> Behaviour:
    """Measure one finished run. `score` is the task's value and the best possible one."""
    requests = [each.request for each in asked]
    answers = {key: response.text for key, response in read_responses(run.responses).items()}
    probed = [request for request in requests if request.images][:PROBED]
    blank = {response.key: response.text for response in Blanked(ask).generate(probed)}
    alone = [response for request in probed for response in ask.generate([request])]
    following = [*samples[1:], samples[0]]
    return Behaviour(
        prompts=_digest(_shown(request) for request in requests),
        pictures=_digest(_pixels(requests)),
        right=_mean(task, samples, samples, requests),
        wrong=_mean(task, samples, following, requests),
        score=round(score[0], 4),
        step=round(score[1] / len(samples), 4),
        seen=sum(blank[request.key] != answers.get(request.key) for request in probed),
        alone=sum(response.text == answers.get(response.key) for response in alone),
        answers=" ".join(_digest([answers.get(request.key, "")])[:8] for request in requests),
    )


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _shown(request: Request) -> str:
    parts = [
        f"{message.role}:{part}" if isinstance(part, str) else f"[{part.width}x{part.height}]"
        for message in request.messages
        for part in message.parts
    ]
    return "\n".join([*parts, f"{request.max_tokens} {request.temperature}"])


def _pixels(requests: Sequence[Request]) -> Iterator[str]:
    known: dict[str, str] = {}
    for image in (image for request in requests for image in request.images):
        if image.sha256 not in known:
            # Not the file's bytes: another version of zlib writes the same picture otherwise.
            known[image.sha256] = hashlib.sha256(decode(image).tobytes()).hexdigest()
        yield known[image.sha256]


def _mean(task: Task, samples: Sequence[Sample], answered: Sequence[Sample], requests: Sequence[Request]) -> float:
    """Value each sample's answer by the gold answer of the sample that stands in `answered` at its place."""
    values = []
    for sample, other, request in zip(samples, answered, requests, strict=True):
        if sample.answers and other.answers and not task.needs_judge(sample):
            said = question(request).answered(other.answers[0])
            values.append(task.score(sample, task.extract(sample, said).prediction))
    return round(sum(values) / len(values), 4) if values else 0.0


def moved(now: Behaviour, then: Behaviour, same_drawing: bool) -> list[str]:
    """Say what differs from the recorded behaviour beyond what another machine may change, each in a few words.

    `same_drawing` is False where other versions drew the pictures, whose pixels are then not compared.
    """
    found = []
    if now.prompts != then.prompts:
        found.append("the prompts changed (texts, or places and sizes of their pictures)")
    if same_drawing and now.pictures != then.pictures:
        found.append("the pictures changed (pixels, or their order)")
    for name, what in (("right", "right answers"), ("wrong", "wrong answers")):
        if abs(getattr(now, name) - getattr(then, name)) > 1e-3:
            found.append(f"the scorer gives {what} {getattr(now, name):.3f} and gave {getattr(then, name):.3f}")
    if abs(now.score - then.score) > FLIPPED * then.step + 1e-6:
        found.append(f"the score is {now.score:.2f} and was {then.score:.2f}")
    # A score may hide that a few answers changed which have something in common, such as two pictures.
    told, known = now.answers.split(), then.answers.split()
    changed = sum(one != other for one, other in zip(told, known, strict=False))
    if same_drawing and changed > FLIPPED:
        found.append(f"{changed} of {len(told)} answers are others than recorded")
    if now.seen < then.seen - FLIPPED:
        found.append(f"{now.seen} of {PROBED} answers depend on the picture, where {then.seen} did")
    if now.alone < then.alone - FLIPPED:
        found.append(f"{now.alone} of {PROBED} answers are the same alone as in a batch, where {then.alone} were")
    return found
