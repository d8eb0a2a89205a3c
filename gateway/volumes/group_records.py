"""Group types, groups of volumes and snapshots of groups as the registry keeps them.

volumes/group_type/-/<id>                   a group type
volumes/group-type-name/<SHA-256 of name>   the id of a group type
volumes/group/<project>/<id>                a group; a volume says which it is in
volumes/group_snapshot/<project>/<id>       a snapshot of a group; a snapshot says which it is of
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from gateway.volumes.records import Doing, pack_doing, read_doing
from gateway.volumes.table import Found, Table
from gateway.volumes.type_records import SHARED
from store.core.clock import Clock
from store.core.codec import Codec
from store.core.errors import ConflictError
from store.registry import Compare, Delete, Put, Registry

CONSISTENT: Final = "consistent_group_snapshot_enabled"
"""The spec of group types whose groups' snapshots are of one moment."""
RESERVED: Final = "default_cgsnapshot_type"
"""The group type that is there from the beginning: stock cinder's, for what were consistency groups. Nothing is made of
it here."""
_RESERVED_ID: Final = str(uuid5(NAMESPACE_URL, "drystone/group-type/consistent"))


@dataclass(frozen=True, slots=True)
class GroupType:
    """What a group can be of."""

    id: str
    name: str
    description: str | None
    is_public: bool
    created_us: int
    updated_us: int
    specs: dict[str, str] = field(default_factory=dict)

    @property
    def project_id(self) -> str:
        return SHARED

    @property
    def consistent(self) -> bool:
        return self.specs.get(CONSISTENT, "").replace(" ", "").lower() == "<is>true"


@dataclass(frozen=True, slots=True)
class Group:
    """Volumes of a project that have snapshots made of them together."""

    id: str
    project_id: str
    user_id: str
    name: str | None
    description: str | None
    type_id: str
    volume_types: tuple[str, ...]
    """The ids of those that its volumes may be of."""
    zone: str
    created_us: int
    updated_us: int
    group_snapshot_id: str | None = None
    source_group_id: str | None = None
    doing: Doing | None = None
    error: str = ""
    declared: str = ""


@dataclass(frozen=True, slots=True)
class GroupSnapshot:
    """A snapshot of each volume that was in a group."""

    id: str
    project_id: str
    user_id: str
    group_id: str
    type_id: str
    """Of the group."""
    name: str | None
    description: str | None
    created_us: int
    updated_us: int
    doing: Doing | None = None
    error: str = ""
    declared: str = ""


class GroupTypes:
    """Group types by id and by name."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self.table: Table[GroupType] = Table(registry, "group_type", GROUP_TYPE_CODEC)
        self._registry = registry
        self._clock = clock

    async def seed(self) -> None:
        """Have the one that is there from the beginning."""
        now = self._clock.wall_us()
        made = GroupType(
            _RESERVED_ID, RESERVED, "Reserved for groups that were consistency groups", True, now, now,
            {CONSISTENT: "<is> True"},
        )  # fmt: skip
        await self._registry.transact([Compare.absent(_name_key(RESERVED))], self._puts(made))

    async def find(self, id_: str) -> Found[GroupType]:
        """Raises NotFoundError."""
        return await self.table.find(id_, SHARED)

    async def named(self, said: str) -> GroupType:
        """By id or by name. Raises NotFoundError."""
        item = await self._registry.get(_name_key(said))
        return (await self.find(item.value.decode() if item is not None else said)).record

    async def create(self, made: GroupType) -> None:
        """Raises ConflictError where there is one of this name."""
        if not (await self._registry.transact([Compare.absent(_name_key(made.name))], self._puts(made))).succeeded:
            raise ConflictError(f"Group Type {made.name} already exists.")

    async def change(self, before: Found[GroupType], after: GroupType) -> None:
        """Raises ConflictError where there is another of this name, or it has changed."""
        after = replace(after, updated_us=self._clock.wall_us())
        compares, operations = [before.same], list[Put | Delete]([self.table.put(after)])
        if after.name != before.record.name:
            compares.append(Compare.absent(_name_key(after.name)))
            operations += [Delete(_name_key(before.record.name)), Put(_name_key(after.name), after.id.encode())]
        if not (await self._registry.transact(compares, operations)).succeeded:
            raise ConflictError(f"Group Type {after.name} already exists.")

    async def delete(self, found: Found[GroupType]) -> None:
        """Raises ConflictError where it has changed, as by a group that came to be of it."""
        operations = [*self.table.deletes(found.record), Delete(_name_key(found.record.name))]
        if not (await self._registry.transact([found.same], operations)).succeeded:
            raise ConflictError("The group type has changed meanwhile.")

    def _puts(self, made: GroupType) -> list[Put]:
        return [*self.table.puts(made), Put(_name_key(made.name), made.id.encode())]


def _name_key(name: str) -> bytes:
    return f"volumes/group-type-name/{sha256(name.encode('utf-8', 'replace')).hexdigest()}".encode()


def _type(one: GroupType) -> list[Any]:
    return [
        one.id, one.name, one.description, one.is_public, one.created_us, one.updated_us, json.dumps(one.specs),
    ]  # fmt: skip


def _read_type(f: Sequence[Any]) -> GroupType:
    fields = [*f[:6], json.loads(f[6])]
    return GroupType(*fields)


def _group(one: Group) -> list[Any]:
    return [
        one.id, one.project_id, one.user_id, one.name, one.description, one.type_id, list(one.volume_types), one.zone,
        one.created_us, one.updated_us, one.group_snapshot_id, one.source_group_id, pack_doing(one.doing), one.error,
        one.declared,
    ]  # fmt: skip


def _read_group(f: Sequence[Any]) -> Group:
    fields = [*f[:6], tuple(f[6]), *f[7:12], read_doing(f[12]), *f[13:]]
    return Group(*fields)


def _group_snapshot(one: GroupSnapshot) -> list[Any]:
    return [
        one.id, one.project_id, one.user_id, one.group_id, one.type_id, one.name, one.description, one.created_us,
        one.updated_us, pack_doing(one.doing), one.error, one.declared,
    ]  # fmt: skip


def _read_group_snapshot(f: Sequence[Any]) -> GroupSnapshot:
    fields = [*f[:9], read_doing(f[9]), *f[10:]]
    return GroupSnapshot(*fields)


GROUP_TYPE_CODEC: Final = Codec("group type", 1, _type, {1: _read_type})
GROUP_CODEC: Final = Codec("group of volumes", 1, _group, {1: _read_group})
GROUP_SNAPSHOT_CODEC: Final = Codec("snapshot of a group", 1, _group_snapshot, {1: _read_group_snapshot})
