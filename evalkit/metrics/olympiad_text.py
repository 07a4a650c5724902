r"""What OlympiadBench's judge makes of a text before it compares anything: the answer's string and its entries.

Source: He et al., OlympiadBench (arXiv:2402.14008), `MathJudger` in OpenBMB/OlympiadBench ba5b26a7,
inference/code/math_judger.py. Every step is kept as it is, also where it surprises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_BRACE = re.compile(r"\\boxed\{|[{}]")
_DOLLARS = re.compile(r"\$(.*?)\$")
_FONT = re.compile(r"\\(?:mathrm|mathbf)\{~?([^}]*)\}")
_CHINESE = re.compile(r"[\u4e00-\u9fff]+")
_ENDS = "\n$,.:;^_=+`!@#$%^&*~，。"  # noqa: RUF001

# In this order, wherever they stand: \rightarrow becomes "arrow" and ^{\circ} stays.
_PLAIN = (
    ("\\left", ""),
    ("\\right", ""),
    ("∶", ":"),  # noqa: RUF001
    ("，", ","),  # noqa: RUF001
    ("$", ""),
    ("\\approx", "="),
    ("\\simeq", "="),
    ("\\sim", "="),
    ("^\\prime", "'"),
    ("^{\\prime}", "'"),
    ("^\\circ", ""),
    ("%", ""),
)


class UnbalancedBox(ValueError):  # noqa: N818  named for what is wrong with the text
    r"""A `\boxed{` whose brace is never closed, for which the official code gives no point."""


def boxes(text: str) -> list[str]:
    r"""Return what each `\boxed{...}` holds, in the order in which they begin; a box inside a box counts too.

    Braces are counted as characters, so `\{` opens one. Raises UnbalancedBox. Finding the boxes takes linear time.
    """
    return [text[start:end] for start, end in _spans(text)]


def last_box(text: str) -> str:
    r"""Return the last `\boxed{...}` that is in no other box, box and all, or the text itself. Raises UnbalancedBox."""
    last = (0, -1)
    for start, end in _spans(text):
        if start > last[1]:
            last = (start, end)
    return f"\\boxed{{{text[slice(*last)]}}}" if last[1] >= 0 else text


def _spans(text: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    opened: list[tuple[int, bool]] = []
    for brace in _BRACE.finditer(text):
        if brace[0] != "}":
            opened.append((brace.end(), brace[0] != "{"))
        elif opened:
            start, boxed = opened.pop()
            if boxed:
                found.append((start, brace.start()))
    if any(boxed for _, boxed in opened):
        raise UnbalancedBox("a \\boxed{ is never closed")
    return sorted(found)


def normalised(text: str) -> str:
    r"""Return the string that is compared: all boxes, else all `$...$` of the last line, else the text as it is.

    Several are joined by commas, as if they were several answers. Then what only decorates goes: `\left`, `$`, `%`,
    `^\circ`, `\mathrm{}`, punctuation at both ends; `\approx` and `\sim` become `=`, and of `x \in S` only S is left.
    Raises UnbalancedBox.
    """
    parts = boxes(text) or _DOLLARS.findall(text.strip().split("\n")[-1])
    answer = "".join(f"{part}," for part in parts) or text
    if "\\in " in answer:
        answer = answer.split("\\in ")[1]
    for written, plain in _PLAIN:
        answer = answer.replace(written, plain)
    return _FONT.sub(r"\1", answer.strip(_ENDS))


def entries(answer: str) -> list[str]:
    r"""Return the answers that a normalised string holds: split at commas outside of brackets, `\pm` as two answers.

    Chinese characters are dropped first, so that an answer of nothing else has no entries at all.
    """
    return list(_signed(_split(_CHINESE.sub("", answer))))


def _split(answer: str) -> Iterator[str]:
    depth = start = 0
    for place, character in enumerate(answer):
        if character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "," and depth == 0:
            yield answer[start:place].strip()
            start = place + 1
    if start < len(answer):
        yield answer[start:].strip()


def _signed(answers: Iterator[str]) -> Iterator[str]:
    for answer in answers:
        if "\\pm" in answer:
            yield answer.replace("\\pm", "+")
            yield answer.replace("\\pm", "-")
        else:
            yield answer
