"""Pictures as endpoints take them: formats that all of them read, and within the limits of each."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalkit.images import decode, encoded
from evalkit.types import Image, Request

if TYPE_CHECKING:
    import PIL.Image

# What every endpoint with vision takes; other formats are sent as PNG.
_MIMES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}
_QUALITY = 95


@dataclass(frozen=True, slots=True)
class Limits:
    """What an endpoint takes: `count` pictures a request, `side` pixels on the long side, `bytes` a file; None: any.

    A picture above `side` is made smaller (Lanczos), one above `bytes` becomes a JPEG, and smaller yet until it fits.
    """

    count: int | None = None
    side: int | None = None
    bytes: int | None = None

    def objection(self, request: Request) -> str | None:
        """Say that a request has more pictures than the endpoint takes; None where it has not."""
        if self.count is None or len(request.images) <= self.count:
            return None
        return (
            f"{len(request.images)} pictures are more than the {self.count} that the endpoint takes in a request: "
            "lower the task's number of pictures, or set model.pictures.count if yours takes more"
        )

    def identity(self) -> Mapping[str, str]:
        """Return the limits that can change what a model sees."""
        return {
            name: str(value)
            for name, value in (("picture_side", self.side), ("picture_bytes", self.bytes))
            if value is not None
        }


def prepared(image: Image, limits: Limits) -> tuple[bytes, str]:
    """Return a picture's file and its MIME type, as it is where the limits allow. Raises ImageError."""
    data = encoded(image)
    mime = _mime(data)
    large = limits.side is not None and max(image.width, image.height) > limits.side
    if mime is not None and not large and (limits.bytes is None or len(data) <= limits.bytes):
        return data, mime
    return _rewritten(replace(image, read=lambda: data), limits, mime)


def _rewritten(image: Image, limits: Limits, mime: str | None) -> tuple[bytes, str]:
    import PIL.Image

    picture = decode(image)
    if limits.side is not None:
        picture.thumbnail((limits.side, limits.side), PIL.Image.Resampling.LANCZOS)
    if mime != "image/jpeg":
        data = _saved(picture, "PNG")
        if limits.bytes is None or len(data) <= limits.bytes:
            return data, "image/png"
    picture = picture.convert("RGB")
    data = _saved(picture, "JPEG")
    while limits.bytes is not None and len(data) > limits.bytes and max(picture.size) > 1:
        picture.thumbnail((max(1, picture.width * 3 // 4), max(1, picture.height * 3 // 4)))
        data = _saved(picture, "JPEG")
    return data, "image/jpeg"


def _saved(picture: PIL.Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **({"quality": _QUALITY} if form == "JPEG" else {}))
    return stream.getvalue()


def _mime(data: bytes) -> str | None:
    """Return the MIME type that a picture's header tells, or None for a picture that cannot be sent as it is."""
    import PIL.Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(io.BytesIO(data)) as picture:
                return _MIMES.get(picture.format or "")
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):
        return None
