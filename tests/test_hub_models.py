"""A checkpoint named by its hub id, where the hub cannot be reached."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def test_a_hub_that_cannot_be_reached_is_a_sentence(tmp_path: Path) -> None:
    # Not offline by setting but by a connection that is refused, which is another error of the hub's client.
    code = (
        "from evalkit.errors import ModelError; from evalkit.runners.transformers import TransformersRunner\n"
        "try: TransformersRunner(id='some/model').identity()\n"
        "except ModelError as error: print(error)"
    )
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    environment = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{port}", "HF_HOME": str(tmp_path)}
    del environment["HF_HUB_OFFLINE"]
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert "some/model is no folder here, is not in the hub's cache, and the hub cannot be reached" in done.stdout
