"""Transfers as the registry keeps them: a volume that is offered to whoever has the key."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.volumes.table import Table
from store.core.codec import Codec
from store.registry import Registry


@dataclass(frozen=True, slots=True)
class Transfer:
    """Of a volume of a project; it goes when it is accepted. Of the key, which has 64 bits of chance, only a hash is
    kept."""

    id: str
    project_id: str
    volume_id: str
    name: str | None
    salt: bytes
    key_hash: bytes
    no_snapshots: bool
    created_us: int

    def opens(self, key: str) -> bool:
        return hmac.compare_digest(self.key_hash, hash_of(self.salt, key))


def hash_of(salt: bytes, key: str) -> bytes:
    return hmac.new(salt, key.encode("utf-8", "replace"), sha256).digest()


TRANSFER_CODEC: Final = Codec(
    "volume transfer",
    1,
    lambda one: [
        one.id, one.project_id, one.volume_id, one.name, one.salt, one.key_hash, one.no_snapshots, one.created_us,
    ],
    {1: lambda f: Transfer(*f)},
)  # fmt: skip


class TransferTable(Table[Transfer]):
    """All of them."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, "transfer", TRANSFER_CODEC)
