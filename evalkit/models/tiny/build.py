"""The trained checkpoint's place, and an untrained one, written to disk from a recipe and a seed.

The untrained one has every part of a real one (LLaVA-NeXT: CLIP tower, projector, Llama, processor, chat template),
answers at random, and so shows whether the harness works, never how well a model does. Knows no benchmark. Written
without torch, so that it can be made and fingerprinted before a model is loaded, and is the same bytes under every
version of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VISION_WIDTH, VISION_HIDDEN, VISION_LAYERS, VISION_HEADS = 32, 64, 2, 2
TEXT_WIDTH, TEXT_HIDDEN, TEXT_LAYERS, TEXT_HEADS, TEXT_KV_HEADS = 64, 128, 2, 4, 2
HEAD_WIDTH = TEXT_WIDTH // TEXT_HEADS
IMAGE_SIZE, PATCH = 56, 14
# (height, width) that a picture may be scaled to: besides the whole, it is seen as two or four tiles.
GRID = [[IMAGE_SIZE, 2 * IMAGE_SIZE], [2 * IMAGE_SIZE, IMAGE_SIZE], [2 * IMAGE_SIZE, 2 * IMAGE_SIZE]]

SPECIAL = ("<unk>", "<s>", "</s>", "<pad>", "<image>")
VOCABULARY = (*SPECIAL, "\n", *map(chr, range(ord(" "), ord("~") + 1)))
UNKNOWN, BEGIN, END, PAD, PICTURE = range(len(SPECIAL))

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}{{ message.role }}: "
    "{% for part in message.content %}{{ '<image>\n' if part.type == 'image' else part.text }}{% endfor %}"
    "{{ eos_token if message.role == 'assistant' }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)

CONFIG: dict[str, object] = {
    "architectures": ["LlavaNextForConditionalGeneration"],
    "model_type": "llava_next",
    "dtype": "float32",
    "image_grid_pinpoints": GRID,
    "image_seq_length": (IMAGE_SIZE // PATCH) ** 2,
    "image_token_index": PICTURE,
    "projector_hidden_act": "gelu",
    "tie_word_embeddings": False,
    "vision_feature_layer": -2,
    "vision_feature_select_strategy": "default",
    "text_config": {
        "model_type": "llama",
        "vocab_size": len(VOCABULARY),
        "hidden_size": TEXT_WIDTH,
        "intermediate_size": TEXT_HIDDEN,
        "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": TEXT_HEADS,
        "num_key_value_heads": TEXT_KV_HEADS,
        "head_dim": HEAD_WIDTH,
        "hidden_act": "silu",
        # A character is a token, so that a long prompt of a benchmark runs to some ten thousand.
        "max_position_embeddings": 32768,
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
        "bos_token_id": BEGIN,
        "eos_token_id": END,
        "pad_token_id": PAD,
        "tie_word_embeddings": False,
    },
    "vision_config": {
        "model_type": "clip_vision_model",
        "hidden_size": VISION_WIDTH,
        "intermediate_size": VISION_HIDDEN,
        "num_hidden_layers": VISION_LAYERS,
        "num_attention_heads": VISION_HEADS,
        "image_size": IMAGE_SIZE,
        "patch_size": PATCH,
        "projection_dim": VISION_WIDTH,
        "hidden_act": "quick_gelu",
    },
}

FILES: dict[str, object] = {
    "config.json": CONFIG,
    "generation_config.json": {"bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": PAD},
    "processor_config.json": {
        "processor_class": "LlavaNextProcessor",
        "patch_size": PATCH,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
        "image_token": "<image>",
    },
    "preprocessor_config.json": {
        "processor_class": "LlavaNextProcessor",
        "image_processor_type": "LlavaNextImageProcessor",
        "image_grid_pinpoints": GRID,
        "size": {"shortest_edge": IMAGE_SIZE},
        "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 3,
    },
    "tokenizer_config.json": {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": "<unk>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "extra_special_tokens": {"image_token": "<image>"},
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
    },
}


def released() -> Path:
    """Return the folder of the trained model, which comes with the package; its README.md says what it is."""
    return Path(__file__).parent / "checkpoint"


def checkpoint(seed: int = 0) -> Path:
    """Return the folder of the untrained model of `seed` (0 to 2**32 - 1), building it at first use.

    It lies in the user's cache (EVALKIT_CACHE, else XDG_CACHE_HOME/evalkit, else ~/.cache/evalkit) under a name that
    follows from recipe and seed, and is complete whenever it exists: it is written beside its place and renamed.
    Raises ModelError where the seed is out of range or the cache cannot be written.
    """
    if not 0 <= seed < 2**32:
        raise ModelError(f"the tiny model has no seed {seed}: give one from 0 to {2**32 - 1}")
    folder = _cache() / f"tiny-untrained-{_recipe_hash(seed)}"
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _write(draft, seed)
            # A draft lets in its owner alone, but the cache may be shared.
            draft.chmod(0o755)
            for file in draft.iterdir():
                file.chmod(0o644)
            _publish(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise ModelError(
            f"the tiny model cannot be written to {folder.parent} ({error.strerror or error}): "
            f"set EVALKIT_CACHE to a folder that can be written"
        ) from error
    return folder


def _cache() -> Path:
    own = os.environ.get("EVALKIT_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").expanduser() / "evalkit"


def _recipe_hash(seed: int) -> str:
    shapes = [[name, shape, scale] for name, shape, scale in _parameters()]
    recipe = json.dumps([FILES, CHAT_TEMPLATE, VOCABULARY, shapes, seed])
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def _publish(draft: Path, folder: Path) -> None:
    try:
        draft.rename(folder)
    except OSError:
        # Another process may have built the same bytes meanwhile: theirs are as good.
        if not folder.is_dir():
            raise


def _write(folder: Path, seed: int) -> None:
    from safetensors.numpy import save_file

    write_parts(folder, FILES)
    save_file(dict(_weights(seed)), folder / "model.safetensors", metadata={"format": "pt"})


def write_parts(folder: Path, files: Mapping[str, object]) -> None:
    """Write all of a checkpoint but its weights: the given JSON files, the chat template and the tokenizer."""
    from tokenizers import AddedToken, Tokenizer, decoders, models

    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")

    # BPE without merges cuts a text into its characters.
    vocabulary = {token: index for index, token in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(folder / "tokenizer.json"))


def _weights(seed: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    import numpy as np

    # RandomState's stream is frozen by NumPy, and a uniform draw involves no rounding that differs by platform.
    random = np.random.RandomState(seed)
    for name, shape, scale in _parameters():
        if scale is None:
            yield name, np.ones(shape, np.float32)
        else:
            yield name, ((random.random_sample(shape) * 2 - 1) * scale).astype(np.float32)


def _parameters() -> Iterator[tuple[str, tuple[int, ...], float | None]]:
    """Yield name, shape and bound of the uniform draw of each tensor, None for a norm's gain, which is one.

    Names are those of published LLaVA-NeXT checkpoints. The bound gives every matrix unit gain, so that answers
    differ from picture to picture, unlike under the small values that training starts from.
    """
    tower, text = "vision_tower.vision_model", "language_model.model"
    patches = (IMAGE_SIZE // PATCH) ** 2
    yield f"{tower}.embeddings.class_embedding", (VISION_WIDTH,), 1.0
    yield f"{tower}.embeddings.patch_embedding.weight", (VISION_WIDTH, 3, PATCH, PATCH), _bound(3 * PATCH * PATCH)
    yield f"{tower}.embeddings.position_embedding.weight", (patches + 1, VISION_WIDTH), 1.0
    yield from _layer_norm(f"{tower}.pre_layrnorm")
    for layer in range(VISION_LAYERS):
        block = f"{tower}.encoder.layers.{layer}"
        yield from _layer_norm(f"{block}.layer_norm1")
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from _linear(f"{block}.self_attn.{projection}", VISION_WIDTH, VISION_WIDTH, bias=True)
        yield from _layer_norm(f"{block}.layer_norm2")
        yield from _linear(f"{block}.mlp.fc1", VISION_HIDDEN, VISION_WIDTH, bias=True)
        yield from _linear(f"{block}.mlp.fc2", VISION_WIDTH, VISION_HIDDEN, bias=True)
    yield from _layer_norm(f"{tower}.post_layernorm")

    yield from _linear("multi_modal_projector.linear_1", TEXT_WIDTH, VISION_WIDTH, bias=True)
    yield from _linear("multi_modal_projector.linear_2", TEXT_WIDTH, TEXT_WIDTH, bias=True)
    yield "image_newline", (TEXT_WIDTH,), 1.0

    yield f"{text}.embed_tokens.weight", (len(VOCABULARY), TEXT_WIDTH), 1.0
    for layer in range(TEXT_LAYERS):
        block = f"{text}.layers.{layer}"
        yield f"{block}.input_layernorm.weight", (TEXT_WIDTH,), None
        yield from _linear(f"{block}.self_attn.q_proj", TEXT_HEADS * HEAD_WIDTH, TEXT_WIDTH)
        yield from _linear(f"{block}.self_attn.k_proj", TEXT_KV_HEADS * HEAD_WIDTH, TEXT_WIDTH)
        yield from _linear(f"{block}.self_attn.v_proj", TEXT_KV_HEADS * HEAD_WIDTH, TEXT_WIDTH)
        yield from _linear(f"{block}.self_attn.o_proj", TEXT_WIDTH, TEXT_HEADS * HEAD_WIDTH)
        yield f"{block}.post_attention_layernorm.weight", (TEXT_WIDTH,), None
        yield from _linear(f"{block}.mlp.gate_proj", TEXT_HIDDEN, TEXT_WIDTH)
        yield from _linear(f"{block}.mlp.up_proj", TEXT_HIDDEN, TEXT_WIDTH)
        yield from _linear(f"{block}.mlp.down_proj", TEXT_WIDTH, TEXT_HIDDEN)
    yield f"{text}.norm.weight", (TEXT_WIDTH,), None
    yield from _linear("language_model.lm_head", len(VOCABULARY), TEXT_WIDTH)


def _bound(inputs: int) -> float:
    return math.sqrt(3 / inputs)


def _linear(name: str, outputs: int, inputs: int, bias: bool = False) -> Iterator[tuple[str, tuple[int, ...], float]]:
    yield f"{name}.weight", (outputs, inputs), _bound(inputs)
    if bias:
        yield f"{name}.bias", (outputs,), 0.1


def _layer_norm(name: str) -> Iterator[tuple[str, tuple[int, ...], float | None]]:
    yield f"{name}.weight", (VISION_WIDTH,), None
    yield f"{name}.bias", (VISION_WIDTH,), 0.1
