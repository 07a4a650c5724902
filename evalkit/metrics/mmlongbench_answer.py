"""Finding the short answer in a response of MMLongBench-Doc without the judge that the official code asks.

The rules are evalkit's own, so a number that rests on them must say so. A judge sees the question too and reads long
sentences better: with these rules 89 % of 1,066 recorded answers are valued as their judge valued them.
"""

from __future__ import annotations

import re

from evalkit.metrics.final_answer import final_answer
from evalkit.metrics.mmlongbench import NOT_ANSWERABLE, read_extraction
from evalkit.types import Extraction

# What the judge is to write where the model could not read the pictures. It meets no gold answer.
FAIL_TO_ANSWER = "Fail to answer"

_FLAGS = re.IGNORECASE | re.VERBOSE
_PAGES = r"(?:image|picture|page|document|text|file|pdf|screenshot)s?"
_UNREADABLE = re.compile(
    rf"""\b(?:can(?:no|')t|unable\ to|not\ able\ to)\s(?:\w+\s)?(?:see|view|read|open|access|process)\b[^.]*\b{_PAGES}\b
    | \b{_PAGES}\b[^.]*\b(?:illegible|unreadable|too\s(?:small|blurr\w+|low))\b""",
    _FLAGS,
)
_TOLD = r"""(?:answer|determin|provid|mention|specif|contain|includ|stat|giv|list|show|found|availabl|report|refer
    |indicat|identif|discuss|describ|present|depict|calculat|confirm|possible|address|cover|offer|disclos|infer)\w*"""
_REFUSED = re.compile(
    rf"""\b(?:not|n't|cannot|never|impossible\ to|unable\ to)\s(?:\w+ly\s)?(?:be\s)?(?:\w+ly\s)?{_TOLD}
    | \b(?:no|not\ enough|insufficient)\s(?:\w+\s){{0,2}}(?:information|data|mention|details?|evidence|reference)\b
    | \b(?:there\s(?:is|are|was|were)|contains?|shows?|has|have)\sno\b
    | \b(?:does|do|is|are)\snot\s(?:in|on|exist|appear|located|part\ of)\b | \bis\smissing\b
    | \bunanswerable\b | ^(?:none|n/?a)\W*$""",
    _FLAGS,
)
# Three characters before the full stop, since `Mr. Finch` and `U.S. Navy` are in the middle of a sentence.
_SENTENCE_END = re.compile(r"""(?:(?<=[A-Za-z)\]"'%]{3}[.!?])|(?<=\d[.!?]))\s+(?=[A-Z"'])|\s*\n\s*""")
_ITEM = re.compile(r"^[ \t]*(?:[-*\u2022]|\d{1,2}[.)])[ \t]+(\S.*)$", re.MULTILINE)
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
_SAYS = re.compile(
    r"\b(?:is|are|was|were|represents?|includes?|uses|named|called)\b:?\s+(?:the\s|an?\s)?(.+)", re.DOTALL
)
_COMMAS = re.compile(r",\s+(?:and\s+)?|\s+and\s+")
_ASIDE = re.compile(r"\s*\([^)]*\)")
_NUMBER = re.compile(r"(?<![\w.,])[-\u2212]?\$?\d+(?:,\d{3})*(?:\.\d+)?%?(?!\w|[.,]\d)")
# The last full stop of "10:45 a.m." belongs to it.
_ABBREVIATION = re.compile(r"(?:\b[A-Za-z]\.){2,}$")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_UNITS = re.compile(r"(\S+)(?:\s+(?!million|billion|thousand)[A-Za-z]+){0,2}", re.IGNORECASE)


def extract_answer(text: str) -> Extraction:
    """Find the short answer as the judge would write it: a list as in Python, or `Not answerable`.

    The first rule that applies counts. "extractor": the text is a judge's output. A marked final answer, see
    `final_answer`. "unreadable": the model could not see the pages. "refusal": the first or last sentence says that the
    document does not tell. "items": a list of several lines. "bold": the one text in bold. Then the first sentence:
    "says": what follows `is` or the like. "whole": an enumeration or at most six words. "number": its first number.
    Else all of the text, "whole" where it is one sentence and "none" where it is more.

    Numbers lose their unit, `$` and thousands separators, since the official rules read none of them.
    """
    judged = read_extraction(text)
    if judged is not None:
        return Extraction(judged, "extractor")
    marked = final_answer(text)
    if marked.prediction is not None:
        refused = _REFUSED.search(marked.prediction)
        return Extraction(NOT_ANSWERABLE if refused else _short(marked.prediction), marked.rule)
    sentences = [sentence for sentence in _SENTENCE_END.split(text.strip()) if sentence]
    if not sentences:
        return Extraction(None, "none")
    if _UNREADABLE.search(text):
        return Extraction(FAIL_TO_ANSWER, "unreadable")
    if _REFUSED.search(sentences[0]) or _REFUSED.search(sentences[-1]):
        return Extraction(NOT_ANSWERABLE, "refusal")
    items = [item.strip("*_ ") for item in _ITEM.findall(text)]
    if len(items) > 1:
        return Extraction(repr(items), "items")
    bold = set(_BOLD.findall(text))
    if len(bold) == 1:
        return Extraction(_short(bold.pop()), "bold")
    return _read(sentences[0]) or Extraction(text.strip(), "whole" if len(sentences) == 1 else "none")


def _read(sentence: str) -> Extraction | None:
    said = _SAYS.search(sentence)
    if said is not None:
        number = _NUMBER.match(said[1])
        return Extraction(_short(number[0] if number else said[1]), "says")
    short = _short(sentence)
    if short.startswith("[") or len(sentence.split()) <= 6:
        return Extraction(short, "whole")
    number = _NUMBER.search(_ASIDE.sub("", sentence))
    return Extraction(_short(number[0]), "number") if number else None


def _short(answer: str) -> str:
    """Return the answer without its full stop, as a list where it is an enumeration, as digits where it is a number."""
    bare = answer.strip()
    if not _ABBREVIATION.search(bare):
        bare = bare.removesuffix(".")
    if bare.startswith("["):
        return bare
    counted = _UNITS.fullmatch(bare)
    if counted is not None:
        if counted[1].lower() in _WORDS:
            return str(_WORDS.index(counted[1].lower()))
        if _NUMBER.fullmatch(counted[1]):
            return counted[1].replace(",", "").replace("$", "").replace("\u2212", "-")
    parts = [part for part in _COMMAS.split(bare) if part]
    several = len(parts) > 2 or (len(parts) == 2 and ", " in bare)
    return repr(parts) if several and all(len(part.split()) <= 8 for part in parts) else bare
