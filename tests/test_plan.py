"""What is said of a model before any of its weights is there: counts, bytes, layers of each GPU, a request's memory."""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tiny_families import FAMILIES

from evalkit.architectures import (
    INTERNVL2_5_78B,
    LLAMA_3_2_90B,
    MINIMAX_VL_01,
    PUBLISHED,
    QWEN2_VL_72B,
    Architecture,
    Seen,
    merged_patches,
    minimax_grid,
    tiles_448,
)
from evalkit.cli import main
from evalkit.models.minimax_vl_01 import placement, register
from evalkit.models.tiny import checkpoint
from evalkit.runners import _devices

if TYPE_CHECKING:
    from types import ModuleType

GIB = 1024**3
COUNTS = {
    QWEN2_VL_72B.id: 73_405_560_320,
    INTERNVL2_5_78B.id: 78_408_318_336,
    LLAMA_3_2_90B.id: 88_593_355_323,
    MINIMAX_VL_01.id: 456_437_219_328,
}


# What imports torch is imported by the tests, under the environment that they run in.
@pytest.fixture(scope="module")
def outlines() -> ModuleType:
    return import_module("evalkit.runners._outline")


@pytest.fixture(scope="module")
def plan() -> ModuleType:
    return import_module("evalkit.plan")


@pytest.fixture(scope="module")
def skeletons(outlines: ModuleType) -> Callable[[Architecture], Any]:
    register()
    built: dict[str, Any] = {}

    def skeleton(architecture: Architecture) -> Any:
        if architecture.id not in built:
            configuration = outlines.configuration(architecture.config, None, False)
            built[architecture.id] = outlines.skeleton(configuration, "bfloat16")
        return built[architecture.id]

    return skeleton


@pytest.mark.parametrize("architecture", PUBLISHED, ids=lambda each: str(each.id))
def test_counts_are_the_published_ones_and_nothing_is_allocated(
    architecture: Architecture, skeletons: Callable[[Architecture], Any], outlines: ModuleType
) -> None:
    model = skeletons(architecture)
    outline = outlines.outline(model, None)
    count = sum(weight.parameters for weight in outline.weights)
    assert count == COUNTS[architecture.id]
    digits = len(architecture.published.partition(".")[2].removesuffix("B"))
    assert f"{count / 1e9:.{digits}f}B" == architecture.published
    assert all(tensor.is_meta for tensor in model.parameters())


def test_minimax_in_int8_on_eight(
    skeletons: Callable[[Architecture], Any], outlines: ModuleType, plan: ModuleType
) -> None:
    outline = outlines.outline(skeletons(MINIMAX_VL_01), "int8")
    length = plan.Length(prompt=8_000, pictures=7_500, crossed=0, answer=1_000)
    shares = plan.shares(outline, 8, length)
    gibibytes = [share.weights / GIB for share in shares]
    assert sum(gibibytes) == pytest.approx(427.8, abs=0.1)
    assert gibibytes == pytest.approx([55.8, 52.9, 52.9, 52.7, 52.9, 52.9, 52.9, 55.0], abs=0.06)
    # Ten layers with keys and values of 8 heads of 128 numbers, seventy with states of 64 heads of 128 x 128.
    assert sum(share.memory for share in shares) == 10 * 2 * 8 * 128 * 2 * 9_000 + 70 * 64 * 128 * 128 * 4
    assert plan.at_a_time(shares, 80) > 100
    assert plan.at_a_time(plan.shares(outline, 4, length), 80) == 0
    whole = plan.shares(outlines.outline(skeletons(MINIMAX_VL_01), None), 8, length)
    assert sum(share.weights for share in whole) / GIB == pytest.approx(850.2, abs=0.1)


def test_the_map_is_the_cards_where_its_layers_divide(
    shared: Path, skeletons: Callable[[Architecture], Any], outlines: ModuleType
) -> None:
    golden = json.loads((shared / "golden" / "minimax_vl_01" / "device_map" / "golden.json").read_text())
    model = skeletons(MINIMAX_VL_01)
    parts = outlines.parts(model)
    for size, expected in golden["language"].items():
        devices = [f"cuda:{number}" for number in range(int(size))]
        placed = _devices.device_map(parts, devices)
        assert {name: placed[name] for name in expected} == expected
        rest = {name: _devices.device_of(name, placed) for name in golden["on_cuda_0_for_every_world_size"]}
        assert set(rest.values()) == {"cuda:0"}
        assert len(placed) == len(expected) + 3  # the tower, the projector, the newline
    assert len(golden["language"]) == 7


@pytest.mark.parametrize("layers", [1, 5, 80])
def test_uneven_splits_miss_no_layer_and_differ_by_one(layers: int) -> None:
    parts = _devices.Parts(("tower",), tuple(f"layers.{number}" for number in range(layers)), ("head",))
    for size in range(1, 21):
        counts = _devices.split(layers, size)
        assert sum(counts) == layers
        assert max(counts) - min(counts) <= 1
        placed = _devices.device_map(parts, range(size))
        assert [placed[name] for name in parts.layers] == [gpu for gpu in range(size) for _ in range(counts[gpu])]
        assert (placed["tower"], placed["head"]) == (0, size - 1)
        # The native MiniMax-VL-01 is spread alike.
        own = placement.device_map(layers, [str(number) for number in range(size)])
        assert [own[f"language_model.model.layers.{number}"] for number in range(layers)] == [
            str(placed[name]) for name in parts.layers
        ]


@pytest.mark.parametrize("build", FAMILIES, ids=lambda build: str(build.__name__))
def test_the_map_reaches_every_weight_of_every_family(
    build: Callable[[Path], Path], tmp_path: Path, outlines: ModuleType
) -> None:
    from accelerate.utils import check_device_map

    model = outlines.skeleton(outlines.configuration(build(tmp_path), None, False), "auto")
    parts = outlines.parts(model)
    assert len(parts.layers) == model.config.get_text_config().num_hidden_layers
    for size in (1, 2, 3):
        placed = _devices.device_map(parts, range(size))
        modules = {name: device for name, device in placed.items() if name in dict(model.named_modules())}
        if len(modules) == len(placed):
            check_device_map(model, placed)
        for name, _ in (*model.named_parameters(), *model.named_buffers()):
            assert _devices.device_of(name, placed) in range(size)
        head = next(name for name in placed if name.endswith("lm_head"))
        assert placed[head] == size - 1


def test_kinds_of_layers_remember_differently(
    skeletons: Callable[[Architecture], Any], outlines: ModuleType, plan: ModuleType
) -> None:
    length = plan.Length(prompt=100, pictures=1, crossed=6_404, answer=50)
    llama = outlines.outline(skeletons(LLAMA_3_2_90B), None).memories
    assert [number for number, each in enumerate(llama) if each.crossed] == list(range(3, 100, 5))
    assert sum(plan.memory_bytes(each, length, 2) for each in llama) == 2 * 1024 * 2 * (80 * 150 + 20 * 6_404)
    gemma = {"model_type": "gemma3", "text_config": {"num_hidden_layers": 6, "sliding_window": 64, "hidden_size": 32}}
    text = outlines.configuration(gemma, None, False).get_text_config()
    kept = [plan.memory_bytes(outlines._memory(text, layer), length, 1) for layer in range(6)]
    width = 2 * text.num_key_value_heads * text.head_dim
    assert kept == [width * 64] * 5 + [width * 150]


def test_rules_for_pictures_are_those_of_the_processors() -> None:
    from transformers import GotOcr2ImageProcessorPil, Qwen2VLImageProcessorPil

    qwen = Qwen2VLImageProcessorPil(size={"shortest_edge": 3136, "longest_edge": 12845056})
    intern = GotOcr2ImageProcessorPil(
        size={"height": 448, "width": 448}, min_patches=1, max_patches=12, crop_to_patches=True
    )
    numbers = random.Random(0)
    for _ in range(300):
        width, height = (int(2 ** numbers.uniform(5, 12.5)) for _ in range(2))
        assert tiles_448(width, height) == Seen(2 + 256 * intern.get_number_of_image_patches(height, width, {}))
        if max(width, height) / min(width, height) <= 200:
            assert merged_patches(width, height) == Seen(qwen.get_number_of_image_patches(height, width, {}) // 4)
    assert [minimax_grid(*size).prompt for size in ((336, 336), (640, 480), (1654, 2339))] == [1176, 2340, 8022]


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["plan", *words])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_the_command_says_what_fits(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys, "model=qwen2_vl_72b", "gpus=2", "quantize=int8", "limit=1")
    assert (status, err) == (0, "")
    assert "Qwen/Qwen2-VL-72B-Instruct on 2 GPUs of 80 GiB" in out
    assert re.search(r"^parameters +73,405,560,320 \(published: 73\.4B\)$", out, re.MULTILINE)
    assert re.search(r"^weights +71\.\d GiB in int8, of which 3\.1\dB parameters stay in bfloat16$", out, re.MULTILINE)
    assert re.search(r"^docvqa +at most 5,0\d\d tokens of prompt \(4,956 of pictures\) and 1,024 of answer$", out, re.M)
    assert re.search(r"^ +1  40-79 \(40\) +\d\d\.\d +0\.9\d ", out, re.MULTILINE)
    assert re.search(r"^fits, with 10% of each GPU left free: \d+ such requests at a time ", out, re.MULTILINE)

    status, out, _ = told(capsys, "model=qwen2_vl_72b", "gpus=1", "picture=1024x768", "limit=1")
    assert status == 1
    assert "does not fit, with 10% of each GPU left free: give quantize=int8, quantize=int4 or gpus=2" in out
    assert "a picture of 1024 x 768 pixels takes 999 tokens of the prompt" in out


def test_any_model_by_its_config_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(checkpoint() / "config.json", tmp_path)
    words = ("model=hf", f"model.id={tmp_path}", "task=chartqa", "gpus=1", "memory=1", "limit=1")
    status, out, _ = told(capsys, *words)
    assert status == 0
    assert re.search(r"^parameters +\d\d\d,\d\d\d$", out, re.MULTILINE)
    assert "pictures are not counted" in out
    status, out, _ = told(capsys, "model=untrained", "picture=60x60", "gpus=1", "memory=1", "limit=1")
    assert status == 0
    # As test_transformers_runner counts them: a thumbnail, then eight rows of eight and a newline.
    assert "a picture of 60 x 60 pixels takes 88 tokens of the prompt" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gpus=0",), "gpus=0 is no number of GPUs: give gpus=8 or so"),
        (("memory=many",), "memory=many is no number of GiB: give memory=8 or so"),
        (("picture=large",), "picture=large is no size in pixels: give picture=1654x2339 or so"),
        (("--fast",), "unknown option '--fast': keys are model=NAME, gpus=8"),
        (("model=chance",), "model chance has no weights here: plan is for model=hf and its like"),
        (
            ("model=hf", "model.id=org/absent", "limit=1"),
            "org/absent is no folder here, is not in the hub's cache, and the hub cannot be reached",
        ),
        (("model=hf", "model.id=./absent", "limit=1"), "no configuration of ./absent can be read ("),
        (("model=smolvlm2", "quantize=int3"), "unknown quantize 'int3': set quantize to int8 or int4"),
    ],
)
def test_what_cannot_be_planned(words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(capsys, *words)
    assert (status, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_package_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    status, _, err = told(capsys, "model=qwen2_vl_72b")
    assert status == 1
    assert f"plan needs the package {package}: type pip install 'evalkit[local]'" in err
