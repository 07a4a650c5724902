"""Formulas written by an unsteady hand, each beside its LaTeX as HME100K spells it: a blank between any two tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from . import drawing


@dataclass(frozen=True, slots=True)
class Formula:
    """`ink` is a mask of mode L without margins; `axis` is how far below its top a minus sign would stand."""

    latex: str
    ink: Image.Image
    axis: int


def _joined(latex: str, placed: Sequence[tuple[Image.Image, int, int]]) -> Formula:
    """Put inks at (x, y), where y is 0 on the axis."""
    left, top = min(x for _, x, _ in placed), min(y for _, _, y in placed)
    right = max(x + ink.width for ink, x, _ in placed)
    bottom = max(y + ink.height for ink, _, y in placed)
    whole = Image.new("L", (right - left, bottom - top))
    for ink, x, y in placed:
        whole.paste(255, (x - left, y - top), ink)
    return Formula(latex, whole, -top)


def symbols(rng: Random, text: str, size: int) -> Formula:
    """Write letters, digits or signs one after the other, each a little turned, raised and sized."""
    ink = Image.new("L", (size * (len(text) + 2), size * 2))
    x, line = size / 2, size * 1.4
    for letter in text:
        shape = drawing.font(size * rng.uniform(0.93, 1.07))
        glyph = Image.new("L", ink.size)
        ImageDraw.Draw(glyph).text((x, line + rng.uniform(-1, 1)), letter, 255, shape, "ls")
        turned = glyph.rotate(rng.uniform(-6, 6), Image.Resampling.BILINEAR, center=(x + size / 4, line - size / 4))
        ink.paste(255, (0, 0), turned)
        x += shape.getlength(letter) + rng.uniform(0.5, 2.5)
    box = ink.getbbox() or (0, 0, 1, 1)
    return Formula(" ".join(text), ink.crop(box), round(line - size * 0.34) - box[1])


def beside(*parts: Formula) -> Formula:
    """Write parts from left to right."""
    placed, x = [], 0
    for part in parts:
        placed.append((part.ink, x, -part.axis))
        x += part.ink.width + 7
    return _joined(" ".join(part.latex for part in parts), placed)


def raised(base: Formula, exponent: Formula) -> Formula:
    """Write a power."""
    placed = [(base.ink, 0, -base.axis), (exponent.ink, base.ink.width + 2, -3 - exponent.ink.height)]
    return _joined(f"{base.latex} ^ {{ {exponent.latex} }}", placed)


def lowered(base: Formula, index: Formula) -> Formula:
    """Write a subscript."""
    placed = [(base.ink, 0, -base.axis), (index.ink, base.ink.width + 2, 5)]
    return _joined(f"{base.latex} _ {{ {index.latex} }}", placed)


def fraction(above: Formula, below: Formula) -> Formula:
    """Write one part over another."""
    width = max(above.ink.width, below.ink.width) + 12
    middle = [((width - part.ink.width) // 2) for part in (above, below)]
    placed = [(above.ink, middle[0], -7 - above.ink.height), (below.ink, middle[1], 8)]
    bar = Image.new("L", (width, 3), 255)
    return _joined(f"\\frac {{ {above.latex} }} {{ {below.latex} }}", [*placed, (bar, 0, -1)])


def root(body: Formula) -> Formula:
    """Write a square root."""
    width, height = body.ink.width + 26, body.ink.height + 10
    sign = Image.new("L", (width, height))
    hook = [(1, height * 0.6), (6, height * 0.55), (11, height - 3), (19, 2), (width - 1, 2)]
    ImageDraw.Draw(sign).line(hook, 255, 3, joint="curve")
    return _joined(f"\\sqrt {{ {body.latex} }}", [(sign, 0, -body.axis - 8), (body.ink, 22, -body.axis)])


def equation(rng: Random) -> Formula:
    """Write one equation of five kinds with its own letters and numbers."""
    size = rng.randint(30, 38)

    def put(text: object, scale: float = 1.0) -> Formula:
        return symbols(rng, str(text), round(size * scale))

    x, y = rng.sample("abkmnpxyz", 2)
    a, b, c, d = (rng.randint(2, 9), rng.randint(2, 19), rng.randint(2, 99), rng.randint(2, 9))
    sign = rng.choice("+-")
    match rng.randrange(5):
        case 0:
            power = raised(put(x), put(rng.randint(2, 5), 0.62))
            return beside(put(a), power, put(sign), put(b), put(x), put("="), put(c))
        case 1:
            return beside(put(x), put("="), fraction(beside(put(y), put(sign), put(b)), put(a)))
        case 2:
            return beside(root(beside(put(a), put(x), put(sign), put(b))), put("="), put(c))
        case 3:
            first, second = (lowered(put(x), put(index, 0.62)) for index in (1, 2))
            return beside(first, put("="), put(a), second, put(sign), put(b))
        case _:
            bracket = [put(a), put("("), put(x), put(sign), put(b), put(")")]
            return beside(*bracket, put("="), fraction(put(c), put(d)))
