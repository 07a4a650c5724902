"""Relaxed accuracy, the metric of ChartQA: numbers within 5 %, texts alike but for case."""

from __future__ import annotations

from collections.abc import Sequence


def relaxed_accuracy(prediction: str, answers: Sequence[str], tolerance: float = 0.05) -> float:
    """Return 1.0 where the stripped prediction meets one of `answers`, else 0.0.

    Where both are numbers and the gold one is not 0, they meet within `tolerance` (inclusive) of the gold number, in
    plain double arithmetic: 95 meets 100, but 0.021 misses 0.02. `62%` is 0.62. Otherwise the whole texts must be equal
    but for case, so gold `0` is met by `0` alone. Years get the same 5 % as any number.

    Source: Methani et al., PlotQA, WACV 2020, section 5.1, as computed by `relaxed_correctness` in
    google-research/pix2struct 945f27e9, pix2struct/metrics.py, on the stripped prediction.
    """
    stripped = prediction.strip()
    return 1.0 if any(relaxed_match(stripped, gold, tolerance) for gold in answers) else 0.0


def relaxed_match(prediction: str, gold: str, tolerance: float = 0.05) -> bool:
    """Say whether a prediction, blanks and all, meets one gold answer; see `relaxed_accuracy`."""
    value, target = _number(prediction), _number(gold)
    if value is not None and target:
        return abs(value - target) / abs(target) <= tolerance
    return prediction.lower() == gold.lower()


def _number(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None
