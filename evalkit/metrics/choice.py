"""Finding the chosen letter in a response to a multiple-choice question, as each benchmark's own code does.

The three rules differ in what they accept, so each benchmark must use its own. Where the official code would now pick a
letter at random or ask a judge, the prediction is None: what that is worth is the task's policy, not the parser's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from evalkit.types import Extraction

_NOTHING = Extraction(None, "none")


class _Form(NamedTuple):
    """How a letter may be written: `found` accepts it, and the last place of `ranked` decides between several."""

    rule: str
    found: str
    ranked: str


_MMMU_FORMS = (_Form("bracketed", "({})", "({})"), _Form("bare", " {} ", " {} "))
# A bare letter needs no space before it here, so "DNA " is an A. Those that have none, and all dotted ones, are ranked
# by a place that they do not have: the first letter wins.
_MMMU_PRO_FORMS = (_Form("bracketed", "({})", "({})"), _Form("bare", "{} ", " {} "), _Form("dotted", "{}.", " {} "))

# Responses which VLMEvalKit counts as declined, whatever else they say.
_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_PUNCTUATION_TO_SPACE = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))
_ANSWER_IS = re.compile(r"answer\s+is\s+\**([A-D])", re.IGNORECASE)


def letters(n: int) -> tuple[str, ...]:
    """Return the names of `n` choices: A, B, C and on, past Z in the order of ASCII as the official code has it."""
    return tuple(chr(ord("A") + index) for index in range(n))


def parse_mmmu(text: str, choices: Sequence[str]) -> Extraction:
    r"""Find the letter that MMMU's official parser finds; prediction None where it would pick at random.

    In this order: `(B)` ("bracketed"), ` B ` between spaces ("bare"), and in more than five words the text of a choice
    ("content"). Of several the last in the response wins. A newline is no space here: `B.` is found, `B.\n` is not.

    Source: Yue et al., MMMU (arXiv:2311.16502), `parse_multi_choice_response` in MMMU-Benchmark/MMMU bb0b95a9,
    mmmu/utils/eval_utils.py.
    """
    return _search(text, choices, _MMMU_FORMS)


def parse_mmmu_pro(text: str, choices: Sequence[str]) -> Extraction:
    """Find the letter that MMMU-Pro's official parser finds; prediction None where it would pick at random.

    First the one letter after the last `Answer:` ("answer_line"), taken only where no other choice's letter stands
    there too, be it inside a word. Then as `parse_mmmu`, but a bare letter needs no space before it, and `B.`
    ("dotted") comes before the text of a choice.

    Source: Yue et al., MMMU-Pro (arXiv:2409.02813), `parse_multi_choice_response` in MMMU-Benchmark/MMMU bb0b95a9,
    mmmu-pro/evaluate.py.
    """
    _, marker, tail = text.rpartition("Answer:")
    named = [letter for letter in letters(len(choices)) if letter in tail] if marker else []
    return Extraction(named[0], "answer_line") if len(named) == 1 else parse_mmmu_pro_body(text, choices)


def parse_mmmu_pro_body(text: str, choices: Sequence[str]) -> Extraction:
    """Find the letter as `parse_mmmu_pro` does where no line `Answer:` names one.

    It is all that lmms-eval has for MMMU and MMMU-Pro.

    Source: EvolvingLMMs-Lab/lmms-eval 75571cfe, lmms_eval/tasks/_task_utils/mmmu_mcq_utils.py.
    """
    return _search(text, choices, _MMMU_PRO_FORMS)


def infer_choice(text: str, choices: Sequence[str]) -> Extraction:
    """Find the letter that VLMEvalKit infers without a judge, the de-facto rule of AI2D; prediction None for its `Z`.

    "letter": one choice's letter alone stands among the words and first does so in the last four. "answer_is": a letter
    follows the first "answer is", in any case and even as a word's beginning ("answer is both" is B). "content": the
    text of one choice alone occurs, in a response of at most twice the length of all choices. "declined": the model
    said Z or one of four known refusals. "none": nothing was found.

    Source: `can_infer` in open-compass/VLMEvalKit e8e78f05, vlmeval/utils/matching_util.py, with exact matching. AI2D's
    authors (Kembhavi et al., arXiv:1603.07396) published no scorer for generated answers.
    """
    if any(refusal in text for refusal in _REFUSALS):
        return Extraction(None, "declined")
    names = letters(len(choices))
    words = text.translate(_PUNCTUATION_TO_SPACE).split()
    present = set(words)
    named = [letter for letter in names if letter in present]
    if len(named) == 1 and words.index(named[0]) > len(words) - 5:
        return Extraction(named[0], "letter")
    if not named and "Z" in present:
        return Extraction(None, "declined")
    stated = _ANSWER_IS.search(text)
    if stated and stated[1].upper() in names:
        return Extraction(stated[1].upper(), "answer_is")
    folded = text.lower()
    if len(folded) > 2 * sum(map(len, choices)):
        return _NOTHING
    matching = [letter for letter, choice in zip(names, choices, strict=True) if choice.lower() in folded]
    return Extraction(matching[0], "content") if len(matching) == 1 else _NOTHING


def _search(text: str, choices: Sequence[str], forms: Sequence[_Form]) -> Extraction:
    # One pass per character, in this order and with no white space among them: "B.'" keeps its dot, "B'." loses both.
    for character in ",.!?;:'":
        text = text.strip(character)
    padded = f" {text} "
    names = letters(len(choices))
    for form in forms:
        found = [letter for letter in names if form.found.format(letter) in padded]
        if found:
            return Extraction(max(found, key=lambda letter: padded.rfind(form.ranked.format(letter))), form.rule)
    if len(padded.split()) > 5:
        folded = padded.lower()
        places = {letter: folded.rfind(choice.lower()) for letter, choice in zip(names, choices, strict=True)}
        if any(place >= 0 for place in places.values()):
            return Extraction(max(names, key=places.__getitem__), "content")
    return _NOTHING
