"""The embedded model: small enough for a laptop's processor, needs no network.

`released` is the trained one. `checkpoint` builds one of the same architecture with random weights, smaller still.
"""

from evalkit.models.tiny.build import checkpoint, released

__all__ = ["checkpoint", "released"]
