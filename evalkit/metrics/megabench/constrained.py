"""MEGA-Bench's checks of a text that has to meet constraints: words in it, its length, its form as a poem.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7,
megabench/metrics/scoring/constrained_generation.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from .literals import as_list, literal
from .phonetics import is_iambic, rhymes, syllable_counts
from .words import folded, sentences

_WORD = re.compile(r"\b\w+\b")
_MARKED_RHYME = re.compile(r" *\(\w\) *(?=\n|$)")
_PUNCTUATION = str.maketrans({**dict.fromkeys('.,!?:;"'), "-": " ", "—": " "})
_SYLLABLES = re.compile(r"\[\d+(?:,\s*\d+)?\]|\d| ")

# The sentences, counted from 1, in which one of some words stands, each with how often.
Places = Sequence[tuple[int, int]]


def meets_constraints(response: object, eval_context: Mapping[str, str]) -> float:
    """Return 1.0 where a text meets all constraints of the context, else 0.0.

    By the name of a constraint: `contain` (one of the words), `contain_only` (words of exactly one group), either with
    `##position`, `##position_only` (the number of a sentence) or `##times`; `length` (`<20` or `>20` words); `acrostic`
    and `acrostic_alliteration` (first letters of lines, or of each line's words); `syllables` per line;
    `rhyming_scheme`; `poetry_meter`. One with an empty value is met. Raises ValueError for one that cannot be read.
    """
    if not isinstance(response, str):
        return 0.0
    return float(min(_is_met(response, name, value) for name, value in eval_context.items()))


def _is_met(text: str, name: str, value: str) -> bool:
    if not value.strip():
        return True
    if "contain" in name:
        return _contains(text.replace("**", ""), _parts(name, value))
    if "length" in name:
        return _has_length(text, value)
    if "acrostic" in name:
        return _is_acrostic(text.replace("**", "").strip().lower().split("\n"), value.lower(), "alliteration" in name)
    plain = text.strip().translate(_PUNCTUATION)
    lines = _MARKED_RHYME.sub("", plain).lower().split("\n")
    if name == "syllables":
        return _has_syllables(lines, value)
    if name == "rhyming_scheme":
        return _rhymes_as(lines, value)
    return name == "poetry_meter" and all(is_iambic(line) for line in lines)


def _parts(name: str, value: str) -> dict[str, str | int]:
    """Return the parts of a constraint such as `contain1##times` by name, with a whole number as an int."""
    names = [re.sub(r"\d+$", "", part).lower() for part in name.strip().split("##")]
    values = [part.strip().strip('"').strip() for part in value.strip().split("##")]
    return {part: int(text) if text.isdigit() else text for part, text in zip(names, values, strict=True)}


def _contains(text: str, parts: Mapping[str, str | int]) -> bool:
    told = sentences(text)
    if "contain_only" in parts:
        # The words are quoted one by one, so that those of a phrase run together.
        groups: Any = literal(re.sub(r"(\w+)", r'"\1"', str(parts["contain_only"])))
        found = [places for places in (_places(told, group) for group in groups) if places]
        if len(found) != 1:
            return False
        places = found[0]
    else:
        value = parts["contain"]
        places = _places(told, as_list(value) if isinstance(value, str) else [])
    if not places:
        return False
    if "position_only" in parts:
        return len(places) == 1 and places[0][0] == parts["position_only"]
    if "times" in parts:
        return sum(times for _, times in places) == parts["times"]
    return "position" not in parts or parts["position"] in [number for number, _ in places]


def _places(told: Sequence[str], words: Sequence[object]) -> Places:
    """Find words as parts of the folded sentences; a sentence with two of the words is listed twice."""
    wanted = [folded(word) for word in words if isinstance(word, str)]
    return [
        (number, times)
        for word in wanted
        for number, sentence in enumerate(told, start=1)
        if (times := sentence.count(word))
    ]


def _has_length(text: str, value: str) -> bool:
    words, limit = len(_WORD.findall(text)), int(value[1:])
    return (value[0] == "<" and words < limit) or (value[0] == ">" and words > limit)


def _is_acrostic(lines: Sequence[str], letters: str, every_word: bool) -> bool:
    """Whether the lines start with the letters, a blank line for a space; with `every_word` each word of a line."""
    if len(lines) != len(letters):
        return False
    for line, letter in zip((line.strip() for line in lines), letters, strict=True):
        if letter == " " or not line:
            if line or letter != " ":
                return False
        elif any(word[0] != letter for word in (line.split(" ") if every_word else [line])):
            return False
    return True


def _has_syllables(lines: Sequence[str], value: str) -> bool:
    """Whether each line can be said in as many syllables as its range allows: `5`, `[5]`, `[5,7]`, a space for 0."""
    ranges = [
        [int(bound) for bound in chunk.strip("[] ").split(",") if bound] for chunk in _SYLLABLES.findall(value.strip())
    ]
    if len(lines) != len(ranges):
        return False
    return all(
        any(min(bounds, default=0) <= count <= max(bounds, default=0) for count in syllable_counts(line))
        for line, bounds in zip(lines, ranges, strict=True)
    )


def _rhymes_as(lines: Sequence[str], scheme: str) -> bool:
    """Whether lines of the same letter end in the same sound, and lines of another in another; a space for no line."""
    if len(lines) != len(scheme):
        return False
    last: dict[str, set[str]] = {}
    for letter, line in zip(scheme, lines, strict=True):
        word = (line.split() or [""])[-1]
        if letter == " " and word:
            return False
        if letter != " ":
            last.setdefault(letter, set()).add(word)
    common = [set.intersection(*(rhymes(word) for word in words)) for words in last.values()]
    return all(common) and not any(one & other for one, other in combinations(common, 2))
