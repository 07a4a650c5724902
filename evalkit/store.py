"""Records on disk: JSON Lines and JSON in a run directory. Knows no benchmark and no model.

responses.jsonl is only ever appended to, and each answer is on its way to the disk before anyone looks at it: a line
is flushed at once, and synced at the latest 64 answers or one second later. All other files are derived, and replaced
as a whole or not at all.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import msgspec

from evalkit.errors import StoreError
from evalkit.types import Response

T = TypeVar("T")

SYNC_ANSWERS = 64
SYNC_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunDir:
    """The files of one model's run of one task: names chosen, never timestamps."""

    path: Path

    @property
    def samples(self) -> Path:
        """Samples, without their pictures' pixels."""
        return self.path / "samples.jsonl"

    @property
    def requests(self) -> Path:
        """What each sample was asked, and under which key."""
        return self.path / "requests.jsonl"

    @property
    def responses(self) -> Path:
        """Every answer and every failure, in the order of their arrival."""
        return self.path / "responses.jsonl"

    def verdicts(self, judge: str) -> Path:
        """What one judge said, in the form of responses."""
        return self.path / f"verdicts-{judge}.jsonl"

    @property
    def scores(self) -> Path:
        """One line a sample: prediction beside value."""
        return self.path / "scores.jsonl"

    @property
    def result(self) -> Path:
        """The leaderboard's cell."""
        return self.path / "result.json"

    @property
    def record(self) -> Path:
        """The circumstances."""
        return self.path / "record.json"


def run_dirs(results: Path) -> list[RunDir]:
    """Return the runs below a results directory that have a record, in alphabetical order."""
    return [RunDir(path.parent) for path in sorted(results.glob("runs/*/*/record.json"))]


def plain(record: object) -> Any:
    """Return a record as dicts, lists and values, as JSON has them; a picture's reader becomes null."""
    return msgspec.to_builtins(record, enc_hook=lambda _: None)


def dumps(record: object) -> bytes:
    """Return a record as one line of UTF-8 JSON, without the line's end.

    Lone surrogates, which UTF-8 cannot hold but models can emit through JSON, are written as escapes.
    """
    built = plain(record)
    try:
        return json.dumps(built, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(built).encode()


def loads(line: bytes, kind: type[T]) -> T:
    """Read one record. Raises ValueError where the line is not one of that kind."""
    return msgspec.convert(json.loads(line), kind)


@contextmanager
def mishaps(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into one sentence."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}; answers stored so far are safe: mend that (free space, "
            "permissions, or results_dir=DIR on another disk) and run the same command again"
        ) from error


def _replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with mishaps(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a file's content, as a whole or not at all."""
    _replace(path, lambda file: file.write(text.encode()))


def write_lines(path: Path, records: Iterable[object]) -> None:
    """Replace a JSON Lines file, as a whole or not at all."""
    _replace(path, lambda file: file.writelines(dumps(record) + b"\n" for record in records))


def write_json(path: Path, record: object) -> None:
    """Replace a JSON file, as a whole or not at all."""
    text = json.dumps(plain(record), indent=1, ensure_ascii=False)
    write_text(path, text + "\n")


def read_json(path: Path, kind: type[T]) -> T:
    """Read a JSON file. Raises StoreError where it is absent or not of that kind."""
    try:
        return loads(path.read_bytes(), kind)
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist: give a run directory, such as results/runs/tiny/docvqa") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}): run the task again to replace it") from error


def read_lines(path: Path, kind: type[T]) -> Iterator[T]:
    """Yield the records of a derived JSON Lines file. Raises StoreError where one is malformed."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield loads(line, kind)
                except ValueError as error:
                    raise StoreError(
                        f"line {number} of {path} cannot be read ({error}): run the task again to replace the file"
                    ) from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}: run the task first") from error


def read_responses(path: Path) -> dict[str, Response]:
    """Return the stored responses by key, the last of each key; none where the file does not exist yet.

    A line that a crash has torn is no response, so its request counts as not asked.
    """
    responses: dict[str, Response] = {}
    try:
        with path.open("rb") as file:
            for line in file:
                try:
                    response = loads(line, Response)
                except ValueError:
                    continue
                responses[response.key] = response
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}: mend the file's permissions") from error
    return responses


class ResponseLog:
    """Appends responses to a file: `with ResponseLog(path) as log: log.append(response)`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unsynced = 0
        self._synced = time.monotonic()

    def __enter__(self) -> Self:
        with mishaps(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
            self._end_torn_line()
        return self

    def _end_torn_line(self) -> None:
        # What a crash left of a line must not swallow the next answer.
        if self._path.is_file() and self._path.stat().st_size:
            with self._path.open("rb") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    self._write(b"\n")

    def _write(self, data: bytes) -> None:
        while data:
            data = data[self._file.write(data) :]

    def append(self, response: Response) -> None:
        """Store one response. Raises StoreError where the disk refuses it; those before it are safe."""
        with mishaps(self._path):
            self._write(dumps(response) + b"\n")
            self._unsynced += 1
            if self._unsynced >= SYNC_ANSWERS or time.monotonic() - self._synced >= SYNC_SECONDS:
                self._sync()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._unsynced = 0
        self._synced = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._unsynced:
                with mishaps(self._path):
                    self._sync()
        finally:
            self._file.close()
