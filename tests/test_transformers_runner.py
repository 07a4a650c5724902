"""The local engine against random checkpoints of three families and the embedded one."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from tiny_families import FAMILIES, Calls, answers, ask, eight_questions, picture, prompts

from evalkit.models.tiny import checkpoint
from evalkit.models.tiny.build import VOCABULARY
from evalkit.runners._conversation import conversation, special_tokens
from evalkit.runners.transformers import TransformersRunner
from evalkit.types import Message


@pytest.fixture(scope="session", params=[*FAMILIES, None], ids=lambda build: build.__name__ if build else "tiny")
def family(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param is None:
        return checkpoint()
    folder: Path = request.param(tmp_path_factory.mktemp(request.param.__name__))
    return folder


@pytest.fixture(scope="session")
def tiny() -> TransformersRunner:
    return TransformersRunner(id=checkpoint, device="cpu", batch_size=8)


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


def test_the_order_of_texts_and_pictures_is_kept(tiny: TransformersRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    red, blue = picture(60, 60, 1), picture(60, 60, 2)
    calls = Calls(monkeypatch)
    answers(tiny, [ask("A", red, "B", blue, "C", max_tokens=1)])
    answers(tiny, [ask("A", blue, "B", red, "C", max_tokens=1)])
    (prompt,) = prompts(calls.inputs[0])
    assert prompt.replace("<image>", "") == "<s>user: A\nB\nC\nassistant:"
    assert prompt.index("A<image>") < prompt.index("B<image>") < prompt.index("C")
    there, back = (inputs["pixel_values"] for inputs in calls.inputs)
    assert not torch.equal(there, back)
    assert torch.equal(there, back.flip(0))


def test_the_costliest_prompts_come_first(tiny: TransformersRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large, none = ask(picture(30, 30), "?"), ask(picture(300, 300), "?"), ask("Nothing to see here.")
    one_at_a_time = TransformersRunner(id=checkpoint, device="cpu", batch_size=1)
    assert [response.key for response in one_at_a_time.generate([none, small, large])] == [
        each.key for each in (large, small, none)
    ]


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


def test_a_text_that_begins_by_its_template_does_not_begin_twice(tmp_path: Path, tiny: TransformersRunner) -> None:
    from tokenizers import Tokenizer, processors

    folder = shutil.copytree(checkpoint(), tmp_path / "begins")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    questions = eight_questions()
    assert answers(TransformersRunner(id=folder, device="cpu"), questions) == answers(tiny, questions)


def test_max_new_tokens_is_a_cap(tiny: TransformersRunner) -> None:
    capped = TransformersRunner(id=checkpoint, device="cpu", max_new_tokens=5)
    counts = [response.completion_tokens for response in answers(capped, [ask("a"), ask("b", max_tokens=3)])]
    assert counts == [5, 3]


def test_sampling_is_repeatable_and_differs_by_attempt(tiny: TransformersRunner) -> None:
    import torch

    tries = [ask("Say something.", temperature=1.5, attempt=attempt) for attempt in range(4)]
    first = answers(tiny, tries)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    assert first == answers(tiny, tries)
    assert torch.equal(torch.get_rng_state(), state)
    assert len({response.text for response in first}) == 4
    assert all(response.text != answers(tiny, [ask("Say something.")])[0].text for response in first)


def test_greedy_ignores_the_checkpoints_sampling_settings(
    tmp_path: Path, tiny: TransformersRunner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shutil.copytree(checkpoint(), tmp_path / "samples")
    settings = '{"do_sample": true, "temperature": 0.1, "top_p": 0.2, "top_k": 3, "min_p": 0.5, "eos_token_id": 2}'
    (folder / "generation_config.json").write_text(settings)
    questions = eight_questions()
    expected = answers(tiny, questions)
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "warning")
    monkeypatch.setattr(logging.getLogger("transformers"), "handlers", [caplog.handler])
    verbosity = import_module("transformers").logging
    verbosity.set_verbosity_warning()
    try:
        assert answers(TransformersRunner(id=folder, device="cpu"), questions) == expected
    finally:
        verbosity.set_verbosity_error()
    assert [record.message for record in caplog.records if "generation" in record.message] == []


def test_a_transcript_that_ends_in_an_answer_is_refused(tiny: TransformersRunner) -> None:
    question = ask("What is it?")
    answered = replace(question, messages=(*question.messages, Message("assistant", ("A dog.",))))
    empty = replace(question, messages=())
    refused, blank, asked = answers(tiny, [answered, empty, question])
    assert refused.error is not None
    assert blank.error is not None
    assert refused.error.kind == blank.error.kind == "request"
    assert asked.error is None


def test_special_tokens_that_a_text_spells_out_are_only_text(family: Path) -> None:
    from transformers import AutoProcessor, AutoTokenizer

    runner = TransformersRunner(id=family, device="cpu")
    spelt = "a <image> b <|image|> c </s> d <end_of_utterance> e <|endoftext|> f"
    (response,) = answers(runner, [ask(picture(40, 30), f"Which of {spelt} ends a turn?")])
    assert response.error is None, response.error
    special = special_tokens(AutoProcessor.from_pretrained(family))  # type: ignore[no-untyped-call]
    text: str = conversation(ask(spelt), special)[0]["content"][0]["text"]  # type: ignore[index]
    tokenizer = AutoTokenizer.from_pretrained(family)
    found = set(tokenizer(text, add_special_tokens=False)["input_ids"]) & set(tokenizer.all_special_ids)
    assert found <= {tokenizer.unk_token_id}
    assert text.replace(" ", "") == spelt.replace(" ", "")
