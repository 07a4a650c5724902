"""How the tiny model is taught: as the checkpoint's processor and template will show it, with nothing of the exam."""

from __future__ import annotations

import json
import re
import sys
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from itertools import islice, pairwise
from operator import add, eq, gt, lt, mul, sub, truediv
from pathlib import Path
from random import Random
from typing import Any, cast

import PIL.Image
import pytest

from evalkit import config
from evalkit.images import decode
from evalkit.models.tiny import build, trained
from evalkit.models.tiny.drills import drill
from evalkit.models.tiny.feed import CODES, FINAL, IGNORED, Room, collated, labelled, prepared, tiled
from evalkit.models.tiny.learner import Learner
from evalkit.models.tiny.lessons import Lesson, basics, exams, rendered
from evalkit.models.tiny.trained import SMALL, Shape, places
from evalkit.models.tiny.watch import VOCABULARY, WORD, Watch

SIZES = [(336, 560), (336, 300), (420, 280), (116, 116), (640, 700), (60, 30), (900, 40), (30, 800), (540, 290)]


def fonts() -> list[str]:
    """Any font will do to see that letters are found; which ones training has is its caller's choice."""
    return [str(files("font_caladea").joinpath("files", "Caladea-Regular.ttf"))]


@pytest.fixture
def watch() -> Watch:
    return Watch(Random(5), fonts())


@pytest.fixture(scope="module")
def processor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoProcessor

    folder = tmp_path_factory.mktemp("parts")
    trained.write_parts(folder, Shape())
    return AutoProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("size", SIZES)
def test_pictures_are_cut_as_the_processor_cuts_them(size: tuple[int, int], processor: Any) -> None:
    import numpy as np

    picture = PIL.Image.effect_noise(size, 60).convert("RGB")
    inputs = processor(text=["<image>"], images=[picture], return_tensors="pt")
    theirs = (inputs["pixel_values"][0].permute(0, 2, 3, 1).numpy() + 1) * 127.5
    ours = tiled(picture, Shape())
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).mean() < 1
    assert len(places((picture.height, picture.width), Shape())) == int((inputs["input_ids"] == build.PICTURE).sum())


def test_prompts_are_what_the_runner_will_say(watch: Watch, processor: Any) -> None:
    from evalkit.runners._conversation import conversation, special_tokens

    [task] = config.setup(["task=mmmu", "data.n=4"]).tasks
    for sample in task.load():
        request = task.render(sample)
        text = processor.apply_chat_template(
            conversation(request, special_tokens(processor)), add_generation_prompt=True, tokenize=False
        )
        assert rendered(request) == text
        lesson = Lesson("mmmu", text, tuple(map(decode, request.images)), (None,) * len(request.images), "x")
        ours = prepared(lesson, Shape())
        theirs = processor(text=[text], images=list(lesson.pictures), add_special_tokens=False)["input_ids"][0]
        assert list(ours.ids[: ours.start]) == list(theirs)
        assert list(ours.ids[ours.start :]) == [CODES["x"], build.END]


def test_exams_have_other_words_and_the_form_that_is_asked_for(watch: Watch) -> None:
    tasks = config.setup(["task=docvqa"]).tasks
    with watch.watching():
        lessons = list(islice(exams(tasks, Random(1), watch), 20))
    for lesson in lessons:
        assert not VOCABULARY & {word.lower() for word in WORD.findall(lesson.thought + lesson.answer)}
        cot = "Final Answer: <answer>" in lesson.prompt
        assert ("Final Answer: " in lesson.answer) == cot
        [glyphs] = lesson.glyphs
        assert glyphs is not None
        text = "".join(letter for _, _, letter in glyphs)
        final = lesson.answer.split("Final Answer: ")[-1]
        assert final.replace(" ", "") in text


def test_drawing_is_as_before_once_training_has_looked(watch: Watch) -> None:
    from evalkit.tasks.mini import chartqa

    before = list(chartqa.rows(3, 2))
    with watch.watching():
        assert list(chartqa.rows(3, 2)) != before
    assert list(chartqa.rows(3, 2)) == before


def test_letters_are_where_their_ink_is(watch: Watch) -> None:
    with watch.watching():
        for kind in range(30):
            [lesson] = basics(Random(kind), watch, 0.1)
            picture = lesson.pictures[0].convert("L")
            [glyphs] = lesson.glyphs
            for x, y, letter in glyphs or []:
                if letter in ".,:;-'`\"^_~=+*|/\\!":
                    continue
                around = picture.crop((int(x) - 4, int(y) - 7, int(x) + 5, int(y) + 8))
                darkest, lightest = cast(tuple[int, int], around.getextrema())
                assert lightest - darkest > 40, (lesson.kind, letter)


def test_a_patch_has_the_letters_over_it() -> None:
    side, tile = 12, 168
    # Four tiles: the first letters are in the second row and column of the first, the last one in the second tile.
    shown = labelled([(20.0, 20.0, "b"), (15.0, 20.0, "a"), (200.0, 3.0, "c")], (336, 336), Shape())
    assert shown.shape == (5, side**2, 2)
    assert list(shown[1, side + 1]) == [CODES["a"], CODES["b"]]
    assert list(shown[2, (200 - tile) // 14]) == [CODES["c"], 0]
    assert (shown[3:] == 0).all()
    # The thumbnail is half as large.
    assert list(shown[0, 0]) == [CODES["a"], CODES["b"]]
    assert list(shown[0, 200 // 28]) == [CODES["c"], 0]
    assert (shown > 0).sum() == 6
    crowded = labelled([(20.0, 20.0, letter) for letter in "abc"], (336, 336), Shape())
    assert list(crowded[1, side + 1]) == [IGNORED, IGNORED]
    assert (labelled(None, (336, 336), Shape()) == IGNORED).all()
    assert (labelled([], (336, 336), Shape()) == 0).all()


def worth(text: str) -> Fraction:
    """Return what sums of products and quotients come to."""
    if step := re.fullmatch(r"(.*) ([-+]) (.*?)", text) or re.fullmatch(r"(.*) ([*/]) (.*?)", text):
        value: Fraction = {"+": add, "-": sub, "*": mul, "/": truediv}[step[2]](worth(step[1]), worth(step[3]))
        return value
    return Fraction(text)


@pytest.mark.parametrize("seed", range(40))
def test_drills_are_right(seed: int) -> None:
    asked, answer = drill(Random(seed))
    assert (asked + answer).replace("\n", "").isprintable()
    for stated in answer.replace(",", "").split("; "):
        if re.fullmatch(r"[-\d.+*/= ]+", stated) and " = " in stated:
            assert len({worth(side) for side in stated.split(" = ")}) == 1, stated
        elif pair := re.fullmatch(r"([\d.]+) ([<>=]) ([\d.]+)", stated):
            assert {"<": lt, ">": gt, "=": eq}[pair[2]](Decimal(pair[1]), Decimal(pair[3])), stated
    for option, letter in re.findall(r"(?:^|; )([^;]+) \(([A-J])\)", answer):
        assert re.search(rf"^(\({letter}\)|{letter}\.) {re.escape(option)}$", asked, re.MULTILINE), answer
    if asked.startswith(("highest", "lowest")):
        best = max if asked.startswith("highest") else min
        number = best((Decimal(each.rsplit(" ", 1)[1]), each) for each in asked.split(": ")[1].split("; "))[1]
        assert answer == f"{asked.split(':')[0]} {number.rsplit(' ', 1)[1]} {number.rsplit(' ', 1)[0]}"


def test_a_lettered_answer_says_its_option_first(watch: Watch) -> None:
    tasks = config.setup(["task=mmmu", "task=ai2d"]).tasks
    found = 0
    with watch.watching():
        for lesson in islice(exams(tasks, Random(2), watch), 40):
            letter = re.fullmatch(r" \(([A-D])\)\nAnswer: ([A-D])", lesson.answer)
            if letter:
                shown = re.findall(r"^\(?([A-D])[.)] (.*)$", lesson.prompt, re.MULTILINE)
                assert letter[1] == letter[2]
                assert lesson.thought.endswith(dict(shown)[letter[1]])
                found += 1
    assert found > 20


def small_lessons(watch: Watch) -> list[Lesson]:
    """Lessons with one picture, with two, and with none."""
    with watch.watching():
        lessons = [next(basics(Random(k), watch, 0.1)) for k in range(3)]
    one, two = lessons[:2]
    both = Lesson("both", one.prompt + two.prompt.removeprefix("<s>"), one.pictures + two.pictures,
                  one.glyphs + two.glyphs, two.answer)  # fmt: skip
    return [*lessons, both, Lesson("none", "<s>user: say x\nassistant:", (), (), "x", thought="w: ")]


def test_a_batch_asks_for_answers_alone(watch: Watch) -> None:
    lessons = [prepared(lesson, SMALL) for lesson in small_lessons(watch)]
    room = Room(tokens=2048, tiles=70, lessons=16, longest=1024)
    assert room.takes(lessons)
    assert not room.takes(lessons * 3)
    batch = collated(lessons, SMALL, room)
    assert {name: tuple(batch[name].shape) for name in ("ids", "targets", "bounds", "pixels", "labels")} == {
        "ids": (2048,), "targets": (2048,), "bounds": (17,), "pixels": (70, 56, 56, 3), "labels": (70, 16, 2)
    }  # fmt: skip
    edges = batch["bounds"].tolist()
    for one, start, end in zip(lessons, edges, edges[1:], strict=False):
        wanted = batch["targets"][start:end]
        assert wanted[wanted != IGNORED].tolist() == one.ids[one.start :].tolist()
        assert wanted[: one.start - 1].eq(IGNORED).all()
        weights = batch["weights"][start:end].tolist()
        thought, answer = one.final - one.start, len(one.ids) - one.final
        weight = FINAL if thought else 1.0
        assert weights == [0.0] * (one.start - 1) + [1.0] * thought + [weight] * answer + [0.0]
        assert batch["positions"][start:end].tolist() == list(range(len(one.ids)))
    assert edges[-1] == 2048
    assert max(b - a for a, b in pairwise(edges)) <= room.longest
    assert batch["targets"][edges[len(lessons)] :].eq(IGNORED).all()
    assert batch["weights"][edges[len(lessons)] :].eq(0).all()
    assert [one.final - one.start for one in lessons] == [0, 0, 0, 0, 3]


def test_the_learner_sees_and_says_what_the_model_will(watch: Watch) -> None:
    import torch

    torch.manual_seed(0)
    learner = Learner(SMALL).eval()
    lessons = small_lessons(watch)
    ready = [prepared(lesson, SMALL) for lesson in lessons]
    batch = collated(ready, SMALL, Room(tokens=2048, tiles=70, lessons=16, longest=1024))
    with torch.no_grad():
        logits = learner.logits(batch)
        learner.model.model.language_model.config._attn_implementation = "sdpa"
        edges = batch["bounds"].tolist()
        for lesson, one, start, end in zip(lessons, ready, edges, edges[1:], strict=False):
            pictures: dict[str, Any] = {}
            if lesson.pictures:
                counts = [len(tiled(picture, SMALL)) for picture in lesson.pictures]
                pixels = torch.zeros((len(counts), max(counts), 3, 56, 56))
                for row, crops in enumerate(torch.split(torch.from_numpy(one.crops), counts)):
                    pixels[row, : len(crops)] = crops.permute(0, 3, 1, 2) / 127.5 - 1
                sizes = torch.tensor([(picture.height, picture.width) for picture in lesson.pictures])
                pictures = {"pixel_values": pixels, "image_sizes": sizes}
            theirs = learner.model(input_ids=torch.from_numpy(one.ids)[None], use_cache=False, **pictures).logits[0]
            torch.testing.assert_close(logits[start:end], theirs, atol=1e-4, rtol=1e-4)


def test_it_learns_is_saved_resumed_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from evalkit.models.tiny import train
    from evalkit.runners.transformers import TransformersRunner

    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "one.ttf").write_bytes(Path(fonts()[0]).read_bytes())

    def run(out: str, steps: int, *more: str) -> list[dict[str, float]]:
        words = ["train", "--out", str(tmp_path / out), "--fonts", str(tmp_path / "fonts"), "--tiny", "--workers", "0"]
        words += ["--budget", "2048", "--examine", "0", "--every", "0", "--rate", "3e-3", "--steps", str(steps), *more]
        monkeypatch.setattr(sys, "argv", words)
        train.main()
        return [json.loads(line) for line in (tmp_path / out / "log.jsonl").read_text().splitlines()]

    first = run("first", 24)
    losses = [line["loss"] for line in first if "loss" in line]
    assert sum(losses[-4:]) < sum(losses[:4])
    again = run("second", 1, "--resume", str(tmp_path / "first"))
    assert again[0]["loss"] < losses[0]
    (tmp_path / "first" / "state.pt").unlink()
    [bare] = run("third", 1, "--resume", str(tmp_path / "first"))
    assert bare["loss"] < losses[0]
    [task] = config.setup(["task=chartqa", "data.n=2"]).tasks
    requests = [task.render(sample) for sample in task.load()]
    answers = list(TransformersRunner(id=str(tmp_path / "first" / "checkpoint"), max_new_tokens=2).generate(requests))
    assert [response.error for response in answers] == [None, None]
