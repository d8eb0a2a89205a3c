"""The names of the methods of a registry, and what their arguments are: `service` answers what `client` asks."""

from __future__ import annotations

from typing import Any, Final

REVISION: Final = "registry.revision"
GET: Final = "registry.get"
"""-> the item, or nothing."""
RANGE: Final = "registry.range"
"""[start, end, limit, reverse] -> a stream: lists of items."""
TRANSACT: Final = "registry.transact"
"""[compares, operations, operations] -> a stream: [succeeded, revision], then lists of answers."""
LEASE: Final = "registry.lease"
"""[ttl in seconds] -> [id, ttl in seconds]"""
KEEP_ALIVE: Final = "registry.keep-alive"
REVOKE: Final = "registry.revoke"
WATCH: Final = "registry.watch"
"""[start, end, revision, passed, history] -> a stream: [revision, passed, history], then [revision, passed, event or
nothing]. An item says where the watch is after it: at which revision, behind how many of its events. `history` names
what these count in; empty to begin with. Who goes on in another history than this is refused (ConflictError)."""

TYPES: Final[dict[str, tuple[Any, ...]]] = {
    REVISION: (),
    GET: (bytes,),
    RANGE: (bytes, bytes | None, int | None, bool),
    TRANSACT: (list, list, list),
    LEASE: (int,),
    KEEP_ALIVE: (int,),
    REVOKE: (int,),
    WATCH: (bytes, bytes | None, int, int, bytes),
}

UNDER_WAY_MAX: Final = 64
"""Transactions and ranges of one link: what they bring and what they get may be large. A client asks for no more."""
