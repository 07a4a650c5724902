"""Putting options and pictures into a prompt. Knows no benchmark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from evalkit.types import Image, Message, Request

IMAGE_TOKEN = re.compile(r"<image (\d+)>")


def ask(parts: Sequence[str | Image], max_tokens: int) -> Request:
    """Make a request of one user turn, answered greedily in at most `max_tokens` tokens."""
    return Request((Message("user", tuple(parts)),), max_tokens)


def lettered(choices: Sequence[str]) -> str:
    """Return the options one a line, as `A. first`."""
    return "\n".join(f"{chr(ord('A') + index)}. {choice}" for index, choice in enumerate(choices))


def interleave(text: str, pictures: Mapping[int, Image]) -> tuple[str | Image, ...]:
    """Split a text at its `<image k>` tokens and put picture k in each one's place.

    The number decides, not the order: `<image 2>` before `<image 1>` shows picture 2 first, and a token that is
    repeated shows its picture again. Pictures that no token names come first; tokens without a picture stay as text.
    """
    named = {int(number) for number in IMAGE_TOKEN.findall(text)}
    parts: list[str | Image] = [picture for number, picture in sorted(pictures.items()) if number not in named]
    start = 0
    for token in IMAGE_TOKEN.finditer(text):
        picture = pictures.get(int(token[1]))
        if picture is None:
            continue
        if token.start() > start:
            parts.append(text[start : token.start()])
        parts.append(picture)
        start = token.end()
    if start < len(text):
        parts.append(text[start:])
    return tuple(parts)
