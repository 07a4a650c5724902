"""Python literals in a model's text, and the sets, lists and mappings that the metrics read them as.

Nothing is ever evaluated: `ast.literal_eval` builds constants and containers alone.
"""

from __future__ import annotations

import ast
import importlib
import warnings
from collections.abc import Iterable, Mapping
from types import ModuleType

from evalkit.errors import ConfigError

from .json_text import find_json

# What a metric may raise on an answer of the wrong form: the official code scores any exception 0.
MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)


def require(module: str, extra: str) -> ModuleType:
    """Import a package of an extra. Raises ConfigError with the pip line where it is absent."""
    try:
        # Some of these packages compile with warnings about their own source, which the user cannot mend.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"MEGA-Bench's metrics need {module.split('.')[0]}: type pip install 'evalkit[{extra}]'"
        ) from error


def literal(text: object) -> object:
    """Return the Python literal that a text is.

    Raises TypeError for a literal that cannot exist, such as a set of lists, and ValueError for anything else, a value
    that is no text too.
    """
    if not isinstance(text, str):
        raise ValueError(f"a {type(text).__name__} is no text")
    try:
        # A stray backslash is a warning of the parser's, about text that nobody will run.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError("not a literal") from error


def unquoted(value: object) -> object:
    """Return the inner text of a value that is itself a quoted Python string, and any other value as it is."""
    try:
        inner = literal(value)
    except (ValueError, TypeError):
        return value
    return inner if isinstance(inner, str) else value


def is_number(value: object) -> bool:
    """Whether a value is an int or a float; a bool is an int, as in Python."""
    return isinstance(value, int | float)


def frozen(value: object) -> object:
    """Return a hashable value: mappings and sets become frozensets, lists tuples, at every depth but inside sets."""
    if isinstance(value, Mapping):
        return frozenset((key, frozen(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return frozenset(value) if isinstance(value, set) else value


def as_items(value: object) -> Iterable[object]:
    """Return the items of a collection that is written as text; a value that is no text has none.

    A literal's items, or the literal alone where it is a number; else what stands between the commas, stripped. None
    where `None` is written, an opening bracket is not closed, or there is nothing.
    """
    if not isinstance(value, str):
        return ()
    text = value.strip(" ")
    closing = {"(": ")", "{": "}", "[": "]"}.get(text[:1])
    if not text or (closing and not text.endswith(closing)):
        return ()
    try:
        found = literal(text)
    except ValueError:
        inner = text[1:-1] if closing else text
        return [item.strip() for item in inner.split(",")]
    except TypeError:
        return ()
    if is_number(found):
        return (found,)
    return found if isinstance(found, Iterable) else ()


def says_none(value: object) -> bool:
    """Whether a text is the literal `None`, which equals no empty collection."""
    return isinstance(value, str) and value.strip() == "None"


def as_list(value: object) -> list[object]:
    """Return the items as a list; see `as_items`."""
    return list(as_items(value))


def as_set(value: object) -> set[object]:
    """Return the items as a set; those of a text are taken as they are, and one that cannot be hashed empties it."""
    value = frozen(value)
    if isinstance(value, frozenset | tuple):
        return set(value)
    try:
        return set(as_items(value))
    except TypeError:
        return set()


def as_mapping(value: object) -> object:
    """Return the mapping, or other non-empty JSON, that stands anywhere in a text, else the value as it is."""
    if isinstance(value, Mapping):
        return {key: as_mapping(item) for key, item in value.items()}
    return (find_json(value) or value) if isinstance(value, str) else value
