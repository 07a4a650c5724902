"""What pages, charts and diagrams are drawn with: Pillow alone, its own font, and some that come as packages.

A Canvas is drawn at twice its size and reduced at the end, which smooths the lines that Pillow draws with steps.
Coordinates are pixels from the top left corner, (x, y) or (left, top, right, bottom), of a picture that is not zoomed;
colours are any text that Pillow takes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files

from PIL import Image, ImageDraw, ImageFont

Point = tuple[float, float]
Box = tuple[float, float, float, float]

SMOOTH = 2
INK = "#202428"
# Package and file of a font; the empty one is Pillow's own.
PLAIN = ""
PRINTED = (PLAIN, "font_caladea Caladea-Regular.ttf", "font_lato Lato-Regular.ttf")
HANDWRITTEN = "font_intuitive Intuitive.ttf"
ORNATE = "font_fredoka_one FredokaOne-Regular.ttf"
PALETTE = ("#3b6fb6", "#d9822b", "#4c9a5b", "#b8474f", "#7d62a8", "#8a6d4b", "#2f9aa0", "#c6a52b")


# Reading the font anew for every word would take a quarter of the time.
@lru_cache(maxsize=256)
def font(size: float, face: str = PLAIN) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font `size` pixels high; each has the printable ASCII characters."""
    if face == PLAIN:
        return ImageFont.load_default(size)
    package, name = face.split()
    with as_file(files(package).joinpath("files", name)) as path:
        # The other layout engine, where it is installed, would set the same words otherwise.
        return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def width_of(words: str, size: float, face: str = PLAIN) -> float:
    """Return the width in pixels of one line."""
    return font(size * SMOOTH, face).getlength(words) / SMOOTH


def wrapped(words: str, size: float, width: float, face: str = PLAIN) -> list[str]:
    """Return the lines, none wider than `width` unless a single word is."""
    shape = font(size * SMOOTH, face)
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and shape.getlength(longer) > width * SMOOTH:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def png(picture: Image.Image, working: str = "") -> bytes:
    """Return the encoded file.

    `working` says how the answer follows from what is drawn: for those who teach a model, and no part of the file.
    """
    buffer = io.BytesIO()
    # Stronger compression saves a tenth of the bytes and takes up to twice the time.
    picture.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class Canvas:
    """A picture being drawn on `paper`, a colour; `image` has `scale` pixels for each one that coordinates count."""

    image: Image.Image
    paper: str
    scale: float
    face: str = PLAIN

    @classmethod
    def blank(
        cls,
        width: float,
        height: float,
        paper: str = "white",
        mode: str = "RGB",
        zoom: float = 1,
        face: str = PLAIN,
    ) -> Canvas:
        """Start with an empty sheet; mode "L" is grey, and the finished picture is `zoom` times as large."""
        scale = SMOOTH * zoom
        return cls(Image.new(mode, (round(width * scale), round(height * scale)), paper), paper, scale, face)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in the coordinates' pixels."""
        return self.image.width / self.scale, self.image.height / self.scale

    def finished(self, height: float | None = None) -> Image.Image:
        """Return the picture, or as much of it as is above `height`."""
        end = self.image.height if height is None else round(height * self.scale)
        return self.image.reduce(SMOOTH, (0, 0, self.image.width, end))

    def line(self, points: Sequence[Point], colour: str = INK, width: float = 1) -> None:
        """Join the points."""
        joined = [(x * self.scale, y * self.scale) for x, y in points]
        ImageDraw.Draw(self.image).line(joined, colour, round(width * self.scale), joint="curve")

    def polygon(self, points: Sequence[Point], fill: str | None, outline: str | None = INK, width: float = 1) -> None:
        """Draw a closed shape."""
        corners = [(x * self.scale, y * self.scale) for x, y in points]
        ImageDraw.Draw(self.image).polygon(corners, fill, outline, round(width * self.scale))

    def box(self, box: Box, fill: str | None, outline: str | None = INK, width: float = 1, radius: float = 0) -> None:
        """Draw a rectangle, its corners rounded by `radius`."""
        corners = [side * self.scale for side in box]
        ImageDraw.Draw(self.image).rounded_rectangle(
            corners, radius * self.scale, fill, outline, round(width * self.scale)
        )

    def oval(self, box: Box, fill: str | None, outline: str | None = INK, width: float = 1) -> None:
        """Draw the ellipse that fills the box."""
        ImageDraw.Draw(self.image).ellipse(
            [side * self.scale for side in box], fill, outline, round(width * self.scale)
        )

    def wedge(self, box: Box, start: float, end: float, fill: str) -> None:
        """Draw the slice of that ellipse between two angles, in degrees clockwise from three o'clock."""
        ImageDraw.Draw(self.image).pieslice([side * self.scale for side in box], start, end, fill, "white", SMOOTH)

    def arrow(self, start: Point, end: Point, colour: str = INK, width: float = 1.5) -> None:
        """Draw an arrow whose tip is at `end`."""
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        barbs = [(end[0] - 10 * math.cos(angle + a), end[1] - 10 * math.sin(angle + a)) for a in (-0.42, 0.42)]
        self.line([start, (end[0] - 7 * math.cos(angle), end[1] - 7 * math.sin(angle))], colour, width)
        self.polygon([end, *barbs], colour, None)

    def text(
        self,
        at: Point,
        words: str,
        size: float = 15,
        colour: str = INK,
        anchor: str = "la",
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        """Write one line; `anchor` is Pillow's, a `halo` of the paper's colour keeps it off a line."""
        pen, x, y = ImageDraw.Draw(self.image), at[0] * self.scale, at[1] * self.scale
        ring, paper = (round(3 * self.scale), self.paper) if halo else (0, None)
        # One weight of each font is here; printed twice, a little apart, it is a bold one.
        for shift in (0, 1) if bold else (0,):
            pen.text(
                (x + shift, y),
                words,
                colour,
                font(size * self.scale, self.face),
                anchor,
                stroke_width=ring,
                stroke_fill=paper,
            )

    def paragraph(self, at: Point, words: str, width: float, size: float = 15, colour: str = INK) -> float:
        """Write several lines and return where the next would start."""
        lines = wrapped(words, size, width, self.face)
        for number, line in enumerate(lines):
            self.text((at[0], at[1] + number * size * 1.4), line, size, colour)
        return at[1] + len(lines) * size * 1.4

    def table(
        self, at: Point, rows: Sequence[Sequence[str]], widths: Sequence[float], size: float = 14, ruled: bool = True
    ) -> float:
        """Draw a table whose first row is its head, its other columns flush right; return where it ends."""
        left, top = at
        height, right = size * 1.9, at[0] + sum(widths)
        if ruled:
            self.box((left, top, right, top + height), "#e9ecef", None)
        for number, row in enumerate(rows):
            middle, x = top + (number + 0.5) * height, left
            for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
                place = (x + 6, middle) if column == 0 else (x + width - 6, middle)
                self.text(place, cell, size, anchor="lm" if column == 0 else "rm", bold=number == 0)
                x += width
        last = top + len(rows) * height
        for y in [top + number * height for number in range(len(rows) + 1)] if ruled else [top + height, last]:
            self.line([(left, y), (right, y)])
        for column in range(len(widths) + 1) if ruled else ():
            x = left + sum(widths[:column])
            self.line([(x, top), (x, last)])
        return last
