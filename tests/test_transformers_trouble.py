"""The local engine in trouble: memory that runs out, broken pictures, odd prompts; and its threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tiny_families import Calls, answers, ask, eight_questions, picture, prompts

from evalkit.models.tiny import checkpoint
from evalkit.runners import _engine
from evalkit.runners.transformers import TransformersRunner
from evalkit.types import Image


@pytest.fixture(scope="session")
def tiny() -> TransformersRunner:
    return TransformersRunner(id=checkpoint, device="cpu", batch_size=8)


@pytest.fixture
def fresh() -> TransformersRunner:
    """A runner whose batch size a test may spoil."""
    return TransformersRunner(id=checkpoint, device="cpu", batch_size=8)


@pytest.fixture
def roomy() -> TransformersRunner:
    """A runner that reads eight prompts together, which is a quarter of its answers in progress."""
    return TransformersRunner(id=checkpoint, device="cpu", batch_size=32)


@pytest.fixture(params=["static", "continuous"])
def either(request: pytest.FixtureRequest) -> TransformersRunner:
    """A runner of either way, that asks all of a few prompts together."""
    if request.param == "continuous":
        return TransformersRunner(id=checkpoint, device="cpu", batch_size=32)
    request.getfixturevalue("static")
    return TransformersRunner(id=checkpoint, device="cpu", batch_size=8)


@pytest.fixture
def static(monkeypatch: pytest.MonkeyPatch) -> None:
    """All models are of families that only `generate` knows."""
    monkeypatch.setattr(_engine, "obstacle", lambda model, settings: "a test says so")


@pytest.mark.usefixtures("static")
@pytest.mark.parametrize("kind", ["torch", "cpu allocator"])
def test_a_static_batch_that_does_not_fit_is_halved_for_good(
    fresh: TransformersRunner, tiny: TransformersRunner, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    import torch

    questions = eight_questions()
    expected = answers(tiny, questions)

    def only_two(inputs: Mapping[str, Any]) -> None:
        if len(inputs["input_ids"]) > 2:
            if kind == "torch":
                raise torch.OutOfMemoryError("CUDA out of memory.")
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    calls = Calls(monkeypatch, only_two)
    assert answers(fresh, questions) == expected
    assert calls.sizes == [8, 4, 2, 2, 2, 2]
    answers(fresh, questions)
    assert calls.sizes[6:] == [2, 2, 2, 2]


def test_what_is_read_is_halved_for_good_where_it_does_not_fit(
    roomy: TransformersRunner, tiny: TransformersRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    questions = eight_questions()
    expected = answers(tiny, questions)
    longest = max(response.prompt_tokens or 0 for response in expected)

    def twice_the_longest(inputs: Mapping[str, Any]) -> None:
        if inputs["input_ids"].numel() > 2 * longest:
            failing.append(len(inputs["input_ids"]))
            raise torch.OutOfMemoryError("CUDA out of memory.")

    failing: list[int] = []
    Calls(monkeypatch, twice_the_longest)
    assert answers(roomy, questions) == expected
    assert failing[0] == 8
    before = len(failing)
    assert answers(roomy, questions) == expected
    assert len(failing) == before


def test_answers_in_progress_that_do_not_fit_are_begun_again(
    fresh: TransformersRunner, tiny: TransformersRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from evalkit.runners._decoding import Decoder

    questions = eight_questions()
    expected = answers(tiny, questions)
    whole, sizes = Decoder._forward, []

    def only_three(decoder: Decoder, slots: Any, rows: int) -> None:
        sizes.append(rows)
        if rows > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        whole(decoder, slots, rows)

    monkeypatch.setattr(Decoder, "_forward", only_three)
    assert answers(fresh, questions) == expected
    assert sizes[0] == 8
    assert max(sizes[-12:]) <= 3


def test_a_failure_in_the_midst_of_answers_fails_none_that_can_be_answered_alone(
    fresh: TransformersRunner, tiny: TransformersRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evalkit.runners._decoding import Decoder

    questions = eight_questions()
    expected = answers(tiny, questions)
    whole, calls = Decoder._forward, []

    def fourth(decoder: Decoder, slots: Any, rows: int) -> None:
        calls.append(rows)
        if len(calls) == 4:
            raise IndexError("an odd one")
        whole(decoder, slots, rows)

    monkeypatch.setattr(Decoder, "_forward", fourth)
    assert answers(fresh, questions) == expected


def test_a_request_that_does_not_fit_alone_fails_alone(
    either: TransformersRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    questions = eight_questions()
    expected = answers(TransformersRunner(id=checkpoint, device="cpu"), questions)
    longest = max(range(8), key=lambda index: expected[index].prompt_tokens or 0)

    def not_the_longest(inputs: Mapping[str, Any]) -> None:
        if max(inputs["attention_mask"].sum(1)) == expected[longest].prompt_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    calls = Calls(monkeypatch, not_the_longest)
    got = answers(either, questions)
    error = got[longest].error
    assert error is not None
    assert error.kind == "oom"
    assert "does not fit into memory" in error.message
    assert got[:longest] + got[longest + 1 :] == expected[:longest] + expected[longest + 1 :]
    # What one huge prompt could not have does not slow the others down.
    answers(either, questions[:longest])
    assert calls.sizes[-1] == longest


def test_a_request_that_the_model_refuses_fails_alone(
    either: TransformersRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions = [ask(word) for word in ("first", "second", "the odd one", "last")]
    expected = answers(TransformersRunner(id=checkpoint, device="cpu"), questions)

    def not_the_odd_one(inputs: Mapping[str, Any]) -> None:
        if any("odd" in prompt for prompt in prompts(inputs)):
            raise IndexError("index out of range\nin self")

    calls = Calls(monkeypatch, not_the_odd_one)
    got = answers(either, questions)
    assert [response.error and response.error.kind for response in got] == [None, None, "request", None]
    assert got[2].error is not None
    assert got[2].error.message == "the model cannot take this request (IndexError: index out of range in self)"
    assert [got[index] for index in (0, 1, 3)] == [expected[index] for index in (0, 1, 3)]
    assert calls.sizes == [4, 1, 1, 1, 1]


def test_a_truncated_picture_fails_only_its_request(tiny: TransformersRunner) -> None:
    questions = eight_questions()
    whole = questions[3].images[0]
    assert whole.read is not None
    half = whole.read()[:90]
    questions[3] = ask(replace(whole, sha256="0" * 64, name="torn.png", read=lambda: half), "What is it?")
    got = answers(tiny, questions)
    assert [response.error is None for response in got] == [index != 3 for index in range(8)]
    assert got[3].error is not None
    assert got[3].error.kind == "preprocess"
    assert got[3].error.message.startswith("torn.png is truncated or damaged")
    assert got[3].text == ""


def test_a_prompt_that_the_processor_rejects_fails_only_its_request(
    tiny: TransformersRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlavaNextProcessor

    questions = eight_questions()
    questions[3] = ask(picture(30, 30), "What is odd?")
    whole = LlavaNextProcessor.__call__

    def picky(self: Any, text: list[str], **options: Any) -> Any:
        if any("odd" in each for each in text):
            raise ValueError("odd text")
        return whole(self, text=text, **options)

    monkeypatch.setattr(LlavaNextProcessor, "__call__", picky)
    got = answers(tiny, questions)
    assert [response.error is None for response in got] == [index != 3 for index in range(8)]
    assert got[3].error is not None
    assert got[3].error.kind == "preprocess"
    assert got[3].error.message.startswith("the processor cannot take this request")


def test_pictures_are_decoded_ahead_of_the_model_in_other_threads(
    tiny: TransformersRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    third = threading.Event()

    def watched(image: Image) -> Image:
        def reading() -> bytes:
            read.append(threading.current_thread().name)
            if len(read) == 3:
                third.set()
            assert image.read is not None
            return image.read()

        return replace(image, read=reading)

    def busy(inputs: Mapping[str, Any]) -> None:
        if len(calls.inputs) == 1:
            assert third.wait(timeout=20), "nothing was decoded while the model was busy"
            time.sleep(0.2)  # long enough for a fourth, were it begun
            assert len(read) == 3, "more than two batches ahead"

    calls = Calls(monkeypatch, busy)
    one_at_a_time = TransformersRunner(id=checkpoint, device="cpu", batch_size=1)
    questions = [ask(watched(picture(30, 30, seed)), "?", max_tokens=2) for seed in range(6)]
    assert all(response.error is None for response in answers(one_at_a_time, questions))
    assert len(read) == 6
    assert threading.current_thread().name not in read


def test_closing_the_iterator_ends_the_threads(tiny: TransformersRunner) -> None:
    one_at_a_time = TransformersRunner(id=checkpoint, device="cpu", batch_size=1)
    responses = one_at_a_time.generate(eight_questions())
    assert next(responses).error is None
    assert any(thread.name.startswith("evalkit-") for thread in threading.enumerate())
    responses.close()  # type: ignore[attr-defined]
    assert not any(thread.name.startswith("evalkit-") for thread in threading.enumerate())
