"""`Places`: what administrators know as services and hosts. Each storage policy is a back end of its own; one that was
disabled takes no new volumes.

    volumes/disabled/<SHA-256 of binary and host>      why, as an administrator said
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from store.core.codec import Codec
from store.registry import Delete, Put, Registry

VOLUME: Final = "cinder-volume"
SCHEDULER: Final = "cinder-scheduler"
BACKUP: Final = "cinder-backup"
VENDOR: Final = "Drystone"
PROTOCOL: Final = "nbd"
_CODEC: Final[Codec[str]] = Codec("disabled volume service", 1, lambda why: [why], {1: lambda f: str(f[0])})


class Place(NamedTuple):
    """A service on a host. `disabled` is None where it is enabled, else why it is not."""

    binary: str
    host: str
    disabled: str | None


class Places:
    """All of them."""

    def __init__(self, registry: Registry, host: str, policies: Sequence[str]) -> None:
        self._registry = registry
        self.host = host
        self.policies = policies

    def back_end(self, policy: str) -> str:
        """The host of the volumes under a policy."""
        return f"{self.host}@{policy}"

    def pool(self, policy: str) -> str:
        """And its pool."""
        return f"{self.back_end(policy)}#{policy}"

    async def every(self) -> list[Place]:
        pairs = [(SCHEDULER, self.host), (BACKUP, self.host)]
        pairs += [(VOLUME, self.back_end(policy)) for policy in self.policies]
        return [Place(binary, host, await self._disabled(binary, host)) for binary, host in pairs]

    async def takes_volumes(self, policy: str) -> bool:
        """Whether there may be new volumes under a policy."""
        return await self._disabled(VOLUME, self.back_end(policy)) is None

    async def disable(self, place: Place, why: str) -> None:
        await self._registry.transact((), [Put(_key(place.binary, place.host), _CODEC.encode(why))])

    async def enable(self, place: Place) -> None:
        await self._registry.transact((), [Delete(_key(place.binary, place.host))])

    async def _disabled(self, binary: str, host: str) -> str | None:
        item = await self._registry.get(_key(binary, host))
        return None if item is None else _CODEC.decode(item.value)


def _key(binary: str, host: str) -> bytes:
    return b"volumes/disabled/" + sha256(f"{binary}\0{host}".encode()).hexdigest().encode()
