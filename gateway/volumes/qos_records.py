"""QoS specs as the registry keeps them. They are kept for clients, and bound nothing here."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from gateway.volumes.table import Table
from gateway.volumes.type_records import SHARED
from store.core.codec import Codec
from store.registry import Delete, Put, Registry


@dataclass(frozen=True, slots=True)
class QosSpecs:
    """A name, who heeds them, and what they say."""

    id: str
    name: str
    consumer: str
    created_us: int
    specs: dict[str, str] = field(default_factory=dict)

    @property
    def project_id(self) -> str:
        return SHARED


QOS_CODEC: Final = Codec(
    "volume QoS specs",
    1,
    lambda one: [one.id, one.name, one.consumer, one.created_us, json.dumps(one.specs)],
    {1: lambda f: QosSpecs(f[0], f[1], f[2], f[3], json.loads(f[4]))},
)


class QosTable(Table[QosSpecs]):
    """All of them, and which names are taken."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry, "qos", QOS_CODEC)

    def puts(self, record: QosSpecs) -> list[Put]:
        return [*super().puts(record), Put(qos_name_key(record.name), record.id.encode())]

    def deletes(self, record: QosSpecs) -> list[Delete]:
        return [*super().deletes(record), Delete(qos_name_key(record.name))]


def qos_name_key(name: str) -> bytes:
    return b"volumes/qos-name/" + sha256(name.encode()).hexdigest().encode()
