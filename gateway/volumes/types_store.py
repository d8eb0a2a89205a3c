"""`Types`: volume types by id and by name, the default, and those that are made at the first start."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from gateway.volumes.table import Found, Table
from gateway.volumes.type_records import (
    DEFAULT_CODEC,
    POLICY_SPEC,
    SHARED,
    TYPE_CODEC,
    VolumeType,
    type_name_key,
    type_use_key,
)
from store.core.clock import Clock
from store.core.errors import ConflictError, NotFoundError
from store.registry import Compare, Delete, Put, Registry, Span

_DEFAULTS: Final = b"volumes/default-type/"
_DESCRIPTION: Final = "Volumes under the storage policy {}"


class StoragePolicy(NamedTuple):
    """A policy of the store that volumes can be under."""

    name: str
    default: bool


class Types:
    """Of the whole service."""

    def __init__(self, registry: Registry, policies: Sequence[StoragePolicy], clock: Clock) -> None:
        self._registry = registry
        self._policies = policies
        self._clock = clock
        self.table = Table(registry, "type", TYPE_CODEC)

    @property
    def default_id(self) -> str:
        """Of the type that was made for the store's default policy."""
        return _id_for(self.default_policy)

    @property
    def default_policy(self) -> str:
        """Of types that name none; "" where volumes can be under none at all."""
        return next((policy.name for policy in self._policies if policy.default), "")

    def policy_of(self, type_: VolumeType) -> str:
        """The storage policy of a type's volumes."""
        return type_.policy or self.default_policy

    @property
    def policies(self) -> list[str]:
        """The names of those that volumes can be under."""
        return [policy.name for policy in self._policies]

    async def seed(self) -> None:
        """Have a type for each policy that never had one; what administrators deleted is not made again."""
        for policy in self._policies:
            done = f"volumes/seeded/{policy.name}".encode()
            if await self._registry.get(done) is not None:
                continue
            now = self._clock.wall_us()
            specs = {POLICY_SPEC: policy.name}
            made = VolumeType(
                _id_for(policy.name), policy.name, _DESCRIPTION.format(policy.name), True, now, now, specs
            )
            compares = [Compare.absent(done), Compare.absent(type_name_key(made.name))]
            await self._registry.transact(compares, [Put(done, b""), *self._new(made)])

    async def every(self) -> list[VolumeType]:
        return await self.table.of_project(SHARED)

    async def find(self, id_: str) -> Found[VolumeType]:
        """Raises NotFoundError."""
        return await self.table.find(id_, SHARED)

    async def named(self, said: str) -> VolumeType:
        """By id or by name. Raises NotFoundError."""
        item = await self._registry.get(type_name_key(said))
        return (await self.find(item.value.decode() if item is not None else said)).record

    async def of_project(self, project: str) -> VolumeType:
        """That a volume of the project has that names none."""
        own = await self.own_default(project)
        if own:
            try:
                return (await self.find(own)).record
            except NotFoundError:
                pass  # it was deleted meanwhile: the default of all counts
        return (await self.find(self.default_id)).record

    async def create(self, made: VolumeType) -> None:
        """Raises ConflictError where there is one of this name."""
        absent = Compare.absent(type_name_key(made.name))
        if not (await self._registry.transact([absent], self._new(made))).succeeded:
            raise ConflictError(f"Volume Type {made.name} already exists.")

    async def rename(self, before: Found[VolumeType], after: VolumeType) -> None:
        """To another name or the same, with whatever else is changed. Raises ConflictError."""
        compares, operations = [before.same], [self.table.put(after)]
        moved: list[Put | Delete] = []
        if after.name != before.record.name:
            compares.append(Compare.absent(type_name_key(after.name)))
            moved = [Delete(type_name_key(before.record.name)), Put(type_name_key(after.name), after.id.encode())]
        if not (await self._registry.transact(compares, [*operations, *moved])).succeeded:
            raise ConflictError(f"Volume Type {after.name} already exists.")

    async def delete(self, found: Found[VolumeType], used: Compare) -> None:
        """`used`: the last use as of when it was seen that there is no volume of it. Raises ConflictError."""
        operations = [*self.table.deletes(found.record), Delete(type_name_key(found.record.name))]
        if not (await self._registry.transact([found.same, used], operations)).succeeded:
            raise ConflictError("The volume type has changed meanwhile.")

    async def last_use(self, id_: str) -> Compare:
        """No volume of the type came to be since."""
        item = await self._registry.get(type_use_key(id_))
        return Compare.unchanged(type_use_key(id_), item.mod_revision if item is not None else 0)

    # -- defaults of projects ------------------------------------------------------------------------------------

    async def own_default(self, project: str) -> str:
        """The id of a project's own default type, "" where it has none."""
        item = await self._registry.get(_default_key(project))
        return "" if item is None else DEFAULT_CODEC.decode(item.value)[1]

    async def own_defaults(self) -> dict[str, str]:
        """Of all projects that have one."""
        items = await self._registry.range(Span.prefix(_DEFAULTS))
        return dict(DEFAULT_CODEC.decode(item.value) for item in items)

    async def set_own_default(self, project: str, type_id: str) -> None:
        """ "" is none."""
        key = _default_key(project)
        operation = Put(key, DEFAULT_CODEC.encode((project, type_id))) if type_id else Delete(key)
        await self._registry.transact((), [operation])

    def _new(self, made: VolumeType) -> list[Put]:
        return [*self.table.puts(made), Put(type_name_key(made.name), made.id.encode())]


def _default_key(project: str) -> bytes:
    return _DEFAULTS + sha256(project.encode("utf-8", "replace")).hexdigest().encode()


def _id_for(policy: str) -> str:
    """The id that every machine arrives at."""
    return str(uuid5(NAMESPACE_URL, f"drystone/volume-type/{policy}"))
