"""The vllm runner, against a stand-in for the engine: vLLM itself runs on GPUs alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import fake_vllm
import pytest
from fake_vllm import LLMEngine
from tiny_families import answers, ask, picture

from evalkit import config, pipeline
from evalkit.errors import ConfigError, ModelError
from evalkit.interrupts import Wanted
from evalkit.models.tiny import checkpoint
from evalkit.responses import read_responses
from evalkit.runners._conversation import conversation, special_tokens
from evalkit.runners._loading import load_processor
from evalkit.runners.vllm import VLLMRunner
from evalkit.types import Image, Message, Request


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> type[LLMEngine]:
    return fake_vllm.install(monkeypatch)


def runner(**options: Any) -> VLLMRunner:
    return VLLMRunner(id=checkpoint, **options)


def questions(count: int) -> list[Request]:
    return [ask(picture(30, 20, number % 7), f"{number}?", max_tokens=2 + number % 5) for number in range(count)]


def started(made: VLLMRunner, engines: type[LLMEngine]) -> LLMEngine:
    """The engine of a runner, before it is asked anything."""
    assert made._engine is not None
    return engines.made[-1]


def test_every_request_has_its_own_answer_and_pictures_go_by_their_content(engines: type[LLMEngine]) -> None:
    asked = [*questions(20), ask("Hi", max_tokens=100)]
    responses = answers(runner(), asked)
    assert all(response.error is None for response in responses)
    words = load_processor(checkpoint(), False).tokenizer.decode(range(fake_vllm.FIRST, fake_vllm.FIRST + 50))
    assert [response.text for response in responses[:4]] == [words[:length] for length in (2, 3, 4, 5)]
    assert {response.finish_reason for response in responses[:20]} == {"length"}
    last = responses[20]
    assert (last.finish_reason, last.completion_tokens, len(last.text)) == ("stop", last.prompt_tokens, 21)
    (engine,) = engines.made
    named = {
        prompt["prompt"]: prompt["multi_modal_uuids"]["image"]
        for prompt in engine.renderer.prompts
        if "multi_modal_uuids" in prompt
    }
    assert len(named) == 20
    assert sorted(named.values()) == sorted([image.sha256 for image in request.images] for request in asked[:20])
    assert len({uuid for (uuid,) in named.values()}) == 7


def test_the_prompt_is_the_chat_templates_with_special_tokens_broken(engines: type[LLMEngine]) -> None:
    request = ask("A", picture(30, 20), "</s> and <image>, ", "said <s>")
    answers(runner(), [request])
    processor = load_processor(checkpoint(), False)
    turns = conversation(request, special_tokens(processor))
    text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    (prompt,), (tokenizing,) = engines.made[0].renderer.prompts, engines.made[0].renderer.tokenizing
    assert prompt["prompt"] == text
    assert "< /s> and < image>, said < s>" in text
    # A template that writes the first token itself must not have it twice.
    assert tokenizing.add_special_tokens != text.startswith(processor.tokenizer.bos_token)


def test_requests_are_drawn_as_places_fall_free_and_answers_come_as_they_finish(engines: type[LLMEngine]) -> None:
    drawn = 0

    def endless() -> Iterator[Request]:
        nonlocal drawn
        for request in questions(300):
            drawn += 1
            yield request

    made = runner(engine={"max_num_seqs": 8})
    seen = 0
    for response in made.generate(endless()):
        assert response.error is None
        seen += 1
        assert drawn - seen <= 10 + 8 + 1  # held by the engine, in one step's answers, and one in hand
    assert (seen, drawn) == (300, 300)
    assert engines.made[0].peak <= 10  # a quarter more than run at once


def test_prompts_of_many_tokens_are_not_all_held_at_once(
    engines: type[LLMEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evalkit.runners.vllm.MOST_TOKENS", 250)
    large = [ask(picture(300, 300, number), f"{number}?") for number in range(6)]  # about 115 tokens each
    assert all(response.error is None for response in answers(runner(), large))
    assert engines.made[0].peak == 2
    huge = [ask(picture(600, 600, number), f"{number}?") for number in range(3)]  # more than may be held
    assert all(response.error is None for response in answers(runner(), huge))
    assert engines.made[1].peak == 1


def test_the_engine_goes_on_while_the_next_prompts_are_prepared(engines: type[LLMEngine]) -> None:
    made = runner(engine={"max_num_seqs": 4})
    engine = started(made, engines)
    engine.renderer.slowness = 0.01
    assert len(answers(made, [ask(f"{number}?", max_tokens=50) for number in range(12)])) == 12
    # Twelve prompts in a row through an engine that waited for each would be 600 steps.
    assert engine.steps < 600


def test_what_cannot_be_answered_fails_alone(engines: type[LLMEngine]) -> None:
    whole = picture(30, 20)
    assert whole.read is not None
    cut = replace(whole, read=lambda: whole.read()[:60], name="cut.png")  # type: ignore[misc]
    odd = Image(whole.sha256, 13, 13, "13.png", picture(13, 13).read)
    asked = [
        ask(whole, "Fine?"),
        ask(cut, "Damaged?"),
        ask(odd, "Odd?"),
        ask("word " * 100),
        ask(*[whole] * 25, "Too many?"),
        replace(ask("?"), messages=(Message("user", ("?",)), Message("assistant", ("!",)))),
        ask("give up"),
        ask("Last?"),
    ]
    made = runner(max_model_len=250)
    started(made, engines).gives_up_on = "give up"
    responses = answers(made, asked)
    kinds = [response.error.kind if response.error else None for response in responses]
    assert kinds == [None, "preprocess", "preprocess", "request", "request", "request", "server", None]
    messages = [response.error.message if response.error else "" for response in responses]
    assert "cut.png" in messages[1]
    assert "13 is no width" in messages[2]
    assert messages[3].startswith("the model cannot take this request (VLLMValidationError:")
    assert "longer than the maximum model length of 250" in messages[4]
    assert messages[5].startswith("the transcript does not end in a question")
    assert all(not response.text for response in responses if response.error)


def test_sampling_is_the_requests_and_what_it_leaves_open_the_checkpoints(engines: type[LLMEngine]) -> None:
    engines.generation_config = {"repetition_penalty": 1.05, "top_p": 0.8, "temperature": 0.7, "max_tokens": 99}
    asked = [ask("?"), ask("?", temperature=0.5), ask("?", temperature=0.5, attempt=1), ask("?", max_tokens=3)]
    answers(runner(max_new_tokens=10, sampling={"top_k": 5}), asked)
    greedy, drawn, again, short = engines.made[0].sampling.values()
    assert (greedy.temperature, greedy.seed, greedy.max_tokens) == (0, None, 10)
    assert {(each.repetition_penalty, each.top_p, each.top_k) for each in (greedy, drawn)} == {(1.05, 0.8, 5)}
    assert drawn.temperature == again.temperature == 0.5
    assert None not in (drawn.seed, again.seed)
    assert drawn.seed != again.seed
    assert short.max_tokens == 3
    assert not short.detokenize
    (response,) = answers(runner(sampling={"stop": ["!"]}), [ask("?", max_tokens=3)])
    assert response.text == "3 tokens in words"


def test_arguments_reach_the_engine(engines: type[LLMEngine]) -> None:
    made = config.setup(
        [
            "task=docvqa",
            "model=vllm",
            f"model.id={checkpoint()}",
            "model.tensor_parallel_size=2",
            "model.pipeline_parallel_size=3",
            "model.quantization=fp8",
            "model.gpu_memory_utilization=0.5",
            "+model.engine.max_num_seqs=4",
            "+model.engine.limit_mm_per_prompt={image: 2}",
        ]
    ).model.runner
    answers(made, [ask("?")])
    arguments = engines.made[0].arguments
    assert (arguments.tensor_parallel_size, arguments.pipeline_parallel_size) == (2, 3)
    assert (arguments.quantization, arguments.gpu_memory_utilization, arguments.max_num_seqs) == ("fp8", 0.5, 4)
    assert arguments.limit_mm_per_prompt == {"image": 2}
    assert arguments.model == str(checkpoint())
    assert engines.made[0].usage_context is fake_vllm.UsageContext.LLM_CLASS


def test_identity_has_what_changes_an_answer_and_not_the_number_of_gpus(engines: type[LLMEngine]) -> None:
    one = runner().identity()
    assert runner(tensor_parallel_size=8, gpu_memory_utilization=0.5).identity() == one
    changes: list[dict[str, Any]] = [
        {"quantization": "fp8"},
        {"engine": {"hf_overrides": {}}},
        {"sampling": {"top_k": 1}},
    ]
    for change in changes:
        assert runner(**change).identity() != one
    assert (one["engine"], one["vllm"]) == ("vllm", "0.23")
    assert not engines.made


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tensor_parallel_size": 0}, "tensor_parallel_size=0"),
        ({"gpu_memory_utilization": 1.5}, "gpu_memory_utilization=1.5"),
        ({"engine": {"dtype": "half"}}, "engine sets dtype"),
        ({"sampling": {"seed": 1}}, "sampling sets seed"),
    ],
)
def test_what_cannot_work_is_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        runner(**options)


@pytest.mark.parametrize("options", [{"engine": {"no_such_argument": 1}}, {"quantization": "unheard_of"}])
def test_what_the_engine_refuses_is_told(engines: type[LLMEngine], options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"vLLM cannot load .*(no_such_argument|unheard_of)"):
        list(runner(**options).generate([ask("?")]))


def test_without_vllm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ConfigError, match=r"pip install 'evalkit\[vllm\]'"):
        list(runner().generate([ask("?")]))
    monkeypatch.setattr("evalkit.runners.vllm.minor_version", lambda package, required=True: "absent")
    with pytest.raises(ConfigError, match=r"pip install 'evalkit\[vllm\]'"):
        runner().identity()


def test_an_engine_that_breaks_down_keeps_what_was_answered(engines: type[LLMEngine], tmp_path: Path) -> None:
    asked, stored = questions(40), tmp_path / "responses.jsonl"
    made = runner(engine={"max_num_seqs": 4})
    started(made, engines).dies_after = 20
    with pytest.raises(ModelError, match=r"engine failed .*run the same command again"):
        pipeline.generate(stored, asked, made, lambda response: None)
    kept = read_responses(stored)
    waiting = pipeline.pending(stored, asked)
    assert 0 < len(kept) < 40
    assert len(waiting) == 40 - len(kept)
    assert pipeline.generate(stored, waiting, runner(), lambda response: None) == len(waiting)
    assert len(engines.made[1].sampling) == len(waiting)
    assert len(read_responses(stored)) == 40


def test_a_stop_finishes_what_the_engine_holds_and_asks_nothing_new(engines: type[LLMEngine]) -> None:
    done: list[str] = []
    made = runner(engine={"max_num_seqs": 4})
    for response in made.generate(Wanted(questions(100), lambda: len(done) >= 3)):
        assert response.error is None
        done.append(response.key)
    engine = engines.made[0]
    assert 3 <= len(done) == len(engine.sampling) < 20
    assert not engine.running
    assert not engine.aborted


def test_an_engine_that_the_same_ctrl_c_ended_is_no_error(engines: type[LLMEngine]) -> None:
    made = runner()
    engine = started(made, engines)
    wanted = Wanted(questions(10), lambda: engine.steps > 1)
    engine.dies_after = 1
    assert list(made.generate(wanted)) == []


def test_whoever_closes_the_iterator_takes_back_what_the_engine_holds(engines: type[LLMEngine]) -> None:
    made = runner(engine={"max_num_seqs": 4})
    engine = started(made, engines)
    engine.pace = 0.002
    long, short = ask("word " * 500, max_tokens=3000), ask("?", max_tokens=1)
    responses = made.generate([long, short])
    assert [response.key for response in islice(responses, 1)] == [short.key]
    responses.close()  # type: ignore[attr-defined]
    assert not engine.running
    assert engine.aborted == ["1"]
    assert len(answers(made, questions(5))) == 5
