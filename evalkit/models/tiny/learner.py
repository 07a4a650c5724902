"""The tiny model while it learns: many lessons in one row, and a head that names the letters under each patch."""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import Any, cast

import torch
from torch.nn import functional
from transformers import AttentionInterface, LlavaNextConfig, LlavaNextForConditionalGeneration

from evalkit.models.tiny import build, trained
from evalkit.models.tiny.feed import IGNORED, TEXT
from evalkit.models.tiny.trained import NEWLINE, Shape

BLANK = 0.1  # what a patch without letters weighs in the loss on patches


def packed(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: None,
    bounds: torch.Tensor, longest: int, **_: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    """Attend within lessons that lie one after another: (1, heads, tokens, d) each to (1, tokens, heads, d).

    `bounds` is where each begins and ends; lengths of 0 are allowed. None is longer than `longest`.
    """
    rows = [states[0].transpose(0, 1) for states in (query, key, value)]
    if query.is_cuda:
        return _varlen(*(row.to(torch.bfloat16) for row in rows), bounds, longest)[None].to(query.dtype), None
    parts = []
    for start, end in pairwise(bounds.tolist()):
        if end > start:
            q, k, v = (states[:, :, start:end] for states in (query, key, value))
            parts.append(functional.scaled_dot_product_attention(q, k, v, is_causal=True))
    return torch.cat(parts, 2).transpose(1, 2), None


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _varlen(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    # The argument's name is another before torch 2.12.
    new = "window_size" in inspect.signature(varlen_attn).parameters
    causal: dict[str, Any] = {"window_size": (-1, 0)} if new else {"is_causal": True}
    attended = varlen_attn(query, key, value, bounds, bounds, longest, longest, **causal)
    return cast(torch.Tensor, attended)


AttentionInterface.register("packed", packed)


class Learner(torch.nn.Module):
    """The model with a head that names two characters under each patch, which is thrown away after training."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        made = trained.files(shape)["config.json"]
        self.model = LlavaNextForConditionalGeneration(LlavaNextConfig(**{**made, "dtype": "float32"}))
        self.model.model.language_model.config._attn_implementation = "packed"
        self.head = torch.nn.Linear(shape.width, 2 * len(build.VOCABULARY))

    @property
    def layers(self) -> list[torch.nn.Module]:
        """The layers of tower and language model, in which nearly all of the time is spent."""
        tower = self.model.model.vision_tower
        return [*getattr(tower, "vision_model", tower).encoder.layers, *self.model.model.language_model.layers]

    def forward(
        self, batch: dict[str, Any], head_alone: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the loss on answers, that on patches, and of each token (tokens,) whether it is wrong.

        With `head_alone` the tower learns nothing from the patches.
        """
        seen = self._seen(batch["pixels"])
        logits = self._read(batch, seen).float()
        each = functional.cross_entropy(logits, batch["targets"], ignore_index=IGNORED, reduction="none")
        answers = (each * batch["weights"]).sum() / batch["weights"].sum().clamp(min=1)
        wrong = (logits.argmax(-1) != batch["targets"]) & (batch["targets"] != IGNORED)
        letters = self.head(seen.detach() if head_alone else seen).float().unflatten(-1, (2, -1)).flatten(0, 2)
        labels = batch["labels"].long().flatten()
        weights = torch.where(labels == 0, BLANK, 1.0) * (labels != IGNORED)
        each = functional.cross_entropy(letters, labels, ignore_index=IGNORED, reduction="none")
        return answers, (each * weights).sum() / weights.sum().clamp(min=1), wrong

    def logits(self, batch: dict[str, Any]) -> torch.Tensor:
        """Return the logits of each next token, (tokens, vocabulary)."""
        return self._read(batch, self._seen(batch["pixels"]))

    def _seen(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what the tower sees of each patch, (tiles, patches, width)."""
        tower = self.model.model.vision_tower
        tower = getattr(tower, "vision_model", tower)
        states = tower.pre_layrnorm(tower.embeddings((pixels.float() / 127.5 - 1).permute(0, 3, 1, 2)))
        for layer in tower.encoder.layers:
            states = layer(states, None)
        patches: torch.Tensor = states[:, 1:]  # the first is no patch's
        return patches

    def _read(self, batch: dict[str, Any], seen: torch.Tensor) -> torch.Tensor:
        inner, places = self.model.model, batch["places"]
        patches = inner.multi_modal_projector(seen).flatten(0, 1)
        # A line's end is the last row.
        table = torch.cat([patches, inner.image_newline[None].to(patches)])
        rows = torch.where(places == NEWLINE, len(table) - 1, places.clamp(min=0))
        text = inner.language_model.embed_tokens(batch["ids"]).to(table)
        states = torch.where((places == TEXT)[:, None], text, table.index_select(0, rows))[None]
        turns = inner.language_model.rotary_emb(states, batch["positions"][None])
        for layer in inner.language_model.layers:
            states = layer(
                states, attention_mask=None, position_embeddings=turns, bounds=batch["bounds"],
                longest=batch["longest"],
            )  # fmt: skip
        logits: torch.Tensor = self.model.lm_head(inner.language_model.norm(states)[0])
        return logits
