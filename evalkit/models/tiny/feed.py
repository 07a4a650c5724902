"""Lessons as tensors: batches that are all of one size, drawn by worker processes while the model learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from random import Random
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import IterableDataset, get_worker_info

from evalkit.models.tiny import build
from evalkit.models.tiny.lessons import Lesson, basics, exams
from evalkit.models.tiny.trained import NEWLINE, Shape, Size, fitted, places
from evalkit.models.tiny.watch import Glyph, Watch
from evalkit.types import Task

IGNORED = -100
# What a token of the answer weighs beside one of the thought, which is many times as long.
FINAL = 5.0
# What a token that is no patch stands for, among the places of `trained.places`.
TEXT = -2
CODES = {token: index for index, token in enumerate(build.VOCABULARY)}


def tiled(picture: Image.Image, shape: Shape) -> NDArray[np.uint8]:
    """Return thumbnail and tiles, (k, tile, tile, 3), as the checkpoint's processor cuts them."""
    whole, inner, (top, left) = fitted((picture.height, picture.width), shape)
    thumbnail = picture.resize((shape.tile, shape.tile), Image.Resampling.BICUBIC)
    sheet = Image.new("RGB", (whole[1], whole[0]))
    sheet.paste(picture.resize((inner[1], inner[0]), Image.Resampling.BICUBIC), (left, top))
    rows, columns, side = whole[0] // shape.tile, whole[1] // shape.tile, shape.tile
    cut = np.asarray(sheet).reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    return np.concatenate([np.asarray(thumbnail)[None], cut])


def labelled(glyphs: Sequence[Glyph] | None, size: Size, shape: Shape) -> NDArray[np.int16]:
    """Return two characters a patch, (k, patches, 2): 0 for none, IGNORED where there are more or none is known."""
    whole, inner, (top, left) = fitted(size, shape)
    side, tiles = shape.side, (whole[0] // shape.tile, whole[1] // shape.tile)
    shown = np.zeros((1 + tiles[0] * tiles[1], side * side, 2), np.int16)
    if glyphs is None:
        shown[:] = IGNORED
        return shown
    if not glyphs:
        return shown
    # From left to right, as they are read.
    ordered = sorted(glyphs)
    codes = np.array([CODES.get(letter, 0) for _, _, letter in ordered])
    across, down = (np.array([glyph[axis] for glyph in ordered]) / size[1 - axis] for axis in (0, 1))
    column, row = np.floor(across * side).astype(int), np.floor(down * side).astype(int)
    inside = (column >= 0) & (column < side) & (row >= 0) & (row < side)
    small = np.where(inside, row * side + column, -1)
    column = np.floor((left + across * inner[1]) / shape.patch).astype(int)
    row = np.floor((top + down * inner[0]) / shape.patch).astype(int)
    inside = (column >= 0) & (column < tiles[1] * side) & (row >= 0) & (row < tiles[0] * side)
    tile = 1 + row // side * tiles[1] + column // side
    large = np.where(inside, tile * side**2 + row % side * side + column % side, -1)
    for spots in (small, large):
        order = np.argsort(spots, kind="stable")
        found, first = np.unique(spots[order], return_index=True)
        rank = np.arange(len(order)) - first[np.searchsorted(found, spots[order])]
        seen = spots[order] >= 0
        kept = seen & (rank < 2)
        flat = shown.reshape(-1, 2)
        flat[spots[order][kept], rank[kept]] = codes[order][kept]
        flat[spots[order][seen & (rank >= 2)]] = IGNORED
    return shown


@dataclass(frozen=True, slots=True)
class Prepared:
    """One lesson as arrays; `ids` has the prompt, then a thought from place `start` on and the answer from `final` on.

    A patch in `places` is counted from the lesson's first thumbnail on.
    """

    kind: str
    ids: NDArray[np.int64]
    places: NDArray[np.int64]
    start: int
    final: int
    crops: NDArray[np.uint8]
    labels: NDArray[np.int16]


def prepared(lesson: Lesson, shape: Shape) -> Prepared:
    """Cut pictures, and write each `<image>` as many times as the picture has tokens."""
    first, *rest = lesson.prompt.removeprefix("<s>").split("<image>")
    texts = [[build.BEGIN, *map(_code, first)], *(list(map(_code, text)) for text in rest)]
    ids, spots = [np.array(texts[0], np.int64)], [np.full(len(texts[0]), TEXT)]
    crops, labels = [np.zeros((0, shape.tile, shape.tile, 3), np.uint8)], [np.zeros((0, shape.side**2, 2), np.int16)]
    patches = 0
    for picture, glyphs, text in zip(lesson.pictures, lesson.glyphs, texts[1:], strict=True):
        size = picture.height, picture.width
        where = places(size, shape)
        spots += [np.where(where == NEWLINE, NEWLINE, where + patches), np.full(len(text), TEXT)]
        ids += [np.full(len(where), build.PICTURE), np.array(text, np.int64)]
        crops.append(tiled(picture, shape))
        labels.append(labelled(glyphs, size, shape))
        patches += len(crops[-1]) * shape.side**2
    answer = [*map(_code, lesson.thought + lesson.answer), build.END]
    start = sum(map(len, ids))
    return Prepared(
        lesson.kind,
        np.concatenate([*ids, np.array(answer, np.int64)]),
        np.concatenate([*spots, np.full(len(answer), TEXT)]),
        start,
        start + len(lesson.thought),
        np.concatenate(crops),
        np.concatenate(labels),
    )


def _code(letter: str) -> int:
    return CODES.get(letter, build.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Room:
    """What a batch holds at most: tokens, tiles, lessons, and tokens of one lesson."""

    tokens: int
    tiles: int
    lessons: int
    longest: int

    def takes(self, lessons: Sequence[Prepared]) -> bool:
        """Return whether all of these find room."""
        return (
            sum(len(one.ids) for one in lessons) <= self.tokens
            and sum(len(one.crops) for one in lessons) <= self.tiles
            # What is left over at the end is cut into some more.
            and len(lessons) <= self.lessons - 1 - self.tokens // self.longest
            and all(len(one.ids) <= self.longest for one in lessons)
        )


def collated(lessons: Sequence[Prepared], shape: Shape, room: Room) -> dict[str, Any]:
    """Return a batch of lessons one after another, always of the same size, so that its steps are compiled once.

    ids, targets (the next token where it belongs to an answer, else IGNORED), their weights, places (into the batch's
    patches, then NEWLINE or TEXT) and positions (in the lesson) are (tokens,), bounds (lessons + 1,) where each lesson
    begins and ends, pixels (tiles, tile, tile, 3), labels (tiles, patches, 2).
    """
    ids = np.full(room.tokens, build.PAD, np.int64)
    targets = np.full(room.tokens, IGNORED, np.int64)
    weights = np.zeros(room.tokens, np.float32)
    spots = np.full(room.tokens, TEXT, np.int64)
    positions = np.zeros(room.tokens, np.int64)
    bounds = np.full(room.lessons + 1, room.tokens, np.int32)
    pixels = np.zeros((room.tiles, shape.tile, shape.tile, 3), np.uint8)
    labels = np.full((room.tiles, shape.side**2, 2), IGNORED, np.int16)
    at = tile = 0
    for number, one in enumerate(lessons):
        end, last = at + len(one.ids), tile + len(one.crops)
        bounds[number] = at
        ids[at:end], positions[at:end] = one.ids, np.arange(len(one.ids))
        targets[at + one.start - 1 : end - 1] = one.ids[one.start :]
        weights[at + one.start - 1 : end - 1] = 1.0
        if one.final > one.start:
            weights[at + one.final - 1 : end - 1] = FINAL
        spots[at:end] = np.where(one.places >= 0, one.places + tile * shape.side**2, one.places)
        pixels[tile:last], labels[tile:last] = one.crops, one.labels
        at, tile = end, last
    # The rest is cut as well, since none may be longer than `longest`.
    rest = range(at, room.tokens, room.longest)
    bounds[len(lessons) : len(lessons) + len(rest)] = rest
    arrays = {"ids": ids, "targets": targets, "weights": weights, "places": spots, "positions": positions,
              "bounds": bounds, "pixels": pixels, "labels": labels}  # fmt: skip
    made = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return {"kinds": [one.kind for one in lessons], "longest": room.longest, **made}


class Feed(IterableDataset[dict[str, Any]]):
    """Endless batches; `progress`, in [0, 1], is how far the training has come.

    The share of exams grows from none at 0.1 to `exam_share` at 0.4. All of it follows from `seed`.
    """

    def __init__(
        self, tasks: Sequence[Task], faces: Sequence[str], shape: Shape, room: Room, seed: int,
        progress: Synchronized[float], exam_share: float = 0.85,
    ) -> None:  # fmt: skip
        super().__init__()
        self._tasks, self._faces, self._shape, self._room = tasks, faces, shape, room
        self._seed, self._progress, self._exam_share = seed, progress, exam_share

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        rng = Random(f"training/{self._seed}/{worker.id if worker else 0}")
        watch = Watch(rng, self._faces)
        with watch.watching():
            papers = exams(self._tasks, rng, watch)
            batch: list[Prepared] = []
            while True:
                one = prepared(self._next(rng, watch, papers), self._shape)
                if self._room.takes([*batch, one]):
                    batch.append(one)
                elif batch:
                    yield collated(batch, self._shape, self._room)
                    batch = [one] if self._room.takes([one]) else []

    def _next(self, rng: Random, watch: Watch, papers: Iterator[Lesson]) -> Lesson:
        progress = self._progress.value
        if rng.random() < self._exam_share * min(1.0, max(0.0, (progress - 0.1) / 0.3)):
            return next(papers)
        return next(basics(rng, watch, progress))
