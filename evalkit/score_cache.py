"""What answers were found to be worth, kept beside a run, so that only what changed is scored again.

An entry's key is a hash of all that decides it: the task's settings, the source of every module that the task's can
reach, the versions of all installed packages and of Python, the sample, the answer and the judge's verdict. A changed
scorer, library, gold answer or response is thus another key, and there is nothing to invalidate. The file holds the
entries of one scoring and no others. Each is signed with a secret of the user's, since a run directory may come from
anyone: what is damaged, or somebody else's, is not there.
"""

from __future__ import annotations

import ast
import hashlib
import hmac
import os
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import fields
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import msgspec

from evalkit.errors import StoreError
from evalkit.grading import Answer, Worth, tell, worths
from evalkit.store import dumps, replace_file
from evalkit.types import Task

_LIBRARIES = ("site-packages", "dist-packages")
_SECRET = 32
_DECODER = msgspec.json.Decoder(tuple[str, Worth])


def known_or_scored(path: Path, task: Task, answers: Sequence[Answer], keep: bool) -> list[Worth]:
    """Return what each answer is worth, from the file at `path` where that has it; `keep` writes the file anew.

    Raises what the task raises; what was found until then is kept, too.
    """
    version, secret = scorer_version(task), user_secret()
    if version is None or secret is None:
        return [tell(found) for found in worths(task, answers)]
    keys = [entry_key(version, answer) for answer in answers]
    known = dict(_read(path, secret))
    missing = worths(task, [answer for answer, key in zip(answers, keys, strict=True) if key not in known])
    found: list[Worth] = []
    try:
        found.extend(tell(known[key] if key in known else next(missing)) for key in keys)
    finally:
        if keep and known.keys() != set(keys[: len(found)]):
            with suppress(StoreError):  # the scores are what was asked for; without this they only take longer
                _write(path, secret, zip(keys, found, strict=False))
    return found


def entry_key(version: str, answer: Answer) -> str:
    """Return the hash (hex) of a scorer's version and all that it sees of an answer."""
    seen = (version, answer)
    try:
        content = msgspec.json.encode(seen)
    except UnicodeEncodeError:  # lone surrogates
        content = dumps(seen)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _read(path: Path, secret: bytes) -> Iterator[tuple[str, Worth]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        signature, _, body = line.partition(b" ")
        if hmac.compare_digest(signature, _signature(body, secret)):
            with suppress(ValueError):
                yield _DECODER.decode(body)


def _write(path: Path, secret: bytes, entries: Iterable[tuple[str, Worth]]) -> None:
    bodies = map(dumps, entries)
    replace_file(path, lambda file: file.writelines(b"%b %b\n" % (_signature(body, secret), body) for body in bodies))


def _signature(body: bytes, secret: bytes) -> bytes:
    return hashlib.blake2b(body, key=secret, digest_size=16).hexdigest().encode()


def _write_secret(file: IO[bytes]) -> None:
    Path(file.name).chmod(0o600)
    file.write(secrets.token_bytes(_SECRET))


def user_secret() -> bytes | None:
    """Return this user's 32 secret bytes, made at first use; None where they cannot be kept.

    They lie in the user's cache (EVALKIT_CACHE, else XDG_CACHE_HOME/evalkit, else ~/.cache/evalkit).
    """
    own = os.environ.get("EVALKIT_CACHE")
    try:
        folder = Path(own or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser()
        path = (folder if own else folder / "evalkit") / "scores.secret"
        if not path.exists():
            # Of two that do this at once the later counts; what the other signs is scored once more.
            replace_file(path, _write_secret)
        found = path.read_bytes()
    except (OSError, RuntimeError, StoreError):
        return None
    return found if len(found) == _SECRET else None


def scorer_version(task: Task, read: Callable[[Path], bytes] = Path.read_bytes) -> str | None:
    """Return a hash (hex) of all that decides what a task makes of an answer; None where its source is not to be had.

    `read` reads a module's source.
    """
    settings = {each.name: getattr(task, each.name) for each in fields(task) if each.name != "source"}
    parts = (task, *settings.values())
    modules = {kind.__module__ for part in parts for kind in type(part).__mro__} | {worths.__module__}
    # A function among the settings has a module of its own.
    modules |= {str(part.__module__) for part in parts if callable(part) and hasattr(part, "__module__")}
    try:
        sources = _sources(modules, read)
    except OSError:
        return None
    if type(task).__module__ not in sources:
        return None
    content = [sys.version, sorted((name, repr(value)) for name, value in settings.items()), sources, packages()]
    return hashlib.blake2b(repr(content).encode(errors="surrogatepass"), digest_size=16).hexdigest()


def packages() -> list[str]:
    """Return the names and versions of all installed packages, as their folders have them, in alphabetical order."""
    found = set()
    for folder in sys.path:
        if folder.endswith(_LIBRARIES) and Path(folder).is_dir():
            found |= {each.name for each in Path(folder).iterdir() if each.suffix in (".dist-info", ".egg-info")}
    return sorted(found)


def _sources(modules: Iterable[str], read: Callable[[Path], bytes]) -> dict[str, str]:
    """Return the hashes of these modules and of all that they import but libraries, by name in alphabetical order."""
    waiting, seen = set(modules), set[str]()
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        file = None if name.partition(".")[0] in sys.stdlib_module_names else _file(name)
        if file is None or (not name.startswith("evalkit.") and any(each in file.parts for each in _LIBRARIES)):
            continue
        content = read(file)
        found[name] = hashlib.blake2b(content, digest_size=16).hexdigest()
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        waiting |= _imports(content, package) if file.suffix == ".py" else set()
    return dict(sorted(found.items()))


def _file(name: str) -> Path | None:
    """Return where a module's source lies, without importing it; None for what is no module, as a class's name."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded:
        return Path(loaded)
    above, _, leaf = name.rpartition(".")
    if not above:
        spec = None if name in sys.modules else find_spec(name)
        return Path(spec.origin) if spec and spec.has_location and spec.origin else None
    package = _file(above)
    if package is None or package.name != "__init__.py":
        return None
    places = (package.with_name(f"{leaf}.py"), package.parent / leaf / "__init__.py")
    return next((place for place in places if place.is_file()), None)


@lru_cache(maxsize=1024)
def _imports(source: bytes, package: str) -> frozenset[str]:
    """Return all names that may be modules which a source imports anywhere, and the packages that they lie in."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{each.name}" for each in node.names)}
    parts = [name.split(".") for name in found]
    return frozenset(".".join(each[:length]) for each in parts for length in range(1, len(each) + 1))
