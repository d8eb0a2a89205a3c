"""`Definitions`: the namespaces of metadata definitions, each change one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from gateway.rest.errors import TooLargeError
from image_registry import keys
from image_registry.metadefs.records import NAMESPACE_CODEC, Definition, Kind, Namespace
from store.core.clock import Clock
from store.core.errors import ConflictError, NotFoundError
from store.registry import Compare, Delete, Item, Put, Registry

ATTEMPTS: Final = 16
"""How often a change is tried while others change the same namespace."""
NAME_CHARACTERS_MAX: Final = 80
"""Of a namespace, and of all that is in one."""
NAMESPACE_BYTES_MAX: Final = 512 * 1024
"""Of one namespace with all that is in it."""
Change = Callable[[Namespace], Namespace]


class Definitions:
    """Of one registry."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    def now_us(self) -> int:
        return self._clock.wall_us()

    async def all(self) -> list[Namespace]:
        return [NAMESPACE_CODEC.decode(item.value) for item in await self._registry.range(keys.NAMESPACES)]

    async def find(self, name: str) -> Namespace:
        """Raises NotFoundError."""
        return NAMESPACE_CODEC.decode((await self._item(name)).value)

    async def create(self, namespace: Namespace) -> None:
        """Raises ConflictError where there is one of this name, TooLargeError."""
        put = _put(namespace)
        result = await self._registry.transact([Compare.absent(put.key)], [put])
        if not result.succeeded:
            raise _exists(namespace.name)

    async def change(self, name: str, changed: Change) -> Namespace:
        """Has `changed` made of the namespace, of the newest if others change it meanwhile; it may have another name
        then. Raises NotFoundError, ConflictError, TooLargeError, and what `changed` raises."""
        for _ in range(ATTEMPTS):
            item = await self._item(name)
            after = changed(NAMESPACE_CODEC.decode(item.value))
            put, compares, operations = _put(after), [Compare.unchanged(item.key, item.mod_revision)], []
            if put.key != item.key:
                compares.append(Compare.absent(put.key))
                operations.append(Delete(item.key))
            if (await self._registry.transact(compares, [put, *operations])).succeeded:
                return after
            if put.key != item.key and await self._registry.get(put.key) is not None:
                raise _exists(after.name)
        raise ConflictError(f"Others keep changing the namespace {name}; try again.")

    async def delete(self, name: str, check: Callable[[Namespace], None]) -> None:
        """With all that is in it, unless `check` raises of what it is then. Raises NotFoundError, ConflictError."""
        for _ in range(ATTEMPTS):
            item = await self._item(name)
            check(NAMESPACE_CODEC.decode(item.value))
            same = Compare.unchanged(item.key, item.mod_revision)
            if (await self._registry.transact([same], [Delete(item.key)])).succeeded:
                return
        raise ConflictError(f"Others keep changing the namespace {name}; try again.")

    async def _item(self, name: str) -> Item:
        item = None if len(name) > NAME_CHARACTERS_MAX else await self._registry.get(keys.namespace(name))
        if item is None:
            raise missing_namespace(name)
        return item


def added(namespace: Namespace, kind: Kind, definition: Definition) -> Namespace:
    """Raises ConflictError where there is one of this name."""
    if namespace.find(kind, definition.name) is not None:
        raise ConflictError(
            f"A metadata definition {kind} with name={definition.name} already exists in namespace={namespace.name}."
        )
    return with_all(namespace, kind, (*namespace.of(kind), definition))


def changed_to(namespace: Namespace, kind: Kind, name: str, definition: Definition) -> Namespace:
    """With another in the place of the one of this name, as old as that. Raises NotFoundError, ConflictError."""
    before = found(namespace, kind, name)
    if definition.name != name and namespace.find(kind, definition.name) is not None:
        raise ConflictError(
            f"Invalid update. It would result in a duplicate metadata definition {kind} with the same "
            f"name={definition.name} in namespace={namespace.name}."
        )
    after = replace(definition, created_us=before.created_us)
    return with_all(namespace, kind, tuple(after if one is before else one for one in namespace.of(kind)))


def removed(namespace: Namespace, kind: Kind, name: str) -> Namespace:
    """Raises NotFoundError."""
    gone = found(namespace, kind, name)
    return with_all(namespace, kind, tuple(one for one in namespace.of(kind) if one is not gone))


def with_all(namespace: Namespace, kind: Kind, definitions: tuple[Definition, ...]) -> Namespace:
    """With these alone of one kind."""
    return replace(namespace, held={**namespace.held, kind: definitions})


def found(namespace: Namespace, kind: Kind, name: str) -> Definition:
    """Raises NotFoundError."""
    definition = namespace.find(kind, name)
    if definition is None:
        raise NotFoundError(
            f"The metadata definition {kind} with name={name} was not found in namespace={namespace.name}."
        )
    return definition


def missing_namespace(name: str) -> NotFoundError:
    return NotFoundError(f"Metadata definition namespace={name} was not found.")


def _exists(name: str) -> ConflictError:
    return ConflictError(f"The metadata definition namespace={name} already exists.")


def _put(namespace: Namespace) -> Put:
    value = NAMESPACE_CODEC.encode(namespace)
    if len(value) > NAMESPACE_BYTES_MAX:
        raise TooLargeError(f"A namespace has at most {NAMESPACE_BYTES_MAX} bytes with all that is in it.")
    return Put(keys.namespace(namespace.name), value)
