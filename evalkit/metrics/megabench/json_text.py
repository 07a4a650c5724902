"""Finding the last JSON object or list in a model's text, as MEGA-Bench's parser does.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), `parse_json` in TIGER-AI-Lab/MEGA-Bench ee324ab7,
megabench/metrics/parsing/common/parsers.py.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator

_AT_LINE_START = re.compile(r"^(?:\*\*)?Answer:\s*(.+)", re.MULTILINE)
_BLOCK = "```"
_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_OUTER_QUOTE = re.compile(r"(?<!\w)'|'(?!\w)")
# Stand-ins for escaped quotes while strings are looked for; the official code's own, since they can be seen in answers.
_ESCAPED = {'\\"': "__DOUBLE_QUOTE__", "\\'": "__SINGLE_QUOTE__"}
_BROKEN = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)


def find_json(text: str) -> object:
    """Return the last valid object or list in a text, as JSON or as a Python literal.

    Looked for on the first line that starts with `Answer:`, else in a block marked json, else everywhere. Without any,
    an empty list where the text starts with `[`, else an empty dict. Time is linear in the length but for the parsers.
    """
    line = _AT_LINE_START.search(text)
    text = (line[1] if line else text).strip()
    start = text.find(f"{_BLOCK}json") + len(f"{_BLOCK}json")
    end = text.find(_BLOCK, start) if f"{_BLOCK}json" in text else -1
    text = text[start:end].strip() if end >= 0 else text
    found: object = [] if text.startswith("[") else {}
    for candidate in _candidates(text):
        for value in _readings(candidate):
            found = value
    return found


def _candidates(text: str) -> Iterator[str]:
    """Yield the outermost `{...}` and `[...]` from the left.

    Braces must match; a bracket runs to the last `]` before its surrounding brace ends. As the official recursive
    pattern has it, without its backtracking.
    """
    matching: dict[int, int] = {}
    opened: list[int] = []
    for place, character in enumerate(text):
        if character == "{":
            opened.append(place)
        elif character == "}" and opened:
            matching[opened.pop()] = place
    # For each place, where the last `]` stands that is reachable without crossing a brace; -1 for none.
    reach = [-1] * (len(text) + 1)
    for place in range(len(text) - 1, -1, -1):
        character = text[place]
        if character == "{":
            reach[place] = reach[matching[place] + 1] if place in matching else -1
        elif character != "}":
            later = reach[place + 1]
            reach[place] = place if character == "]" and later < 0 else later
    place = 0
    while place < len(text):
        end = -1
        if text[place] == "{":
            end = matching.get(place, -1)
        elif text[place] == "[":
            end = reach[place + 1]
        if end >= 0:
            yield text[place : end + 1]
        place = max(end, place) + 1


def _readings(candidate: str) -> Iterator[object]:
    """Yield what a candidate can be read as; the last one counts."""
    candidate = _without_nested_strings(candidate)
    for text in (candidate, _OUTER_QUOTE.sub('"', candidate)):
        try:
            yield json.loads(text)
            break
        except (ValueError, RecursionError):
            continue
    doubled = candidate.replace('\\"', '\\\\"').replace("\\'", "\\\\'")
    for text in (candidate, doubled):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield ast.literal_eval(text)
            break
        except _BROKEN:
            continue


def _without_nested_strings(candidate: str) -> str:
    """Put JSON that stands inside a string in that string's place."""
    for escaped, name in _ESCAPED.items():
        candidate = candidate.replace(escaped, name)
    for string in _STRING.findall(candidate):
        inner = string[1:-1]
        for escaped, name in _ESCAPED.items():
            inner = inner.replace(name, escaped[1])
        try:
            value = json.loads(inner)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict | list):
            candidate = candidate.replace(string, json.dumps(value))
    for escaped, name in _ESCAPED.items():
        candidate = candidate.replace(name, escaped)
    return candidate
