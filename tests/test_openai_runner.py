"""The runner for OpenAI-compatible endpoints, against a real HTTP server on the loopback interface."""

from __future__ import annotations

import base64
import io
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import PIL.Image
import pytest
from chat_server import Exchange, error, half, hang, reset, serving

from evalkit import images
from evalkit.errors import ModelError
from evalkit.runners.openai import OpenAIRunner
from evalkit.types import Image, Message, Request, Response, Runner

KEY = "sk-not-a-real-key-0123456789"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key; no proxy before the loopback interface, and nothing else that the SDK heeds."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("OPENAI_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask(text: str) -> Request:
    return Request((Message("user", (text,)),), max_tokens=16)


def one(answer: Callable[[Exchange], None], **options: Any) -> Response:
    """The response to one request, tried once unless `options` say otherwise."""
    with serving(answer) as server:
        (response,) = OpenAIRunner(model="m", base_url=server.url, **{"max_retries": 0, **options}).generate([ask("?")])
    return response


def test_the_body_of_an_interleaved_prompt_is_exact_and_its_answer_comes_back_whole() -> None:
    urls, pictures = [], []
    for colour, form in (("red", "PNG"), ("blue", "JPEG")):
        buffer = io.BytesIO()
        PIL.Image.new("RGB", (3, 2), colour).save(buffer, form)
        pictures.append(images.from_bytes(buffer.getvalue(), colour, "test"))
        urls.append(f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}")
    turn = Message("user", ("First ", pictures[0], "then ", pictures[1], "which", " differs?"))
    request = Request((turn,), max_tokens=64, temperature=0.5)
    with serving(lambda exchange: exchange.answer("red")) as server:
        runner: Runner = OpenAIRunner(model="vlm-7b", base_url=server.url, system="Be exact.", extra_body={"top_k": 5})
        assert list(runner.generate([request])) == [Response(request.key, "red", "stop", 11, 3)]
    (exchange,) = server.seen
    assert exchange.handler.path == "/v1/chat/completions"
    assert exchange.handler.headers["Authorization"] == f"Bearer {KEY}"
    content = [
        {"type": "text", "text": "First "},
        {"type": "image_url", "image_url": {"url": urls[0]}},
        {"type": "text", "text": "then "},
        {"type": "image_url", "image_url": {"url": urls[1]}},
        {"type": "text", "text": "which differs?"},
    ]
    assert exchange.body == {
        "model": "vlm-7b",
        "messages": [{"role": "system", "content": "Be exact."}, {"role": "user", "content": content}],
        "max_tokens": 64,
        "temperature": 0.5,
        "top_k": 5,
    }


def test_reasoning_models_get_their_own_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with serving(lambda exchange: exchange.answer("4")) as server:
        options: dict[str, Any] = {"token_parameter": "max_completion_tokens", "send_temperature": False}
        list(OpenAIRunner(model="o9", base_url=server.url, **options).generate([ask("2 + 2 = ?")]))
    messages = [{"role": "user", "content": "2 + 2 = ?"}]
    assert server.seen[0].body == {"model": "o9", "messages": messages, "max_completion_tokens": 16}
    assert server.seen[0].handler.headers["Authorization"] == "Bearer none", "no key is set, and none is needed"


def test_answers_match_their_requests_and_requests_are_drawn_as_slots_free() -> None:
    rng = random.Random(0)
    delays = {f"{number}": rng.uniform(0, 0.05) for number in range(60)}
    requests = {ask(prompt).key: prompt for prompt in delays}
    drawn: list[str] = []

    def draw() -> Iterator[Request]:
        for prompt in delays:
            drawn.append(prompt)
            yield ask(prompt)

    def late(exchange: Exchange) -> None:
        time.sleep(delays[exchange.prompt])
        exchange.answer(f"answer to {exchange.prompt}")

    answers: dict[str, str] = {}
    with serving(late) as server:
        for response in OpenAIRunner(model="m", base_url=server.url, concurrency=6).generate(draw()):
            assert len(drawn) - len(answers) <= 6
            answers[response.key] = response.text
    assert answers == {key: f"answer to {prompt}" for key, prompt in requests.items()}
    assert list(answers) != list(requests), "a quick answer waited for a slow one"
    assert server.peak == 6


def test_a_rate_limit_is_waited_out_as_long_as_the_server_asks() -> None:
    def busy_once(exchange: Exchange) -> None:
        if len(exchange.server.seen) == 1:
            exchange.send(429, b"{}", {"Retry-After": "1"})
        else:
            exchange.answer("4")

    began = time.monotonic()
    assert one(busy_once, max_retries=1).text == "4"
    assert time.monotonic() - began >= 1, "the SDK's own pause would be half a second"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(500, "out of memory"), "server", "out of memory"),
        (error(504, "upstream"), "server", "upstream"),
        (error(429, "slow down"), "rate_limit", "slow down"),
        (error(408, "too slow"), "timeout", "too slow"),
        (error(400, "prompt too long"), "request", "prompt too long"),
        (error(413, "too large"), "request", "too large"),
        (lambda exchange: exchange.send(400, b'{"detail": "no such model"}'), "request", "no such model"),
        (lambda exchange: exchange.send(502, b"<html>bad gateway</html>"), "server", "bad gateway"),
        (error(400, f"{KEY} " * 100), "request", "$OPENAI_API_KEY $OPENAI_API_KEY"),
        (lambda exchange: exchange.send(200, b"{not json"), "server", "{not json"),
        (lambda exchange: exchange.send(200, f'{{"echo": "{KEY}"}}'.encode()), "server", "$OPENAI_API_KEY"),
        (half, "server", "RemoteProtocolError"),
        (reset, "server", "ReadError"),
        (hang, "timeout", "within 1 x 0.3 s"),
    ],
)
def test_what_goes_wrong_has_a_kind(answer: Callable[[Exchange], None], kind: str, words: str) -> None:
    failure = one(answer, timeout=0.3 if answer is hang else 30).error
    assert failure is not None
    assert failure.kind == kind
    assert words in failure.message
    assert KEY not in failure.message
    assert len(failure.message) < 500


def test_a_lost_connection_and_a_server_error_are_tried_again() -> None:
    def down(exchange: Exchange) -> None:
        exchange.send(503, b"{}", {"retry-after-ms": "1"})

    trouble = [down, reset]

    def recover(exchange: Exchange) -> None:
        if trouble:
            trouble.pop()(exchange)
        else:
            exchange.answer("4")

    assert one(recover, max_retries=2).text == "4"
    assert not trouble


def test_a_server_that_is_not_there() -> None:
    with serving(hang) as server:
        url = server.url
    (response,) = OpenAIRunner(model="m", base_url=url, max_retries=0).generate([ask("?")])
    assert response.error is not None
    assert (response.error.kind, url in response.error.message) == ("server", True)


@pytest.mark.parametrize(
    ("status", "key", "advice"),
    [
        (401, KEY, "rejects the key: export a valid one as OPENAI_API_KEY"),
        (401, "", "wants a key: export it as OPENAI_API_KEY"),
        (403, KEY, "does not let this key use model m"),
        (404, KEY, "knows no model m: correct model, or base_url"),
    ],
)
def test_an_endpoint_that_refuses_us_is_not_asked_5000_times(
    status: int, key: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    refusal = error(status, f"no entry for {KEY}") if key else error(status, "no entry")
    with serving(refusal) as server:
        runner = OpenAIRunner(model="m", base_url=server.url, concurrency=3)
        with pytest.raises(ModelError) as caught:
            list(runner.generate(ask(f"{number}") for number in range(5000)))
    assert str(caught.value).startswith(f"{server.url} {advice}")
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert len(server.seen) <= 3


def test_a_refusal_after_answers_is_about_the_prompt_unless_it_is_about_the_key() -> None:
    statuses = {"a": 200, "b": 403, "c": 404, "d": 200, "e": 401}

    def moderated(exchange: Exchange) -> None:
        status = statuses[exchange.prompt]
        if status == 200:
            exchange.answer("yes")
        else:
            error(status, "flagged")(exchange)

    with serving(moderated) as server:
        responses = OpenAIRunner(model="m", base_url=server.url, concurrency=1).generate(map(ask, statuses))
        four = [next(responses) for _ in range(4)]
        with pytest.raises(ModelError, match="rejects the key"):
            next(responses)
    assert [each.error.kind if each.error else each.text for each in four] == ["yes", "request", "request", "yes"]


def test_answers_that_are_paid_for_come_before_the_error_that_ends_the_run() -> None:
    last_is_here, refused, answered = threading.Event(), threading.Event(), threading.Semaphore(0)

    def expire(exchange: Exchange) -> None:
        if exchange.prompt == "last":
            last_is_here.set()
            assert all(answered.acquire(timeout=10) for _ in range(8))
            error(401, "expired")(exchange)
            refused.set()
        else:
            last_is_here.wait(10)
            exchange.answer("yes")
            answered.release()

    def draw() -> Iterator[Request]:
        yield from (ask(f"{number}") for number in range(8))
        yield ask("last")
        assert refused.wait(10)
        time.sleep(0.2)  # by now all nine have reached the client
        yield ask("another")

    with serving(expire) as server:
        responses = OpenAIRunner(model="m", base_url=server.url, concurrency=16).generate(draw())
        assert [next(responses).text for _ in range(8)] == ["yes"] * 8
        with pytest.raises(ModelError):
            next(responses)


@pytest.mark.parametrize("ending", ["close", "interrupt"])
def test_stopping_early_cancels_what_is_in_flight(ending: str) -> None:
    def first_only(exchange: Exchange) -> None:
        if exchange.prompt == "0":
            exchange.answer("0")
        else:
            hang(exchange)

    def draw() -> Iterator[Request]:
        yield from (ask(f"{number}") for number in range(4))
        raise KeyboardInterrupt

    with serving(first_only) as server:
        threads = set(threading.enumerate())
        responses = OpenAIRunner(model="m", base_url=server.url, concurrency=4 if ending == "close" else 8).generate(
            draw()
        )
        began = time.monotonic()
        if ending == "close":
            assert next(responses).text == "0"
            responses.close()  # type: ignore[attr-defined]
        else:
            with pytest.raises(KeyboardInterrupt):
                list(responses)
        assert time.monotonic() - began < 5
        left = [
            each.name for each in threading.enumerate() if each not in threads and "process_request" not in each.name
        ]
        assert left == []


def test_requests_that_cannot_be_sent_fail_alone() -> None:
    gone = Image("0" * 64, 1, 1, "gone.png", read=lambda: b"\x89PNG damaged")
    prefilled = Request((Message("user", ("?",)), Message("assistant", ("4",))), max_tokens=16)
    requests = [Request((Message("user", (gone,)),), max_tokens=16), prefilled, ask("2 + 2 = ?")]
    with serving(lambda exchange: exchange.answer("4")) as server:
        responses = {each.key: each for each in OpenAIRunner(model="m", base_url=server.url).generate(requests)}
    errors = [responses[request.key].error for request in requests]
    assert [each and each.kind for each in errors] == ["preprocess", "request", None]
    assert len(server.seen) == 1


def test_the_key_is_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), serving(lambda exchange: exchange.answer("4")) as server:
        runner = OpenAIRunner(model="m", base_url=server.url)
        list(runner.generate([ask("?")]))
    assert server.seen[0].handler.headers["Authorization"].endswith(KEY)
    assert "HTTP Request" in caplog.text
    assert KEY not in f"{caplog.text} {runner!r} {runner.identity()}"
