"""The embedded model: small enough for a laptop's processor, needs no network."""

from evalkit.models.tiny.build import checkpoint

__all__ = ["checkpoint"]
