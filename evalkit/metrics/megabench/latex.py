r"""MEGA-Bench's comparisons of LaTeX formulas.

Source: Chen et al., MEGA-Bench (arXiv:2410.10563), TIGER-AI-Lab/MEGA-Bench ee324ab7, megabench/metrics/scoring:
latex_expr_equality.py and common/transformations.py.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from evalkit.errors import ConfigError

from .literals import require
from .strings import simple

_MACRON = "\u0304"
_OVERLINE_INDEX = re.compile(r"\\overline\{([^}]*)\}_([^{}\\ ]*)")
_DELIMITERS = re.compile(r"\\(?:begin|end)\{.*?\}(?:\[[^\[\]]*\])?|\\\(|\\\)|\\\[|\\\]")
_GREEK = re.compile("[\u03b1-\u03c9\u0391-\u03a9]")
_FORMULA = re.compile(r"(\$[^$]*\$)")
# A formula beyond these is no answer, and algebra on it may take longer than the whole benchmark.
_LONGEST = 2000
_MOST_OPERATIONS = 300
_LARGEST_EXPONENT = 10_000


def parse_latex(text: str) -> Any:
    """Return the sympy expression that a LaTeX formula is, nothing in it computed.

    Raises whatever sympy's parser does for a text that is none, TypeError for one that is too long, and ConfigError
    where the packages are absent.
    """
    require("antlr4", "latex")
    if len(text) > _LONGEST:
        raise TypeError("too long a formula")
    try:
        return require("sympy.parsing.latex", "latex").parse_latex(text)
    except ImportError as error:
        raise ConfigError(
            "sympy reads LaTeX with antlr4-python3-runtime 4.11 alone: type pip install 'evalkit[latex]'"
        ) from error


def equal(response: object, gold: object) -> float:
    r"""Return 1.0 for equal formulas; where one of them cannot be read, compare the normalised texts as `simple`.

    Normalised are `\bar`, letters with a macron, Greek letters, `\(`, `\[` and environments. Instead of the official
    time limit of 15 s there is one on the size of the formulas, and integrals, sums, products and limits are equal only
    where they are written alike: so a score does not depend on the machine.
    """
    if not isinstance(response, str) or not isinstance(gold, str):
        return 0.0
    one, other = normalised(response), normalised(gold)
    sympy = require("sympy", "latex")
    unreadable = (
        require("sympy.parsing.latex", "latex").LaTeXParsingError,
        sympy.SympifyError,
        TypeError,
        NotImplementedError,
    )
    try:
        found, target = parse_latex(one), parse_latex(other)
        if not _is_small(found) or not _is_small(target):
            return simple(one, other)
        slow = found.atoms(*_slow_kinds()) | target.atoms(*_slow_kinds())
        names = {each: sympy.Dummy() for each in slow}
        return float(bool(found.xreplace(names).equals(target.xreplace(names))))
    except unreadable:
        return simple(one, other)
    except ConfigError:
        raise
    except Exception:  # sympy raises whatever its parts do, and the official code scores that 0
        return 0.0


def _slow_kinds() -> tuple[type, ...]:
    sympy = require("sympy", "latex")
    return (sympy.Integral, sympy.Sum, sympy.Product, sympy.Limit)


def _is_small(expression: Any) -> bool:
    """Whether sympy can be trusted to compute with an expression in a moment."""
    sympy = require("sympy", "latex")
    if sympy.count_ops(expression) > _MOST_OPERATIONS:
        return False
    # The innermost first, so that no exponent is itself a power too large to compute.
    growing = sorted(expression.atoms(sympy.Pow, sympy.factorial), key=sympy.count_ops)
    sizes = (each.exp if isinstance(each, sympy.Pow) else each.args[0] for each in growing)
    return not any(size.is_number and abs(size.evalf(3)) > _LARGEST_EXPONENT for size in sizes)


def text_and_formulas_equal(response: object, gold: object) -> float:
    """Return 1.0 where both the plain text and the `$...$` formulas are equal; commas count in neither."""
    if not isinstance(response, str) or not isinstance(gold, str):
        return 0.0
    (words, formulas), (gold_words, gold_formulas) = _separated(response), _separated(gold)
    return float(simple(words, gold_words) and equal(formulas, gold_formulas))


def _separated(text: str) -> tuple[str, str]:
    parts = _FORMULA.split(text)
    words = "".join(part.strip() for part in parts[::2]).replace(",", "")
    return words, " ".join(part[1:-1].strip().replace(",", "") for part in parts[1::2])


def normalised(text: str) -> str:
    r"""Return a formula with one way to write overlines and Greek letters, and without math delimiters."""
    text = _OVERLINE_INDEX.sub(r"\\overline{\1_\2}", _with_overlines(text.replace("\\bar", "\\overline")))
    return _DELIMITERS.sub("", _GREEK.sub(_command, text))


def _with_overlines(text: str) -> str:
    written: list[str] = []
    for character in text:
        letters = unicodedata.normalize("NFD", character) if character.isalpha() else character
        if len(letters) > 1 and letters[1] == _MACRON:
            written.append(f"\\overline{{{letters[0]}}}")
        elif character == _MACRON:
            written[-1] = f"\\overline{{{written[-1]}}}"
        else:
            written.append(character)
    return "".join(written)


def _command(letter: re.Match[str]) -> str:
    r"""Return the command of a Greek letter, such as `\Alpha `. Raises KeyError for a final sigma, which has none."""
    name = unicodedata.name(letter[0]).removeprefix("GREEK ")
    size, _, word = name.partition(" LETTER ")
    if word == "FINAL SIGMA":
        raise KeyError(letter[0])
    word = {"LAMDA": "LAMBDA"}.get(word, word)
    return f"\\{word.capitalize() if size == 'CAPITAL' else word.lower()} "
