"""The local engine against random checkpoints of three families and the embedded one."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from tiny_families import FAMILIES, ask, eight_questions, picture

from evalkit.models.tiny import checkpoint
from evalkit.models.tiny.build import VOCABULARY
from evalkit.runners.transformers import TransformersRunner
from evalkit.types import Image, Message, Request, Response

Generate = Callable[..., Any]


@pytest.fixture(scope="session", params=[*FAMILIES, None], ids=lambda build: build.__name__ if build else "tiny")
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param is None:
        return checkpoint()
    folder: Path = request.param(tmp_path_factory.mktemp(request.param.__name__))
    return folder


@pytest.fixture(scope="session")
def tiny() -> TransformersRunner:
    return TransformersRunner(id=checkpoint, device="cpu", batch_size=8)


@pytest.fixture
def fresh() -> TransformersRunner:
    """A runner whose batch size a test may spoil."""
    return TransformersRunner(id=checkpoint, device="cpu", batch_size=8)


class Calls:
    """The calls of the model's `generate`, in their order, each after what `before` does."""

    def __init__(self, original: Generate, before: Callable[[dict[str, Any]], None]) -> None:
        self.inputs: list[dict[str, Any]] = []
        self.original, self.before = original, before

    def __call__(self, model: Any, **inputs: Any) -> Any:
        self.inputs.append(inputs)
        self.before(inputs)
        return self.original(model, **inputs)

    @property
    def sizes(self) -> list[int]:
        return [len(inputs["input_ids"]) for inputs in self.inputs]


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[dict[str, Any]], None]], Calls]]:
    family = import_module("transformers").LlavaNextForConditionalGeneration

    def spy(before: Callable[[dict[str, Any]], None] = lambda inputs: None) -> Calls:
        calls = Calls(family.generate, before)
        monkeypatch.setattr(family, "generate", lambda model, **inputs: calls(model, **inputs))
        return calls

    return spy  # type: ignore[return-value]


def answers(runner: TransformersRunner, requests: Sequence[Request]) -> list[Response]:
    """The responses in the order of the requests, one each."""
    responses = list(runner.generate(requests))
    by_key = {response.key: response for response in responses}
    assert len(responses) == len(requests) == len(by_key)
    return [by_key[request.key] for request in requests]


def test_a_batch_of_eight_equals_eight_alone(family: Path) -> None:
    questions = eight_questions()
    together = answers(TransformersRunner(id=family, device="cpu", batch_size=8), questions)
    alone = answers(TransformersRunner(id=family, device="cpu", batch_size=1), questions)
    assert together == alone
    assert all(response.error is None for response in together)
    assert len({response.text for response in together}) > 4
    assert len({response.prompt_tokens for response in together}) > 4


def test_requests_with_none_one_and_two_pictures_mix(family: Path) -> None:
    first, second = picture(40, 30, 1), picture(30, 60, 2)
    system = Message("system", ("Be brief.",))
    mixed = [
        ask("Nothing to see."),
        ask(first, "What is it?"),
        ask("Left: ", first, " right: ", second, " The same?"),
        replace(ask("And now?"), messages=(system, Message("user", ("Hi.",)), Message("assistant", ("Ho.",)), system)),
        ask(second, "What is it?"),
    ]
    together = answers(TransformersRunner(id=family, device="cpu"), mixed)
    assert together == [answers(TransformersRunner(id=family, device="cpu"), [request])[0] for request in mixed]
    assert all(response.error is None and response.text for response in together)


def test_the_order_of_texts_and_pictures_is_kept(tiny: TransformersRunner, spied: Callable[..., Calls]) -> None:
    import torch

    red, blue = picture(60, 60, 1), picture(60, 60, 2)
    calls = spied()
    answers(tiny, [ask("A", red, "B", blue, "C")])
    answers(tiny, [ask("A", blue, "B", red, "C")])
    prompt = "".join(VOCABULARY[token] for token in calls.inputs[0]["input_ids"][0].tolist())
    assert prompt.replace("<image>", "") == "<s>user: A\nB\nC\nassistant:"
    assert prompt.index("A<image>") < prompt.index("B<image>") < prompt.index("C")
    there, back = (inputs["pixel_values"] for inputs in calls.inputs)
    assert not torch.equal(there, back)
    assert torch.equal(there, back.flip(0))


@pytest.mark.parametrize("kind", ["torch", "cpu allocator"])
def test_a_batch_that_does_not_fit_is_halved_for_good(
    fresh: TransformersRunner, tiny: TransformersRunner, spied: Callable[..., Calls], kind: str
) -> None:
    import torch

    questions = eight_questions()
    expected = answers(tiny, questions)

    def only_two(inputs: dict[str, Any]) -> None:
        if len(inputs["input_ids"]) > 2:
            if kind == "torch":
                raise torch.OutOfMemoryError("CUDA out of memory.")
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    calls = spied(only_two)
    assert answers(fresh, questions) == expected
    assert calls.sizes == [8, 4, 2, 2, 2, 2]
    answers(fresh, questions)
    assert calls.sizes[6:] == [2, 2, 2, 2]


def test_a_request_that_does_not_fit_alone_fails_alone(
    fresh: TransformersRunner, tiny: TransformersRunner, spied: Callable[..., Calls]
) -> None:
    import torch

    questions = eight_questions()
    expected = answers(tiny, questions)
    longest = max(range(8), key=lambda index: expected[index].prompt_tokens or 0)

    def not_the_longest(inputs: dict[str, Any]) -> None:
        if max(inputs["attention_mask"].sum(1)) == expected[longest].prompt_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    calls = spied(not_the_longest)
    got = answers(fresh, questions)
    error = got[longest].error
    assert error is not None
    assert error.kind == "oom"
    assert "does not fit into memory" in error.message
    assert got[:longest] + got[longest + 1 :] == expected[:longest] + expected[longest + 1 :]
    # What one huge prompt could not have does not slow the others down.
    answers(fresh, questions[:longest])
    assert calls.sizes[-1] == longest


def test_a_request_that_the_model_refuses_fails_alone(tiny: TransformersRunner, spied: Callable[..., Calls]) -> None:
    questions = [ask(word) for word in ("first", "second", "the odd one", "last")]
    expected = answers(tiny, questions)

    def not_the_odd_one(inputs: dict[str, Any]) -> None:
        if VOCABULARY.index("d") in [row[-17] for row in inputs["input_ids"].tolist() if len(row) > 17]:
            raise IndexError("index out of range\nin self")

    calls = spied(not_the_odd_one)
    got = answers(tiny, questions)
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


def test_a_prompt_that_the_processor_rejects_fails_only_its_request(tiny: TransformersRunner) -> None:
    questions = eight_questions()
    questions[3] = ask(picture(30, 30), "What does <image> mean?")
    got = answers(tiny, questions)
    assert [response.error is None for response in got] == [index != 3 for index in range(8)]
    assert got[3].error is not None
    assert got[3].error.kind == "preprocess"
    assert got[3].error.message.startswith("the processor cannot take this request")


def test_pictures_are_decoded_ahead_of_the_model_in_other_threads(
    tiny: TransformersRunner, spied: Callable[..., Calls]
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

    def busy(inputs: dict[str, Any]) -> None:
        if len(calls.inputs) == 1:
            assert third.wait(timeout=20), "nothing was decoded while the model was busy"
            assert len(read) == 3, "more than two batches ahead"

    calls = spied(busy)
    one_at_a_time = TransformersRunner(id=checkpoint, device="cpu", batch_size=1)
    questions = [ask(watched(picture(30, 30, seed)), "?", max_tokens=2) for seed in range(6)]
    assert all(response.error is None for response in answers(one_at_a_time, questions))
    assert len(read) == 6
    assert threading.current_thread().name not in read


def test_the_costliest_prompts_come_first_and_like_sampling_together(
    tiny: TransformersRunner, spied: Callable[..., Calls]
) -> None:
    calls = spied()
    small, large = ask(picture(30, 30), "?"), ask(picture(300, 300), "?")
    short = ask(picture(30, 30), "?", max_tokens=3)
    assert [response.key for response in tiny.generate([small, short, large])] == [large.key, small.key, short.key]
    assert [inputs["generation_config"].max_new_tokens for inputs in calls.inputs] == [12, 3]


def test_finish_reasons_and_token_counts(tiny: TransformersRunner, tmp_path: Path) -> None:
    question = ask(picture(60, 60), "What is it?")
    (cut,) = answers(tiny, [question])
    assert (cut.finish_reason, cut.completion_tokens, len(cut.text)) == ("length", 12, 12)
    prompt = "<s>user: \nWhat is it?\nassistant:"
    assert cut.prompt_tokens == len(prompt) - len("<s>") + 1 + 16 + 8 * 9  # thumbnail, then 8 rows of 8 and a newline

    end = max(cut.text.index(character) for character in set(cut.text))
    folder = shutil.copytree(checkpoint(), tmp_path / "stops")
    settings = folder / "generation_config.json"
    settings.write_text(f'{{"eos_token_id": [2, {VOCABULARY.index(cut.text[end])}], "pad_token_id": 3}}')
    stopping = TransformersRunner(id=folder, device="cpu")
    stopped, other = answers(stopping, [question, ask(picture(60, 60), "What is it now?")])
    assert (stopped.finish_reason, stopped.completion_tokens) == ("stop", end + 1)
    assert stopped.text == cut.text[:end]
    assert other.error is None


def test_max_new_tokens_is_a_cap(tiny: TransformersRunner) -> None:
    capped = TransformersRunner(id=checkpoint, device="cpu", max_new_tokens=5)
    counts = [response.completion_tokens for response in answers(capped, [ask("a"), ask("b", max_tokens=3)])]
    assert counts == [5, 3]


def test_sampling_is_repeatable_and_differs_by_attempt(tiny: TransformersRunner) -> None:
    tries = [ask("Say something.", temperature=1.5, attempt=attempt) for attempt in range(4)]
    first = answers(tiny, tries)
    assert first == answers(tiny, tries)
    assert len({response.text for response in first}) == 4
    assert all(response.text != answers(tiny, [ask("Say something.")])[0].text for response in first)


def test_greedy_ignores_the_checkpoints_sampling_settings(tmp_path: Path, tiny: TransformersRunner) -> None:
    folder = shutil.copytree(checkpoint(), tmp_path / "samples")
    settings = '{"do_sample": true, "temperature": 0.1, "top_p": 0.2, "top_k": 3, "min_p": 0.5, "eos_token_id": 2}'
    (folder / "generation_config.json").write_text(settings)
    questions = eight_questions()
    assert answers(TransformersRunner(id=folder, device="cpu"), questions) == answers(tiny, questions)


def test_a_transcript_that_ends_in_an_answer_is_refused(tiny: TransformersRunner) -> None:
    question = ask("What is it?")
    answered = replace(question, messages=(*question.messages, Message("assistant", ("A dog.",))))
    empty = replace(question, messages=())
    refused, blank, asked = answers(tiny, [answered, empty, question])
    assert refused.error is not None
    assert blank.error is not None
    assert refused.error.kind == blank.error.kind == "request"
    assert asked.error is None
