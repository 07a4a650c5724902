"""The generators' drawing code as training needs it: other fonts, other words, and a note of where each letter went.

Evaluation's fonts and words are never drawn here. The generators know nothing of it: while `watching` is open, the few
functions of theirs through which all writing passes are exchanged.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from string import ascii_lowercase
from typing import Any
from unittest.mock import patch

from PIL import Image, ImageDraw, ImageFont

from evalkit.tasks.mini import ai2d, chartqa, drawing, lettering, mathvista, mmlongbench_doc, words

# A letter and its middle, in pixels of the finished picture.
Glyph = tuple[float, float, str]
WORD = re.compile(r"[A-Za-z]+")
# What syllables are made of; nothing is as likely as one of the many.
ONSETS = (
    *[""] * 6, *"bcdfghjklmnpqrstvwxyz" * 2, "bl", "br", "ch", "cl", "cr", "dr", "fl", "fr", "gl", "gr", "kn", "ph",
    "pl", "pr", "qu", "sc", "sh", "sk", "sl", "sm", "sn", "sp", "st", "sw", "th", "tr", "tw", "wh", "wr", "str", "thr",
)  # fmt: skip
NUCLEI = (*"aeiou" * 6, *"yy", "ai", "au", "ea", "ee", "ei", "ey", "ia", "ie", "io", "oa", "oo", "ou", "ow", "oy", "ue",
          "ui")  # fmt: skip
CODAS = (
    *[""] * 24, *"bcdfgklmnprstvwxyz" * 2, "ck", "ff", "ft", "gh", "ld", "ll", "lt", "mp", "nd", "ng", "nk", "nt", "rd",
    "rk", "rl", "rm", "rn", "rs", "rt", "rry", "sh", "ss", "st", "ster", "tch", "th", "tt", "tter",
)  # fmt: skip
# What evaluation names people, places and things by. Forms, months and questions are the same in training.
NAMES = (
    *words.FIRST, *words.LAST, *words.PLACES, *words.TOWNS, *words.PLAIN, *mathvista.PUPILS, *mathvista.GOODS,
    *(street.split()[0] for street in words.STREETS), *(topic for group in (chartqa.COUNTRIES, chartqa.SHOPS,
    chartqa.FRUIT, chartqa.TRAVEL, chartqa.CROPS) for topic in group), *mmlongbench_doc.AWARDS,
    *(name for web in ai2d.WEBS.values() for level in web for name in level),
    *(stage for stages in ai2d.CYCLES.values() for stage in stages),
)  # fmt: skip
VOCABULARY = frozenset(word.lower() for name in NAMES for word in WORD.findall(name) if len(word) > 2)


def invented(rng: Random, length: int) -> str:
    """Return a word of so many letters, mostly one that can be spoken, and never one of evaluation's.

    Its letters follow each other in more ways than in any language, lest a reader spell what it expects to see.
    """
    word = ""
    while not word or word in VOCABULARY:
        if rng.random() < 0.25:
            word = "".join(rng.choice(ascii_lowercase) for _ in range(length))
            continue
        word = ""
        while len(word) < length:
            word += rng.choice(ONSETS) + rng.choice(NUCLEI) + rng.choice(CODAS)
        word = word[:length]
    return word


# Fields of MEGA-Bench's rows that name metrics and not things.
SCORERS = ("metric_info", "metrics", "eval_context")


@dataclass
class Watch:
    """What was drawn: by the SHA-256 of a picture's file its letters, its texts as they were written, and its working.

    `faces` are files of fonts to write with. Names are exchanged for invented ones, the same each time.
    """

    rng: Random
    faces: Sequence[str]
    glyphs: dict[str, list[Glyph]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    workings: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    chosen: dict[str, str] = field(default_factory=dict)

    def renamed(self, text: str) -> str:
        """Return a text with evaluation's names exchanged."""
        return WORD.sub(lambda match: self._other(match[0]), text)

    def _other(self, word: str) -> str:
        low = word.lower()
        if low not in VOCABULARY:
            return word
        other = self.others.setdefault(low, invented(self.rng, max(3, len(low) + self.rng.randint(-1, 1))))
        return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other

    def row(self, values: Mapping[str, object]) -> dict[str, object]:
        """Return a row with evaluation's names exchanged in its texts, but for what scorers read."""
        return {key: value if key in SCORERS else self._value(value) for key, value in values.items()}

    def _value(self, value: object) -> object:
        if isinstance(value, str):
            return self.renamed(value)
        return [self._value(item) for item in value] if isinstance(value, list) else value

    def font(self, size: float, face: str = "") -> Any:
        """Return one of the fonts in place of an evaluation's; the same one throughout a picture."""
        return loaded(self.chosen.setdefault(face, self.rng.choice(self.faces)), round(size))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Exchange the functions that write."""
        write, finish, pen = drawing.Canvas.text, drawing.Canvas.finished, ImageDraw.ImageDraw.text

        def text(canvas: drawing.Canvas, at: Any, said: str, *style: Any, **more: Any) -> None:
            write(canvas, at, self.renamed(said), *style, **more)

        def ink(into: ImageDraw.ImageDraw, xy: Any, said: str, fill: Any, font: Any, anchor: str, **more: Any) -> None:
            pen(into, xy, said, fill, font, anchor, **more)
            _note(into._image, xy, said, font, anchor)

        def finished(canvas: drawing.Canvas, height: float | None = None) -> Image.Image:
            picture: Image.Image = finish(canvas, height)
            step = drawing.SMOOTH
            letters = canvas.image.info.get("glyphs", [])
            picture.info["glyphs"] = [(x / step, y / step, letter) for x, y, letter in letters]
            picture.info["texts"] = canvas.image.info.get("texts", [])
            return picture

        def png(picture: Image.Image, working: str = "") -> bytes:
            buffer = io.BytesIO()
            picture.save(buffer, "PNG", compress_level=0)
            name = hashlib.sha256(buffer.getvalue()).hexdigest()
            if "glyphs" in picture.info:
                self.glyphs[name] = picture.info["glyphs"]
                self.texts[name] = picture.info["texts"]
            self.workings[name] = self.renamed(working)
            self.chosen.clear()
            return buffer.getvalue()

        plain = tuple(invented(self.rng, self.rng.randint(3, 9)) for _ in range(40))
        with (
            patch.object(drawing, "font", self.font),
            patch.object(lettering, "font", self.font),
            patch.object(drawing, "png", png),
            # One step of smoothing less is three times as fast, and one more look of letters.
            patch.object(drawing, "SMOOTH", 1),
            patch.object(words, "PLAIN", plain),
            patch.object(drawing.Canvas, "text", text),
            patch.object(drawing.Canvas, "finished", finished),
            patch.object(ImageDraw.ImageDraw, "text", ink),
        ):
            yield


@lru_cache(maxsize=4096)
def loaded(face: str, size: int) -> ImageFont.FreeTypeFont:
    """Return a font from its file."""
    return ImageFont.truetype(face, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=100_000)
def _advance(face: str, size: int, letter: str) -> float:
    return loaded(face, size).getlength(letter)


def _note(image: Image.Image, xy: tuple[float, float], said: str, font: Any, anchor: str) -> None:
    texts = image.info.setdefault("texts", [])
    # Bold letters are written twice.
    if texts and texts[-1] == said and image.info["last"] == round(xy[1]):
        return
    image.info["last"] = round(xy[1])
    texts.append(said)
    widths = [_advance(font.path, font.size, letter) for letter in said]
    x = xy[0] - sum(widths) * {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]]
    _, top, _, bottom = font.getbbox(said, anchor=anchor)
    glyphs = image.info.setdefault("glyphs", [])
    for letter, width in zip(said, widths, strict=True):
        if letter != " ":
            glyphs.append((x + width / 2, xy[1] + (top + bottom) / 2, letter))
        x += width
