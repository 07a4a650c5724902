"""What both halves of MathVista's rule-based extraction look for in a response: its sentences and what they signal."""

from __future__ import annotations

import re
from collections import deque

# How far after a cue its answer is looked for, in characters: no choice of the benchmark is nearly as long. This and
# the number of cues bound the time that a response without end takes.
REACH = 1000
_CUES = 50

# Chinese responses write these where English ones write the others.
_SIGNS = str.maketrans(
    {"（": "(", "）": ")", "：": ":", "，": ",", "．": ".", "！": "!", "？": "?", "；": ";", "。": ". ",  # noqa: RUF001
     "−": "-", "–": "-", "’": "'", "‘": "'", "“": '"', "”": '"', "\u200b": ""}  # noqa: RUF001
)  # fmt: skip
_MARKUP = re.compile(r"\*\*|__|`|</s>|\\[()\[\]]")
_FONT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf)\s*\{([^{}]*)\}")
_DEGREE = re.compile(r"\^\s*\{?\\circ\}?|\\degree")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]+)\}\s*\{([^{}]+)\}")
_ROOT = re.compile(r"\\sqrt\s*\{([^{}]+)\}")

_END = re.compile(r"(?<!\b[A-Za-z])(?<!vs)(?<!etc)[.!?]\s+(?![a-z])|\n+")
_WORD = re.compile(r"[^\W\d_]{2,}|\d+(?:\.\d+)?")
_COMMON_WORDS = (
    "the an of to in on is are was were be it its and or for with that this as by at from would will has have do does "
    "not than their they there which what how who"
)
_COMMON = frozenset(_COMMON_WORDS.split())

# After these words, or a heading of that name, stands the answer.
CUE = re.compile(
    r"""(?<!other\ )(?<!incorrect\ )(?<!wrong\ )
    \b(?:answer|option|choice|letter|solution|final\ (?:\w+\ ){0,3}?(?:value|number|result))\b(?:\s+letter)?
    (?:\s+(?:to|for|of|that)\b[^.:\n]{0,80}?)??
    \s*(?:\b(?:is|would\s+be|should\s+be|must\s+be|will\s+be|are|be)\b\s*:?|:|=)
    |(?:答案|故选|应选|选项|选)\s*(?:应该是|应为|为|是)?\s*:?
    |^\#+\s*(?:final\s+)?answer\s*$""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
CONCLUSION = re.compile(
    r"\b(?:therefore|thus|hence|so|in conclusion|consequently|in total|overall|finally)\b|所以|因此|综上|∴|故",
    re.IGNORECASE,
)
REFUSAL = re.compile(
    r"""(?:can(?:not|'t|\snot)|could(?:\snot|n't)|(?:unable|impossible|not\spossible|difficult|hard)\sto)\s
      (?:be\s)?(?:\w+ly\s)?(?:determin|answer|provid|tell|see|view|find|calculat|comp|identif|solve|give|say|know|process|
      help|assist|access|conclu|confirm|infer|read|deduce|estimate|establish|make|draw|count|interpret|predict)
    |(?:does\snot|do\snot|doesn't|don't|didn't|did\snot|not)\s(?:provide|contain|specif|include|giv|mention|
      have\s(?:enough\s(?:info|data|detail|context)|any|access|the\snec|suff|info)|show|enough\s(?:info|data|detail)|suff|clear|available|visible|
      indicate|state)
    |insufficient|no\s(?:information|way|context|image|figure|picture|data|table|graph|mention|specific|answer|enough)
    |without\s(?:the|an?|any|more|seeing|additional|further|knowing|specific|access)
    |need\s(?:more|additional|to\s(?:know|see)|the)|please\sprovide|(?:more|additional)\s(?:information|context|detail)
    |unclear|sorry|unknown|cannot\sbe|undefined|depends\son|invalid|not\sclear|mistake\sin
    |not\s(?:in|among|one\sof|listed|available)\s(?:the|in|any)|none\sof\sthe\s(?:\w+\s)?(?:options|choices|answers)
    |无法|没有|不在选项""",
    re.IGNORECASE | re.VERBOSE,
)


def plain(text: str) -> str:
    """Return a response without its thoughts before `</think>`, Markdown's emphasis and most of LaTeX's commands."""
    text = _MARKUP.sub("", text.rpartition("</think>")[2].translate(_SIGNS))
    text = _DEGREE.sub("°", _FONT.sub(r"\1", text))
    return _ROOT.sub(r"√\1", _FRACTION.sub(r"\1/\2", text)).strip()


def sentences(text: str) -> list[str]:
    """Return the sentences and lines that are not empty; "A. first" and "0.5 cm" are whole."""
    return [part.strip() for part in _END.split(text) if part.strip()]


def cues(text: str) -> list[re.Match[str]]:
    """Return the last places of `CUE`, the last first; a response that repeats itself without end has no more."""
    return list(deque(CUE.finditer(text), maxlen=_CUES))[::-1]


def first_sentence(text: str, start: int = 0) -> str:
    """Return the first of the `sentences` from `start` on, cut where it is very long; empty where there is none."""
    return next(iter(sentences(text[start : start + REACH])), "")


def words(text: str) -> frozenset[str]:
    """Return the words of some meaning, in lower case and without their endings, and the numbers."""
    return frozenset(_stem(word) for word in _WORD.findall(text.casefold()) if word not in _COMMON)


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s", "e", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
