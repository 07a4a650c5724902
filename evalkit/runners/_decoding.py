"""Greedy answers by one forward pass after another, each answer leaving as it ends and others taking its place."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from evalkit.runners._attention import GROUPED, RAGGED, TOWERS, WINDOWS, attending, configurations, register
from evalkit.runners._features import Features
from evalkit.runners._slots import STEP, Slots, reorder
from evalkit.types import Request

# The families whose answers the tests hold equal to those of `generate`, one at a time.
FAMILIES = frozenset(
    {"idefics3", "internvl", "llava_next", "llava_onevision", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "smolvlm"}
)
# What a checkpoint's authors may set for generation without changing a greedy answer, or is done here.
HONOURED = frozenset(
    {
        *("_from_model_config", "bos_token_id", "do_sample", "eos_token_id", "max_length", "max_new_tokens", "min_p"),
        *("output_attentions", "output_hidden_states", "pad_token_id", "repetition_penalty", "temperature", "top_k"),
        *("top_p", "transformers_version", "trust_remote_code", "typical_p", "use_cache"),
    }
)


def obstacle(model: Any, settings: Any) -> str | None:
    """Say why a model's greedy answers, under its generation settings, need `generate`; None if they do not."""
    family, text = model.config.model_type, model.config.get_text_config(decoder=True)
    if family not in FAMILIES or not hasattr(model, "_prepare_position_ids_for_generation"):
        return f"the decoding of {family} models is the library's own"
    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=text).layers):
        return "not all layers keep keys and values of all tokens"
    if text._attn_implementation not in ("sdpa", "eager"):
        return f"the attention {text._attn_implementation} takes no mask of its own for each row"
    unknown = sorted(settings.to_diff_dict().keys() - HONOURED)
    if unknown or settings.use_cache is False:
        return f"its generation settings have {', '.join(unknown) or 'use_cache'}"
    return None


@dataclass(slots=True)
class Answer:
    """An answer in progress: its request, how many tokens it may have, those it has, and where its row stands."""

    request: Request
    limit: int
    prompt_tokens: int
    places: int
    tokens: list[int] = field(default_factory=list)

    @property
    def need(self) -> int:
        """The places that its row takes if it gets as long as it may."""
        return self.places + self.limit - len(self.tokens)


class Decoder:
    """The answers in progress of one model, `live`, in as many rows of a cache; `ends` are the tokens that end one.

    `budget` is how many tokens' keys and values fit into memory, None before the first prompt has shown that.
    """

    def __init__(self, model: Any, settings: Any, ends: frozenset[int]) -> None:
        register()
        self.live: list[Answer] = []
        self.budget: int | None = None
        self._model = model
        self._ends = ends
        self._penalty = settings.repetition_penalty or 1.0
        self._text = configurations(model.get_decoder())
        self._towers = [each for each in configurations(model) if each.model_type in TOWERS]
        self.features = Features(model)
        self._by_mask = all(each._attn_implementation == "sdpa" for each in self._text)
        self._slots: Any = None  # until the first prompt shows what they are to hold
        devices = {weight.device for weight in model.parameters()}
        whole = len(devices) == 1 and devices.pop().type == "cuda"
        self._recording = whole
        for device in range(torch.cuda.device_count()):
            torch.cuda.reset_peak_memory_stats(device)  # from here on it tells what reading prompts takes

    def room(self, count: int, need: int) -> bool:
        """Whether so many more answers find room beside those in progress; `need` is the places of the longest."""
        longest = _up(max([need, *(answer.need for answer in self.live)]), STEP)
        return self.budget is None or (len(self.live) + count) * longest <= self.budget

    @torch.inference_mode()
    def admit(self, requests: Sequence[Request], limits: Sequence[int], inputs: Any) -> list[Answer]:
        """Read prompts, padded on the left, and begin their answers; return those that end at once.

        `inputs` are a processor's, one row each, or those of `shared`.
        """
        inputs = inputs.to(self._model.device, self._model.dtype)
        tails = [inputs.pop(name) for name in ("document", "tail_ids", "tail_mask") if name in inputs]
        pictures = tuple(tuple(image.sha256 for image in request.images) for request in requests)
        with self.features.of((pictures, tails[0].tolist() if tails else None)):
            cache, logits, position = self._read(inputs)
        ids, padded = inputs["input_ids"], inputs["attention_mask"]
        if tails:
            document, tail_ids, tail_mask = tails
            ids = torch.cat((ids[document], tail_ids), dim=1)
            padded = torch.cat((padded[document], tail_mask), dim=1)
            cache.batch_select_indices(document)
            logits, position = self._read_on(cache, tail_ids, padded, position[document])
            # What pads the tails stands within the rows: to their left with it.
            order = padded.argsort(dim=1, stable=True)
            ids, padded = ids.gather(1, order), padded.gather(1, order)
            reorder(cache, order)
        slots = self._slots or Slots(cache, padded.device, logits.shape[-1] if self._penalty != 1 else None)
        self._slots = slots
        if self.budget is None:
            self.budget = _fitting(slots.bytes_per_token(), padded.shape[1])
        seen = torch.zeros(len(padded), slots.seen.shape[1], dtype=torch.bool, device=padded.device)
        if self._penalty != 1:
            # What pads a row is none of its tokens: its last token stands in.
            seen.scatter_(1, torch.where(padded == 1, ids, ids[:, -1:]), True)
        token = self._choose(logits, seen)
        lengths, first = padded.sum(dim=1), token.tolist()
        answers = [
            Answer(request, limit, length, padded.shape[1], [one])
            for request, limit, length, one in zip(requests, limits, lengths.tolist(), first, strict=True)
        ]
        going = [row for row, answer in enumerate(answers) if not self.ended(answer)]
        if going:
            self._open(len(going), max(answers[row].need for row in going))
            at = torch.full_like(lengths, padded.shape[1])
            chosen = torch.tensor(going, device=padded.device)
            rows = {"token": token, "at": at, "start": at - lengths, "position": position, "seen": seen}
            slots.fill(len(self.live), cache, chosen, **rows)
            self.live += [answers[row] for row in going]
        return [answer for answer in answers if self.ended(answer)]

    @torch.inference_mode()
    def step(self) -> list[Answer]:
        """Add one token to each answer in progress; return those that end with it, whose rows are free again."""
        slots: Slots = self._slots
        # Of recorded shapes there must be few, which a little more work is worth.
        rows, step = (len(self.live), STEP) if not self._recording else (_up(len(self.live), 16), 4 * STEP)
        slots.width = min(_up(1 + max(answer.places for answer in self.live), step), slots.length)
        self._advance(slots, min(rows, slots.rows))
        for answer, token in zip(self.live, slots.token[: len(self.live)].tolist(), strict=True):
            answer.tokens.append(token)
            answer.places += 1
        return [self._leave(row) for row in reversed(range(len(self.live))) if self.ended(self.live[row])]

    def ended(self, answer: Answer) -> bool:
        """Whether an answer has come to its end, by its last token or by its length."""
        return answer.tokens[-1] in self._ends or len(answer.tokens) >= answer.limit

    def shrink(self, keep: int) -> list[Request]:
        """Take half the memory from now on, and give up all answers but the first `keep` and what is remembered."""
        self.budget = (self.budget or 0) // 2
        self.features.give_up()
        return self.give_up(keep)

    def give_up(self, keep: int) -> list[Request]:
        """Stop the answers beyond the first `keep`, return their requests, and hold no more memory than is needed."""
        given = [answer.request for answer in self.live[keep:]]
        del self.live[keep:]
        if not self.live:
            self._slots = None
            self.features.forget()
        elif self._slots is not None:
            with torch.inference_mode():
                self._slots.resize(keep, self._slots.length, keep)
        return given

    def _read(self, inputs: Mapping[str, Any]) -> tuple[Cache, Tensor, Tensor]:
        """Return the prompts' cache, the scores of their next tokens, and the positions of these."""
        model = self._model
        rest = {name: each for name, each in inputs.items() if name != "input_ids"}
        positions = model._prepare_position_ids_for_generation(inputs["input_ids"], dict(inputs))
        prepared = model.prepare_inputs_for_generation(
            inputs["input_ids"],
            past_key_values=DynamicCache(config=model.config.get_text_config(decoder=True)),
            position_ids=positions,
            is_first_iteration=True,
            use_cache=True,
            **rest,
        )
        mask = inputs["attention_mask"] == 1
        padded = self._by_mask and not bool(mask.all())
        if padded:
            prepared["attention_mask"] = mask[:, None, None]
        with attending(self._towers, WINDOWS), attending(self._text if padded else [], RAGGED):
            output = model(**prepared, logits_to_keep=1, return_dict=True)
        # Some count along three axes, before which the plain count may stand; text goes on after the furthest.
        following = positions.reshape(-1, *positions.shape[-2:])[-3:].amax(dim=(0, 2)) + 1
        return output.past_key_values, output.logits[:, -1], following

    def _read_on(self, cache: Any, ids: Tensor, mask: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Read how prompts go on after what is in their cache, whose next tokens stand at `position`."""
        count = mask[:, -ids.shape[1] :].cumsum(dim=1)
        positions = position[:, None] + (count - 1).clamp(min=0)
        output = self._model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            return_dict=True,
        )
        return output.logits[:, -1], positions[:, -1] + 1

    def _advance(self, slots: Slots, rows: int) -> None:
        """Run the model on the first rows; from the second time of a shape on as one recorded launch, where that works.

        A pass is otherwise a thousand launches, which take longer than what they launch.
        """
        shape = rows, slots.width
        if not self._recording or shape not in slots.recorded:
            slots.recorded[shape] = None
            self._forward(slots, rows)
            return
        graph = slots.recorded[shape]
        if graph is None:
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, pool=slots.pool, capture_error_mode="thread_local"):
                    self._forward(slots, rows)
            # Not every family's code can be recorded, and says so in its own way; then it runs as it is.
            except Exception as error:
                logging.getLogger(__name__).info("decoding step by step (%s)", error)
                self._recording = False
                self._forward(slots, rows)
                return
            slots.recorded[shape] = graph
        graph.replay()

    def _forward(self, slots: Slots, rows: int) -> None:
        places = torch.arange(slots.width, device=slots.at.device)
        at, start = slots.at[:rows, None], slots.start[:rows, None]
        hidden = (places > at) | (places < start)
        dtype = self._model.dtype
        mask = torch.zeros(rows, 1, 1, slots.width, dtype=dtype, device=places.device)
        mask.masked_fill_(hidden[:, None, None], torch.finfo(dtype).min)
        with attending(self._text, GROUPED):
            output = self._model(
                input_ids=slots.token[:rows, None],
                attention_mask=mask,
                position_ids=slots.position[:rows, None],
                past_key_values=slots.cache,
                use_cache=True,
                logits_to_keep=1,
                return_dict=True,
            )
        slots.token[:rows] = self._choose(output.logits[:, -1], slots.seen[:rows])
        slots.at[:rows] = (slots.at[:rows] + 1).clamp(max=slots.length - 1)  # as rows that nobody has go on, too
        slots.position[:rows] += 1

    def _choose(self, logits: Tensor, seen: Tensor) -> Tensor:
        """Return the likeliest token of each row, those that it has seen made less likely where the settings say so."""
        if self._penalty != 1:
            scores = logits.float()
            less = torch.where(scores < 0, scores * self._penalty, scores / self._penalty)
            token = torch.where(seen, less, scores).argmax(dim=-1).to(seen.device)
            seen.scatter_(1, token[:, None], True)
            return token
        return logits.argmax(dim=-1).to(seen.device)

    def _open(self, count: int, need: int) -> None:
        slots, rows = self._slots, len(self.live) + count
        length = _up(max([need, *(answer.need for answer in self.live)]), STEP)
        if slots.rows < rows or slots.length < length or slots.length >= 2 * length:
            most = max(rows, (self.budget or 0) // length)
            slots.resize(min(most, max(rows, 2 * slots.rows)), length, len(self.live))

    def _leave(self, row: int) -> Answer:
        answer, last = self.live[row], self.live.pop()
        if last is not answer:
            self._slots.move(len(self.live), row, last.places)
            self.live[row] = last
        return answer


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


def _fitting(bytes_per_token: Mapping[torch.device, int], width: int) -> int:
    """Return how many tokens' keys and values fit beside what reading prompts takes, of which one has been read."""
    fitting = []
    for device, taken in bytes_per_token.items():
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
            working = torch.cuda.max_memory_allocated(device) - torch.cuda.memory_allocated(device)
            available = (free + unused - 1.5 * working) * 0.9
        else:
            available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2
        fitting.append(int(available / taken))
    return max(width, min(fitting))
