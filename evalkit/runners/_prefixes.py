"""Prompts that begin with the same pictures, read once: what they share, and how each goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

# What a processor says of each token of a prompt.
OF_TOKENS = ("input_ids", "attention_mask", "token_type_ids", "mm_token_type_ids")


def shared(
    processor: Any, texts: Sequence[str], like: Sequence[int], process: Callable[[Sequence[int]], Any]
) -> Any | None:
    """Return the inputs of what prompts have in common, one row each, and beside them how each prompt goes on.

    `like` has for each text the first one with the same pictures; `process` makes the inputs of some of the texts,
    padded on the left. `document`, [texts], is each text's row; `tail_ids` and `tail_mask`, [texts, places], are its
    tokens after the last picture. None where nothing is shared, or where a text's tokens after its last picture depend
    on what is before.
    """
    token = str(processor.image_token)
    heads, tails = zip(*((head, tail) for head, _, tail in (text.rpartition(token) for text in texts)), strict=True)
    first = [one if heads[one] == head else index for index, (one, head) in enumerate(zip(like, heads, strict=True))]
    leaders = sorted(set(first))
    if len(leaders) == len(texts):
        return None
    # The tokenizer splits at a picture's token before all else, so what follows it is what follows it anywhere.
    ends = [processor.tokenizer(token + tail, add_special_tokens=False)["input_ids"][1:] for tail in tails]
    inputs = process(leaders)
    ids = inputs["input_ids"]
    if any(not end for end in ends) or any(
        row[-len(ends[leader]) :] != ends[leader] for row, leader in zip(ids.tolist(), leaders, strict=True)
    ):
        return None
    kept = [ids.shape[1] - len(ends[leader]) for leader in leaders]
    real = inputs["attention_mask"].sum(dim=1).tolist()
    width = max(length - len(ends[leader]) for length, leader in zip(real, leaders, strict=True))
    for name in OF_TOKENS:
        if name in inputs:
            inputs[name] = _left([row[:end][-width:] for row, end in zip(inputs[name], kept, strict=True)], ids[0, 0])
    inputs["attention_mask"] = _left([torch.ones(end - ids.shape[1] + length, dtype=torch.long)
                                      for end, length in zip(kept, real, strict=True)], torch.tensor(0))  # fmt: skip
    inputs["document"] = torch.tensor([leaders.index(one) for one in first])
    inputs["tail_ids"] = _left([torch.tensor(end) for end in ends], ids[0, 0])
    inputs["tail_mask"] = _left([torch.ones(len(end), dtype=torch.long) for end in ends], torch.tensor(0))
    return inputs


def _left(rows: Sequence[Tensor], padding: Tensor) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.stack([torch.cat((padding.to(row.dtype).expand(width - len(row)), row)) for row in rows])
