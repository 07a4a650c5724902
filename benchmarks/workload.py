"""The GPU workload that all engines are measured on: prompts with one picture each, and answers of given lengths.

Random weights at the shape of Qwen2.5-VL-7B: they answer as slowly as trained ones. `checkpoint` writes what an engine
reads before the weights (vLLM: `load_format="dummy"`), `model` makes them. No answer ends by itself (`max_tokens` of a
request is the length of its answer), so all engines do the same work.
"""

from __future__ import annotations

import io
import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import PIL.Image

from evalkit.images import from_bytes
from evalkit.types import Message, Request

SHOWN = "<|vision_start|><|image_pad|><|vision_end|>"
WORDS = "what is the value of the blue bar in the chart answer with a word "
# A picture of SIDE x SIDE pixels is (SIDE / 28) ** 2 = 576 tokens; with WORDS six times a prompt has about 674.
SIDE = 672
COUNT = 256
SPECIAL = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
LARGE: dict[str, dict[str, Any]] = {
    "text_config": {
        "hidden_size": 3584,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "intermediate_size": 18944,
        "vocab_size": 152064,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
    },
    "vision_config": {"depth": 32, "hidden_size": 1280, "num_heads": 16, "intermediate_size": 3420},
}
SMALL: dict[str, dict[str, Any]] = {
    "text_config": {
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 256,
        "vocab_size": 1024,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
    },
    "vision_config": {"depth": 8, "hidden_size": 64, "num_heads": 4, "intermediate_size": 128},
}


def lengths(count: int = COUNT, longest: int = 1024) -> list[int]:
    """Return how many tokens each answer has: log-normal, 16 to `longest`; mean 255 for 256 answers of up to 1,024."""
    random = np.random.default_rng(0)
    for _ in range(count):  # earlier measurements drew their pictures first
        random.integers(0, 255, (24, 24, 3), dtype=np.uint8)
    drawn = random.lognormal(np.log(180 * longest / 1024), 0.8, count)
    return [int(length) for length in np.clip(drawn, 16, longest)]


def picture(number: int, side: int = SIDE) -> bytes:
    """Return a picture of `side` x `side` pixels as an encoded file, another for each number."""
    squares = np.random.default_rng(number).integers(0, 255, (24, 24, 3), dtype=np.uint8)
    stream = io.BytesIO()
    PIL.Image.fromarray(squares).resize((side, side)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def requests(count: int = COUNT, side: int = SIDE, longest: int = 1024) -> list[Request]:
    """Return the requests in the order of their arrival; `prompt()` is what `checkpoint`'s template makes of each."""
    return [
        Request(
            (Message("user", (from_bytes(picture(number, side), f"{number}.png", "the workload"), WORDS * 6)),), length
        )
        for number, length in enumerate(lengths(count, longest))
    ]


def prompt() -> str:
    """Return the text of every prompt, with the marks of its picture, as engines take it that apply no template."""
    return f"user: {SHOWN}{WORDS * 6}\n"


def config(small: bool = False) -> Any:
    """Return the model's `transformers` configuration; `small` keeps the family and shrinks every part."""
    import transformers

    shape = SMALL if small else LARGE
    start, end, image, video = range(4, 8)  # where `tokenizer` puts SPECIAL
    text = {
        **shape["text_config"],
        "max_position_embeddings": 32768,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    vision = {
        **shape["vision_config"],
        "out_hidden_size": text["hidden_size"],
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "in_channels": 3,
    }
    made: Any = transformers.Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
        dtype="float32" if small else "bfloat16",
    )
    made.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    return made


def model(device: str, small: bool = False) -> Any:
    """Return the model with random weights on `device`, whose answers end by their length alone."""
    import torch
    import transformers

    torch.manual_seed(0)
    families: Any = transformers.AutoModelForImageTextToText
    shape = config(small)
    with torch.device(device):
        made = families.from_config(shape, dtype=shape.dtype).eval()
    made.generation_config.eos_token_id = None
    made.generation_config.pad_token_id = 0
    return made


def tokenizer() -> Any:
    """Return a tokenizer of whole words for the workload's text, and of bytes for any other."""
    import transformers
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    words.train_from_iterator(
        [f"user: {WORDS}assistant: "] * 20,
        trainers.BpeTrainer(
            vocab_size=600,
            special_tokens=["<pad>", "<s>", "</s>", "<unk>", *SPECIAL],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    fast: Any = transformers.PreTrainedTokenizerFast
    return fast(
        tokenizer_object=words,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        extra_special_tokens=SPECIAL,
        padding_side="left",
    )


def processor() -> Any:
    """Return the processor; without torchvision its part for videos, which nothing here shows, is a stand-in."""
    import transformers

    t: Any = transformers
    template = (
        "{% for message in messages %}{{ message.role }}: {% for part in message.content %}"
        "{% if part.type == 'image' %}" + SHOWN + "{% else %}{{ part.text }}{% endif %}{% endfor %}\n{% endfor %}"
    )
    size = {"shortest_edge": 28 * 28, "longest_edge": 1280 * 28 * 28}
    if find_spec("torchvision") is not None:
        return t.Qwen2_5_VLProcessor(
            t.Qwen2VLImageProcessor(size=size), tokenizer(), t.Qwen2VLVideoProcessor(), chat_template=template
        )
    videos = SimpleNamespace(model_input_names=[], merge_size=2, temporal_patch_size=2)
    with mock.patch.object(t.Qwen2_5_VLProcessor, "check_argument_for_proper_class", return_value=None):
        return t.Qwen2_5_VLProcessor(t.Qwen2VLImageProcessorPil(size=size), tokenizer(), videos, chat_template=template)


def checkpoint(folder: Path, small: bool = False) -> Path:
    """Write the checkpoint without its weights into `folder` and return that. Needs torchvision."""
    config(small).save_pretrained(folder)
    processor().save_pretrained(folder)
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(ends), encoding="utf-8")
    return folder
