"""From a checkpoint on disk to a processor and a model in memory."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from evalkit.errors import ModelError


@dataclass(frozen=True, slots=True)
class Loaded:
    """A `transformers` processor and the model that it prepares inputs for."""

    processor: Any
    model: Any


def load(
    folder: Path,
    *,
    dtype: str,
    device: str,
    device_map: str | Mapping[str, object] | None,
    quantize: str | None,
    attn_implementation: str | None,
    trust_remote_code: bool,
) -> Loaded:
    """Load the checkpoint in `folder`. The arguments are those of TransformersRunner.

    Raises ModelError, saying what to install, change or download, where it cannot be loaded as it was saved.
    """
    transformers = _transformers(folder)
    where = device_map or {"": _chosen(device)}
    with _quietly(transformers):
        processor = _processor(transformers, folder, trust_remote_code)
        arguments: dict[str, Any] = {
            "dtype": dtype,
            "device_map": where,
            "trust_remote_code": trust_remote_code,
            "output_loading_info": True,
        }
        if attn_implementation is not None:
            arguments["attn_implementation"] = attn_implementation
        try:
            if quantize is not None:
                arguments["quantization_config"] = transformers.QuantoConfig(
                    weights=quantize, modules_to_not_convert=_full_precision(transformers, folder, trust_remote_code)
                )
            model, report = transformers.AutoModelForImageTextToText.from_pretrained(folder, **arguments)
        except ModelError:
            raise
        # The files of a checkpoint, and the code of its family, can be wrong in any way; the cure is the user's.
        except Exception as error:
            if out_of_memory(error):
                raise ModelError(
                    f"{folder} does not fit into memory (device_map {where}): "
                    "set device_map=auto, quantize=int8 or device=cpu"
                ) from error
            raise ModelError(_sentence(folder, "model", error)) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} of the model's weights ({', '.join(missing[:5])}), which would be random: "
            "download it again, or save it with the class that its config names"
        )
    if quantize is not None:
        _require_quantised(folder, model, quantize)
    model.eval()
    return Loaded(processor, model)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on whichever device."""
    import torch

    said = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and any(sign in said for sign in ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED"))
    )


def _transformers(folder: Path) -> Any:
    # Typed as Any: its annotations do not say what its Auto classes return.
    try:
        import_module("torch")
        return import_module("transformers")
    except ModuleNotFoundError as error:
        raise ModelError(
            f"running {folder} needs the package {error.name}: type pip install 'evalkit[local]'"
        ) from error


def _chosen(device: str) -> str:
    import torch

    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """Keep advice and progress bars off the terminal. Errors stay; TRANSFORMERS_VERBOSITY, where set, is obeyed.

    What silences advice outlasts the loading, since generation gives as much of it.
    """
    logging = transformers.logging
    if "TRANSFORMERS_VERBOSITY" not in os.environ:
        logging.set_verbosity_error()
        warnings.filterwarnings("ignore", category=FutureWarning, module=r"(torch|transformers)\.")
    shown = logging.is_progress_bar_enabled()
    _switch(logging.disable_progress_bar)
    try:
        yield
    finally:
        if shown:
            _switch(logging.enable_progress_bar)


def _switch(progress_bars: Callable[[], None]) -> None:
    # The hub's library warns that HF_HUB_DISABLE_PROGRESS_BARS, where set, has its way all the same: so it should.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        progress_bars()


def _processor(transformers: Any, folder: Path, trust_remote_code: bool) -> Any:
    try:
        processor = transformers.AutoProcessor.from_pretrained(folder, trust_remote_code=trust_remote_code)
    # As with the model: any error can come out of a checkpoint's files.
    except Exception as error:
        raise ModelError(_sentence(folder, "processor", error)) from error
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or not hasattr(processor, "image_processor"):
        raise ModelError(
            f"the processor of {folder} takes no pictures with text: "
            "copy the processor's files from the model that this one was trained from"
        )
    if processor.chat_template is None:
        processor.chat_template = tokenizer.chat_template
    if processor.chat_template is None:
        raise ModelError(f"{folder} has no chat template: add the model's chat_template.jinja to it")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return processor


def _sentence(folder: Path, part: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    packages = re.findall(r"requires the (\w+) library", said) or re.findall(r"No module named '([\w.]+)'", said)
    if packages:
        names = " ".join(dict.fromkeys(name.lower() for name in packages))
        return f"the {part} of {folder} needs {names}: type pip install {names}{_matching_torch(names)}"
    if "trust_remote_code" in said:
        return (
            f"{folder} brings its own code, which is not run unasked: "
            "read it, then set trust_remote_code=true where you trust it"
        )
    return f"the {part} of {folder} cannot be loaded ({said[:300]}): mend the checkpoint, or download it again"


def _matching_torch(names: str) -> str:
    # Another build of torchvision than torch's own breaks the import of every processor.
    import torch

    return f" from the index that torch {torch.__version__} came from" if "torchvision" in names.split() else ""


def _full_precision(transformers: Any, folder: Path, trust_remote_code: bool) -> list[str]:
    """Return the names of the linear layers outside the language model: tower, projector, head.

    Read off the model itself, since names differ by family and by version, and a name that matches nothing is passed
    over in silence.
    """
    import torch

    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    with torch.device("meta"):
        skeleton = transformers.AutoModelForImageTextToText.from_config(config, trust_remote_code=trust_remote_code)
    decoder = skeleton.get_decoder()
    if decoder is skeleton:
        raise ModelError(f"{folder} does not tell its language model from its other parts: leave quantize out")
    inside = set(decoder.modules())
    return [
        name
        for name, module in skeleton.named_modules()
        if isinstance(module, torch.nn.Linear) and module not in inside
    ]


def _require_quantised(folder: Path, model: Any, quantize: str) -> None:
    """Raise ModelError unless most of the language model was quantised: 3-D experts, for one, are passed over."""
    from optimum.quanto import QModuleMixin

    decoder = model.get_decoder()
    total = sum(parameter.numel() for parameter in decoder.parameters())
    total -= sum(parameter.numel() for parameter in decoder.get_input_embeddings().parameters())
    reached = sum(module.weight.numel() for module in decoder.modules() if isinstance(module, QModuleMixin))
    if reached * 2 < total:
        raise ModelError(
            f"{quantize} reached {reached:,} of the {total:,} parameters of {folder}'s language model, whose layers "
            "are of a kind that quanto passes over: leave quantize out, or spread it with device_map=auto"
        )
