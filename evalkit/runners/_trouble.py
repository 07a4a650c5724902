"""What went wrong while a model answered, as a reason that is said of one request."""

from __future__ import annotations

import torch

from evalkit.errors import ModelError
from evalkit.runners._loading import out_of_memory
from evalkit.types import Failure


def trouble_of(error: Exception) -> Failure:
    """Say what went wrong with a batch. Raises ModelError where no other batch could do better."""
    said = " ".join(str(error).split())[:300]
    if out_of_memory(error):
        return Failure("oom", f"this request alone does not fit into memory ({said}): use a smaller or quantised model")
    # After an error inside a kernel every later call to the device fails too. Older versions of torch lack the class.
    if isinstance(error, getattr(torch, "AcceleratorError", ())):
        raise ModelError(
            f"the device failed ({said}): run the same command again, which keeps the answers so far"
        ) from error
    return Failure("request", f"the model cannot take this request ({type(error).__name__}: {said})")


def free_memory() -> None:
    """Give back what no tensor uses."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
