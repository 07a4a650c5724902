"""Where rows come from on the Hugging Face Hub: the official datasets, over the network, from a cache or from a mirror.

The rows stay in memory-mapped tables on disk. A picture's bytes are read when a task asks for the picture, to name it
by content, and again when a model needs the pixels; they are never kept. Files that stand beside the tables, such as
documents, are downloaded one by one when a task asks for them.
"""

from __future__ import annotations

import glob
import hashlib
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from evalkit.data import content_hash, expanded, find_file, stays_inside
from evalkit.errors import ConfigError, DataError
from evalkit.hub_api import fetch_file, newest_commit
from evalkit.images import from_bytes
from evalkit.network import network_errors
from evalkit.rows import Row
from evalkit.types import Dataset, Image


@dataclass(frozen=True)
class Hub:
    """The official dataset's `repo`, `subset` and `split`, read with Hugging Face's `datasets`.

    `commit` is a commit, branch or tag of the dataset; None takes the newest. Without a network the tables that an
    earlier run left in the cache are used, and a `commit` must then be one of those, written in full.
    `mirror` is a folder that holds `<repo>/` as `hf download <repo> --repo-type dataset --local-dir` writes it (Parquet
    files and the README.md that says which are whose), whole or only one split; the network is then left alone.
    `cache_dir` is where the tables are kept; None leaves that to HF_DATASETS_CACHE and HF_HOME.

    Values are as the dataset stores them: a class label is its number and a null is an absent field.
    """

    commit: str | None = None
    mirror: str | None = None
    cache_dir: str | None = None
    name: ClassVar[str] = "hub"

    def rows(self, dataset: Dataset) -> Iterator[Row]:
        """Yield the split's rows, numbered from 0 as on the hub's own pages.

        The first use downloads the subset or converts the mirror's files, which takes about their size on disk again.
        Raises DataError where the dataset, subset or split does not exist, cannot be reached or cannot be read, and
        ConfigError without the `datasets` package.
        """
        with _quiet():
            if self.mirror is not None:
                table, finder = self._mirrored(dataset), partial(find_file, expanded(self.mirror) / dataset.repo)
                return _rows(table, dataset.repo, finder)
            commit, cached = self._pin(dataset)
            table = self._official(dataset, commit, cached)
        return _rows(table, dataset.repo, partial(fetch_file, dataset.repo, commit, self.cache_dir))

    def revision(self, dataset: Dataset) -> str:
        """Return the commit, or for a mirror `sha256:` and 12 hex digits over its files' names, sizes and contents.

        Raises what `rows` raises.
        """
        with _quiet():
            return _digest(*_mirror_files(self.mirror, dataset)) if self.mirror is not None else self._pin(dataset)[0]

    def _mirrored(self, dataset: Dataset) -> Any:
        import datasets

        folder, files = _mirror_files(self.mirror or "", dataset)
        # `datasets` knows a local file by path and time of change alone, so content becomes part of the cache's key.
        name = _digest(folder, files).replace(":", "-")
        shards = {dataset.split: [glob.escape(str(file)) for file in files]}
        with _sentences(str(folder), "download the files again"):
            builder = datasets.load_dataset_builder("parquet", name, data_files=shards, cache_dir=self.cache_dir)
            return _table(builder, dataset)

    def _official(self, dataset: Dataset, commit: str, cached: Path | None) -> Any:
        import datasets
        from datasets.packaged_modules.cache.cache import Cache

        repo, subset = dataset.repo, dataset.subset
        where = f"{repo} at commit {commit}"
        with _sentences(where, f"run again, or {_elsewhere(repo)}"):
            if cached is not None:
                name, version, _ = cached.parts[-3:]
                builder = Cache(self.cache_dir, repo.split("/")[-1], name, version, commit, repo_id=repo)
            else:
                subsets = datasets.get_dataset_config_names(repo, revision=commit)
                if subset is not None and subset not in subsets:
                    raise _unknown(repo, "subset", subset, subsets)
                builder = datasets.load_dataset_builder(repo, subset, revision=commit, cache_dir=self.cache_dir)
                if Path(builder.cache_dir).name != commit:
                    # Where the network fails half-way, `datasets` falls back on any commit that it has in the cache.
                    raise DataError(f"{where} was cut off by the network: run again, or set a new data.cache_dir")
            splits = builder.config.data_files or builder.info.splits or {}
            if dataset.split not in splits:
                raise _unknown(repo, "split", dataset.split, splits)
            return _table(builder, dataset)

    def _pin(self, dataset: Dataset) -> tuple[str, Path | None]:
        """Return the commit to read, and the folder of its tables where the cache has them."""
        import datasets
        from datasets.naming import camelcase_to_snakecase

        *owner, last = dataset.repo.split("/")
        root = Path(self.cache_dir or datasets.config.HF_DATASETS_CACHE).expanduser()
        # datasets' own layout: <owner>___<name>/<subset>/<version>/<commit>, complete once it has its description.
        found = (root / "___".join([*owner, camelcase_to_snakecase(last)])).glob("*/*/*/dataset_info.json")
        folders = [file.parent for file in sorted(found, key=lambda file: file.stat().st_mtime)]
        mine = [folder for folder in folders if folder.parts[-3] == (dataset.subset or "default")]
        commit = newest_commit(dataset.repo, self.commit)
        if commit is None and self.commit not in (None, "main"):
            mine = [folder for folder in mine if folder.name == self.commit]
        if commit is not None:
            return commit, next((folder for folder in mine if folder.name == commit), None)
        if mine:
            return mine[-1].name, mine[-1]
        there = ", ".join(f"{folder.parts[-3]} at {folder.name}" for folder in folders) or "none of it"
        wanted = " ".join(part for part in (dataset.repo, dataset.subset, self.commit and f"at {self.commit}") if part)
        raise DataError(
            f"the hub cannot be reached and the cache does not hold {wanted} (there: {there}): "
            f"run once with a network (and no HF_HUB_OFFLINE), or {_elsewhere(dataset.repo)}"
        )


def _table(builder: Any, dataset: Dataset) -> Any:
    builder.download_and_prepare()
    if not builder.info.splits[dataset.split].num_examples:
        raise DataError(f"split {dataset.split!r} of {dataset.repo} has no rows: choose another task.split")
    return builder.as_dataset(split=dataset.split)


@dataclass(frozen=True, eq=False)
class _Cell:
    """A picture's place in a table. Pickles as the table's path, so workers read the file themselves."""

    column: Any
    field: str
    index: int

    def read(self) -> bytes:
        return bytes(self.content()["bytes"])

    def content(self) -> dict[str, Any]:
        """Return `bytes`, the encoded file, and `path`, its name where it was packed; either may be None."""
        content: dict[str, Any] = self.column[self.index][self.field]
        return content


def _rows(table: Any, repo: str, finder: Callable[[object, Sequence[str], str], Path]) -> Iterator[Row]:
    import datasets

    kinds = dict(table.features)
    packed = [field for field, kind in kinds.items() if isinstance(kind, datasets.Image)]
    # Files that were not written by `datasets` lack its note that such a pair is a picture.
    pairs = [field for field, kind in kinds.items() if isinstance(kind, dict) and set(kind) == {"bytes", "path"}]
    pictures = packed + pairs
    columns = {field: table.select_columns([field]) for field in pictures}
    for field in packed:
        columns[field] = columns[field].cast_column(field, datasets.Image(decode=False))
    shown = {field: _present(columns[field].data.column(field)) for field in pictures}
    rest = table.remove_columns(pictures)
    for index in range(len(table)):
        cells = {field: _Cell(columns[field], field, index) for field in pictures if shown[field][index]}
        yield Row({**rest[index], **cells}, f"row {index} of {repo}", _open_cell, open_file=finder)


def _present(column: Any) -> list[bool]:
    """Return for each row whether it holds a picture, from the column's null bits alone."""
    import pyarrow.compute as pc

    parts = (pc.is_valid(pc.struct_field(column, part)) for part in ("bytes", "path"))
    present: list[bool] = pc.or_(*parts).to_pylist()
    return present


def _open_cell(value: object, where: str) -> Image:
    content = value.content() if isinstance(value, _Cell) else {}
    data = content.get("bytes")
    if not isinstance(value, _Cell) or data is None:
        raise DataError(f"{where} holds no picture's bytes: use a dataset that keeps its pictures inside its files")
    name = content["path"] or f"{value.field} of row {value.index}"
    return from_bytes(data, name, where, value.read)


def _mirror_files(mirror: str, dataset: Dataset) -> tuple[Path, list[Path]]:
    """Return the dataset's folder in the mirror and the split's Parquet files in it, in their order."""
    folder = expanded(mirror) / dataset.repo
    fetch = f"type 'hf download {dataset.repo} --repo-type dataset --local-dir {folder}'"
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: {fetch}, or set data.mirror to the folder above it")
    with _sentences(str(folder / "README.md"), fetch):
        splits = _declared(folder, dataset)
        if dataset.split not in splits:
            raise _unknown(str(folder), "split", dataset.split, splits)
        patterns = [str(pattern) for pattern in splits[dataset.split] if stays_inside(str(pattern))]
        found = [sorted(glob.glob(pattern, root_dir=folder, recursive=True)) for pattern in patterns]  # noqa: PTH207
    names = dict.fromkeys(name for names in found for name in names if name.endswith(".parquet"))
    if not names:
        raise DataError(f"{folder} has no Parquet file {' or '.join(map(str, splits[dataset.split]))}: {fetch}")
    return folder, [folder / name for name in names]


def _declared(folder: Path, dataset: Dataset) -> dict[str, list[str]]:
    """Return the patterns of the files of each split of the subset, as README.md or else the files' names have them."""
    from datasets.data_files import get_data_patterns, sanitize_patterns
    from huggingface_hub import metadata_load

    readme = folder / "README.md"
    declared = (metadata_load(readme) if readme.is_file() else None) or {}
    entries = declared.get("configs") or [{}]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("its configs should be a list of subsets")
    subsets = {str(entry.get("config_name", "default")): entry for entry in entries}
    chosen = next((name for name, entry in subsets.items() if entry.get("default")), "default")
    subset = dataset.subset or (chosen if len(subsets) > 1 else next(iter(subsets)))
    if subset not in subsets:
        raise _unknown(str(folder), "subset", subset, subsets)
    files = subsets[subset].get("data_files")
    patterns: dict[str, list[str]] = sanitize_patterns(files) if files else get_data_patterns(str(folder))
    return patterns


def _digest(folder: Path, files: list[Path]) -> str:
    lines = [f"{content_hash(file)} {file.stat().st_size} {file.relative_to(folder).as_posix()}\n" for file in files]
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()[:12]}"


def _unknown(where: str, kind: str, wanted: str, known: Iterable[str]) -> DataError:
    names = ", ".join(repr(str(name)) for name in known) or "none"
    return DataError(f"{where} has no {kind} {wanted!r}: set task.{kind} to one it has ({names})")


def _elsewhere(repo: str) -> str:
    fetch = f"hf download {repo} --repo-type dataset --local-dir DIR/{repo}"
    return f"type '{fetch}' where there is one and set data.mirror=DIR, or set data=local data.path=DIR"


@contextmanager
def _sentences(where: str, cure: str) -> Iterator[None]:
    """Turn what the libraries raise for a missing or broken dataset into a DataError of one sentence."""
    from datasets.exceptions import DatasetsError
    from pyarrow import ArrowException
    from yaml import YAMLError  # type: ignore[import-untyped]

    try:
        yield
    except (*network_errors(), DatasetsError, ArrowException, YAMLError) as error:
        # The cause says more where there is one: `datasets` itself reports only that generating the tables failed.
        reason = " ".join(str(error.__cause__ or error).split())
        raise DataError(f"{where} cannot be read ({reason[:300]}): {cure}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep `datasets`' progress bars and warnings for terminals. Raises ConfigError where they are not installed."""
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ConfigError(f"data=hub needs the package {error.name}: type pip install 'evalkit[hub]'") from error
    if sys.stderr.isatty():
        yield
        return
    bars, level = not datasets.are_progress_bars_disabled(), datasets.logging.get_verbosity()
    with warnings.catch_warnings(action="ignore"):
        try:
            datasets.disable_progress_bars()
            datasets.logging.set_verbosity_error()
            yield
        finally:
            datasets.logging.set_verbosity(level)
            if bars:
                datasets.enable_progress_bars()
