"""Exercises without pictures: which letter an option has, arithmetic, and which number is greater."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from evalkit.models.tiny.watch import invented
from evalkit.tasks.mini import words

LETTERS = "ABCDEFGHIJ"
Drill = tuple[str, str]


def drill(rng: Random) -> Drill:
    """Return what is asked and what to answer, each of a few lines at most."""
    return rng.choices((_letters, _sums, _compared, _highest, _counted), (5, 5, 1, 1, 1))[0](rng)


def _name(rng: Random) -> str:
    name = invented(rng, rng.randint(3, 9)).capitalize()
    return f"{name} {invented(rng, rng.randint(3, 7))}" if rng.random() < 0.25 else name


def _near(rng: Random, form: str, n: int, step: int, low: int, high: int) -> list[str]:
    first = rng.randint(low, high)
    return [form.format(first + step * k) for k in rng.sample(range(n + 3), n)]


def options(rng: Random, n: int) -> list[str]:
    """Return n different options of one kind."""
    match rng.randrange(7):
        case 0 | 1:
            return _distinct(rng, n, _name)
        case 2:
            unit = rng.choice(("{} ohm", "{} m", "{} kg", "{} g", "{}", "{}%"))
            return _near(rng, unit, n, rng.choice((1, 1, 2, 5)), 1, 200)
        case 3:
            return _near(rng, "${:,}", n, rng.choice((15, 500)), 200, 90000)
        case 4:
            start, step = rng.randint(1900, 1990), rng.choice((2, 5))
            return [f"{start + step * k} to {start + step * k + step}" for k in rng.sample(range(n + 1), n)]
        case 5:
            letters = rng.sample("ABCDEFGHKLMNPRST", 7)
            return _distinct(rng, n, lambda r: " ".join(r.sample(letters, 7)))
        case _:
            return _distinct(rng, n, lambda r: r.choice("ABCDEFGHKLMNPRSTUVWXYZ") if n < 9 else _name(r))


def _distinct(rng: Random, n: int, make: Callable[[Random], str]) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < n:
        found[make(rng)] = None
    return list(found)


def _letters(rng: Random) -> Drill:
    shown = options(rng, rng.choice((2, 3, 4, 4, 4, 4, 5, 8, 10, 10)))
    form = rng.choice(("{}. {}", "({}) {}"))
    lines = [form.format(letter, option) for letter, option in zip(LETTERS, shown, strict=False)]
    said = [f"{option} ({letter})" for letter, option in zip(LETTERS, shown, strict=False)]
    rng.shuffle(said)
    before = rng.choice(("", "Options:\n", f"Which {invented(rng, 6)} is it?\n"))
    return before + "\n".join(lines), "; ".join(said[: rng.randint(1, len(said))])


def _sums(rng: Random) -> Drill:
    asked = [_sum(rng) for _ in range(rng.randint(3, 9))]
    return "; ".join(text.split(" = ")[0] for text in asked), "; ".join(asked)


def _sum(rng: Random) -> str:
    """Return an equation of the kinds that workings have."""
    match rng.randrange(10):
        case 0 | 1:
            high, low = sorted((rng.randint(1, 99), rng.randint(1, 99)), reverse=True)
            return rng.choice((f"{high} - {low} = {high - low}", f"{high} + {low} = {high + low}"))
        case 2:
            high, low = sorted((rng.randint(11, 999), rng.randint(11, 999)), reverse=True)
            return f"{high / 10:g} - {low / 10:g} = {(high - low) / 10:g}"
        case 3 | 4:
            high, low = sorted((rng.randint(35, 999), rng.randint(35, 999)), reverse=True)
            return rng.choice((f"{high} - {low} = {high - low}",) * 3 + (f"{high} + {low} = {high + low}",))
        case 5:
            high, low = sorted((500 * rng.randint(3, 160), 500 * rng.randint(3, 160)), reverse=True)
            return rng.choice((f"{high:,} - {low:,} = {high - low:,}", f"{high:,} + {low:,} = {high + low:,}"))
        case 6:
            one, two = rng.randint(11, 149), rng.randint(11, 149)
            return f"{one / 100:.2f} + {two / 100:.2f} = {(one + two) / 100:.2f}"
        case 7:
            one, two = rng.randint(2, 25), rng.randint(2, 12)
            return rng.choice((f"{one} * {two} = {one * two}", f"{one * two} / {one} = {two}"))
        case 8 if rng.random() < 0.4:
            one, tens = rng.randint(12, 60), 10 * rng.randint(1, 8)
            return f"{one} * {tens} = {one * tens}"
        case 8:
            one, tens, rest = rng.randint(12, 60), 10 * rng.randint(1, 8), rng.choice((5, 5, rng.randint(1, 9)))
            whole = f"{one} * {tens} + {one} * {rest} = {one * tens} + {one * rest} = {one * (tens + rest)}"
            return f"{one} * {tens + rest} = {whole}"
        case _:
            first = rng.randint(35, 170)
            return f"180 - {first} = {180 - first}"


def _number(rng: Random, top: int, tenths: bool) -> str:
    return f"{rng.randint(1, top * 10) / 10:g}" if tenths else str(rng.randint(1, top))


def _compared(rng: Random) -> Drill:
    top, tenths = rng.choice((20, 100, 1000)), rng.random() < 0.4
    pairs = [(_number(rng, top, tenths), _number(rng, top, tenths)) for _ in range(rng.randint(3, 8))]
    said = [f"{a} {_sign(a, b)} {b}" for a, b in pairs]
    return "; ".join(f"{a} or {b}" for a, b in pairs), "; ".join(said)


def _sign(one: str, other: str) -> str:
    return "<" if float(one) < float(other) else ">" if float(one) > float(other) else "="


def _data(rng: Random) -> dict[str, str]:
    tenths = rng.choice((1, 10))
    names = _distinct(rng, rng.randint(3, 7), rng.choice((_name, lambda r: str(r.randint(1990, 2024)))))
    low = rng.choice((1, 10, 100))
    numbers = words.spread(rng, len(names), low * tenths, low * tenths * 9 + 20)
    return {name: f"{number / tenths:g}" for name, number in zip(names, numbers, strict=True)}


def _told(data: dict[str, str], names: Sequence[str]) -> str:
    return "; ".join(f"{name} {data[name]}" for name in names)


def _highest(rng: Random) -> Drill:
    data = _data(rng)
    best, word = rng.choice(((max, "highest"), (min, "lowest")))
    name = best(data, key=lambda one: float(data[one]))
    return f"{word}: {_told(data, list(data))}", f"{word} {data[name]} {name}"


def _counted(rng: Random) -> Drill:
    data = _data(rng)
    one, *rest = rng.sample(list(data), len(data))
    signs = [_sign(data[name], data[one]) for name in rest]
    said = "; ".join(f"{name} {data[name]} {sign}" for name, sign in zip(rest, signs, strict=True))
    return f"greater than {one}: {_told(data, [one, *rest])}", f"{one} {data[one]}. {said}. {signs.count('>')}"
