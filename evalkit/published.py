"""A table that somebody published, for measured numbers to stand beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evalkit.types import Style


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One benchmark of a published table: `values` by column on the scale whose best is `scale`.

    `style` is how it was asked, `starred` whether the table says so, `public` whether others can run it.
    """

    task: str
    label: str
    group: str
    metric: str
    scale: float
    style: Style
    starred: bool
    public: bool
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Published:
    """A published table: `title` and `url` say whose, `rows` are in its order, `columns` are its models."""

    title: str
    url: str
    columns: tuple[str, ...]
    rows: tuple[PublishedRow, ...]
