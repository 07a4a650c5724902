"""The runner that starts a server of its own, against a program that stands in for `vllm serve`."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_families import answers, ask, picture

from evalkit import config
from evalkit.errors import ConfigError, ModelError
from evalkit.models.tiny import checkpoint
from evalkit.runners.vllm_server import VLLMServerRunner, words
from evalkit.types import Request, Response

# Says what it was started with; has a child of its own, as vLLM has engines; answers with the question backwards.
PROGRAM = """\
#!{python}
import json, os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

notes = Path(__file__).parent
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
(notes / "started.json").write_text(json.dumps(dict(words=sys.argv[1:], pids=[os.getpid(), child.pid])))
for line in range(40):
    print("loading", line, flush=True)
if "--dies-early" in sys.argv:
    print("CUDA error: out of memory", flush=True)
    child.kill()
    sys.exit(7)
if "--stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
ready = time.monotonic() + (600 if "--never-ready" in sys.argv else 0.5)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply(200 if self.path == "/health" and time.monotonic() > ready else 503, b"")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = asked["messages"][-1]["content"]
        said = content if isinstance(content, str) else "".join(part.get("text", "*") for part in content)
        if "die" in said:
            print("the engine died of it", flush=True)
            child.kill()
            os._exit(9)
        answer = dict(message=dict(role="assistant", content=said[::-1]), finish_reason="stop")
        usage = dict(prompt_tokens=3, completion_tokens=5)
        self.reply(200, json.dumps(dict(model=asked["model"], choices=[answer], usage=usage)).encode())

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


port = int(sys.argv[sys.argv.index("--port") + 1])
ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "vllm"
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(0o755)
    yield path
    for pid in pids(path):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def pids(program: Path) -> list[int]:
    notes = program.parent / "started.json"
    return list(json.loads(notes.read_text())["pids"]) if notes.exists() else []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    # One that nobody has waited for yet is dead all the same.
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def eventually(condition: Callable[[], bool]) -> bool:
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.1)
    return False


def gone(program: Path) -> bool:
    assert len(pids(program)) == 2
    return eventually(lambda: not any(map(alive, pids(program))))


def runner(program: Path, **options: Any) -> VLLMServerRunner:
    return VLLMServerRunner(id=checkpoint, command=str(program), **options)


def questions(count: int) -> list[Request]:
    return [ask(picture(30, 20, number), f"Question {number}") for number in range(count)]


def test_the_server_starts_once_answers_and_ends_with_the_runner(program: Path) -> None:
    made = runner(program, arguments={"tensor_parallel_size": 8, "quantization": None, "enforce-eager": True})
    assert not pids(program)
    responses = answers(made, questions(12))
    assert [response.text for response in responses[:2]] == ["0 noitseuQ*", "1 noitseuQ*"]
    assert all(response.error is None and response.completion_tokens == 5 for response in responses)
    first = pids(program)
    assert answers(made, [ask("Again")])[0].text == "niagA"
    assert pids(program) == first
    said = json.loads((program.parent / "started.json").read_text())["words"]
    assert said[:2] == ["serve", str(checkpoint())]
    assert said[said.index("--host") + 1] == "127.0.0.1"
    assert said[-3:] == ["--tensor-parallel-size", "8", "--enforce-eager"]
    assert not any("quantization" in word for word in said)
    del made
    gc.collect()
    assert gone(program)


def test_a_server_that_ends_before_it_is_ready_shows_the_end_of_its_log(program: Path) -> None:
    with pytest.raises(ModelError, match=r"(?s)ended with status 7 before it was ready.*out of memory") as raised:
        list(runner(program, arguments={"dies_early": True}).generate(questions(1)))
    assert "loading 39" in str(raised.value)
    assert "loading 3\n" not in str(raised.value)
    assert gone(program)


def test_a_server_that_is_never_ready_is_not_waited_for_for_ever(program: Path) -> None:
    with pytest.raises(ModelError, match=r"not ready after 2 s: set a longer model.start_timeout"):
        list(runner(program, arguments={"never_ready": True}, start_timeout=2.0).generate(questions(1)))
    assert gone(program)


def test_a_server_that_dies_ends_the_run_and_keeps_what_it_answered(program: Path) -> None:
    made = runner(program, concurrency=1)
    responses = made.generate([*questions(3), ask("die"), *questions(30)])
    kept: list[Response] = []
    with pytest.raises(ModelError, match=r"(?s)died: .*the engine died of it"):
        kept.extend(responses)
    assert len(kept) == 3
    assert all(response.error is None for response in kept)
    assert gone(program)


def test_a_server_that_will_not_end_is_made_to(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evalkit.runners.vllm_server._GRACE", 0.5)
    made = runner(program, arguments={"stubborn": True})
    assert answers(made, [ask("ab")])[0].text == "ba"
    del made
    gc.collect()
    assert gone(program)


@pytest.mark.parametrize("how", ["ctrl_c", "error", "end"])
def test_the_server_ends_with_the_process_however_that_ends(program: Path, how: str) -> None:
    script = f"""
        import os, signal
        from evalkit.models.tiny import checkpoint
        from evalkit.runners.vllm_server import VLLMServerRunner
        from evalkit.types import Message, Request
        runner = VLLMServerRunner(id=checkpoint, command={str(program)!r})
        (response,) = runner.generate([Request((Message("user", ("ab",)),), 8)])
        print(response.text, flush=True)
        if {how!r} == "error":
            raise RuntimeError
        if {how!r} == "ctrl_c":
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.stdout == "ba\n", done.stderr
    assert (done.returncode == 0) == (how == "end")
    assert gone(program)


def test_a_stop_while_the_server_starts_ends_it(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(seconds: float) -> None:
        if pids(program):
            raise KeyboardInterrupt

    monkeypatch.setattr("evalkit.runners.vllm_server.time.sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(runner(program, arguments={"never_ready": True}).generate(questions(1)))
    monkeypatch.undo()
    assert gone(program)


def test_without_the_program_the_error_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"no program no-such-vllm: type pip install 'evalkit\[vllm\]'"):
        list(runner(Path("no-such-vllm")).generate(questions(1)))


def test_identity_is_the_same_wherever_the_model_runs() -> None:
    one = runner(Path("vllm")).identity()
    spread = {"tensor-parallel-size": 8, "pipeline_parallel_size": 2, "distributed_executor_backend": "ray"}
    assert runner(Path("vllm"), arguments=spread, port=1234, concurrency=9).identity() == one
    assert runner(Path("vllm"), arguments={"quantization": "fp8"}).identity() != one
    assert one["engine"] == "vllm_server"


def test_options_are_written_as_the_program_takes_them() -> None:
    options = {"max_model_len": 8, "eager": True, "chunks": False, "none": None, "limit": {"image": 2}, "of": ["a", 1]}
    expected = ["--max-model-len", "8", "--eager", "--no-chunks", "--limit", '{"image": 2}', "--of", "a", "1"]
    assert words(options) == expected
    with pytest.raises(ConfigError, match="arguments sets host, port"):
        runner(Path("vllm"), arguments={"--host": "0.0.0.0", "port": 1})


def test_a_config_hands_its_arguments_over(program: Path) -> None:
    chosen = ["task=docvqa", "model=vllm_server", f"model.id={checkpoint()}", f"model.command={program}"]
    made = config.setup([*chosen, "+model.arguments.tensor_parallel_size=2"]).model.runner
    assert isinstance(made, VLLMServerRunner)
    assert made.arguments == {"tensor_parallel_size": 2}
