"""What identifies a checkpoint, how it is loaded and quantised, and what is said where that fails."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tiny_families import ask, idefics3, llava_next, mllama, picture

from evalkit.errors import ConfigError, ModelError
from evalkit.models.tiny import checkpoint
from evalkit.runners.transformers import TransformersRunner

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the embedded checkpoint that a test may spoil."""
    return shutil.copytree(checkpoint(), tmp_path / "copy")


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def refusal(runner: TransformersRunner) -> str:
    """What the runner says before the first answer; one sentence."""
    with pytest.raises(ModelError) as caught:
        next(iter(runner.generate([ask("?")])))
    said = str(caught.value)
    assert "\n" not in said
    return said


def edit(file: Path, **changes: object) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **changes}))


def test_identity_of_the_embedded_model() -> None:
    identity = TransformersRunner(id=functools.partial(checkpoint, seed=0), max_new_tokens=32).identity()
    assert {**identity, "weights": ""} == {
        "engine": "transformers",
        "id": checkpoint().name,
        "revision": "",
        "weights": "",
        "dtype": "auto",
        "quantize": "",
        "max_new_tokens": "32",
        "attn_implementation": "",
        "trust_remote_code": "false",
        "transformers": ".".join(metadata.version("transformers").split(".")[:2]),
        "torch": ".".join(metadata.version("torch").split(".")[:2]),
        "torchvision": identity["torchvision"],
    }
    assert identity["weights"].startswith("sha256:")


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "bfloat16"},
        {"quantize": "int8"},
        {"max_new_tokens": 5},
        {"attn_implementation": "eager"},
        {"trust_remote_code": True},
    ],
)
def test_identity_changes_with_what_changes_answers(change: dict[str, Any]) -> None:
    assert TransformersRunner(id=checkpoint, **change).identity() != TransformersRunner(id=checkpoint).identity()


def test_identity_stays_with_what_does_not(copy: Path) -> None:
    here = TransformersRunner(id=copy)
    moved = shutil.copytree(copy, copy.parent / "elsewhere" / "copy")
    (moved / "README.md").write_text("A note.")
    there = TransformersRunner(id=str(moved), batch_size=1, workers=7, threads=1, device="cpu", device_map={"": "cpu"})
    assert here.identity() == there.identity()


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "chat_template.jinja", "config.json"])
def test_identity_changes_with_one_byte_of_a_file(copy: Path, file: str) -> None:
    before = TransformersRunner(id=copy).identity()
    content = bytearray((copy / file).read_bytes())
    content[-1] ^= 1
    (copy / file).write_bytes(content)
    after = TransformersRunner(id=copy).identity()
    assert {key for key in before if before[key] != after[key]} == {"weights"}


def test_retraining_one_small_tensor_of_a_large_file_shows(copy: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    weights = {f"w{index}": np.zeros(size, np.float32) for index, size in enumerate([900_000, 40_000, 700_000])}

    def fingerprint() -> str:
        save_file(weights, copy / "model.safetensors")
        assert (copy / "model.safetensors").stat().st_size > 6_000_000
        return TransformersRunner(id=copy).identity()["weights"]

    before = fingerprint()
    assert fingerprint() == before
    weights["w1"] += 1
    assert fingerprint() != before
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:-1])
    with pytest.raises(ModelError, match="is cut off: download or copy it again"):
        TransformersRunner(id=copy).identity()


def test_nothing_heavy_is_imported_before_the_first_request_and_nothing_said_after(tmp_path: Path) -> None:
    program = """
import sys
from evalkit.models.tiny import checkpoint
from evalkit.runners.transformers import TransformersRunner
from evalkit.types import Message, Request
runner = TransformersRunner(id=checkpoint, device="cpu", threads=1)
assert runner.identity()["weights"]
assert list(runner.generate([])) == []
heavy = {"torch", "transformers"} & set(sys.modules)
assert not heavy, heavy
(response,) = runner.generate([Request((Message("user", ("Hello.",)),), 3)])
assert response.completion_tokens == 3, response
import torch
assert torch.get_num_threads() == 1
"""
    environment = {"EVALKIT_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "there is no folder "),
        (lambda folder: (folder / "config.json").unlink(), "has no config.json: give the folder that"),
        (
            lambda folder: [(folder / name).unlink() for name in ("preprocessor_config.json", "processor_config.json")],
            "has no processor (preprocessor_config.json or processor_config.json): copy its files",
        ),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights (*.safetensors or *.bin)"),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "has no chat template: add the model's"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "cannot be loaded ("),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"version https://git-lfs"), "cannot be loaded ("),
        (lambda folder: edit(folder / "config.json", model_type="nonesuch"), "cannot be loaded ("),
        (
            lambda folder: edit(
                folder / "config.json",
                model_type="own",
                auto_map={"AutoConfig": "own.Own", "AutoModelForImageTextToText": "own.Model"},
            ),
            "brings its own code, which is not run unasked",
        ),
    ],
)
def test_a_folder_that_is_no_whole_checkpoint(copy: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(copy)
    refused = refusal(TransformersRunner(id=copy, device="cpu"))
    assert said in refused
    assert str(copy) in refused


def test_missing_weights_are_never_made_up(copy: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    save_file({name: value for name, value in weights.items() if "linear_2" not in name}, copy / "model.safetensors")
    assert "lacks 2 of the model's weights (model.multi_modal_projector.linear_2.bias, " in refusal(
        TransformersRunner(id=copy, device="cpu")
    )


def test_a_revision_of_a_folder_is_refused(copy: Path) -> None:
    assert "leave revision out" in refusal(TransformersRunner(id=copy, revision="main"))


@pytest.mark.parametrize("place", ["./missing", "/nowhere/at/all", "~/no/such/folder", "missing"])
def test_a_path_that_does_not_exist_is_no_hub_id(place: str) -> None:
    assert "there is no folder" in refusal(TransformersRunner(id=place))


def test_a_hub_id_without_a_network(hub_cache: Path) -> None:
    for ask_it in (TransformersRunner(id="org/absent").identity, lambda: refusal(TransformersRunner(id="org/absent"))):
        try:
            said = ask_it()
        except ModelError as error:
            said = str(error)
        assert "org/absent is no folder here, is not in the hub's cache, and the hub cannot be reached" in str(said)
        assert "type 'hf download org/absent'" in str(said)


def test_a_hub_id_in_the_cache_is_pinned_to_its_commit(hub_cache: Path) -> None:
    repository = hub_cache / "models--org--tiny"
    shutil.copytree(checkpoint(), repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    runner = TransformersRunner(id="org/tiny", device="cpu")
    assert (runner.identity()["id"], runner.identity()["weights"]) == ("org/tiny", f"commit:{COMMIT}")
    assert TransformersRunner(id="org/absent", revision=COMMIT).identity()["weights"] == f"commit:{COMMIT}"
    question = ask(picture(30, 30), "What is it?")
    assert list(runner.generate([question])) == list(
        TransformersRunner(id=checkpoint, device="cpu").generate([question])
    )
    (repository / "snapshots" / COMMIT / "model.safetensors").unlink()
    assert "the hub's cache of org/tiny has no weights" in refusal(TransformersRunner(id="org/tiny", device="cpu"))


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_package(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert f"needs the package {package}: type pip install 'evalkit[local]'" in refusal(
        TransformersRunner(id=checkpoint)
    )

    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(ModelError, match=r"type pip install 'evalkit\[local\]'"):
        TransformersRunner(id=checkpoint).identity()


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed: nothing is missing")
def test_a_processor_that_needs_another_package(copy: Path) -> None:
    edit(copy / "processor_config.json", processor_class="LlavaOnevisionProcessor")
    edit(copy / "preprocessor_config.json", processor_class="LlavaOnevisionProcessor")
    (copy / "video_preprocessor_config.json").write_text('{"video_processor_type": "LlavaOnevisionVideoProcessor"}')
    said = refusal(TransformersRunner(id=copy, device="cpu"))
    assert "needs torchvision: type pip install torchvision from the index that torch " in said


@pytest.mark.parametrize("build", [llava_next, idefics3, mllama], ids=lambda build: str(build.__name__))
def test_quantising_spares_the_tower_and_the_head(build: Callable[[Path], Path], tmp_path: Path) -> None:
    import torch
    from optimum.quanto import QModuleMixin

    question = ask(picture(30, 30), "What is it?")
    runner = TransformersRunner(id=build(tmp_path), device="cpu", quantize="int8")
    (response,) = runner.generate([question])
    seen = {
        name: isinstance(module, QModuleMixin)
        for name, module in runner._engine._model.named_modules()
        if isinstance(module, torch.nn.Linear | QModuleMixin)
    }
    assert response.error is None
    assert response.text
    language = {name for name in seen if ".language_model." in name or ".text_model." in name}
    assert language
    assert {name for name, quantised in seen.items() if quantised} == language
    assert "lm_head" in seen
    assert any("vision" in name for name in seen)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"dtype": "bf16"}, "unknown dtype 'bf16': set dtype to one of auto, float32, bfloat16, float16"),
        ({"quantize": "int3"}, "unknown quantize 'int3'"),
        ({"batch_size": 0}, "batch_size=0 cannot work"),
        ({"workers": 0}, "workers=0 cannot work"),
        ({"threads": 0}, "threads=0 cannot work"),
        ({"max_new_tokens": 0}, "max_new_tokens=0 cannot work"),
    ],
)
def test_settings_that_cannot_work(setting: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TransformersRunner(id=checkpoint, **setting)
