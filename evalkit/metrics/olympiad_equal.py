r"""Whether two answers of OlympiadBench are equal, as its judge decides: as texts, intervals, numbers and formulas.

Source: He et al., OlympiadBench (arXiv:2402.14008), `MathJudger` in OpenBMB/OlympiadBench ba5b26a7,
inference/code/math_judger.py. The results are the same; what costs time there is avoided where the result is certain.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from evalkit.metrics.olympiad_latex import parse
from evalkit.metrics.olympiad_values import values

# Numbers of which float and sympy's 15 digits make the same.
_PLAIN_NUMBER = re.compile(r"[+-]?(?=[0-9.]{1,15}$)[0-9]+(?:\.[0-9]+)?")

# The official code takes a tolerance with a hundredth more, and a formula for zero below the second number.
_SLACK = 1.01
_ZERO = 1e-3
_LARGEST_EXPONENT = 1000


def entries_equal(first: str, second: str, tolerance: float, fixed: bool = False) -> bool:
    """Whether two single answers are equal; `tolerance` is absolute and holds between numbers.

    Of an equation's right side alone the value counts, so `x=5` equals `5`. Two equations are equal where one's sides'
    difference is an integer multiple of the other's. `fixed` leaves out what `judge_fixed` says. Raises ImportError
    without sympy and its parser.
    """
    if first and first == second:
        return True
    if _is_interval(first) and _is_interval(second):
        # What cannot be read is unequal at once; what can and is unequal may yet be equal as a formula.
        found = _attempt(lambda: _intervals_equal(first, second, tolerance, fixed))
        if found is not False:
            return bool(found)
    if _numbers_equal(first, second, tolerance, percent=not fixed):
        return True
    if _PLAIN_NUMBER.fullmatch(first) and _PLAIN_NUMBER.fullmatch(second):
        return False
    equations = "=" in first and "=" in second
    if not equations and _attempt(lambda: _formulas_equal(first, second, tolerance)):
        return True
    return equations and bool(_attempt(lambda: _equations_equal(first, second)))


def _attempt(compare: Callable[[], object]) -> bool | None:
    """Return what a comparison says, or None where it raised."""
    try:
        return bool(compare())
    except ImportError:
        raise
    except Exception:  # sympy raises errors of any kind at odd formulas; the official code ignores them all
        return None


def _is_interval(answer: str) -> bool:
    return answer.startswith(("(", "[")) and answer.endswith((")", "]"))


def _intervals_equal(first: str, second: str, tolerance: float, fixed: bool) -> bool:
    """Compare bracket by bracket and number by number; tuples are read as intervals."""
    pairs = list(zip(first.split("\\cup"), second.split("\\cup"), strict=False))
    if first.count("\\cup") != second.count("\\cup"):
        return False
    for one, other in pairs:
        # No white space is removed, so that around \cup it takes the brackets' place.
        if one[0] != other[0] or one[-1] != other[-1]:
            return False
        ends, other_ends = one.strip("[]()").split(","), other.strip("[]()").split(",")
        if fixed and len(ends) != len(other_ends):
            return False
        # The official code stops at the end of the shorter one: (1,2) equals (1,2,3).
        if not all(_formulas_equal(a, b, tolerance) for a, b in zip(ends, other_ends, strict=False)):
            return False
    return True


def _numbers_equal(first: str, second: str, tolerance: float, percent: bool) -> bool:
    try:
        one, other = float(first), float(second)
    except ValueError:
        return False
    readings = (one / 100, one, one * 100) if percent else (one,)
    return any(abs(reading - other) <= tolerance * _SLACK for reading in readings)


def _formulas_equal(first: str, second: str, tolerance: float) -> object:
    """Compare the formulas, or those after the first equals sign; may return a relation that is neither."""
    import sympy

    one, other = (sympy.sympify(parse(_right_side(each).strip())) for each in (first, second))
    if one == other:
        return True
    pi = parse("\\pi")  # a symbol to the parser
    one, other = one.subs(pi, math.pi), other.subs(pi, math.pi)
    symbolic = one.has(sympy.Symbol)
    if symbolic != other.has(sympy.Symbol):
        return False
    try:
        if not symbolic:
            if not (_computable(one) and _computable(other)):
                return False
            return bool(abs(one.evalf() - other.evalf()) <= tolerance * _SLACK)
        if _apart(one, other):
            return False
        left = sympy.simplify(one - other).evalf()
        return abs(left) < _ZERO
    except Exception:  # as in _attempt, but here the official code says unequal
        return False


def _right_side(answer: str) -> str:
    return answer.split("=")[1] if "=" in answer else answer


def _computable(number: Any) -> bool:
    """Whether a power is small enough; the official code looks at powers that are nobody's part, and at no others."""
    if not number.is_Pow:
        return True
    base, exponent = number.as_base_exp()
    return bool(base.is_number and exponent.is_number and abs(exponent.evalf()) <= _LARGEST_EXPONENT)


def _equations_equal(first: str, second: str) -> bool:
    import sympy

    if first.count("=") != 1 or second.count("=") != 1:
        return False
    sides = [[parse(side) for side in equation.split("=")] for equation in (first, second)]
    if _not_multiples(*(left - right for left, right in sides)):
        return False
    equations = [sympy.Eq(left, right) for left, right in sides]
    one, other = (sympy.simplify(equation.lhs - equation.rhs) for equation in equations)
    ratios = (sympy.simplify(one / other), sympy.simplify(other / one))
    return any(ratio.is_Integer and ratio != 0 for ratio in ratios)


def _apart(one: Any, other: Any) -> bool:
    """Whether two formulas differ by so much at some point that no way of writing their difference is zero."""
    for point in (1, 2):
        found = values((one, other), point)
        if found and abs(found[0] - found[1]) > 2 * _ZERO:
            return True
    return False


def _not_multiples(one: Any, other: Any) -> bool:
    """Whether at some point neither formula is an integer times the other, so that this is no way of writing one."""
    for point in (1, 2):
        found = values((one, other), point)
        if (
            found
            and all(found)
            and not any(_near_integer(ratio) for ratio in (found[0] / found[1], found[1] / found[0]))
        ):
            return True
    return False


def _near_integer(ratio: Any) -> bool:
    nearest = round(float(ratio.real))
    return bool(nearest != 0 and abs(ratio - nearest) < _ZERO)
