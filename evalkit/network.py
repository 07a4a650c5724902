"""What the Hugging Face Hub's client raises where there is no network, a gate, or a server in trouble."""

from __future__ import annotations


def network_errors() -> tuple[type[Exception], ...]:
    """Return what the hub's libraries raise where the network, a server or an answer is at fault."""
    from huggingface_hub.errors import HfHubHTTPError

    # The HTTP library's own base class: which library that is changes with the version of the hub's.
    return (HfHubHTTPError.__mro__[1], OSError, ValueError)
