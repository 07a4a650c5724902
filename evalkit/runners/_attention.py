"""Attention where the library's own is slow: one new token a row, padded rows, and pictures cut into windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

GROUPED = "evalkit_grouped"
RAGGED = "evalkit_ragged"
# The library tells where the windows begin only to implementations of this name: others are called for each window.
WINDOWS = "evalkit_flash_windows"
# Towers that attend within windows or pictures, all laid end to end in one row.
TOWERS = frozenset({"qwen2_vl_vision", "qwen2_5_vl_vision", "qwen3_vl_vision"})


def grouped(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, **settings: Any
) -> tuple[Tensor, None]:
    """Attend from one token a row, [rows, heads, 1, size], to keys [rows, shared heads, places, size].

    Heads that share keys stand in the places of as many queries, so that the keys need not be repeated for them.
    """
    rows, heads, _, size = query.shape
    shared = query.reshape(rows, key.shape[1], heads // key.shape[1], size)
    found = scaled_dot_product_attention(shared, key, value, attention_mask, scale=settings.get("scaling"))
    return found.reshape(rows, 1, heads, value.shape[-1]), None


def ragged(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor, **settings: Any
) -> tuple[Tensor, None]:
    """Attend from each token of a row to those before it, without what pads the row on its left.

    `attention_mask`, [rows, 1, 1, places], is True from where each row begins. Row by row, since a kernel that takes a
    mask computes all of it, padding and future included.
    """
    found = torch.zeros_like(query)
    for row, start in enumerate((~attention_mask).sum(dim=-1).flatten().tolist()):
        asked, keys, values = (each[row : row + 1, :, start:] for each in (query, key, value))
        found[row : row + 1, :, start:] = scaled_dot_product_attention(
            asked,
            keys,
            values,
            is_causal=True,
            scale=settings.get("scaling"),
            enable_gqa=keys.shape[1] != asked.shape[1],
        )
    return found.transpose(1, 2), None


def windows(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **settings: Any
) -> tuple[Tensor, None]:
    """Attend within windows that lie end to end, [1, heads, places, size]: those of one length in one call."""
    bounds = settings["cu_seq_lens_q"].tolist()
    lengths = [end - begin for begin, end in pairwise(bounds)]
    parts = [each[0].transpose(0, 1) for each in (query, key, value)]  # [places, heads, size]
    found = torch.empty_like(parts[2])
    for length in set(lengths) - {0}:
        starts = [begin for begin, one in zip(bounds, lengths, strict=False) if one == length]
        chosen: Any = _places(starts, length, query.device)
        asked, keys, values = (
            each[chosen].view(len(starts), length, *each.shape[1:]).transpose(1, 2) for each in parts
        )
        within = scaled_dot_product_attention(asked, keys, values, scale=settings.get("scaling"))
        found[chosen] = within.transpose(1, 2).flatten(0, 1)
    return found[None], None


def _places(starts: Sequence[int], length: int, device: torch.device) -> slice | Tensor:
    if starts[-1] - starts[0] == (len(starts) - 1) * length:  # none of another length lies between
        return slice(starts[0], starts[-1] + length)
    return (torch.tensor(starts, device=device)[:, None] + torch.arange(length, device=device)).flatten()


def register() -> None:
    """Make them known to `transformers`."""
    from transformers import AttentionInterface

    AttentionInterface.register(GROUPED, grouped)
    AttentionInterface.register(RAGGED, ragged)
    AttentionInterface.register(WINDOWS, windows)


def configurations(module: Any) -> list[Any]:
    """Return the configurations in which the parts of a module look up their attention."""
    found = {id(part.config): part.config for part in module.modules() if hasattr(part, "config")}
    return [config for config in found.values() if not config.sub_configs]  # which would pass a change on to those


@contextmanager
def attending(configs: Sequence[Any], name: str) -> Iterator[None]:
    """Have the parts of a model that attend by `scaled_dot_product_attention` do so by another function for a while."""
    switched = [config for config in configs if config._attn_implementation == "sdpa"]
    for config in switched:
        config._attn_implementation = name
    try:
        yield
    finally:
        for config in switched:
            config._attn_implementation = "sdpa"
