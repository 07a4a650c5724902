r"""MEGA-Bench's comparisons of numbers, written as literals, formulas or LaTeX.

The official code hands what LaTeX leaves over to `eval`; here arithmetic is read from the syntax tree instead, so a
response that calls a function is compared as text.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7, megabench/metrics/scoring:
general_numerical_match.py, positive_int_match.py, number_rel_diff_ratio.py, mse.py.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Sequence

from evalkit.errors import ConfigError

from .latex import parse_latex
from .literals import is_number, literal
from .strings import simple

Number = int | float
Value = Number | list[object] | tuple[object, ...]

_BOXED = re.compile(r"\\boxed\{((?:[^{}]+|\{[^{}]*\})*+)\}")
_MATH = (re.compile(r"\\\((.*?)\\\)"), re.compile(r"\\\[(.*?)\\\]"))
_ASSIGNED = re.compile(r"(?:=|≈|\\approx)\s*(.+)")
_PI = ((r"(?<![\d}])\\?π", "3.14"), (r"(\d)(\\?π)", r"\1*3.14"), (r"\{(\\?π)\}", "3.14"), (r"\*(\\?π)", "*3.14"))
_UNITS = (("%", "/100"), ("$", ""), ("¥", ""), ("°C", ""), (" C", ""), ("°", ""))

_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
# The module that calls `eval` has this one number among its names.
_NAMES = {"E": 2.718}
# Beyond this many bits a power of integers is no answer, but takes the whole machine.
_MOST_BITS = 4096


def numerical(response: object, gold: object, tolerance: float = 0.01) -> float:
    r"""Return 1.0 for a number within `tolerance` (inclusive) of the gold one, else compare as `simple`.

    Of `x = 5` the 5 counts, of `\(5\)` and `5 $` too; a percent sign divides by 100 and pi is 3.14. Lists of numbers
    are compared sorted.
    """
    found, target = _bare(str(response)), _bare(str(gold))
    one, other = _value(found), _value(target)
    if one is None or other is None:
        return simple(found, target)
    if isinstance(one, list) and isinstance(other, list):
        return float(len(one) == len(other) and all(map(is_number, one)) and _all_within(one, other, tolerance))
    return float(isinstance(one, int | float) and isinstance(other, int | float) and _within(one, other, tolerance))


def boxed_numerical(response: object, gold: object) -> float:
    r"""Compare as `numerical` what stands in the first `\boxed{}` of each, or all of it where there is none."""
    found, target = (_BOXED.search(str(value)) for value in (response, gold))
    return numerical(found[1] if found else response, target[1] if target else gold)


def _bare(text: str) -> str:
    for delimiters in _MATH:
        text = delimiters.sub(r"\1", text)
    assigned = _ASSIGNED.search(text)
    return assigned[1].strip() if assigned else text


def _within(one: Number, gold: Number, tolerance: float) -> bool:
    margin = abs(gold) * tolerance
    return gold - margin <= one <= gold + margin


def _all_within(one: Sequence[object], gold: Sequence[object], tolerance: float) -> bool:
    pairs = zip(sorted(map(_real, one)), sorted(map(_real, gold)), strict=True)
    return all(_within(each, other, tolerance) for each, other in pairs)


def _real(value: object) -> Number:
    if not isinstance(value, int | float):
        raise TypeError(f"a {type(value).__name__} is no number")
    return value


def _value(text: str) -> Value | None:
    text = text.replace("\\pi", "π")
    for written, number in _PI:
        text = re.sub(written, number, text)
    for unit, factor in _UNITS:
        text = text.replace(unit, factor)
    try:
        text = str(parse_latex(text))
    except ConfigError:
        raise
    except Exception:  # noqa: S110  # sympy raises whatever its parts do, and any of it means plain text
        pass
    found = _float(text)
    return _arithmetic(text) if found is None else found


def _float(value: object) -> Number | None:
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever is no number raises
    except (TypeError, ValueError, OverflowError):
        return None
    # An infinity is not a number to the official code, which fails to round it.
    if math.isinf(number):
        return None
    return round(number) if number.is_integer() else number


def _arithmetic(text: str) -> Value | None:
    """Return what an expression of numbers alone amounts to, or the list or tuple it is; None for anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, mode="eval")
        value = _computed(tree.body)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
        return None
    return value if isinstance(value, list | tuple) else _float(value)


def _computed(node: ast.expr) -> object:
    match node:
        case ast.Constant():
            return node.value
        case ast.List():
            return [_computed(item) for item in node.elts]
        case ast.Tuple():
            return tuple(_computed(item) for item in node.elts)
        case ast.Name(id=name) if name in _NAMES:
            return _NAMES[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_real(_computed(operand))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _real(_computed(operand))
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_real(_computed(left)), _real(_computed(right)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_real(_computed(left)), _real(_computed(right)))
    raise ValueError(f"{type(node).__name__} is no arithmetic")


def _power(base: Number, exponent: Number) -> object:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > _MOST_BITS:
        raise OverflowError("too large a power")
    return base**exponent


def positive_int(response: object, gold: object) -> float:
    """Return 1.0 for the same integer; -1.0, which leaves the field out, where neither is positive."""
    found, target = _literal_or_none(response), literal(gold) if gold else None
    if not isinstance(found, int) or not isinstance(target, int):
        return 0.0
    return -1.0 if found <= 0 and target <= 0 else float(found == target)


def _literal_or_none(value: object) -> object:
    try:
        return literal(value)
    except ValueError:
        return None


def relative_difference(response: object, gold: object) -> float:
    """Return 1 - |difference| / gold number, at least 0.0."""
    found = response if is_number(response) else literal(response)
    target = _real(literal(gold))
    return max(0.0, 1 - math.fabs((_real(found) - target) / target))


def normalised_rmse(response: object, gold: object, worst: float = 0.1) -> float:
    """Return 1 - |difference| / worst, and 0.0 beyond that."""
    # Not abs(): the official root of the square rounds otherwise.
    distance = math.sqrt((_real(literal(response)) - _real(literal(gold))) ** 2)
    return 1 - min(distance, worst) / worst
