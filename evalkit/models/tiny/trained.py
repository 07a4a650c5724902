"""The shape of the tiny model that is worth training, and its files on disk."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.models.tiny import build

Size = tuple[int, int]

# What ends a line of patches.
NEWLINE = -1


@dataclass(frozen=True, slots=True)
class Shape:
    """Widths and depths of tower and language model; a picture is cut into tiles of `tile` pixels (height, width)."""

    tile: int = 168
    patch: int = 14
    width: int = 256
    hidden: int = 1024
    text_hidden: int = 704
    layers: int = 6
    text_layers: int = 5
    heads: int = 4

    @property
    def grid(self) -> list[list[int]]:
        """The sizes (height, width) that a picture may be scaled to: up to nine tiles, four along an edge."""
        edges = [self.tile * count for count in (1, 2, 3, 4)]
        return [[height, width] for height in edges for width in edges if height * width <= 9 * self.tile**2]

    @property
    def side(self) -> int:
        """Patches along a tile's edge."""
        return self.tile // self.patch


# For a look at whether training runs, not for reading.
SMALL = Shape(tile=56, width=64, hidden=128, text_hidden=128, layers=2, text_layers=2, heads=2)


def files(shape: Shape) -> dict[str, Any]:
    """Return the checkpoint's configuration files, as `build.FILES` has the untrained model's."""
    made: dict[str, Any] = copy.deepcopy(build.FILES)
    config = made["config.json"]
    config |= {"dtype": "bfloat16", "image_grid_pinpoints": shape.grid, "image_seq_length": shape.side**2}
    # The last layer, since there are few.
    config["vision_feature_layer"] = -1
    config["text_config"] |= {
        "hidden_size": shape.width,
        "intermediate_size": shape.text_hidden,
        "num_hidden_layers": shape.text_layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads,
        "head_dim": shape.width // shape.heads,
    }
    config["vision_config"] |= {
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "image_size": shape.tile,
        "patch_size": shape.patch,
        "projection_dim": shape.width,
    }
    made["processor_config.json"]["patch_size"] = shape.patch
    made["preprocessor_config.json"] |= {
        "image_grid_pinpoints": shape.grid,
        "size": {"shortest_edge": shape.tile},
        "crop_size": {"height": shape.tile, "width": shape.tile},
    }
    return made


def fitted(size: Size, shape: Shape) -> tuple[Size, Size, tuple[int, int]]:
    """Return how a picture of `size` (height, width) is tiled: the whole, the picture in it, and its offset (y, x)."""
    height, width = size

    def use(whole: list[int]) -> tuple[int, int]:
        scale = min(whole[1] / width, whole[0] / height)
        seen = min(int(width * scale) * int(height * scale), width * height)
        return seen, seen - whole[0] * whole[1]

    best = max(shape.grid, key=use)
    scale_x, scale_y = best[1] / width, best[0] / height
    if scale_x < scale_y:
        inner = min(math.ceil(height * scale_x), best[0]), best[1]
    else:
        inner = best[0], min(math.ceil(width * scale_y), best[1])
    return (best[0], best[1]), inner, ((best[0] - inner[0]) // 2, (best[1] - inner[1]) // 2)


def places(size: Size, shape: Shape) -> NDArray[np.int64]:
    """Return, for each token of a picture of `size` (height, width), the patch it stands for, or NEWLINE.

    Patches count on from the thumbnail's, then tile by tile; the model reads a thumbnail and then, line by line over
    all tiles, what is not padding.
    """
    (whole_height, whole_width), _, _ = fitted(size, shape)
    side = shape.side
    rows, columns = whole_height // shape.patch, whole_width // shape.patch
    tiles = np.arange(rows * columns).reshape(rows // side, columns // side, side, side)
    sheet = side**2 + tiles.swapaxes(1, 2).reshape(rows, columns)
    if size[1] / size[0] > columns / rows:
        cut = (rows - int(round(size[0] * (columns / size[1]), 7))) // 2
        sheet = sheet[cut : rows - cut]
    else:
        cut = (columns - int(round(size[1] * (rows / size[0]), 7))) // 2
        sheet = sheet[:, cut : columns - cut]
    lines = np.concatenate([sheet, np.full((len(sheet), 1), NEWLINE)], axis=1)
    return np.concatenate([np.arange(side**2), lines.ravel()])


def write_parts(folder: Path, shape: Shape) -> None:
    """Write all of a checkpoint but its weights."""
    build.write_parts(folder, files(shape))
