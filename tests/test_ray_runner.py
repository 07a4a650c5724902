"""Replicas on a Ray cluster of this machine: nothing lost, nothing doubled, whoever dies."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from evalkit import config, images, pipeline
from evalkit.errors import ConfigError, ImageError, ModelError
from evalkit.interrupts import Wanted
from evalkit.runners import _replicas
from evalkit.runners.ray import RayRunner
from evalkit.types import Failure, Image, Message, Request, Response

pytest.importorskip("ray", reason="the package ray is not installed: pip install 'evalkit[ray]'")


@dataclass(frozen=True)
class Echo:
    """Answers each question with its process after a pause; `poison` kills that process, `broken` ends the run."""

    pause: float = 0.02
    version: str = "1"
    process_bound: bool = False

    def identity(self) -> Mapping[str, str]:
        return {"engine": "echo", "version": f"{os.getpid()}" if self.process_bound else self.version}

    def weights(self) -> Mapping[str, str]:
        return {"bytes": "7"}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        for request in requests:
            time.sleep(self.pause)
            text = str(request.messages[0].parts[0])
            if text == "poison":
                os.kill(os.getpid(), signal.SIGKILL)
            if text == "broken":
                raise ModelError("no such checkpoint: choose another")
            try:
                seen = "".join(images.encoded(image).decode() for image in request.images)
            except ImageError as error:
                yield Response(request.key, "", error=Failure("preprocess", str(error)))
            else:
                yield Response(request.key, seen or str(os.getpid()), "stop")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    import ray
    from ray import cloudpickle

    patch = pytest.MonkeyPatch()
    patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    patch.setenv("RAY_AUTH_TOKEN", uuid.uuid4().hex)  # or Ray would write one into the user's home
    memory, before = 80 * 2**20, signal.getsignal(signal.SIGTERM)
    ray.init(
        address="local",
        num_cpus=4,
        num_gpus=0,
        object_store_memory=memory,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]
    ray.shutdown()
    signal.signal(signal.SIGTERM, before)  # which Ray takes for itself
    patch.undo()


def ask(*texts: str) -> list[Request]:
    return [Request((Message("user", (text,)),), 16) for text in texts]


def questions(count: int) -> list[Request]:
    return ask(*(f"question {number}" for number in range(count)))


def keys(responses: Iterable[Response]) -> list[str]:
    return sorted(response.key for response in responses)


def test_answers_and_identity_are_those_of_the_model_alone() -> None:
    chosen = config.setup(["task=docvqa", "limit=6", "model=ray", "model.workers=2", "model.chunk=2"])
    alone = config.model(["model=tiny"])
    (task,) = chosen.tasks
    requests = [each.request for each in pipeline.render(task, pipeline.load(task, 6))]
    assert isinstance(chosen.model.runner, RayRunner)
    assert chosen.model.name == alone.name
    assert chosen.model.runner.identity() == alone.runner.identity()
    expected = {response.key: response for response in alone.runner.generate(requests)}
    found = list(chosen.model.runner.generate(requests))
    assert keys(found) == keys(expected.values())
    assert {response.key: response for response in found} == expected
    assert not any(response.error for response in found)


def test_the_requests_of_a_worker_that_is_killed_are_answered_once() -> None:
    requests = questions(60)
    answers, killed = [], ""
    for response in RayRunner(runner=Echo(), workers=3, chunk=8).generate(iter(requests)):
        if not killed:
            killed = response.text
            os.kill(int(killed), signal.SIGKILL)
        answers.append(response)
    assert keys(answers) == keys(Response(request.key, "") for request in requests)
    assert not any(answer.error for answer in answers)
    assert 1 <= sum(answer.text == killed for answer in answers) < 60


def test_a_request_that_kills_its_workers_fails_by_name_and_alone() -> None:
    requests = [*questions(12), *ask("poison"), *questions(20)[12:]]
    answers = list(RayRunner(runner=Echo(pause=0.0), workers=2, chunk=8).generate(requests))
    assert keys(answers) == keys(Response(request.key, "") for request in requests)
    (failed,) = [answer for answer in answers if answer.error]
    assert failed.key == requests[12].key
    assert failed.error
    assert failed.error.kind == "request"
    assert failed.error.message.startswith("3 workers in a row died of this request (the last: ")


def test_workers_that_never_answer_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_replicas, "FRUITLESS", 2)
    with pytest.raises(ModelError, match="2 workers died, and none of them answered anything"):
        list(RayRunner(runner=Echo(), workers=1).generate(ask("poison")))


def test_a_cluster_without_room_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    # No process starts as quickly as this.
    monkeypatch.setattr(_replicas, "NOTICE", 0.001)
    monkeypatch.setattr(_replicas, "PATIENCE", 0.0)
    with pytest.raises(ModelError, match="started none of 1 workers within 0 s"):
        list(RayRunner(runner=Echo(), workers=1).generate(questions(1)))


def test_requests_are_drawn_as_workers_become_free_and_answers_come_as_they_finish() -> None:
    drawn, answered, most = 0, 0, 0

    def draw() -> Iterator[Request]:
        nonlocal drawn
        for request in questions(90):
            drawn += 1
            yield request

    for _ in RayRunner(runner=Echo(0.005), workers=2, chunk=4).generate(draw()):
        most = max(most, drawn - answered)
        answered += 1
    assert answered == drawn == 90
    assert most == 3 * 2 * 4


def test_a_stop_lets_each_worker_end_as_its_runner_does_and_the_next_run_starts_afresh() -> None:
    runner = RayRunner(runner=Echo(0.02), workers=2, chunk=50)
    requests = questions(100)
    answers: list[Response] = []
    for response in runner.generate(Wanted(requests, lambda: len(answers) >= 10)):
        answers.append(response)
    assert 10 <= len(answers) <= 10 + 2 * (_replicas.AHEAD + 1)
    left = [request for request in requests if request.key not in {answer.key for answer in answers}]
    answers += runner.generate(left)
    assert keys(answers) == keys(Response(request.key, "") for request in requests)
    assert runner.weights() == {"bytes": "7"}


def test_closing_the_iterator_ends_what_is_at_work() -> None:
    runner = RayRunner(runner=Echo(), workers=2, chunk=8)
    answers = runner.generate(questions(40))
    worker = int(next(iter(answers)).text)
    answers.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 30
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


def test_a_chunk_has_no_more_pictures_than_requests() -> None:
    page = Image("0" * 64, 1, 1, "page", read=lambda: b"page")
    many = [Request((Message("user", (f"{number}", page, page, page)),), 16) for number in range(5)]
    replicas = _replicas.Replicas(lambda: None, {}, 1, 8)
    replicas._waiting, replicas._suspects = deque(_replicas._Asked(each) for each in many), deque()
    replicas._even = 8
    assert [len(replicas._share()) for _ in range(4)] == [2, 2, 1, 0]


def test_pictures_travel_and_one_that_cannot_be_read_is_left_to_the_runner() -> None:
    there = Image("0" * 64, 1, 1, "there", read=lambda: b"pixels")

    def lost() -> bytes:
        raise FileNotFoundError(2, "No such file")

    gone = Image("1" * 64, 1, 1, "gone.png", read=lost)
    requests = [Request((Message("user", ("?", image)),), 16) for image in (there, gone)]
    answers = list(RayRunner(runner=Echo(), workers=1).generate(requests))
    assert answers == list(Echo().generate(requests))
    assert [answer.text for answer in answers] == ["pixels", ""]


@pytest.mark.parametrize(
    ("runner", "sentence"),
    [
        (RayRunner(runner=Echo(), workers=1), "^no such checkpoint: choose another$"),
        (RayRunner(runner=Echo(process_bound=True), workers=1), "a worker has another model than this process"),
        (RayRunner(runner=Echo(), workers=5), "5 workers with 1 CPU each need more than the 4 CPU"),
        (RayRunner(runner=Echo(), gpus_per_worker=0.5), "2 workers with 0.5 GPU each need more than the 0 GPU"),
    ],
    ids=["its own error", "another model", "processors", "GPUs"],
)
def test_what_ends_a_run_says_so(runner: RayRunner, sentence: str) -> None:
    with pytest.raises(ModelError, match=sentence):
        list(runner.generate(ask("broken")))


def refused(words: list[str]) -> str:
    with pytest.raises(ConfigError) as caught:
        config.model(words)
    return str(caught.value)


def test_what_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = ["model.of=endpoint", "model.of.base_url=http://localhost/v1", "model.of.model=m"]
    assert "needs no replicas" in refused(["model=ray", *endpoint])
    assert "at least 1" in refused(["model=ray", "model.workers=0"])
    assert "unknown model.of 'tini': type model.of=tiny" in refused(["model=ray", "model.of=tini"])
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'evalkit\[ray\]'"):
        list(RayRunner(runner=Echo()).generate(ask("?")))
