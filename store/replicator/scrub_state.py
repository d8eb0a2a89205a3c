"""How far scrubbing has come: kept in the registry, so that a period is a period however often the program starts.

Key `scrub`; in a cluster `scrub/<node>` for each node, which goes over its own devices. A pass goes from device to
device and from row to row; where it is, is noted now and then, and the next process goes on from there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from store.core.codec import Codec
from store.registry import Registry
from store.registry.single_key import put

KEY: Final = b"scrub"
IDLE: Final = -1


class ScrubState(NamedTuple):
    """`finished` is when the last pass ended, in seconds of wall time (of a new store: when that was made). A pass
    under way has come to the row key `after` on `device`; IDLE: there is none."""

    finished: float
    device: int = IDLE
    after: bytes = b""


CODEC: Final = Codec[ScrubState](
    "scrub",
    2,
    tuple,
    {
        1: lambda fields: ScrubState(fields[0], fields[2], fields[3]),  # with whether a pass was pending
        2: lambda fields: ScrubState(*fields),
    },
)


async def load(registry: Registry, node: str = "") -> ScrubState | None:
    """What was saved last; None where nothing was. Raises DamageError."""
    item = await registry.get(_key(node))
    return None if item is None else CODEC.decode(item.value)


async def save(registry: Registry, state: ScrubState, node: str = "") -> None:
    """Raises what the registry does: FullError, for one."""
    await put(registry, _key(node), CODEC.encode(state))


def _key(node: str) -> bytes:
    return KEY + b"/" + node.encode() if node else KEY
