"""One question to a model from the command line."""

from __future__ import annotations

from pathlib import Path

import PIL.Image
import pytest

from evalkit.cli import main


def test_the_embedded_model_is_asked_with_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first.png", "second.png"):
        PIL.Image.new("RGB", (40, 30)).save(tmp_path / name)
    pictures = [f"image={tmp_path / name}" for name in ("first.png", "second.png")]
    assert main(["chat", "model=tiny", *pictures, "system=Be brief.", "max_tokens=3", "Which = is it?"]) == 0
    out, err = capsys.readouterr()
    assert (out.count("\n") >= 1, err) == (True, "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "chat needs a text"),
        (["model=tiny"], "chat needs a text: type python -m evalkit chat model=NAME"),
        (["model=tiny", "What", "is it?"], "'What' is neither a key nor the text"),
        (["--loud", "Hi"], "unknown option '--loud'"),
        (["image=none.png", "Hi"], "image=none.png cannot be read"),
        (["max_tokens=0", "Hi"], "max_tokens=0 is no number of tokens"),
        (["model=nope", "Hi"], "unknown model 'nope'"),
    ],
)
def test_what_cannot_be_asked(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", *words]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


def test_a_damaged_picture_is_no_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    PIL.Image.effect_noise((200, 200), 50).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    assert main(["chat", "model=tiny", f"image={tmp_path / 'cut.png'}", "What is it?"]) == 1
    assert "no answer: cut.png is truncated or damaged" in capsys.readouterr().err
