"""Values of sympy's formulas at a point, to tell at once that two formulas are not the same.

sympy's `simplify` says the same in the end, which may take it seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

# Sums may cancel twice as many digits as the largest value on the way has, which leaves a hundred and more.
_DIGITS = 250
_LARGE = 1e40
_LARGEST_EXPONENT = 64


def values(formulas: Sequence[Any], point: int) -> list[Any] | None:
    """Return the complex values of formulas at one of many fixed points, the same for all of them, or None.

    Symbols stand for positive numbers of order 1, in the order of their names, and functions without a definition for
    polynomials. Values are right to a hundred digits. None where a formula has other parts than sums, products, powers
    and elementary functions, or a value on the way is too large, too small or not defined.
    """
    symbols = {symbol for formula in formulas for symbol in formula.free_symbols}
    ordered = sorted(symbols, key=lambda symbol: str(symbol.name))
    numbers = {symbol: _order_one(7 * index + point) for index, symbol in enumerate(ordered, start=1)}
    try:
        return [_value(formula, numbers) for formula in formulas]
    except (ArithmeticError, ValueError):
        return None


def _order_one(index: int) -> Any:
    context = _context()
    return context.mpf("0.6") + context.frac(index * context.phi)


@lru_cache(maxsize=1)
def _context() -> Any:
    from mpmath import MPContext

    context = MPContext()  # its own precision, so that sympy's stays as it is
    context.dps = _DIGITS
    return context


def _value(formula: Any, numbers: Mapping[Any, Any]) -> Any:
    value = _atom(formula, numbers) if formula.is_Atom else _compound(formula, numbers)
    size = abs(value)
    if size and not 1 / _LARGE < size < _LARGE:
        raise ValueError("a value is too large or too small")
    return value


def _atom(formula: Any, numbers: Mapping[Any, Any]) -> Any:
    import sympy

    if formula.is_Symbol:
        return numbers[formula]
    if formula.is_Rational:
        return _context().mpf(formula.p) / formula.q
    if formula.is_Float:
        return _context().make_mpf(formula._mpf_)
    if formula is sympy.E:
        return _context().e + 0
    raise ValueError(f"no value for {formula}")


def _compound(formula: Any, numbers: Mapping[Any, Any]) -> Any:
    from sympy.core.function import AppliedUndef

    if isinstance(formula, AppliedUndef):
        weight = _order_one(sum(map(ord, formula.func.__name__)))
        terms = [_value(argument, numbers) for argument in formula.args]
        return sum((weight * each + each**2 / (3 + place) for place, each in enumerate(terms)), weight)
    compute = _functions().get(formula.func)
    if compute is None:
        raise ValueError(f"no value for {formula.func}")
    return compute(*(_value(argument, numbers) for argument in formula.args))


@lru_cache(maxsize=1)
def _functions() -> dict[Any, Callable[..., Any]]:
    import sympy

    context = _context()

    def power(base: Any, exponent: Any) -> Any:
        if not base or abs(exponent) > _LARGEST_EXPONENT:
            raise ValueError("a power of nothing, or to a large exponent")
        return base**exponent

    def log(number: Any, base: Any = None) -> Any:
        if not number or (base is not None and not base):
            raise ValueError("a logarithm of nothing")
        return context.ln(number) if base is None else context.ln(number) / context.ln(base)

    same = (sympy.exp, sympy.sin, sympy.cos, sympy.tan, sympy.sinh, sympy.cosh, sympy.floor, sympy.binomial)
    return {
        sympy.Add: lambda *terms: context.fsum(terms),
        sympy.Mul: lambda *factors: context.fprod(factors),
        sympy.Pow: power,
        sympy.log: log,
        sympy.Abs: abs,
        **{function: getattr(context, function.__name__) for function in same},
    }
