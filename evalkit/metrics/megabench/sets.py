"""MEGA-Bench's comparisons of sets and mappings, as values or written as text.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7, megabench/metrics/scoring:
set_equality.py, set_precision.py, jaccard.py, chess_jaccard.py, dict_equality.py, dict_exact_match_agg_recall.py,
dict_jaccard_agg_jaccard.py, dict_set_equality_agg_jaccard.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .literals import as_items, as_mapping, as_set, says_none
from .strings import exact

_IGNORED = str.maketrans(dict.fromkeys(" -\n\t_."))


def equal(response: object, gold: object) -> float:
    """Return 1.0 for equal sets."""
    return float(says_none(response) == says_none(gold) and as_set(response) == as_set(gold))


def equal_any_case(response: object, gold: object) -> float:
    """Return 1.0 for equal sets of texts, whatever their case; another item than a text scores 0.0."""
    one, other = as_set(response), as_set(gold)
    if not all(isinstance(item, str) for item in one | other):
        return 0.0
    return float({str(item).upper() for item in one} == {str(item).upper() for item in other})


def equal_lines(response: object, gold: object) -> float:
    r"""Return 1.0 for equal sets of lines in any case, white space kept; a written `\n` breaks lines too."""
    if not isinstance(response, str) or not isinstance(gold, str):
        return 0.0
    one, other = (set(text.replace("\\n", "\n").lower().split("\n")) for text in (response, gold))
    return float(one == other)


def equal_listed(response: object, gold: object) -> float:
    """Return 1.0 for equal sets of what stands between commas, texts in any case."""
    one, other = (
        {item.lower() if isinstance(item, str) else item for item in set(as_items(value))} for value in (response, gold)
    )
    return float(one == other)


def precision(response: object, gold: object) -> float:
    """Return the share of the response's items that are in the gold set; 1.0 where it has none, 0.0 for no response."""
    if response is None:
        return 0.0
    found = as_set(response)
    return len(found & as_set(gold)) / len(found) if found else 1.0


def jaccard(response: object, gold: object) -> float:
    """Return shared items / all items; 1.0 where neither set has any, 0.0 for no response."""
    return 0.0 if response is None else _jaccard(as_set(response), as_set(gold))


def _jaccard(one: set[object], other: set[object]) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0


def jaccard_any_case(response: object, gold: object) -> float:
    """Return the Jaccard index of texts, or of tuples of texts, in any case; an empty gold set scores 0.0.

    In tuples blanks, hyphens, line breaks, tabs, underscores and dots do not count.
    """
    found, target = as_set(response), as_set(gold)
    if response is None or not target:
        return 0.0
    if all(isinstance(item, str) for item in target):
        return _jaccard({str(item).lower() for item in found}, {str(item).lower() for item in target})
    return _jaccard({_folded(item) for item in found}, {_folded(item) for item in target})


def _folded(item: object) -> tuple[str, ...]:
    """Fold a tuple of texts. Raises TypeError for anything else, and AttributeError for another thing in it."""
    if not isinstance(item, tuple | str):
        raise TypeError(f"a {type(item).__name__} is no tuple of texts")
    return tuple(part.lower().translate(_IGNORED) for part in item)


def chess_moves(response: object, gold: object) -> float:
    """Return the Jaccard index of chess moves; a `!` or `#` at the end of a move does not count, a `+` does."""
    if response is None:
        return 0.0
    return _jaccard(_moves(response), _moves(gold))


def _moves(value: object) -> set[object]:
    """Return the moves of a text. Raises AttributeError for a number among them."""
    moves: Iterable[Any] = as_items(value)
    return {move.removesuffix("!").removesuffix("#") for move in moves}


def equal_mapping(response: object, gold: object) -> float:
    """Return 1.0 for equal mappings; what is no mapping scores 0.0."""
    found = as_mapping(response)
    return float(isinstance(found, Mapping) and found == as_mapping(gold))


def mapping_precision(response: object, gold: object) -> float:
    """Return the share of the response's keys whose value is the gold one, compared as `exact`."""
    found, target = as_mapping(response), as_mapping(gold)
    if not isinstance(found, Mapping) or not isinstance(target, Mapping) or not found:
        return 0.0
    return sum(key in target and exact(value, target[key]) for key, value in found.items()) / len(found)


def mapping_recall(response: object, gold: object) -> float:
    """Return the share of the gold keys whose value the response has, compared as `exact`."""
    found, target = as_mapping(response), as_mapping(gold)
    if not isinstance(found, Mapping) or not isinstance(target, Mapping):
        return 0.0
    return sum(exact(found.get(key), value) for key, value in target.items()) / len(target)


def over_all_keys(metric: Callable[[object, object], float], response: object, gold: object) -> float:
    """Return the mean of a metric over the keys of either mapping; a missing key's value is an empty list."""
    found, target = as_mapping(response), as_mapping(gold)
    if not isinstance(found, Mapping) or not isinstance(target, Mapping):
        return 0.0
    keys = {*found, *target}
    return sum(metric(found.get(key, []), target.get(key, [])) for key in keys) / len(keys)
