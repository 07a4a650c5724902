"""English sentences as MEGA-Bench compares them: in lower case, words apart, nouns in the singular.

Sentences are split by Punkt, words by NLTK's tokenizer, and nouns looked up in WordNet 3.0, all from data that
installed packages carry.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from .literals import require

# WordNet's rules of detachment for nouns.
_ENDINGS = (
    ("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"), ("men", "man"),
    ("ies", "y"),
)  # fmt: skip


class _Nouns(NamedTuple):
    """WordNet's nouns, and the irregular plurals with their singulars."""

    known: frozenset[str]
    irregular: Mapping[str, Sequence[str]]


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, each folded as `folded`."""
    return [folded(sentence) for sentence in _splitter().tokenize(text)]


def folded(text: str) -> str:
    """Return a text in lower case with one space between its tokens, nouns in the singular."""
    cut = require("nltk.tokenize.destructive", "megabench").NLTKWordTokenizer().tokenize
    tokens = (token for sentence in _splitter().tokenize(text.lower()) for token in cut(sentence))
    return " ".join(_singular(token) for token in tokens)


@cache
def _splitter() -> Any:
    punkt = require("punkt", "megabench")
    return punkt.PunktSentenceTokenizer(punkt.load_model("english"))


@cache
def _nouns() -> _Nouns:
    require("spacy_lookups_data", "megabench")
    data = files("spacy_lookups_data") / "data"
    known, irregular = (
        json.loads(gzip.decompress((data / f"en_lemma_{table}.json.gz").read_bytes()))["noun"]
        for table in ("index", "exc")
    )
    return _Nouns(frozenset(known), irregular)


def _singular(word: str) -> str:
    lemma = min(_lemmas(word), key=len, default=word)
    if word.endswith("ies") and lemma.endswith("y"):
        return lemma[:-1] + "y"
    return lemma


def _lemmas(word: str) -> list[str]:
    nouns = _nouns()
    if word in nouns.irregular:
        return [form for form in (word, *nouns.irregular[word]) if form in nouns.known]
    forms = _detached([word])
    found = [form for form in (word, *forms) if form in nouns.known]
    while forms and not found:
        forms = _detached(forms)
        found = [form for form in forms if form in nouns.known]
    return found


def _detached(forms: Sequence[str]) -> list[str]:
    return [form.removesuffix(old) + new for form in forms for old, new in _ENDINGS if form.endswith(old)]
