"""From a checkpoint on disk to a processor and a model in memory."""

from __future__ import annotations

import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from evalkit.errors import ModelError
from evalkit.runners._checkpoint import require_own_code
from evalkit.runners._devices import device_map as spread
from evalkit.runners._devices import device_of


@dataclass(frozen=True, slots=True)
class Loaded:
    """A `transformers` processor and the model that it prepares inputs for.

    `weights` says how many bytes the weights take, and where they are quantised which modules are not.
    """

    processor: Any
    model: Any
    weights: Mapping[str, str] = field(default_factory=dict)


def load(
    folder: Path,
    *,
    dtype: str,
    device: str,
    device_map: str | Mapping[str, object] | None,
    quantize: str | None,
    modules_to_not_convert: Sequence[str] | None = None,
    attn_implementation: str | None,
    trust_remote_code: bool,
) -> Loaded:
    """Load the checkpoint in `folder`. The arguments are those of TransformersRunner.

    Raises ModelError, saying what to install, change or download, where it cannot be loaded as it was saved.
    """
    transformers = _transformers(folder)
    if trust_remote_code:
        require_own_code(folder)
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
            with warnings.catch_warnings():
                # Our maps also have weights that are no modules, as they must.
                warnings.filterwarnings("ignore", "The following device_map keys do not match any submodules")
                model, report = _model(transformers, folder, arguments, quantize, modules_to_not_convert)
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
    model.eval()
    return Loaded(processor, model, _weights(model, quantize))


def load_processor(folder: Path, trust_remote_code: bool) -> Any:
    """Load a checkpoint's processor alone, for an engine that loads the weights itself. Raises ModelError."""
    transformers = _transformers(folder)
    if trust_remote_code:
        require_own_code(folder)
    with _quietly(transformers):
        return _processor(transformers, folder, trust_remote_code)


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
        transformers = import_module("transformers")
    except ModuleNotFoundError as error:
        raise ModelError(
            f"running {folder} needs the package {error.name}: type pip install 'evalkit[local]'"
        ) from error
    _add_family(folder)
    return transformers


def _add_family(folder: Path) -> None:
    """Tell `transformers` of the family that it lacks, where the checkpoint is of it."""
    try:
        family = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError, AttributeError):
        return  # whoever loads it says what is wrong with it
    if family == "minimax_vl_01":
        from evalkit.models.minimax_vl_01 import register

        register()


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
    wanted = (r"requires the (\w+) library", r"[Pp]lease install `(\w+)`", r"No module named '([\w.]+)'")
    packages = next(filter(None, (re.findall(each, said) for each in wanted)), [])
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


def _model(
    transformers: Any, folder: Path, arguments: dict[str, Any], quantize: str | None, spared: Sequence[str] | None
) -> tuple[Any, Any]:
    """Return the model, and what `transformers` says of its loading."""
    family, where = transformers.AutoModelForImageTextToText, arguments["device_map"]
    if quantize is None and where != "layers":
        return family.from_pretrained(folder, **arguments)  # type: ignore[no-any-return]
    from evalkit.runners import _outline, _quantise

    # Names are read off the model itself: they differ by family and version.
    trust = arguments["trust_remote_code"]
    skeleton = _outline.skeleton(_outline.configuration(folder, None, trust), arguments["dtype"], trust)
    stacked = _quantise.stacked_experts(skeleton) if quantize else {}
    if where == "layers" or (stacked and where in ("auto", "balanced", "balanced_low_0", "sequential")):
        arguments["device_map"] = where = spread(_outline.parts(skeleton), _devices())
    elif isinstance(where, str) and stacked:
        where = {"": where}
    if quantize is None:
        return family.from_pretrained(folder, **arguments)  # type: ignore[no-any-return]
    names = _quantise.reached(skeleton, spared)
    if stacked:
        # Their linear layers are made of the loaded stacks, so the host must hold the model once as it was saved.
        model, report = family.from_pretrained(folder, **{**arguments, "device_map": {"": "cpu"}})
        _quantise.quantise(model, quantize, spared, lambda name: device_of(name, where))
        if len(where) == 1:
            return model.to(device_of("", where)), report
        from accelerate import dispatch_model

        modules = dict(model.named_modules())
        for name in where.keys() - modules.keys():  # a weight that belongs to no part, which nobody else would move
            weight = model.get_parameter(name)
            weight.data = weight.data.to(where[name])
        return dispatch_model(model, where, force_hooks=True), report
    arguments["quantization_config"] = transformers.QuantoConfig(
        weights=quantize, modules_to_not_convert=_quantise.exactly(_quantise.linear_but(skeleton, names))
    )
    model, report = family.from_pretrained(folder, **arguments)
    from optimum.quanto import QModuleMixin

    missed = [name for name in names if not isinstance(model.get_submodule(name), QModuleMixin)]
    if missed:
        raise ModelError(
            f"{quantize} passed over {len(missed)} layers of {folder} ({', '.join(_quantise.patterns(missed)[:5])}): "
            "leave quantize out, or spread it with device_map=auto"
        )
    return model, report


def _devices() -> list[Any]:
    import torch

    return list(range(torch.cuda.device_count())) or ["cpu"]


def _weights(model: Any, quantize: str | None) -> Mapping[str, str]:
    from evalkit.runners import _quantise

    size = _quantise.stored_bytes(model)
    if quantize is None:
        return {"bytes": str(size)}
    kept = ", ".join(_quantise.in_full_precision(model))
    logging.getLogger(__name__).warning("%s weights take %.2f GB; not quantised are %s", quantize, size / 1e9, kept)
    return {"bytes": str(size), "in_full_precision": kept}
