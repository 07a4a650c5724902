"""Answers that begin as soon as others have ended, and prompts that begin with the same pictures."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tiny_families import FAMILIES, Calls, answers, ask, eight_questions, picture
from tiny_video_families import BUILDERS

from evalkit.models.tiny import checkpoint
from evalkit.runners import _engine
from evalkit.runners.transformers import TransformersRunner
from evalkit.types import Request


def one_by_one(folder: object, questions: list[Request], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the library's own `generate` answers, asked one question at a time."""
    with monkeypatch.context() as within:
        within.setattr(_engine, "obstacle", lambda model, settings: "a test says so")
        return answers(TransformersRunner(id=folder, device="cpu", batch_size=1), questions)  # type: ignore[arg-type]


@pytest.fixture(params=[*FAMILIES, *BUILDERS, None], ids=lambda build: build.__name__ if build else "tiny")
def family(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param is None:
        return checkpoint()
    built = request.param(tmp_path)
    if isinstance(built, Path):
        return built
    if built.processor is not None:
        import transformers

        monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", lambda *_, **__: built.processor)
    folder: Path = built.folder
    return folder


def documents() -> list[Request]:
    """Several questions about some of the pictures, of many lengths, and the same pictures in another order."""
    first, second, third = picture(60, 40, 1), picture(40, 90, 2), picture(50, 50, 3)
    return [
        ask(first, second, "What is it?"),
        ask(first, second, "And in other words, what is it that these two show?", max_tokens=7),
        ask(second, first, "The same?"),
        ask(first, "Red?"),
        ask(first, "Yellow, or rather green?", max_tokens=3),
        ask("Before: ", third, "After?"),
        ask("Before: ", third, "After, if anything?"),
        ask("Elsewhere: ", third, "After?"),
        ask("No picture."),
    ]


def test_answers_are_those_of_generate_one_at_a_time(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = [*eight_questions(), *documents()]
    runner = TransformersRunner(id=family, device="cpu", batch_size=5)
    assert answers(runner, questions) == one_by_one(family, questions, monkeypatch)


def test_an_answer_that_ends_leaves_its_row_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.runners._decoding import Decoder

    whole, sizes = Decoder._forward, []

    def watched(decoder: Decoder, slots: Any, rows: int) -> None:
        sizes.append(rows)
        whole(decoder, slots, rows)

    monkeypatch.setattr(Decoder, "_forward", watched)
    limits = [30, *[3] * 6]
    questions = [ask(f"Question {number}?", max_tokens=limit) for number, limit in enumerate(limits)]
    runner = TransformersRunner(id=checkpoint, device="cpu", batch_size=2)
    responses = list(runner.generate(questions))
    assert responses[-1].key == questions[0].key  # results come as they end
    assert [response.completion_tokens for response in responses] == [*[3] * 6, 30]
    assert max(sizes) == 2
    # The first token of each comes of reading its prompt.
    assert sum(sizes) == sum(limit - 1 for limit in limits)
    assert len(sizes) == 29


def test_prompts_that_share_pictures_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    shown = [picture(300, 300, seed) for seed in range(3)]
    questions = [ask(*shown, f"What is on page {page}?") for page in range(4)]
    got = answers(TransformersRunner(id=checkpoint, device="cpu"), questions)
    assert calls.sizes == [1]
    assert len(calls.inputs[0]["image_sizes"]) == 3
    assert calls.inputs[0]["input_ids"].shape[1] < (got[0].prompt_tokens or 0)
    assert got == one_by_one(checkpoint, questions, monkeypatch)


def test_few_rows_do_not_read_a_document_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    one, two = picture(60, 40, 1), picture(60, 40, 2)
    questions = [ask(page, f"What is on line {line}?") for page in (one, two) for line in range(4)]
    runner = TransformersRunner(id=checkpoint, device="cpu", batch_size=8)  # of which a quarter may differ
    got = answers(runner, [*questions, ask(two, "What is on line 4?")])
    assert calls.sizes == [1, 1, 1]  # half the rows at a time: four questions, four, and the fifth of the second page
    assert got[:8] == one_by_one(checkpoint, questions, monkeypatch)


def test_pages_after_the_question_are_encoded_once(family: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.runners._features import Features

    whole, encoded = Features._once, []

    def counted(features: Features, number: int, compute: Any) -> Any:
        def of_the_class(*arguments: Any, **options: Any) -> Any:
            encoded.append(number)
            return compute(*arguments, **options)

        return whole(features, number, of_the_class)

    monkeypatch.setattr(Features, "_once", counted)
    pages, others = [picture(60, 40, seed) for seed in (1, 2)], [picture(60, 40, seed) for seed in (2, 1)]
    questions = [ask(f"What is on page {page}?", *shown) for page in range(4) for shown in (pages, others)]
    runner: Any = TransformersRunner(id=family, device="cpu", batch_size=4)  # of which one is read at a time
    got = answers(runner, questions)
    continuous = runner._engine._continuous
    assert max(Counter(encoded).values(), default=0) == (2 if continuous else 0)
    assert not (continuous and continuous._decoder.features._seen)  # nothing is held once all is answered
    assert got == one_by_one(family, questions, monkeypatch)


def test_what_is_remembered_of_pages_gives_way_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from evalkit.runners._decoding import Decoder

    questions = [ask(f"What is on line {line}?", picture(60, 40)) for line in range(3)]
    expected = answers(TransformersRunner(id=checkpoint, device="cpu", batch_size=1), questions)
    whole = Decoder._read

    def crowded(decoder: Decoder, inputs: Any) -> Any:
        read = whole(decoder, inputs)
        if decoder.features._seen:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return read

    monkeypatch.setattr(Decoder, "_read", crowded)
    assert answers(TransformersRunner(id=checkpoint, device="cpu", batch_size=1), questions) == expected


def test_a_torn_picture_fails_all_that_share_it() -> None:
    from dataclasses import replace

    torn = replace(picture(30, 30), sha256="0" * 64, name="torn.png", read=lambda: b"\x89PNG")
    questions = [ask(torn, "a?"), ask(torn, "b?"), ask(picture(30, 30), "c?")]
    got = answers(TransformersRunner(id=checkpoint, device="cpu"), questions)
    assert [response.error and response.error.kind for response in got] == ["preprocess", "preprocess", None]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('{"eos_token_id": 2, "pad_token_id": 3, "repetition_penalty": 1.7}', None),
        ('{"eos_token_id": [2, 40, 50], "pad_token_id": 3, "top_k": 1, "do_sample": true}', None),
        ('{"eos_token_id": 2, "pad_token_id": 3, "no_repeat_ngram_size": 2}', "have no_repeat_ngram_size"),
    ],
)
def test_the_checkpoints_settings_hold(
    settings: str,
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = shutil.copytree(checkpoint(), tmp_path / "set")
    (folder / "generation_config.json").write_text(settings)
    questions = [*eight_questions(), *documents()]
    got = answers(TransformersRunner(id=folder, device="cpu"), questions)
    lines = [record.message for record in caplog.records if "static batches" in record.message]
    assert len(lines) == (said is not None)
    assert all(said in line for line in lines if said)
    assert got == one_by_one(folder, questions, monkeypatch)


def test_sampling_is_left_to_the_library_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    runner = TransformersRunner(id=checkpoint, device="cpu")
    mixed = [ask("a?"), ask("b?", temperature=1.0), ask("c?", temperature=1.0)]
    for _ in range(2):
        assert all(response.error is None for response in answers(runner, mixed))
    assert len([record for record in caplog.records if "static batches" in record.message]) == 1


def test_windows_of_many_lengths_attend_as_each_by_itself() -> None:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    from evalkit.runners._attention import windows

    lengths = [4, 7, 4, 4, 1, 7, 2]
    query, key, value = torch.randn(3, 1, 2, sum(lengths), 8, generator=torch.Generator().manual_seed(0))
    ends = torch.tensor([0, *lengths]).cumsum(0)
    found, _ = windows(None, query, key, value, None, scaling=0.3, cu_seq_lens_q=ends)
    each = (part.split(lengths, dim=2) for part in (query, key, value))
    alone = [scaled_dot_product_attention(q, k, v, scale=0.3) for q, k, v in zip(*each, strict=True)]
    torch.testing.assert_close(found, torch.cat(alone, dim=2).transpose(1, 2))


def test_what_memory_allows_bounds_the_answers_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.runners import _decoding

    questions = eight_questions()
    runner = TransformersRunner(id=checkpoint, device="cpu")
    expected = answers(runner, questions)
    longest = max(response.prompt_tokens or 0 for response in expected) + 12
    budget = 3 * (longest + 64)
    continuous = runner._engine._continuous
    assert continuous is not None
    decoder = continuous._decoder
    assert decoder.budget is not None
    assert decoder.budget > 8 * longest  # what this machine's memory allows
    decoder.budget = budget
    whole, taken = _decoding.Decoder._forward, []

    def watched(decoder: Any, slots: Any, rows: int) -> None:
        taken.append((rows, slots.rows * slots.length))
        whole(decoder, slots, rows)

    monkeypatch.setattr(_decoding.Decoder, "_forward", watched)
    assert answers(runner, questions) == expected
    assert 1 < max(rows for rows, _ in taken) < 8
    assert max(places for _, places in taken) <= budget


@pytest.mark.parametrize("works", [True, False])
def test_recorded_passes_answer_alike(works: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording needs a GPU: here what would be recorded is noted, undone, and run again at each replay."""
    import torch

    from evalkit.runners._decoding import Decoder

    questions = [*eight_questions(), *documents()]
    expected = answers(TransformersRunner(id=checkpoint, device="cpu"), questions)
    whole, replays = Decoder._forward, []
    last: list[Any] = []

    def forward(decoder: Decoder, slots: Any, rows: int) -> None:
        last[:] = [decoder, slots, rows, slots.width]
        whole(decoder, slots, rows)

    class Recorded:
        def replay(self) -> None:
            decoder, slots, rows, width = self.noted
            assert (rows, width) in slots.recorded
            slots.width = width
            replays.append(rows)
            whole(decoder, slots, rows)

        noted: tuple[Any, ...]

    @contextmanager
    def recording(graph: Recorded, pool: object, capture_error_mode: str) -> Iterator[None]:
        if not works:
            raise RuntimeError("cannot be recorded")
        slots = last[1]
        names = ("token", "at", "position", "seen")
        before = {name: getattr(slots, name).clone() for name in names}
        yield
        for name in names:
            getattr(slots, name).copy_(before[name])
        graph.noted = tuple(last)

    monkeypatch.setattr(Decoder, "_forward", forward)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recorded)
    monkeypatch.setattr(torch.cuda, "graph", recording)
    runner = TransformersRunner(id=checkpoint, device="cpu", batch_size=6)
    continuous = runner._engine._continuous
    assert continuous is not None
    continuous._decoder._recording = True
    assert answers(runner, questions) == expected
    assert bool(replays) == works
    assert continuous._decoder._recording == works
