"""How versions are named and marked. Pure.

The versions of a container's objects are objects of a hidden container in a hidden account. Names of both hold a zero
byte, which no client can send. A version's name is the object's, a zero byte and its number counted down, so that
listings give an object's versions together and the newest first.

The object itself is then a *pointer*: no bytes, and notes that say which version is the current one. An object that is
no pointer was written while its container kept no versions; its version is called `null`.
"""

from __future__ import annotations

import re

from store.objects.model import Container

MODE = ".versions"
"""A container's note that it keeps versions (one of the four below), and an account's that it has such containers."""
ENABLED, SUSPENDED, STACK, HISTORY = "on", "off", "stack", "history"
ARCHIVED = frozenset({ENABLED, SUSPENDED})
"""Modes with a hidden container; the other two put versions where the client says."""

MARKER_TYPE = "application/x-deleted;swift_versions_deleted=1"
"""The type of a version that says the object was deleted."""

POINTER, POINTER_AT, POINTER_ETAG = ".version", ".version-at", ".version-etag"
"""Notes of a pointer: the current version, when it became so (as a number of the same kind), and its etag."""

NULL = "null"

_LAST = 10**15 - 1
_ID = re.compile(r"(\d{1,10})(?:\.(\d{1,9}))?(?:_[0-9a-f]{1,16})?")


def version_id(ticks: int) -> str:
    """A version's id: seconds since the epoch, in steps of 10 µs."""
    return f"{ticks // 100_000:010d}.{ticks % 100_000:05d}"


def ticks_of(stated: str) -> int | None:
    """The number behind an id, None where it is none."""
    found = _ID.fullmatch(stated)
    if found is None:
        return None
    return int(found[1]) * 100_000 + int((found[2] or "0")[:5].ljust(5, "0"))


def version_name(name: str, ticks: int) -> str:
    """The name of one version."""
    return f"{name}\0{_LAST - ticks:015d}"


def parse(stored: str) -> tuple[str, int]:
    """An object's name and the number of its version."""
    name, _, counted = stored.rpartition("\0")
    return name, _LAST - int(counted)


def before_versions(name: str) -> str:
    """A marker before all versions of an object."""
    return f"{name}\0"


def behind_versions(name: str) -> str:
    """A marker behind all versions of an object."""
    return f"{name}\0:"


NAME_OVERHEAD = len(version_name("", 0))


def hidden_account(account: str) -> str:
    """The account that holds the versions of another."""
    return f"{account}\0versions"


def hidden_container(container: Container) -> str:
    """The container that holds the versions of another; one made anew under the same name has none of the old ones."""
    return f"{container.name}\0{container.id.hex()}"


def archived_prefix(name: str) -> str:
    """What the names of an object's versions begin with in a container that the client chose."""
    return f"{len(name.encode()):03x}{name}/"
