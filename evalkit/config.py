"""From the command line's words to objects: the only module that knows Hydra, and the door at which it stops.

Each file of configs/ is a constructor call (`_target_` and its arguments); nothing behind this module sees a config.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any

from evalkit.errors import ConfigError
from evalkit.published import Published, PublishedRow
from evalkit.redaction import redacted_values
from evalkit.types import Runner, Task

GROUPS = ("task", "suite", "model", "data", "published")
HOW_TO_SEE_KEYS = "see python -m evalkit run --help, or add --cfg job to print them all"


@dataclass(frozen=True, slots=True)
class Model:
    """A runner and what tables call it. `column` is the published column it is set beside, `config` its whole node."""

    name: str
    column: str | None
    note: str
    runner: Runner
    config: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Setup:
    """All that one run needs, built from its config.

    `task_configs` has each task's whole node by name. `from_suite` says that a suite chose the tasks, not the user.
    """

    tasks: tuple[Task, ...]
    task_configs: Mapping[str, Mapping[str, object]]
    model: Model
    judge: Model | None
    published: Published
    results_dir: Path
    limit: int | None
    allow_incomplete: bool
    estimate: bool
    from_suite: bool


def options(group: str) -> tuple[str, ...]:
    """Return the names of a group's choices, in alphabetical order."""
    folder = files("evalkit.configs").joinpath(group)
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def summary(group: str, name: str) -> str:
    """Return the comment that opens a choice's file: what it is, in a line."""
    text = files("evalkit.configs").joinpath(group, f"{name}.yaml").read_text(encoding="utf-8")
    comments = (line[2:].strip() for line in text.splitlines() if line.startswith("# ") and "@package" not in line)
    return next(comments, "")


def basename(path: str) -> str:
    """Name a model after a path, hub id or file: its last part, in letters that suit a folder's name."""
    last = str(path).rstrip("/").rsplit("/", maxsplit=1)[-1].removesuffix(".gz").removesuffix(".jsonl")
    return re.sub(r"[^\w.+-]+", "-", last) or "model"


def setup(overrides: Sequence[str]) -> Setup:
    """Build the objects of one run. Raises ConfigError, in one sentence, for anything that cannot be built."""
    config = _compose(overrides)
    plain = _resolved(config)
    if not plain["tasks"]:
        raise ConfigError(
            f"no task selected: add task=NAME, task=NAME,NAME or +suite=all (tasks: {', '.join(options('task'))})"
        )
    limit = plain["limit"]
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise ConfigError(f"limit={limit} is no number of samples: give limit=1 or more, or leave it out")
    model = _model("model", plain["model"])
    table = _published(plain)
    if model.column is not None and model.column not in table.columns:
        raise ConfigError(f"no published column {model.column!r}: choose model.column from {', '.join(table.columns)}")
    return Setup(
        tasks=tuple(_task(node, trusted=True) for node in plain["tasks"].values()),
        task_configs=redacted_values(plain["tasks"]),
        model=model,
        judge=_model("judge", plain["judge"]) if plain.get("judge") else None,
        published=table,
        results_dir=Path(plain["results_dir"]),
        limit=limit,
        allow_incomplete=bool(plain["allow_incomplete"]),
        estimate=bool(plain["estimate"]),
        from_suite=any(override.key_or_group == "suite" for override in _parse(overrides)),
    )


def _model(place: str, node: Mapping[str, Any]) -> Model:
    name = str(node["name"])
    if not re.fullmatch(r"[\w.+-]+", name) or set(name) == {"."}:
        raise ConfigError(f"{place}.name={name} cannot name a folder: use letters, digits, '.', '-', '_' and '+' alone")
    shown = redacted_values(node)
    return Model(name, node["column"], shown["note"], _build(node["runner"], trusted=True), shown)


def task(node: Mapping[str, object]) -> Task:
    """Build a task from its resolved config node, as a run's record has it.

    A run directory may come from anyone, so its record can name evalkit's own classes and no others.
    """
    return _task(node, trusted=False)


def _task(node: Mapping[str, object], trusted: bool) -> Task:
    built = _build(node, trusted)
    if not isinstance(built, Task):
        raise ConfigError(f"{node.get('_target_')} is no task: derive it from evalkit.types.Task")
    if built.scorer not in built.scorers:
        raise ConfigError(
            f"{built.name} has no scorer {built.scorer!r}: give tasks.{built.name}.scorer={' or '.join(built.scorers)}"
        )
    # YAML has lists where a record has tuples.
    lists: dict[str, Any] = {name: tuple(value) for name, value in vars(built).items() if isinstance(value, list)}
    return replace(built, **lists) if lists else built


def published(overrides: Sequence[str]) -> tuple[Published, Path]:
    """Build the published table and the results directory alone, for a report."""
    plain = _resolved(_compose(overrides))
    return _published(plain), Path(plain["results_dir"])


def model(overrides: Sequence[str]) -> Model:
    """Build the model alone, for what asks it no benchmark."""
    return _model("model", _resolved(_compose(overrides))["model"])


def show(overrides: Sequence[str]) -> str:
    """Return the composed configuration as YAML, before anything is built."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(_compose(overrides))


def sweep(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Yield the overrides of each run of a sweep: `model=a,b task=c,d` makes four."""
    parsed = _parse(overrides)
    choices = [
        [f"{each.get_key_element()}={value}" for value in each.sweep_string_iterator()]
        if each.is_sweep_override()
        else [each.input_line or ""]
        for each in parsed
    ]
    return (list(combination) for combination in product(*choices))


def _parse(overrides: Sequence[str]) -> list[Any]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import OverrideParseException

    parsed = []
    for override in overrides:
        try:
            parsed += OverridesParser.create().parse_overrides([override])
        except OverrideParseException:
            raise ConfigError(
                f"cannot read {override!r}: write key=value, such as task=docvqa, and quote spaces and brackets"
            ) from None
    return parsed


def _normalised(override: Any) -> str:
    """Allow task=a,b for several tasks of one run, suite=all without the plus sign, and estimate=true with one."""
    line: str = override.input_line
    if override.key_or_group == "estimate":
        return line.removeprefix("+")
    if override.key_or_group == "task" and override.is_sweep_override():
        return f"task=[{','.join(override.sweep_string_iterator())}]"
    if override.key_or_group in ("judge", "model.of", "judge.of") and override.package is None:
        return f"model@{line}"
    return f"+{line}" if override.key_or_group == "suite" and not line.startswith("+") else line


def _compose(overrides: Sequence[str]) -> Any:
    from hydra import compose, initialize_config_module
    from hydra.errors import ConfigCompositionException, MissingConfigException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    OmegaConf.register_resolver("basename", basename, replace=True)
    lines = [_normalised(override) for override in _parse(overrides)]
    try:
        with initialize_config_module("evalkit.configs"):
            return compose("config", lines)
    except MissingConfigException as error:
        group, _, name = (error.missing_cfg_file or "").strip("/").rpartition("/")
        place = next((line.split("=")[0] for line in lines if re.match(rf"model@.*={re.escape(name)}$", line)), group)
        key = place.removeprefix("model@") if group == "model" else group
        raise ConfigError(_unknown_choice(group, name, key)) from None
    except (ConfigCompositionException, OmegaConfBaseException) as error:
        raise ConfigError(_unknown_key(error, lines)) from None


def _unknown_choice(group: str, name: str, key: str) -> str:
    group, name, key = (group, name, key) if group else (name, "", name)
    known = options(group) if group in GROUPS else ()
    close = difflib.get_close_matches(name, known, n=1) or list(known[:1])
    suffix = f": type {'+' if key == 'suite' else ''}{key}={close[0]} or another of {', '.join(known)}" if known else ""
    return f"unknown {key or 'config'} {name!r}{suffix}"


def _unknown_key(error: Exception, lines: Sequence[str]) -> str:
    texts = [str(cause) for cause in (error, error.__cause__) if cause is not None]
    key = next(
        (match[1] for text in texts if (match := re.search(r"[Kk]ey '([\w.@/]+)' is not in struct", text))), None
    )
    if key is None:
        found = (match[1] for text in texts if (match := re.search(r"Could not (?:override|find) '([^']+)'", text)))
        key = next(found, None)
    if any("task appears more than once" in text for text in texts):
        return "a suite is a choice of tasks: give either task=... or +suite=..., not both"
    if key is None:
        return (
            f"cannot compose the configuration from {' '.join(lines)!r} ({texts[0].splitlines()[0]}): {HOW_TO_SEE_KEYS}"
        )
    keys = [line.split("=")[0] for line in lines]
    wanted = next((each for each in keys if each == key or key in each.split(".")), key)
    group = wanted.split(".")[0]
    if "." in wanted and group in GROUPS:
        others = ", ".join(options(group))
        return f"the chosen {group} has no key {wanted!r}: choose another {group} ({others}), or {HOW_TO_SEE_KEYS}"
    top = (*GROUPS, "limit", "results_dir", "allow_incomplete", "allow_code_execution", "margin", "estimate")
    close = difflib.get_close_matches(wanted, top, n=1)
    hint = f"did you mean {close[0]}=...? " if close else ""
    return f"unknown key {wanted!r}: {hint}{HOW_TO_SEE_KEYS}"


def _resolved(config: Any) -> dict[str, Any]:
    from omegaconf import OmegaConf
    from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue, OmegaConfBaseException

    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = getattr(error, "full_key", None) or "a key"
        raise ConfigError(f"{key} has no value: add {key}=...") from None
    except InterpolationResolutionError as error:
        missing = re.search(r"'([\w.]+)' not found|Missing mandatory value: ([\w.]+)", str(error))
        key = (missing[1] or missing[2]) if missing else "a key"
        raise ConfigError(
            f"{getattr(error, 'full_key', 'the configuration')} needs {key}, which is not set: add {key}=... "
            "(model=replay goes with data=recorded data.path=FILE)"
        ) from None
    except OmegaConfBaseException as error:
        raise ConfigError(
            f"cannot resolve the configuration ({str(error).splitlines()[0]}): {HOW_TO_SEE_KEYS}"
        ) from None
    assert isinstance(plain, dict)  # noqa: S101  a config's root is a mapping
    return {str(key): value for key, value in plain.items()}


def _build(node: Mapping[str, object], trusted: bool) -> Any:
    from hydra.errors import InstantiationException
    from hydra.utils import UNSAFE_DISABLE_EXECUTION_CHECKS, instantiate
    from omegaconf import OmegaConf

    if "_target_" not in node:
        raise ConfigError(f"cannot build what has no _target_, the class to build: give it one; {HOW_TO_SEE_KEYS}")
    target = str(node["_target_"])
    may_call = UNSAFE_DISABLE_EXECUTION_CHECKS if trusted else "evalkit.*"
    try:
        return instantiate(OmegaConf.create(dict(node)), _convert_="all", _execution_whitelist_=may_call)
    except (InstantiationException, TypeError, ValueError) as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown:
            name = target.rsplit(".", maxsplit=1)[-1]
            raise ConfigError(f"{name} takes no {unknown[1]!r}: remove that key; {HOW_TO_SEE_KEYS}") from None
        reason = " ".join(str(error).split())
        raise ConfigError(f"cannot build {target} ({reason}): {HOW_TO_SEE_KEYS}") from None


def _published(plain: Mapping[str, Any]) -> Published:
    node, margin = plain["published"], plain["margin"]
    if not isinstance(margin, int | float) or not margin > 0:
        raise ConfigError(f"margin={margin} is no number of points: give margin=1, or any number above 0")
    columns = tuple(node["columns"])
    rows = []
    for row in node["rows"]:
        if len(row["values"]) != len(columns):
            raise ConfigError(
                f"published row {row['label']} has {len(row['values'])} values, not {len(columns)}: mend its file"
            )
        rows.append(PublishedRow(**{**row, "values": dict(zip(columns, row["values"], strict=True))}))
    return Published(node["title"], node["url"], columns, tuple(rows), float(margin))
