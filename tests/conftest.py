"""What several test files share: where recorded material lies, and an environment without surprises."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded answers and sample pictures that may stand beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"no folder {SHARED.name}/ beside the checkout: the recorded answers are not here")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _quiet_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No hub, no proxies, no writing into the user's caches."""
    before = dict(os.environ)
    os.environ.update(
        HF_HUB_OFFLINE="1",
        HF_HOME=str(tmp_path_factory.mktemp("hf")),
        EVALKIT_CACHE=str(tmp_path_factory.mktemp("cache")),
        TOKENIZERS_PARALLELISM="false",
        OMP_NUM_THREADS="1",
        NO_PROXY="127.0.0.1,localhost",
    )
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def sigint() -> Iterator[None]:
    """Have SIGINT raise KeyboardInterrupt, here and in what is started, where a shell has had the tests ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
