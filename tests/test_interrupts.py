"""Ctrl-C, SIGTERM and SIGKILL: what was in flight is stored, nothing new is begun, and another start goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import pytest
from chat_server import Exchange, serving

from evalkit import pipeline
from evalkit.cli import main
from evalkit.interrupts import Terminated, Wanted, draining, terminable
from evalkit.models.tiny import checkpoint
from evalkit.prompts import ask
from evalkit.responses import read_responses
from evalkit.runners.openai import OpenAIRunner
from evalkit.runners.replay import Scripted
from evalkit.runners.transformers import TransformersRunner
from evalkit.types import Request, Response

ROOT = Path(__file__).parents[1]
REQUESTS = [ask((f"{number} + {number}?",), 2) for number in range(12)]
pytestmark = pytest.mark.usefixtures("sigint")
STOPS = pytest.mark.parametrize(
    ("number", "raised", "status"), [(signal.SIGINT, KeyboardInterrupt, 130), (signal.SIGTERM, Terminated, 143)]
)


@STOPS
def test_the_first_signal_waits_for_the_block_to_end(
    number: signal.Signals, raised: type[KeyboardInterrupt], status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    noted: list[bool] = []

    def work() -> None:
        with terminable(), draining() as stopped:
            noted.append(stopped())
            signal.raise_signal(number)
            noted.append(stopped())

    with pytest.raises(raised):
        work()
    assert noted == [False, True]
    assert capfd.readouterr().err.startswith("evalkit: stopping as soon as the answers in flight are stored")


@STOPS
def test_the_second_signal_takes_effect_at_once(
    number: signal.Signals, raised: type[KeyboardInterrupt], status: int
) -> None:
    def work() -> None:
        with terminable(), draining():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(number)
            pytest.fail("went on")

    with pytest.raises(raised):
        work()


def test_handlers_are_as_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with terminable(), draining():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with draining() as stopped:
            signal.raise_signal(signal.SIGINT)
            assert not stopped()
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_nothing_is_heard() -> None:
    heard: list[bool] = []

    def work() -> None:
        with terminable(), draining() as stopped:
            heard.append(stopped())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [False]


class InFours:
    """Answers four requests at a time, and is interrupted while it works on the second four."""

    def identity(self) -> Mapping[str, str]:
        return {}

    def generate(self, requests: Iterable[Request]) -> Iterator[Response]:
        waiting = iter(requests)
        for turn in range(1, 9):
            batch = list(islice(waiting, 4))
            if turn == 2:
                signal.raise_signal(signal.SIGINT)
            yield from (Response(request.key, "x") for request in batch)


def test_a_batch_that_was_begun_is_stored_whole(tmp_path: Path) -> None:
    path = tmp_path / "responses.jsonl"
    with pytest.raises(KeyboardInterrupt), draining() as stopped:
        assert pipeline.generate(path, REQUESTS, InFours(), lambda _: None, stopped) == 8
    assert list(read_responses(path)) == [request.key for request in REQUESTS[:8]]
    assert pipeline.pending(path, REQUESTS) == REQUESTS[8:]


def test_transformers_finishes_the_answers_in_progress_alone() -> None:
    runner = TransformersRunner(id=checkpoint, device="cpu", batch_size=3, threads=1)
    responses: list[Response] = []
    for response in runner.generate(Wanted(REQUESTS, lambda: bool(responses))):
        responses.append(response)
    assert 1 <= len(responses) <= 3  # as many as were begun when the first ended
    assert all(response.error is None for response in responses)


def test_an_endpoint_answers_what_it_was_sent_and_gets_no_more() -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.prompt != REQUESTS[0].messages[0].parts[0]:
            first.wait(20)
        exchange.answer("x")

    first = threading.Event()
    with serving(answer) as server:
        runner = OpenAIRunner(model="m", base_url=server.url, concurrency=3)
        responses: list[Response] = []
        for response in runner.generate(Wanted(REQUESTS, lambda: bool(responses))):
            responses.append(response)
            first.set()
        assert len(responses) == len(server.seen) == 3
    assert all(response.error is None for response in responses)


def run(folder: Path, *more: str) -> int:
    words = ["run", "task=mathvista", "data.n=6", "model=replay", "model.name=m", f"results_dir={folder}", *more]
    return main([*words, "judge=replay", "judge.name=j"])


def answer_by(monkeypatch: pytest.MonkeyPatch, *, stop_at: int, number: signal.Signals) -> Scripted:
    """Be model and judge at once; its `stop_at`-th question is interrupted."""

    def answer(request: Request) -> str:
        if len(runner.asked) == stop_at:
            signal.raise_signal(number)
        return f"The answer is {len(request.key) % 3}."

    runner = Scripted(answer)
    monkeypatch.setattr("evalkit.runners.replay.Replay", lambda: runner)
    return runner


@pytest.mark.parametrize("stop_at", [2, 9], ids=["model", "judge"])
@STOPS
def test_a_stop_is_clean_and_the_next_start_goes_on(
    number: signal.Signals, raised: type[KeyboardInterrupt], status: int, stop_at: int,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    answer_by(monkeypatch, stop_at=0, number=number)
    assert run(tmp_path / "undisturbed") == 0
    stopped = answer_by(monkeypatch, stop_at=stop_at, number=number)
    assert run(tmp_path / "r") == status
    assert capsys.readouterr().err.endswith("the answers so far are stored: run the same command again to go on\n")
    folder = tmp_path / "r" / "runs" / "m" / "mathvista"
    stored = read_responses(folder / "responses.jsonl") | read_responses(folder / "verdicts-j.jsonl")
    assert len(stored) == len(stopped.asked) == stop_at
    assert json.loads((folder / "record.json").read_text())["sessions"][0]["answers"] == min(stop_at, 6)
    assert not (folder / "scores.jsonl").exists()
    resumed = answer_by(monkeypatch, stop_at=0, number=number)
    assert run(tmp_path / "r") == 0
    assert not {request.key for request in stopped.asked} & {request.key for request in resumed.asked}
    scores = (folder / "scores.jsonl").read_bytes()
    assert scores == (tmp_path / "undisturbed" / "runs" / "m" / "mathvista" / "scores.jsonl").read_bytes()
    assert not (folder / "run.lock").exists()


def test_three_runs_that_are_killed_end_as_if_nothing_had_been() -> None:
    script = ROOT / "benchmarks" / "reliability" / "kill.py"
    words = [sys.executable, str(script), "--runs", "3", "--most-kills", "1", "--tasks", "task=mathvista"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "identical to the undisturbed run's: 3 of 3" in done.stdout
