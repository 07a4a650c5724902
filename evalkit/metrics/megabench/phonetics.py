"""How English words sound, for MEGA-Bench's poems: syllables, rhymes and metre, from the CMU Pronouncing Dictionary.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7,
megabench/metrics/scoring/constrained_generation.py.
"""

from __future__ import annotations

import re
from itertools import product

from .literals import require

# Words that the dictionary lacks and the benchmark's authors added.
_ADDED = {
    "'gainst": "G EH1 N S T|G EY1 N S T", "'midst": "M IH1 D S T", "'mongst": "M AH1 NG S T", "'neath": "N IY1 TH",
    "'twixt": "T W IH1 K S T", "beguiles": "B IH0 G AY1 L Z", "cerulean": "S ER0 UW1 L IY0 AH0 N",
    "doggo": "D AO1 G OW0", "downtorn": "D AW1 N T AO2 R N", "enthrall": "EH0 N TH R AO1 L", "fam'ly": "F AE1 M L IY0",
    "fiery": "F AY1 ER0 IY0|F AY1 R IY0", "flits": "F L IH1 T S", "furred": "F ER1 D", "kneels": "N IY1 L Z",
    "o'er": "OW1 ER0", "orbs": "AO1 R B Z", "quenched": "K W EH1 N CH D", "quietude": "K W AY1 AH0 T UW0 D",
    "retold": "R IY0 T OW1 L D", "scurries": "S K ER1 IY0 Z", "sunbeams": "S AH1 N B IY2 M Z",
    "syncs": "S IH1 NG K S",
}  # fmt: skip
_IAMBS = {("2", "1"), ("0", "2"), ("0", "1"), ("0", "0"), ("1", "1"), ("2", "2")}


def _listed(word: str) -> list[str]:
    return list(require("pronouncing", "megabench").phones_for_word(word))


def pronunciations(word: str) -> list[str]:
    """Return the ways to say a word, as phones between spaces; guessed from its stem where it is not listed.

    The guesses are the official ones: endings in `ed`, `s` and `es`, a beginning with `un`, and `'` for a lost `a`.
    """
    word = word.replace("\u2019", "'").lower()
    stem = word.removesuffix("'s")
    if stem in _ADDED:
        return [said + " Z" * (stem != word) for said in _ADDED[stem].split("|")]
    known = _listed(stem)
    if known or stem != word:
        return [said + " Z" * (stem != word) for said in known]
    endings: tuple[str, ...] = ("",)
    beginning = lost = ""
    if stem.endswith("ed"):
        stem, endings = stem.removesuffix("ed"), (" D", " T", " AH0 D", " IH0 D")
    elif stem.endswith("s") and _listed(stem.removesuffix("s")):
        endings = (" S", " Z", " AH0 Z", " IH0 Z") if stem.endswith("es") else (" S", " Z")
        stem = stem.removesuffix("s")
    elif stem.endswith("es"):
        stem, endings = stem.removesuffix("es"), (" AH0 Z", " IH0 Z")
    if stem.startswith("un"):
        stem, beginning = stem.removeprefix("un"), "AH0 N "
    elif stem.startswith("'") and _listed("a" + stem.removeprefix("'")):
        stem, lost = "a" + stem.removeprefix("'"), "AH0 "
    return [(beginning + said + ending).removeprefix(lost) for said, ending in product(_listed(stem), endings)]


def _stresses(said: str) -> str:
    return re.sub(r"[^012]", "", said)


def syllable_counts(line: str) -> set[int]:
    """Return the numbers of syllables that a line can have; none where a word cannot be said."""
    totals = {0}
    for word in line.split():
        lengths = {len(_stresses(said)) for said in pronunciations(word)}
        totals = {total + length for total in totals for length in lengths}
    return totals


def rhymes(word: str) -> set[str]:
    """Return the sounds from a word's last vowel on, one for each way to say it, without the stress."""
    return {re.sub(r"\d", "", _from_last_vowel(said.split())) for said in pronunciations(word)}


def _from_last_vowel(phones: list[str]) -> str:
    place = next((at for at in range(len(phones) - 1, 0, -1) if phones[at][-1] in "012"), 0)
    return " ".join(phones[place:])


def is_iambic(line: str) -> bool:
    """Whether a line can be said in pairs of syllables of which none is stressed on the first alone."""
    # What a pair's first syllable may be once the words so far are said; empty where the last pair is complete.
    waiting = {""}
    for word in line.split():
        patterns = {_stresses(said) for said in pronunciations(word)}
        waiting = {
            rest for before in waiting for pattern in patterns if (rest := _unpaired(before + pattern)) is not None
        }
    return "" in waiting


def _unpaired(stresses: str) -> str | None:
    """Return what is left of stresses in pairs: one syllable or none; None where a pair is no iamb."""
    pairs = zip(stresses[::2], stresses[1::2], strict=False)
    return stresses[len(stresses) // 2 * 2 :] if all(pair in _IAMBS for pair in pairs) else None
