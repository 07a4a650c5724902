"""ANLS, the metric of DocVQA: how close an answer is to the nearest gold answer, letter by letter."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein


def anls(prediction: str, answers: Sequence[str], threshold: float = 0.5) -> float:
    """Return the normalised Levenshtein similarity to the nearest of `answers`, in [0, 1]. Its mean is ANLS.

    A similarity below `threshold` (in (0, 1]) counts 0, one that equals it counts in full. Case and runs of white space
    are ignored; punctuation, articles and currency signs are not. No gold answer at all gives 0; an empty one is met by
    an empty prediction. The prediction is to be stripped by the caller, see `_distance`.

    Source: Biten et al., Scene Text Visual Question Answering, ICCV 2019 (arXiv:1905.13648), as computed by the RRC
    script `infographicvqa_eval.py` (QwenLM/Qwen-VL aa00ed04, eval_mm).
    """
    similarity = 1.0 - min((_distance(prediction, gold) for gold in answers), default=1.0)
    return similarity if similarity >= threshold else 0.0


def _distance(prediction: str, gold: str) -> float:
    # The RRC script compares the folded texts but divides by the length of the raw ones in upper case, so blanks around
    # a prediction would raise its score, and `ß` counts twice. Both are kept for parity.
    length = max(len(gold.upper()), len(prediction.upper()))
    return Levenshtein.distance(_fold(gold), _fold(prediction)) / length if length else 0.0


def _fold(text: str) -> str:
    return " ".join(text.lower().split())
