"""The notes by which a manifest owns its segments. Pure.

A manifest that owns has a *token*, its own and never given out twice. Each of its segments lists the tokens of all who
own it. Whatever is written over a segment has no such list, so a list is found on the very object that was marked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from store.objects.model import ObjectHead, ObjectInfo

OWNS = ".owns"
"""A manifest's token."""

LISTED_OWNS = "owns"
"""Key of `ObjectHead.listing`: the same, so that it is found among many versions."""

OWNERS = ".owners"
"""A segment's list: tokens, and `_BEREFT` where one who owned it is gone."""

OWNING = ".owning"
"""A container's note that manifests in it own, or owned, segments."""

OWNERS_MAX = 50
"""Manifests that own one segment at a time; the list is part of its row."""

_BEREFT = "-"


def owners(info: ObjectInfo) -> set[str]:
    """The tokens of those who own a segment."""
    return _words(info.head) - {_BEREFT}


def owned(head: ObjectHead, token: str) -> ObjectHead:
    """A segment's head with one more owner."""
    return _with_words(head, _words(head) | {token})


def released(head: ObjectHead, token: str, *, unmade: bool) -> ObjectHead | None:
    """A segment's head without one of its owners; None where it goes with that one.

    It goes with the last of its owners. One that never came to be (`unmade`) takes nothing along, unless another did
    go while it was being made.
    """
    words = _words(head) - {token}
    if not unmade:
        words.add(_BEREFT)
    return None if words == {_BEREFT} else _with_words(head, words)


def is_owned_by(token: str) -> Callable[[ObjectInfo], bool]:
    """Tells a manifest by its token."""
    return lambda info: info.head.headers.get(OWNS) == token


def _words(head: ObjectHead) -> set[str]:
    return set(head.headers.get(OWNERS, "").split())


def _with_words(head: ObjectHead, words: set[str]) -> ObjectHead:
    headers = {name: value for name, value in head.headers.items() if name != OWNERS}
    if words:
        headers[OWNERS] = " ".join(sorted(words))
    return replace(head, headers=headers)
