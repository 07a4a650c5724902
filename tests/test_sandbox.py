"""Programs that want out of the sandbox, and how a program is run in it. Skipped where the kernel offers none."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from evalkit import sandbox
from evalkit.errors import ConfigError
from evalkit.sandbox import Sandbox


@pytest.fixture(scope="module", autouse=True)
def _offered() -> None:
    try:
        Sandbox()("print()", [()])
    except ConfigError as error:
        pytest.skip(str(error))


def printed(code: str, *lines: str, **limits: Any) -> str | None:
    (output,) = Sandbox(**limits)(code, [lines])
    return output


def test_a_program_runs_once_for_each_test() -> None:
    assert Sandbox()("print(int(input()) * 2)", [["4"], ["x"], [], ["-1"]]) == ["8", None, None, "-2"]


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("print('a ')\nprint()", "a"),
        ("x = 1\nprint([x][0])", "1"),
        ("def f():\n    return 1\ndef g():\n    return f()\nprint(g())", None),
        ("import math\ndef f():\n    return math.pi\nprint(f())", None),
        ("import json\ndef f():\n    return json.dumps([])\nprint(f())", "[]"),
        ('def f():\n    return 1\ndef g():\n    return f()\nif __name__ == "__main__":\n    print(g())', "1"),
        ("if __name__ == '__main__':\n    print(1)", ""),
        ("import sys\nprint(repr(sys.stdin.read()))", "''"),
        ("import sys\nsys.stderr.write('a')", ""),
        ("exit()", None),
        ("raise KeyError", None),
        ("print(", None),
        ("print('é')", "é"),
    ],
)
def test_runs_as_the_official_code_does(code: str, output: str | None) -> None:
    assert printed(code) == output


def test_sees_no_file_but_libraries_and_no_variable() -> None:
    seen = printed(
        "import os\n"
        "print(os.listdir('.'), dict(os.environ), os.path.exists('/etc/passwd'), os.path.exists('/proc/self'))\n"
        "print(sorted(os.listdir('/')))"
    )
    assert seen is not None
    first, second = seen.splitlines()
    assert first == "[] {'LANG': 'C.UTF-8'} False False"
    assert not {"etc", "home", "proc", "tmp", "sys", "var"} & set(eval(second))  # noqa: S307  a list that we wrote


def test_this_repository_and_the_users_files_are_out_of_sight() -> None:
    places = [str(Path(__file__).parents[1]), str(Path.home() / ".ssh"), str(Path.home() / ".cache")]
    assert printed(f"import os\nprint(list(map(os.path.exists, {places})))") == "[False, False, False]"


@pytest.mark.parametrize("path", ["/usr/lib/evalkit", os.__file__])
def test_libraries_cannot_be_written(path: str) -> None:
    assert (
        printed(f"try:\n    open({path!r}, 'a')\nexcept OSError as error:\n    print(error.errno in (1, 13, 30))")
        == "True"
    )


def test_has_no_network() -> None:
    code = (
        "import socket\n"
        "print([name for _, name in socket.if_nameindex()])\n"
        "try:\n    socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError:\n    print('unreachable')"
    )
    assert printed(code) == "['lo']\nunreachable"


def test_gets_no_privilege_back() -> None:
    code = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None)\n"
        "print(os.getuid(), libc.unshare(0x10000000), libc.mount(b'tmpfs', b'.', b'tmpfs', 0, None), libc.chroot(b'.'))"
    )
    assert printed(code) == "65534 -1 -1 -1"


def test_cannot_touch_what_watches_it() -> None:
    assert printed("import os\nos.kill(1, 9)\nprint('here')") == "here"


def test_endless_program_ends_in_time() -> None:
    start = time.monotonic()
    assert printed("while True:\n    pass", seconds=0.5) is None
    assert time.monotonic() - start < 5


def test_what_it_leaves_behind_ends_with_it() -> None:
    name = f"left-{os.getpid()}"
    code = (
        "import ctypes, os, time\n"
        f"ctypes.CDLL(None).prctl(15, {name.encode()!r}, 0, 0, 0)\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(60)\n"
        "print('parent')"
    )
    assert printed(code) == "parent"
    assert name not in {process_name(folder) for folder in Path("/proc").glob("[0-9]*")}


def process_name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text().strip()
    except OSError:  # it has ended meanwhile
        return ""


def test_limits_hold() -> None:
    assert printed("x = bytearray(1 << 31)\nprint(1)") is None
    assert printed("open('f', 'wb').write(b'x' * (1 << 25))\nprint(1)") is None
    assert printed("print('x' * (1 << 17))") is None
    assert printed("import os\nn = [os.open('/', 0) for _ in range(100)]\nprint(1)") is None
    forks = printed(
        "import os, time\nn = 0\n"
        "try:\n"
        "    while n < 50:\n"
        "        if os.fork() == 0:\n            time.sleep(60)\n"
        "        n += 1\n"
        "except OSError:\n    pass\n"
        "print(n)"
    )
    assert forks is not None
    assert int(forks) < 8


def test_refuses_without_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(ConfigError, match=r"cannot be shut in on this machine \(there is no program unshare"):
        printed("print()")


def test_refuses_where_a_namespace_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "NAMESPACES", ())
    with pytest.raises(ConfigError, match=r"no process namespace of its own"):
        printed("print()")
