"""The keys and values of answers in progress: a row for each, to be taken, left and taken again by another."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

STEP = 64  # places by which what is read grows, so that few shapes occur


class _Layer(DynamicLayer):  # type: ignore[no-untyped-call]
    """One layer's keys and values, [rows, heads, places, size]; new ones go where the slots say."""

    keys: Tensor
    values: Tensor

    def __init__(self, slots: Slots, keys: Tensor, values: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.slots, self.keys, self.values, self.is_initialized = slots, keys, values, True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        rows, width = len(key_states), self.slots.width
        place = self.slots.at[:rows, None, None, None].to(key_states.device)
        read = []
        for held, new in ((self.keys, key_states), (self.values, value_states)):
            held[:rows].scatter_(2, place.expand_as(new), new)
            read.append(held[:rows, :, :width])
        return read[0], read[1]

    def get_seq_length(self) -> int:
        return self.slots.width


class Slots:
    """Places for `length` tokens in each of `rows` rows of all layers, and where in them each answer stands.

    A row reads the places from its `start` to `at`, where its next token goes, out of the first `width`. `token` is
    that next token and `position` its number in the prompt as the model counts, which is not `at` where pictures count
    otherwise or the row is padded. `seen` has the tokens of a row, [rows, vocabulary], if asked for. `recorded` are
    passes over these very tensors by rows and width, in the memory `pool`; None for one that has run unrecorded.
    """

    def __init__(self, like: Any, device: torch.device, vocabulary: int | None) -> None:
        self.rows = self.length = self.width = 0
        self.layers = [_Layer(self, _nothing(layer.keys), _nothing(layer.values)) for layer in like.layers]
        self.cache = Cache(layers=list(self.layers))
        self.token, self.at, self.start, self.position = (torch.zeros(0, dtype=torch.long, device=device),) * 4
        self.seen = torch.zeros(0, vocabulary or 0, dtype=torch.bool, device=device)
        self.recorded: dict[tuple[int, int], torch.cuda.CUDAGraph | None] = {}

    def resize(self, rows: int, length: int, keep: int) -> None:
        """Make other room, for at least the first `keep` rows, which stay, and all that they have read."""
        self.recorded.clear()
        self.pool = torch.cuda.graph_pool_handle() if self.at.device.type == "cuda" else None
        for layer in self.layers:
            for name in ("keys", "values"):
                old: Tensor = getattr(layer, name)
                # Zeros, because what no row reads is multiplied by zero, which must not be zero times infinity.
                new = old.new_zeros(rows, old.shape[1], length, old.shape[3])
                both = min(length, old.shape[2])
                new[:keep, :, :both] = old[:keep, :, :both]
                setattr(layer, name, new)
                del old
        for name in ("token", "at", "start", "position", "seen"):
            state: Tensor = getattr(self, name)
            grown = state.new_zeros(rows, *state.shape[1:])
            grown[:keep] = state[:keep]
            setattr(self, name, grown)
        self.rows, self.length = rows, length

    def fill(self, first: int, cache: Any, chosen: Tensor, **state: Tensor) -> None:
        """Put the `chosen` rows of a prompt's cache into the rows from `first` on, and set what is known of them."""
        last = first + len(chosen)
        for held, new in zip(self.layers, cache.layers, strict=True):
            for name in ("keys", "values"):
                states: Tensor = getattr(new, name)
                getattr(held, name)[first:last, :, : states.shape[2]] = states[chosen.to(states.device)]
        for name, known in state.items():
            getattr(self, name)[first:last] = known[chosen]

    def move(self, source: int, target: int, used: int) -> None:
        """Let a row that goes on take the place of one that does not; `used` places of it are worth keeping."""
        for layer in self.layers:
            layer.keys[target, :, :used] = layer.keys[source, :, :used]
            layer.values[target, :, :used] = layer.values[source, :, :used]
        for state in (self.token, self.at, self.start, self.position, self.seen):
            state[target] = state[source]

    def bytes_per_token(self) -> dict[torch.device, int]:
        """Return what one place of one row takes on each device."""
        taken: dict[torch.device, int] = {}
        for layer in self.layers:
            for held in (layer.keys, layer.values):
                size = held.shape[1] * held.shape[3] * held.element_size()
                taken[held.device] = taken.get(held.device, 0) + size
        return taken


def reorder(cache: Any, order: Tensor) -> None:
    """Put the places of each row of a cache into another order, [rows, places]."""
    for layer in cache.layers:
        place = order[:, None, :, None].to(layer.keys.device)
        layer.keys = layer.keys.gather(2, place.expand_as(layer.keys))
        layer.values = layer.values.gather(2, place.expand_as(layer.values))


def _nothing(states: Tensor) -> Tensor:
    return states.new_zeros(0, states.shape[1], 0, states.shape[3])
