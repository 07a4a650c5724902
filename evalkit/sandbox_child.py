"""What runs inside the sandbox: shuts the doors behind itself, then runs one program as MEGA-Bench's own code does.

Started by `sandbox` as process 1 of new namespaces, with standard input for a request and standard output for the
answer, both JSON; imports the standard library alone. Not for use outside: it runs what it is given.

Source of how the program is run: Chen et al., MEGA-Bench (arXiv:2410.10563), `CodeTester` in
TIGER-AI-Lab/MEGA-Bench ee324ab7, megabench/metrics/scoring/program_judge.py.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import io
import json
import multiprocessing
import os
import pathlib
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any, NoReturn

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 1 << 12, 1 << 14, 1 << 18, 2
AT_FDCWD, AT_RECURSIVE, SYS_MOUNT_SETATTR = -100, 0x8000, 442
READ_ONLY_NOSUID_NODEV = 1 | 2 | 4
PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, CLONE_NEWUSER = 4, 38, 1 << 28
CAPABILITY_VERSION_3 = 0x20080522
FOLDER, NOBODY = "/program", 65534


class RefusedError(Exception):
    """A door could not be shut, so nothing was run."""


def _system(what: str, result: int) -> None:
    if result != 0:
        raise RefusedError(f"{what}: {os.strerror(ctypes.get_errno())}")


def confine(root: str, readable: list[str], folder_bytes: int, as_nobody: bool) -> None:
    """Leave a file system that holds the libraries, read-only, and an empty folder, and drop every privilege.

    `as_nobody` is for root outside, for whom no limit on processes holds and who needs no user namespace so far.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
        texts = [None if text is None else text.encode() for text in (source, target, kind)]
        _system(f"mount {target}", libc.mount(*texts, ctypes.c_ulong(flags), data.encode()))

    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=755,nr_inodes=2000,size={folder_bytes}")
    for name in readable:
        path, inside = pathlib.Path(name), pathlib.Path(root + name)
        inside.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            inside.symlink_to(path.readlink())
            continue
        inside.mkdir(exist_ok=True)
        mount(name, str(inside), None, MS_BIND | MS_REC)
        attributes = struct.pack("QQQQ", READ_ONLY_NOSUID_NODEV, 0, 0, 0)
        result = libc.syscall(
            SYS_MOUNT_SETATTR, AT_FDCWD, bytes(inside), AT_RECURSIVE, attributes, ctypes.c_size_t(len(attributes))
        )
        _system(f"make {name} read-only", result)
    pathlib.Path(root + FOLDER).mkdir()
    if as_nobody:
        os.chown(root + FOLDER, NOBODY, NOBODY)
    os.chdir(root)
    _system("pivot_root", libc.pivot_root(b".", b"."))
    _system("leave the old root", libc.umount2(b".", MNT_DETACH))
    os.chdir(FOLDER)
    if as_nobody:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    _system("no new privileges", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    # A user without a name in its namespace can make no further one, and so gets no capability back.
    _system("unshare user", libc.unshare(CLONE_NEWUSER))
    _system("not dumpable", libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
    header, none = struct.pack("Ii", CAPABILITY_VERSION_3, 0), bytes(24)
    _system("drop capabilities", libc.capset(header, none))


def limit(limits: dict[str, int]) -> None:
    """Set the limits of this process and of those that it starts."""
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))


def run(code: str, lines: list[str]) -> str:
    """Run a program and return what it printed. Raises whatever it raises.

    Its functions do not see its own top level, since the official code runs it inside a method, unless it has the
    usual `if __name__ == "__main__":` in exactly this form. `input` gives the lines in turn, then raises StopIteration.
    Standard input is empty, and standard output a text buffer.
    """
    remaining: Iterator[str] = iter(lines)
    printed = io.StringIO()
    builtins.input = lambda *_: next(remaining)
    sys.stdin, sys.stdout = io.StringIO(), printed
    if 'if __name__ == "__main__":' in code:
        exec(code, {"__name__": "__main__"})  # noqa: S102  running the program is this file's purpose
    else:
        # The names that the official module happens to have imported.
        seen: dict[str, Any] = {"io": io, "json": json, "multiprocessing": multiprocessing, "pathlib": pathlib}
        exec(code, {"__name__": "metrics.scoring.program_judge", **seen}, {})  # noqa: S102
    return printed.getvalue()


def _child(pipe: int, request: dict[str, Any]) -> NoReturn:
    status = 1
    try:
        # Nothing of the answer's stream is left to write to; the program's own streams are buffers.
        nowhere, _ = os.pipe()
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        limit(request["limits"])
        printed = run(request["code"], request["lines"]).rstrip().encode("utf-8", "surrogatepass")
        with open(pipe, "wb") as answer:
            answer.write(b"+" + printed)
        status = 0
    finally:
        # Past anything that the program has left to run at exit.
        os._exit(status)


def supervise(request: dict[str, Any]) -> dict[str, str]:
    """Run the program in a process of its own and return its output, or why there is none."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(writer, request)
    os.close(writer)
    ended = os.pidfd_open(child)
    deadline = time.monotonic() + request["seconds"]
    received = b""
    reason = ""
    while not reason:
        ready, _, _ = select.select([reader, ended], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(reader, 1 << 16) if reader in ready else b""
        received += chunk
        if not ready:
            reason = "time"
        elif len(received) > request["most_bytes"]:
            reason = "output"
        # A process that the program left behind may hold the pipe open, so its end is not waited for.
        elif not chunk:
            reason = "end"
    # As process 1 this ends every other process that the program has left behind.
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    os.waitpid(child, 0)
    if reason == "end" and received.startswith(b"+"):
        return {"printed": received[1:].decode("utf-8", "surrogatepass")}
    return {"failed": "exit" if reason == "end" else reason}


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin)
    try:
        os.closerange(3, 1 << 12)
        if os.getpid() != 1:
            raise RefusedError("no process namespace of its own")
        confine(request["root"], request["readable"], request["folder_bytes"], request["as_nobody"])
        answer = supervise(request)
    except (RefusedError, OSError) as error:
        answer = {"refused": str(error)}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
