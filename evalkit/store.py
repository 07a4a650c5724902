"""Records on disk: JSON Lines and JSON in a run directory. Knows no benchmark and no model.

responses.jsonl and the judges' verdicts, which `responses` writes, are only ever appended to. All other files are
derived, and replaced as a whole or not at all. One process at a time writes to a run directory.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from evalkit.errors import StoreError

T = TypeVar("T")

# Of a run directory's files, in its record's `schema`. 2: answers have checksums. 1, of a record that names none, is
# read as it is, since answers without a checksum are too.
SCHEMA = 2


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
    def cache(self) -> Path:
        """What answers were found to be worth, for when they are scored again; may be removed at any time."""
        return self.path / "scores.cache"

    @property
    def result(self) -> Path:
        """The leaderboard's cell."""
        return self.path / "result.json"

    @property
    def record(self) -> Path:
        """The circumstances."""
        return self.path / "record.json"

    @property
    def lock(self) -> Path:
        """There while a process writes to the run, with its id."""
        return self.path / "run.lock"


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


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Replace a file by what `write` writes, as a whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with mishaps(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*"):
            if not _is_alive(left.suffix[1:]):
                left.unlink(missing_ok=True)
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            with suppress(OSError):  # which must not hide the one that brought us here
                temporary.unlink(missing_ok=True)


def _is_alive(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (PermissionError, ValueError):
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Have the names of new and replaced files outlast a power cut, where the file system can."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def sync(descriptor: int) -> None:
    """Wait until the disk has what was written, unless this is nothing that can be synced, such as a pipe."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


@contextmanager
def writer(run: RunDir, say: Callable[[str], None]) -> Iterator[None]:
    """Be the run's only writer within the block, which the death of this process ends too, however it dies.

    Raises StoreError where another process is writing, with its id. `say` is told where the file system has no locks,
    so that nothing keeps others away. To read needs no lock.
    """
    with mishaps(run.lock):
        run.path.mkdir(parents=True, exist_ok=True)
        for folder in run.path.parents[:3]:
            sync_folder(folder)
        file = _acquire(run, say)
        file.truncate(0)
        file.write(f"{os.getpid()} on {platform.node()}\n".encode())
        file.flush()
    try:
        yield
    finally:
        with suppress(OSError):  # a lock file without its lock stops nobody
            run.lock.unlink(missing_ok=True)
        file.close()


def _acquire(run: RunDir, say: Callable[[str], None]) -> IO[bytes]:
    while True:
        file = run.lock.open("a+b")
        if sys.platform == "win32":
            return file
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                owner = file.read(200).decode(errors="replace").strip()
            raise StoreError(
                f"another run is writing to {run.path} (process {owner or 'unknown'}): wait for its end, or give this "
                "one its own model.name=NAME or results_dir=DIR"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP):
                file.close()
                raise
            say(f"the disk of {run.path} has no locks ({error.strerror}): see to it yourself that no second run writes")
            return file
        # Its last owner may have removed the file before this process had the lock.
        with suppress(FileNotFoundError):
            if os.path.samestat(run.lock.stat(), os.fstat(file.fileno())):
                return file
        file.close()


def write_text(path: Path, text: str) -> None:
    """Replace a file's content, as a whole or not at all."""
    replace_file(path, lambda file: file.write(text.encode()))


def write_lines(path: Path, records: Iterable[object]) -> None:
    """Replace a JSON Lines file, as a whole or not at all."""
    replace_file(path, lambda file: file.writelines(dumps(record) + b"\n" for record in records))


def write_json(path: Path, record: object) -> None:
    """Replace a JSON file, as a whole or not at all."""
    text = json.dumps(plain(record), indent=1, ensure_ascii=False)
    write_text(path, text + "\n")


def read_json(path: Path, kind: type[T]) -> T:
    """Read a JSON file. Raises StoreError where it is absent, not of that kind, or of a newer evalkit's schema."""
    try:
        found = json.loads(path.read_bytes())
        schema = found.get("schema") if isinstance(found, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise StoreError(
                f"{path} was written by a newer evalkit (schema {schema}, this one reads up to {SCHEMA}): "
                "type pip install --upgrade evalkit, or choose another results_dir"
            )
        return msgspec.convert(found, kind)
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist: give a run directory, such as results/runs/tiny/docvqa") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read ({error}): run the task again to replace it") from error


def read_lines(path: Path, kind: type[T]) -> Iterator[T]:
    """Yield the records of a derived JSON Lines file. Raises StoreError where one is malformed."""
    decoder = msgspec.json.Decoder(kind)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield decoder.decode(line)
                except ValueError:  # lone surrogates, which only the slower reader takes
                    try:
                        yield loads(line, kind)
                    except ValueError as error:
                        raise StoreError(
                            f"line {number} of {path} cannot be read ({error}): run the task again to replace the file"
                        ) from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}: run the task first") from error
