"""The runner for OpenAI-compatible endpoints before it asks: its values, its identity and its key. No connection."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from evalkit.errors import ConfigError, ModelError
from evalkit.runners.openai import OpenAIRunner
from evalkit.types import Message, Request

KEY = "sk-not-a-real-key-0123456789"
REQUEST = Request((Message("user", ("?",)),), max_tokens=16)


def test_without_url_and_key_the_variable_to_export_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTHER_KEY", raising=False)
    with pytest.raises(ModelError, match=r"export OTHER_KEY=\.\.\., or set base_url"):
        list(OpenAIRunner(model="m", api_key_env="OTHER_KEY").generate([REQUEST]))
    monkeypatch.setenv("OTHER_KEY", "sk-1\nsk-2")
    with pytest.raises(ModelError, match="OTHER_KEY holds characters") as caught:
        list(OpenAIRunner(model="m", api_key_env="OTHER_KEY").generate([REQUEST]))
    assert "sk-" not in str(caught.value)


def test_a_missing_sdk_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ModelError, match=r"pip install 'evalkit\[api\]'"):
        list(OpenAIRunner(model="m").generate([REQUEST]))


def test_identity() -> None:
    runner = OpenAIRunner(model="m", base_url="http://h/v1", extra_body={"top_k": 5, "seed": 1}, send_temperature=False)
    assert runner.identity() == {
        "engine": "openai",
        "model": "m",
        "base_url": "http://h/v1",
        "system": "",
        "temperature": "not sent",
        "extra_body": '{"seed": 1, "top_k": 5}',
    }
    assert OpenAIRunner(model="m").identity()["base_url"] == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    "options",
    [
        {"api_key_env": KEY},
        {"base_url": f"https://user:{KEY}@host/v1"},
        {"base_url": f"https://host/v1?key={KEY}"},
        {"base_url": "localhost:8000/v1"},
        {"base_url": "http://host:port/v1"},
        {"token_parameter": "max_new_tokens"},
        {"concurrency": 0},
        {"timeout": 0},
        {"max_retries": -1},
        {"extra_body": {"temperature": 1}},
    ],
)
def test_values_that_cannot_work(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="model m: ") as caught:
        OpenAIRunner(model="m", **options)
    assert KEY not in str(caught.value)


def test_construction_and_identity_import_no_engine() -> None:
    code = (
        "import sys; from evalkit.runners.openai import OpenAIRunner; OpenAIRunner(model='m').identity(); "
        "sys.exit(', '.join({'openai', 'anyio', 'httpx', 'httpx2', 'PIL', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
