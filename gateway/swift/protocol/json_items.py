"""The items of a JSON list, one by one: whoever sends millions of them, or one of millions of parts, is refused before
all that is made, which would hold everybody up. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

WINDOW: Final = 16 * 1024
"""Characters of an item that are looked at first; nearly all items are shorter."""
MARKS_MAX: Final = 256
"""Commas, quotes and brackets in an item that is longer: what is long is one string, not many parts."""

_SPACE = re.compile(r"[ \t\n\r]*")
_MARKS = ",", '"', "[", "{"
_DECODER = json.JSONDecoder()


class NoListError(ValueError):
    """It is something else than a list."""


class TooComplicatedError(ValueError):
    """An item that is long and has many parts."""


def items(body: bytes) -> Iterator[Any]:
    """The items in their order. Raises ValueError where it comes to what is no JSON, and its subclasses above."""
    text = body.decode(json.detect_encoding(body), "surrogatepass").removeprefix("\ufeff")
    at = _behind_space(text, 0)
    if text[at : at + 1] != "[":
        if len(text) <= WINDOW:
            json.loads(text)
        raise NoListError
    at = _behind_space(text, at + 1)
    if text[at : at + 1] != "]":
        while True:
            item, at = _item(text, at)
            yield item
            at = _behind_space(text, at)
            if text[at : at + 1] != ",":
                break
            at = _behind_space(text, at + 1)
    if text[at : at + 1] != "]" or _behind_space(text, at + 1) != len(text):
        raise ValueError("no JSON")


def _item(text: str, at: int) -> tuple[Any, int]:
    """The item at a place, and the place behind it."""
    width = WINDOW
    while True:
        piece = text[at : at + width]
        whole = at + width >= len(text)
        try:
            item, length = _DECODER.raw_decode(piece)
            if whole or length < len(piece):  # or a number may go on behind the piece
                return item, at + length
        except (ValueError, RecursionError) as error:
            if whole:
                raise ValueError("no JSON") from error
        if sum(map(piece.count, _MARKS)) > MARKS_MAX:
            raise TooComplicatedError
        width *= 4


def _behind_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
