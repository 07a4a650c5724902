"""The check that everything behaves as released: silent on what may differ, loud on what may not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from evalkit import config, pipeline
from evalkit.commands import selfcheck as command
from evalkit.prompts import IMAGE_TOKEN
from evalkit.runners.chance import Chance
from evalkit.runners.replay import Scripted
from evalkit.selfcheck import PROBED, Behaviour, Blanked, Released, blanked, moved
from evalkit.types import Image, Request, Response

THEN = Behaviour("p", "q", right=1.0, wrong=0.1, score=50.0, step=2.5, seen=4, alone=4, answers="a b c d e")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompts": "x"}, "the prompts changed"),
        ({"pictures": "x"}, "the pictures changed"),
        ({"right": 0.0}, "the scorer gives right answers 0.000 and gave 1.000"),
        ({"wrong": 1.0}, "the scorer gives wrong answers 1.000 and gave 0.100"),
        ({"score": 42.5}, "the score is 42.50 and was 50.00"),
        ({"seen": 0}, f"0 of {PROBED} answers depend on the picture, where 4 did"),
        ({"answers": "a b x y z"}, "3 of 5 answers are others than recorded"),
        ({"alone": 1}, f"1 of {PROBED} answers are the same alone as in a batch, where 4 were"),
    ],
)
def test_each_kind_of_change_is_named(change: dict[str, object], said: str) -> None:
    [found] = moved(replace(THEN, **change), THEN, same_drawing=True)  # type: ignore[arg-type]
    assert said in found


def test_what_another_machine_may_change_is_no_change() -> None:
    assert moved(THEN, THEN, same_drawing=True) == []
    assert moved(replace(THEN, score=45.0, seen=2, alone=3, answers="a b x d y"), THEN, same_drawing=True) == []
    assert moved(replace(THEN, pictures="x", answers="v w x y z"), THEN, same_drawing=False) == []
    assert moved(THEN, replace(THEN, answers=""), same_drawing=True) == []


def rendered(task: str) -> list[Request]:
    [one] = config.setup([f"task={task}", "data.n=12"]).tasks
    return [asked.request for asked in pipeline.render(one, pipeline.load(one, None))]


def test_blank_sheets_have_the_size_of_the_pictures_and_every_request_its_answer() -> None:
    requests = rendered("docvqa")
    blind = Scripted(lambda request: request.messages[0].parts[0].name)  # type: ignore[union-attr]
    answered = list(Blanked(blind).generate(requests))
    assert sorted(response.key for response in answered) == sorted(request.key for request in requests)
    for request in requests:
        white = blanked(request)
        assert [(image.width, image.height) for image in white.images] == [
            (image.width, image.height) for image in request.images
        ]
        assert all(set(image.read()) for image in white.images if image.read)  # it is a file
        assert white.key != request.key


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of what the package has recorded."""
    monkeypatch.setattr(command, "files", lambda _: tmp_path)
    (tmp_path / "recorded").mkdir()
    return tmp_path / "recorded"


WORDS = ["model=chance", "task=mmmu", "data.n=12"]


def test_a_recorded_run_passes_and_says_so(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([*WORDS, "--record"]) == 0
    assert list(json.loads((recorded / "chance.json").read_text())["tasks"]) == ["mmmu"]
    assert command.main(WORDS) == 0
    out = capsys.readouterr()
    assert out.out.endswith("image path, prompts, batching and scorers behave as released\n")
    assert out.err == ""


def test_swapped_pictures_fail_and_name_the_benchmark(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main([*WORDS, "--record"])

    def swapped(text: str, pictures: Mapping[int, Image]) -> tuple[str | Image, ...]:
        order = [pictures[k] for k in sorted(pictures, reverse=True)]
        places = iter(order)
        pieces = IMAGE_TOKEN.split(text)
        return tuple(next(places) if number % 2 else piece for number, piece in enumerate(pieces) if piece)

    monkeypatch.setattr("evalkit.tasks.mmmu.interleave", swapped)
    assert command.main(WORDS) == 1
    assert "evalkit: mmmu: the pictures changed (pixels, or their order)" in capsys.readouterr().err


def test_pictures_that_a_runner_swaps_fail(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["model=chance", "task=mmmu"]
    looks = Scripted(lambda request: " ".join(image.sha256 for image in request.images))
    monkeypatch.setattr(Chance, "generate", lambda _, requests: looks.generate(requests))
    command.main([*words, "--record"])

    def of_two_the_last_first(request: Request) -> str:
        pictures = [image.sha256 for image in request.images]
        return " ".join(reversed(pictures) if len(pictures) == 2 else pictures)

    swaps = Scripted(of_two_the_last_first)
    monkeypatch.setattr(Chance, "generate", lambda _, requests: swaps.generate(requests))
    assert command.main(words) == 1
    assert "mmmu: 4 of 40 answers are others than recorded" in capsys.readouterr().err


def test_blank_pictures_and_a_broken_scorer_fail(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["model=chance", "task=ocrbench", "data.n=12"]
    looks = Scripted(lambda request: request.images[0].sha256)
    monkeypatch.setattr(Chance, "generate", lambda _, requests: looks.generate(requests))
    command.main([*words, "--record"])
    assert command.main(words) == 0

    def blind(_: Chance, requests: Iterable[Request]) -> Iterator[Response]:
        return Blanked(looks).generate(requests)

    monkeypatch.setattr(Chance, "generate", blind)
    assert command.main(words) == 1
    assert "ocrbench: 0 of 4 answers depend on the picture, where 4 did" in capsys.readouterr().err
    monkeypatch.setattr("evalkit.tasks.ocrbench.OCRBench.score", lambda *_: 0.0)
    assert command.main(words) == 1
    assert "ocrbench: the scorer gives right answers 0.000 and gave 1.000" in capsys.readouterr().err


def test_what_cannot_be_compared_is_a_sentence(recorded: Path) -> None:
    from evalkit.errors import ConfigError

    with pytest.raises(ConfigError, match="nothing is recorded of chance"):
        command.main(WORDS)
    command.main([*WORDS, "--record"])
    with pytest.raises(ConfigError, match="are of other questions"):
        command.main(["model=chance", "task=mmmu", "data.n=3"])
    with pytest.raises(ConfigError, match="nothing is recorded of docvqa"):
        command.main(["model=chance", "task=docvqa", "data.n=12"])
    with pytest.raises(ConfigError, match="unknown option '--fast'"):
        command.main(["--fast"])


def test_the_package_has_records_of_its_own_models() -> None:
    from evalkit.store import read_json

    folder = Path(command.__file__).parents[1] / "models" / "recorded"
    suite = {task.name for task in config.setup(["+suite=all"]).tasks}
    for file in folder.glob("*.json"):
        assert set(read_json(file, Released).tasks) == suite
    assert {"tiny", "chance"} <= {file.stem for file in folder.glob("*.json")}
