"""Finding the number that a response to a MathVista question arrives at."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from evalkit.metrics.final_answer import final_answer
from evalkit.metrics.mathvista_text import CONCLUSION, REFUSAL, cues, first_sentence, plain, sentences, words
from evalkit.types import Extraction

_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
# "One" is as often a pronoun.
_SPELLED = {name: str(value) for value, name in enumerate(_NAMES.split()) if name != "one"}
_SPELLED_WORD = re.compile(rf"\b(?:{'|'.join(_SPELLED)})\b", re.IGNORECASE)
# A fraction is one number; so is a group of thousands. A letter before makes it a name, as in "x2".
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.])[-+]?\$?(?:(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:\s?/\s?\d+(?:\.\d+)?)?(?:[eE][-+]?\d+)?"
    r"(?!\d)|\.\d+)"
)
_YEAR = re.compile(r"(?:1[5-9]|20)\d\d")
_ASKS_FOR_YEAR = re.compile(r"\b(?:which|what)\s+year\b", re.IGNORECASE)
_RESULT = re.compile(r"\b(?:total\s+of|leav(?:es|ing)|left\s+with|results?\s+in)\b", re.IGNORECASE)
_VERB = re.compile(r"\b(?:is|are|was|were|be|equals?|has|have|left|about|total(?:s|ed)?)\b|为|是", re.IGNORECASE)
_EQUALS = re.compile(r"[=≈]|\bapproximately\b")


def find_number(text: str, question: str) -> Extraction:
    r"""Find the number that a response gives as its answer; prediction "N/A" and rule "none" where it gives none.

    In this order: a number that is all of it ("number"); the last marker of a final answer, under that marker's rule
    (see `final_answer`); the last "answer is" or the like ("cue"); the last sentence that concludes, unless it says
    that there is no answer ("conclusion"); after a calculation the last sentence with a number ("last"), else the one
    that has most of the question's words ("restated"). Numbers that the question itself names are taken only after a
    marker or cue, or where there are no others; years come first where it asks for one. A response that declines finds
    nothing.

    Returned as Python's `float` reads it, without thousands separators and currency signs; "3/4" stays as it is.
    """
    body = _digits(plain(text))
    named = frozenset(_numbers(_digits(plain(question))))
    year = bool(_ASKS_FOR_YEAR.search(question))
    if alone := _NUMBER.fullmatch(body.removesuffix(".")):
        return Extraction(next(_numbers(alone[0])), "number")
    marked = final_answer(body)
    if marked.prediction is not None and (found := _value(marked.prediction, (), year)):
        return Extraction(found, marked.rule)
    for cue in cues(body):
        stated = first_sentence(body, cue.end())
        if not REFUSAL.search(stated) and (found := _value(stated, (), year)):
            return Extraction(found, "cue")
    said = sentences(body)
    for sentence in reversed(said):
        if CONCLUSION.search(sentence):
            if REFUSAL.search(sentence):
                return Extraction("N/A", "none")
            if found := _value(sentence, named, year):
                return Extraction(found, "conclusion")
    return _unmarked(said, words(question), named, year)


def _unmarked(said: Sequence[str], asked: frozenset[str], named: Collection[str], year: bool) -> Extraction:
    if any(REFUSAL.search(sentence) for sentence in said):
        return Extraction("N/A", "none")
    found = [(sentence, value) for sentence in said if (value := _value(sentence, named, year))]
    if not found:
        numbers = list(_numbers(" ".join(said)))
        return Extraction(numbers[-1], "last") if numbers else Extraction("N/A", "none")
    if any("=" in sentence or "÷" in sentence for sentence in said):
        return Extraction(found[-1][1], "last")
    return Extraction(max(found, key=lambda pair: len(words(pair[0]) & asked))[1], "restated")


def _digits(text: str) -> str:
    return _SPELLED_WORD.sub(lambda word: _SPELLED[word[0].lower()], text)


def _numbers(text: str) -> Iterator[str]:
    for number in _NUMBER.findall(text):
        yield number.translate({ord(sign): None for sign in ",$ +"})


def _value(sentence: str, named: Collection[str], year: bool) -> str | None:
    """Return the number that a sentence states, the right side of an equation before the rest."""
    if year and (years := [number for number in _numbers(sentence) if _YEAR.fullmatch(number)]):
        return years[0]
    for side in reversed(_EQUALS.split(sentence)[1:]):
        if number := next(_numbers(side), None):
            return number
    for start in (_RESULT.search(sentence), _VERB.search(sentence)):
        if start:
            for number in _numbers(sentence[start.end() :]):
                if number not in named:
                    return number
    return next((number for number in _numbers(sentence) if number not in named), None)
