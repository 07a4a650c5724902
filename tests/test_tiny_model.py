"""The embedded untrained checkpoint: made once, always the same, and able to take whatever a benchmark shows it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tiny_families import ask, picture

from evalkit.errors import ModelError
from evalkit.models.tiny import build, checkpoint
from evalkit.runners.transformers import TransformersRunner


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def runner() -> TransformersRunner:
    return TransformersRunner(id=checkpoint, device="cpu", threads=1, max_new_tokens=4)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_seed_always_gives_the_same_bytes(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = checkpoint(seed=0), checkpoint(seed=1)
    assert first.parent == other.parent == cache
    assert first != other
    monkeypatch.setenv("EVALKIT_CACHE", str(cache / "again"))
    again = checkpoint(seed=0)
    assert again.name == first.name
    assert contents(again) == contents(first)
    differing = {name for name, content in contents(first).items() if contents(other)[name] != content}
    assert differing == {"model.safetensors"}


def test_it_is_built_once(cache: Path) -> None:
    folder = checkpoint()
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert checkpoint() == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o644}


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.delenv("EVALKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert checkpoint().parent == tmp_path / "xdg" / "evalkit"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert checkpoint().parent == tmp_path / "home" / ".cache" / "evalkit"


def test_a_crash_leaves_nothing_half_made(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(folder: Path, seed: int) -> None:
        (folder / "config.json").write_text("{")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build, "_write", crash)
        with pytest.raises(KeyboardInterrupt):
            checkpoint()
    assert list(cache.iterdir()) == []
    assert (checkpoint() / "model.safetensors").is_file()


def test_builders_may_race(cache: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(checkpoint, [7] * 8))
    assert len(folders) == 1
    assert list(cache.iterdir()) == list(folders)
    assert len(contents(folders.pop())) == 8


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="set EVALKIT_CACHE to a folder that can be written"):
        checkpoint()


def test_a_seed_out_of_range() -> None:
    with pytest.raises(ModelError, match="has no seed -1: give one from 0"):
        checkpoint(-1)


def test_characters_are_tokens_and_the_rest_is_unknown() -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(checkpoint() / "tokenizer.json"))
    printable = "".join(map(chr, range(32, 127))) + "\n"
    encoded = tokenizer.encode(printable)
    assert len(encoded.ids) == 96
    assert tokenizer.decode(encoded.ids) == printable
    assert tokenizer.encode("a\u00e9\u4e2d").tokens == ["a", "<unk>", "<unk>"]


def test_it_takes_any_shape_many_pictures_and_long_prompts(runner: TransformersRunner) -> None:
    shapes = [(1, 1), (1, 900), (900, 1), (3, 40), (40, 3), (2500, 3500), (4000, 10)]
    requests = [
        *(ask(picture(*shape), "What is it?") for shape in shapes),
        ask(*(picture(50, 40, seed) for seed in range(12)), "Which one?"),
        ask("A long story. " * 700),
    ]
    responses = list(runner.generate(requests))
    assert [response.error for response in responses] == [None] * len(requests)
    assert max(response.prompt_tokens or 0 for response in responses) > 9_000


def test_its_answer_depends_on_the_picture(runner: TransformersRunner) -> None:
    texts = [response.text for response in runner.generate([ask(picture(60, 60, seed), "?") for seed in range(8)])]
    assert len(set(texts)) > 4
