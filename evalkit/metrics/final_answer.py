"""Finding the final answer in a chain of thought that ends in free text, where the benchmark's own code has no rule.

The rule is evalkit's own, so a number that rests on it must name it. It knows only explicit markers and never guesses.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from evalkit.types import Extraction

# Not inside a word ("reanswer:"), yet right after the stars or underscores of markdown.
_LABEL = re.compile(r"(?<![^\W_])(?:(final)[ \t*_]+)?answer[ \t*_]*:", re.IGNORECASE)
_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_BRACE = re.compile(r"(\\boxed\s*\{)|\\[{}]|([{}])")
_LINE = re.compile(r"[^\r\n]+")
_TEXT_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\{([^{}]*)\}")


class _Span(NamedTuple):
    """What a tag or a box holds: the response from `start` to before `end`."""

    rule: str
    start: int
    end: int


def final_answer(text: str) -> Extraction:
    r"""Find what the last marker of a final answer points at; prediction None and rule "none" where there is no marker.

    Markers: `Final Answer:` ("final_answer") and `Answer:` ("answer") in any case, also with markdown around word or
    colon, `<answer>...</answer>` ("answer_tag") and `\boxed{...}` ("boxed"), the latter two only where they are closed.
    The last to begin wins, so that of `Answer: \boxed{5}` the box counts. A label's answer is the first line after it
    that is not empty; if it stands in a tag or a box, it ends there.

    Removed from the answer: white space, `*`, `_` and backticks around it, `$` where it stands at both ends (a price
    keeps its sign), one final dot, and a `\text{...}` around all of it. Brackets, commas and `%` stay. A last marker
    that nothing follows finds nothing: an earlier one is not what the model ended with. Time is linear in the length.
    """
    enclosed = [*_tags(text), *_boxes(text)]
    last = max(enclosed, key=lambda span: span.start, default=None)
    label = next(iter(deque(_LABEL.finditer(text), maxlen=1)), None)
    if label and (last is None or label.start() >= last.start):
        end = min((span.end for span in enclosed if span.start <= label.start() < span.end), default=len(text))
        found, rule = _first_line(text[label.end() : end]), "final_answer" if label[1] else "answer"
    elif last:
        found, rule = _clean(text[last.start : last.end]), last.rule
    else:
        found, rule = "", "none"
    return Extraction(found, rule) if found else Extraction(None, "none")


def _tags(text: str) -> Iterator[_Span]:
    start = None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            start = tag.end()
        elif start is not None:
            yield _Span("answer_tag", start, tag.start())
            start = None


def _boxes(text: str) -> Iterator[_Span]:
    first = text.find("\\boxed")
    if first < 0:
        return
    # One entry per brace that is open: where the content of a box starts, or None for any other brace.
    opened: list[int | None] = []
    for brace in _BRACE.finditer(text, first):
        if brace[1]:
            opened.append(brace.end())
        elif brace[2] == "{":
            opened.append(None)
        elif brace[2] == "}" and opened:
            start = opened.pop()
            if start is not None:
                yield _Span("boxed", start, brace.start())


def _first_line(text: str) -> str:
    return next(filter(None, (_clean(line[0]) for line in _LINE.finditer(text))), "")


def _clean(text: str) -> str:
    bare = _unwrap(_unwrap(text).removesuffix("."))
    command = _TEXT_COMMAND.fullmatch(bare)
    return _unwrap(command[1]) if command else bare


def _unwrap(text: str) -> str:
    start, end = 0, len(text)
    while start < end:
        first, last = text[start], text[end - 1]
        if first.isspace() or first in "*_`":
            start += 1
        elif last.isspace() or last in "*_`":
            end -= 1
        elif first == last == "$" and end - start > 1:
            start, end = start + 1, end - 1
        else:
            break
    return text[start:end]


def answer_or_whole(text: str) -> Extraction:
    """Find the stated final answer, or else take the whole text, stripped, for a metric that compares texts.

    A text of one line without a marker is an answer given outright (rule "whole"). A longer one did not end as asked
    (rule "none"): the metric still gets all of it, as the official code would.
    """
    found = final_answer(text)
    if found.prediction is not None:
        return found
    whole = text.strip()
    return Extraction(whole, "whole" if whole and len(whole.splitlines()) == 1 else "none")
