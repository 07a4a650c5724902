"""Random checkpoints of three families that show pictures to a language model in three ways, and questions for them."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from evalkit.images import from_bytes
from evalkit.models.tiny.build import VOCABULARY
from evalkit.types import Image, Message, Request, Response, Runner

PRINTABLE = ("\n", *map(chr, range(ord(" "), ord("~") + 1)))
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 3,
}
VISION = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "patch_size": 14}
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ message.role }}: {% for part in message.content %}"
    "{{ 'IMAGE' if part.type == 'image' else part.text }}{% endfor %}\n{% endfor %}assistant:"
)


def picture(width: int, height: int, seed: int = 0) -> Image:
    """A picture of coloured squares, another for each seed."""
    import numpy as np
    import PIL.Image

    squares = np.random.RandomState(seed).randint(0, 256, (4, 4, 3), np.uint8)
    stream = io.BytesIO()
    PIL.Image.fromarray(squares).resize((width, height), PIL.Image.Resampling.NEAREST).save(stream, "PNG")
    return from_bytes(stream.getvalue(), f"{width}x{height}-{seed}.png", "a test")


def ask(*parts: str | Image, max_tokens: int = 12, temperature: float = 0.0, attempt: int = 0) -> Request:
    return Request((Message("user", parts),), max_tokens, temperature, attempt)


def eight_questions() -> list[Request]:
    """Eight pictures of as many shapes, with prompts of eight lengths."""
    sizes = [(40, 30), (30, 90), (200, 50), (56, 56), (28, 100), (70, 70), (100, 30), (10, 10)]
    return [
        ask(picture(*size, seed), f"Question {seed}: what is this" + "?" * 7 * seed) for seed, size in enumerate(sizes)
    ]


def answers(runner: Runner, requests: Sequence[Request]) -> list[Response]:
    """The responses in the order of the requests, one each."""
    responses = list(runner.generate(requests))
    by_key = {response.key: response for response in responses}
    assert len(responses) == len(requests) == len(by_key)
    return [by_key[request.key] for request in requests]


class Calls:
    """Watches what LLaVA-NeXT models read, by `generate` or for answers that come and go: each after `before`."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, before: Callable[[Mapping[str, Any]], None] = lambda inputs: None
    ) -> None:
        self.inputs: list[Mapping[str, Any]] = []
        family = _transformers().LlavaNextForConditionalGeneration
        original = family.generate

        def generate(model: Any, **inputs: Any) -> Any:
            self.inputs.append(inputs)
            before(inputs)
            return original(model, **inputs)

        monkeypatch.setattr(family, "generate", generate)
        decoder = import_module("evalkit.runners._decoding").Decoder
        read = decoder._read

        def reading(decoding: Any, inputs: Mapping[str, Any]) -> Any:
            self.inputs.append(inputs)
            before(inputs)
            return read(decoding, inputs)

        monkeypatch.setattr(decoder, "_read", reading)

    @property
    def sizes(self) -> list[int]:
        return [len(inputs["input_ids"]) for inputs in self.inputs]


def prompts(inputs: Mapping[str, Any]) -> list[str]:
    """What the embedded model was shown, row by row, padding and all."""
    return ["".join(VOCABULARY[token] for token in row) for row in inputs["input_ids"].tolist()]


def llava_next(folder: Path, text: Mapping[str, object] | None = None) -> Path:
    """Tiles and a thumbnail, put in the places of as many placeholders; `text` changes the language model."""
    t = _transformers()
    grid = [[28, 56], [56, 28], [56, 56]]
    tokenizer = _tokenizer(["<image>"], {"image_token": "<image>"})
    pictures = t.LlavaNextImageProcessorPil(
        size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}, image_grid_pinpoints=grid
    )
    processor = t.LlavaNextProcessor(
        pictures,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("IMAGE", "<image>"),
    )
    config = t.LlavaNextConfig(
        vision_config={"model_type": "clip_vision_model", **VISION, "num_attention_heads": 2, "image_size": 28},
        text_config={"model_type": "llama", **TEXT, "vocab_size": len(tokenizer), **(text or {})},
        image_grid_pinpoints=grid,
        image_token_index=tokenizer.image_token_id,
    )
    return _save(t.LlavaNextForConditionalGeneration(config), processor, folder)


def idefics3(folder: Path, name: str = "Idefics3") -> Path:
    """Tiles named by row and column, in the places of placeholders, with a mask over their padding."""
    t = _transformers()
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    special = ["<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *tiles]
    tokenizer = _tokenizer(special, {})
    pictures = t.Idefics3ImageProcessorPil(size={"longest_edge": 56}, max_image_size={"longest_edge": 28})
    processor = t.Idefics3Processor(
        pictures, tokenizer, image_seq_len=1, chat_template=TEMPLATE.replace("IMAGE", "<image>")
    )
    config = getattr(t, f"{name}Config")(
        vision_config={**VISION, "num_attention_heads": 2, "image_size": 28},
        text_config={"model_type": "llama", **TEXT, "vocab_size": len(tokenizer)},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=3,
    )
    return _save(getattr(t, f"{name}ForConditionalGeneration")(config), processor, folder)


def mllama(folder: Path) -> Path:
    """Pictures beside the text, through cross-attention."""
    t = _transformers()
    tokenizer = _tokenizer(["<|image|>", "<|python_tag|>"], {})
    pictures = t.MllamaImageProcessorPil(size={"height": 28, "width": 28}, max_image_tiles=4)
    processor = t.MllamaProcessor(pictures, tokenizer, chat_template=TEMPLATE.replace("IMAGE", "<|image|>"))
    vision = {
        **VISION,
        "attention_heads": 2,
        "num_global_layers": 1,
        "intermediate_layers_indices": [0],
        "vision_output_dim": 2 * VISION["hidden_size"],
        "image_size": 28,
    }
    # The picture's token is the first beyond the vocabulary that can be answered with.
    text = {**TEXT, "num_hidden_layers": 3, "cross_attention_layers": [1], "vocab_size": 4 + len(PRINTABLE)}
    config = t.MllamaConfig(
        vision_config=vision, text_config=text, image_token_index=tokenizer.convert_tokens_to_ids("<|image|>")
    )
    return _save(t.MllamaForConditionalGeneration(config), processor, folder)


def smolvlm(folder: Path) -> Path:
    """Idefics 3 under another name; whose processor stands in, since its own wants more packages."""
    return idefics3(folder, "SmolVLM")


FAMILIES = (llava_next, idefics3, smolvlm, mllama)


def _transformers() -> Any:
    transformers = import_module("transformers")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    import_module("torch").set_num_threads(1)  # models this small lose time by sharing their work out
    return transformers


def _tokenizer(special: Sequence[str], named: Mapping[str, str]) -> Any:
    from tokenizers import Tokenizer, decoders, models

    vocabulary = {token: index for index, token in enumerate(["<unk>", "<s>", "</s>", "<pad>", *PRINTABLE, *special])}
    characters = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    characters.decoder = decoders.Fuse()
    return _transformers().PreTrainedTokenizerFast(
        tokenizer_object=characters,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens=named or list(special),
        model_input_names=["input_ids", "attention_mask"],
    )


def _save(model: Any, processor: Any, folder: Path) -> Path:
    import torch

    # Larger than the values training starts from, under which every picture would get the same answer.
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                gain = 1.0 if "embed" in name else 1 / math.sqrt(parameter[0].numel())
                parameter.normal_(0, gain, generator=random)
            elif name.endswith("bias") or "gate" in name:
                parameter.uniform_(0.1, 0.5, generator=random)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
