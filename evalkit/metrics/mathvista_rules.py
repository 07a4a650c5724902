"""Finding the answer in a response to a MathVista question by rules, where the official code asks a language model.

The rules are evalkit's own, so a number that rests on them must name them. They read what a response states and never
solve a question; where it states nothing the extraction is "N/A", as the language model mostly writes, and not empty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from evalkit.metrics.final_answer import final_answer
from evalkit.metrics.mathvista_numbers import find_number
from evalkit.metrics.mathvista_text import CONCLUSION, REACH, REFUSAL, cues, first_sentence, plain, sentences, words
from evalkit.types import Extraction

_NOTHING = Extraction("N/A", "none")
_LISTED = re.compile(r"\W*[A-Z]\s*[).:]")
_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_NEGATION = re.compile(r"\b(?:not|no|isn't|aren't|doesn't|don't|never|neither|none)\b|不", re.IGNORECASE)
# Not as in "no comparison", which says neither.
_YES_OR_NO = re.compile(r"\b(yes|no)\b(?!\s+\w)", re.IGNORECASE)
_PERCENT_GAP = re.compile(r"(\d)\s+(?=%)")
_UNIT = re.compile(r"(?<=\d)\s*(?=[a-z])")
_WHOLE = re.compile(r"(\d)\.0+(?!\d)")
_DEGREES = re.compile(r"\s*(?:degrees?|°)")


def extract(text: str, question_type: str, answer_type: str, choices: Sequence[str], question: str) -> Extraction:
    """Find the answer that a response states, for `normalise`; rule "none" where it states none.

    Multiple choice: the letter or the text of a choice, or where neither is stated the number that the response
    arrives at ("value"). Otherwise a list in square brackets, or a number as Python's `float` reads it. A response that
    is itself a choice ("exact") or a number ("number") is taken as it is, as the official code does before it asks its
    language model; an empty one gives an empty extraction.
    """
    if not text.strip():
        return Extraction("", "none")
    if question_type == "multi_choice":
        return _Choices(tuple(choices)).find(text, question)
    if answer_type == "list":
        lists = _BRACKETS.findall(text)
        return Extraction(lists[-1], "list") if lists else _NOTHING
    if answer_type in ("integer", "float"):
        try:
            return Extraction(str(int(text) if answer_type == "integer" else float(text)), "number")
        except ValueError:
            pass
    return find_number(text, question)


def _fold(text: str) -> str:
    """Return a choice or sentence in the one spelling in which they are compared."""
    text = text.casefold().replace("$", "").replace("&", " and ").replace("{", "").replace("}", "")
    text = _PERCENT_GAP.sub(r"\1", _WHOLE.sub(r"\1", _DEGREES.sub("°", text)))
    return " ".join(text.split()).strip(" .,;:!")


@dataclass(frozen=True)
class _Choices:
    """The choices of one question, and the ways in which a response may name one of them."""

    texts: tuple[str, ...]

    @cached_property
    def letters(self) -> str:
        return "".join(chr(ord("A") + index) for index in range(len(self.texts)))

    @cached_property
    def folded(self) -> tuple[str, ...]:
        return tuple(_fold(plain(text)) for text in self.texts)

    @cached_property
    def head(self) -> re.Pattern[str]:
        """A letter at the beginning: in brackets, before a sign or one of a few words, or before more text."""
        some, either = f"[{self.letters}]", f"[{self.letters}{self.letters.lower()}]"
        return re.compile(
            rf"[^\w(]*?(?:(?:the\s+)?(?:correct\s+)?(?:option|choice|answer|letter)\s*:?\s+)?(?:\(\s*({either})\s*\)"
            rf"|({some})(?=\s*(?:[.,:;)\]}}\"'*]|-\s|$)|\s(?:and|because|since|as|which|with|is|in|for)\b)"
            rf"|({some})(?=\s+\S))"
        )

    def find(self, text: str, question: str) -> Extraction:
        """Try each rule in turn."""
        if text in self.texts:
            return Extraction(text, "exact")
        body = plain(text)
        if not body:
            return _NOTHING
        folded = _fold(body)
        if folded in self.folded:
            return Extraction(self.letters[self.folded.index(folded)], "exact")
        alone = re.fullmatch(rf"\W*([{self.letters}{self.letters.lower()}])\W*", body)
        if alone:
            return Extraction(alone[1].upper(), "letter")
        return self._stated(body) or self._mentioned(body, question)

    def _stated(self, body: str) -> Extraction | None:
        """What stands after a marker or cue, or as a line's first letter."""
        marked = final_answer(body)
        if marked.prediction is not None and (letter := self._read(marked.prediction)):
            return Extraction(letter, marked.rule)
        for cue in cues(body):
            if letter := self._read(body[cue.end() : cue.end() + REACH]):
                return Extraction(letter, "cue")
            if REFUSAL.search(first_sentence(body, cue.start())):
                return _NOTHING
        some = f"[{self.letters}]"
        right = re.findall(
            rf"\b({some})\)?\s+(?:is|was)\s+(?:the\s+)?(?:most\s+)?(?:correct|right|best)|({some})\s*项?[是为]?正确",
            body,
        )
        if right:
            return Extraction("".join(right[-1]), "option")
        lines = [line for line in body.splitlines() if line.strip()]
        if sum(bool(_LISTED.match(line)) for line in lines) < 3:
            for line in (lines[-1], lines[0]):
                if letter := self._letter(line):
                    return Extraction(letter, "line")
        bracketed = set(re.findall(rf"\(({some})\)", body))
        if len(bracketed) == 1:
            return Extraction(bracketed.pop(), "bracketed")
        options = re.findall(rf"\b(?:option|choice|letter)\s*\(?({some})(?![A-Za-z'])|选项?\s*({some})", body)
        return Extraction("".join(options[-1]), "option") if options else None

    def _mentioned(self, body: str, question: str) -> Extraction:
        """What the sentences say, those that conclude first."""
        if sum(bool(_LISTED.match(line)) for line in body.splitlines()) >= 3:
            return _NOTHING
        said = sentences(body)
        concluding = [sentence for sentence in reversed(said) if CONCLUSION.search(sentence)]
        polar = sorted(self.folded) == ["no", "yes"]
        if any(REFUSAL.search(sentence) for sentence in (*concluding[:1], *said[-1:])):
            return _NOTHING
        if polar:
            return self._polarity(said, question)
        for sentence in (*concluding, *reversed(said)):
            if letter := self._content(sentence.rpartition("=")[2]) or self._content(sentence):
                return Extraction(letter, "content")
        for sentence in (*concluding, *said):
            if not REFUSAL.search(sentence):
                # "If rabbits decrease, foxes decrease": the last clause answers where the whole sentence names both.
                for part in (sentence, sentence.rpartition(",")[2]):
                    if letter := self._overlap(part):
                        return Extraction(letter, "overlap")
        number = find_number(body, question)
        return _NOTHING if number.rule == "none" else Extraction(number.prediction, "value")

    def _letter(self, segment: str) -> str | None:
        """The letter at the beginning, unless a bare one is followed by another choice's text."""
        head = self.head.match(segment)
        if not head:
            return None
        letter = (head[1] or head[2] or head[3]).upper()
        index = self.letters.index(letter)
        rest = _fold(segment[head.end() :].lstrip(" ).:-,"))
        own = bool(self.folded[index]) and rest.startswith(self.folded[index][:12])
        if head[3] and not own and not segment[head.end() :].lstrip().startswith("("):
            return None
        if own or head[1]:
            return letter
        others = (
            name
            for name, text in zip(self.letters, self.folded, strict=True)
            if name != letter and len(text) > 1 and re.match(re.escape(text) + r"(?![\w.])", rest)
        )
        return next(others, letter)

    def _read(self, segment: str) -> str | None:
        """The choice that the text after a marker or cue names; None for a list of several."""
        first = [self._letter(line) for line in segment.strip().splitlines()[:3]]
        if len(first) > 1 and first[0] and first[1] and len({*first} - {None}) > 1:
            return None
        if letter := self._letter(segment):
            return letter
        sentence = first_sentence(segment)
        bracketed = set(re.findall(rf"\(([{self.letters}])\)", sentence))
        return bracketed.pop() if len(bracketed) == 1 else self._content(sentence)

    def _content(self, sentence: str) -> str | None:
        """The one choice whose text stands in the sentence; a choice inside another one's text is not counted."""
        rest, named = _fold(sentence), []
        for text in sorted({*self.folded} - {"", "a"}, key=lambda text: (-len(text), text)):
            # "5 cm" is "5cm", but the 5 of "5 are left" stands alone.
            spelled = r"\s*".join(map(re.escape, _UNIT.split(text)))
            rest, times = re.subn(rf"(?<![\w.])(?<!\d-){spelled}(?![\w°%]|\.\d)", "_", rest, flags=re.ASCII)
            named += [text] * bool(times)
        return self.letters[self.folded.index(named[0])] if len(named) == 1 else None

    def _polarity(self, said: Sequence[str], question: str) -> Extraction:
        """Yes or no, by whether the sentence nearest to the question is negated."""
        for sentence in reversed(said):
            outright = _YES_OR_NO.search(sentence)
            if outright:
                return Extraction(self.letters[self.folded.index(outright[1].lower())], "content")
        asked = words(question)
        answering = [sentence for sentence in said if not REFUSAL.search(sentence)]
        if not answering or REFUSAL.search(said[-1]):
            return _NOTHING
        nearest = max(answering, key=lambda sentence: len(words(sentence) & asked))
        return Extraction(self.letters[self.folded.index("no" if _NEGATION.search(nearest) else "yes")], "polarity")

    def _overlap(self, sentence: str) -> str | None:
        """The one choice most of whose own words stand in the sentence."""
        keys = [words(text) for text in self.folded]
        shared = frozenset.intersection(*keys)
        own, said = [key - shared for key in keys], words(sentence)
        shares = [len(key & said) / len(key) if key else 0.0 for key in own]
        best = max(shares)
        return self.letters[shares.index(best)] if best >= 0.6 and shares.count(best) == 1 else None
