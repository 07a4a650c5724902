"""Pictures: naming them by content, and decoding them when a model needs the pixels."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

from evalkit.errors import DataError, ImageError
from evalkit.types import Image

if TYPE_CHECKING:
    import PIL.Image


def from_bytes(data: bytes, name: str, where: str, read: Callable[[], bytes] | None = None) -> Image:
    """Name an encoded picture by its content, reading its header alone.

    `read` fetches the same bytes again; without it they are kept in memory. `where` names the row in messages.
    Raises DataError where the header is no picture's, or promises more pixels than Pillow takes for safe (179 million;
    the largest public benchmark page has 39).
    """
    import PIL.Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(data)) as picture:
                width, height = picture.size
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        reason = "is empty" if not data else f"is not a picture that Pillow can open ({type(error).__name__})"
        raise DataError(f"{where}: {name} {reason}: replace the file, or remove the row") from error
    return Image(hashlib.sha256(data).hexdigest(), width, height, name, read or (lambda: data))


def encoded(image: Image) -> bytes:
    """Return the bytes of the picture's file. Raises ImageError where they cannot be read any more."""
    if image.read is None:
        raise ImageError(f"{image.name} was not loaded with this run: load the samples again")
    try:
        return image.read()
    except OSError as error:
        raise ImageError(f"{image.name} cannot be read any more: {error.strerror or error}") from error


def decode(image: Image) -> PIL.Image.Image:
    """Return the pixels as RGB. Raises ImageError, naming the file, where they are truncated or too many."""
    import PIL.Image

    try:
        with PIL.Image.open(io.BytesIO(encoded(image))) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise ImageError(f"{image.name} is truncated or damaged: {error}") from error
