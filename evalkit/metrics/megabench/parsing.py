"""MEGA-Bench's response parsers: from a model's text to the values of the answer's fields.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7,
megabench/metrics/parsing and EvaluationProcessor in megabench/evaluation_processor.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from evalkit.errors import DataError

from .json_text import find_json
from .literals import unquoted

Parser = Literal["answer_string", "verbatim_answer_string", "ascii_answer_string", "json", "dummy"]


class _Whitespace(NamedTuple):
    """What a parser does with the white space of an answer: strips all, keeps what stands inside, keeps its lines'."""

    answer: re.Pattern[str]
    inside: bool
    trailing: bool


_FREE = re.compile(r"\*\*?Answer:\s*(.*?)\*\*?|\bAnswer:\s*(.*)", re.DOTALL)
_KEPT = re.compile(r"\*\*?Answer:(.*?)\*\*?|\bAnswer:(.*)", re.DOTALL)
_PLAIN = _Whitespace(_FREE, inside=False, trailing=False)
_ASCII = _Whitespace(_KEPT, inside=True, trailing=False)
_VERBATIM = _Whitespace(_KEPT, inside=True, trailing=True)

_FENCE = "```"
_OPENING = re.compile(r"```\w*")
_BLANK_LINES = re.compile(r"^(?:[^\S\n]*\n)+[^\S\n]*$", re.MULTILINE)
_SHORT_ANSWER = re.compile(r"[a-zA-Z0-9_-]|\([a-zA-Z0-9_-]+\)$")
# From this length on the official code trims an answer before it looks for a block.
_LONG = 10_000


class Parsed(NamedTuple):
    """The fields' values, or for `dummy` the text; `found` says whether the parser found what it looks for."""

    values: Mapping[str, object] | str
    found: bool


def parse(parser: str, text: str, answer: Mapping[str, object]) -> Parsed:
    r"""Find the values of the fields of `answer`, the gold values by name.

    "answer_string": what follows the last `Answer:` (in lower case too), in a code block there if it has one; where the
    gold answer is one line, only the first paragraph of a plain text that a blank line follows. Always a text: a
    literal or JSON that it starts with is written out as Python writes it, and outer quotes of a Python string go.
    `**Answer:** x` gives an empty text, since the bold ends it. "verbatim_answer_string" and "ascii_answer_string" keep
    white space inside the text. "json": the last object, its string values unquoted; where there is none, every field
    gets the whole text, and `found` is False. "dummy": the text, stripped.

    Raises DataError for another parser, or one for a single field with several.
    """
    if parser == "dummy":
        return Parsed(text.strip(), True)
    if parser == "json":
        values = find_json(text)
        if isinstance(values, Mapping) and values:
            return Parsed({name: unquoted(value) for name, value in values.items()}, True)
        return Parsed(dict.fromkeys(answer, text), False)
    if parser not in get_args(Parser):
        raise DataError(f"MEGA-Bench has no parser {parser!r}: mend 'response_parse_function' of the row's metric_info")
    fields = [name for name in answer if not name.startswith("##")]
    if len(fields) != 1:
        raise DataError(f"{parser} is for one field, not for {len(fields)}: mend 'answer' or metric_info of the row")
    space = {"answer_string": _PLAIN, "ascii_answer_string": _ASCII, "verbatim_answer_string": _VERBATIM}[parser]
    one_line = "\n" not in str(answer[fields[0]])
    return Parsed({fields[0]: _single(text, space, one_line)}, "Answer:" in _last_answer(text))


def code_block(text: str) -> str:
    """Return what stands in the first code block, its indentation kept, or the whole text where there is none."""
    return _block(text, _VERBATIM)[0]


def _single(text: str, space: _Whitespace, one_line: bool) -> str:
    content, is_code = _block(_after_answer(text, space), space)
    if one_line and not is_code and not space.inside:
        content = _first_paragraph(content)
    if not content.startswith(("{", "[")):
        return str(unquoted(content))
    value = find_json(content)
    # An empty object is believed only where one is written.
    if value in ({}, []) and str(value) not in content:
        return content
    return _written(value)


def _written(value: object) -> str:
    # A set's order differs from process to process, so it is written in one order here.
    if isinstance(value, set) and value:
        return "{" + ", ".join(sorted(map(repr, value))) + "}"
    return str(value)


def _last_answer(text: str) -> str:
    """Return the text with only the last `Answer:` left."""
    head, marker, tail = text.replace("answer:", "Answer:").rpartition("Answer:")
    return head.replace("Answer:", "") + marker + tail


def _after_answer(text: str, space: _Whitespace) -> str:
    text = _last_answer(text)
    found = space.answer.search(text)
    if found:
        text = found[1] or found[2] or ""
    if not space.inside:
        return text.strip()
    text = _BLANK_LINES.sub("", text)
    text = _without_last_lines(text) if space.trailing else text.rstrip()
    blank = text[: len(text) - len(text.lstrip())]
    return text[blank.rfind("\n") + 1 :]


def _without_last_lines(text: str) -> str:
    """Cut the blank lines at the end, but keep blanks behind the last word."""
    body = text.rstrip()
    return body + text[len(body) :].partition("\n")[0]


def _block(text: str, space: _Whitespace) -> tuple[str, bool]:
    """Return what stands in the first code block and True, or the text and False.

    By hand, since the official patterns take a time that grows with the cube of a blank stretch.
    """
    if space.inside and (not text.strip() or len(text) > _LONG):
        text = text.rstrip()
    opening = _OPENING.search(text)
    end = text.find(_FENCE, opening.end()) if opening else -1
    if opening is None or end < 0:
        return text, False
    content = text[opening.end() : end]
    if not space.inside:
        return content.strip(), True
    blank = content[: len(content) - len(content.lstrip())]
    content = content[blank.rfind("\n") + 1 :]
    return (_without_last_lines(content) if space.trailing else content.rstrip()), True


def _first_paragraph(text: str) -> str:
    """Return the first paragraph of a text that starts as a short answer with a blank line after its first line."""
    paragraph = text.split("\n\n")[0].strip()
    lines = text.splitlines()
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    followed = first is not None and not (first + 1 < len(lines) and not lines[first + 1].strip())
    return text if followed or not _SHORT_ANSWER.match(paragraph) else paragraph
