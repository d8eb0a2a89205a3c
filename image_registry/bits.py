"""The bytes of images: objects of the account `.images`, which nobody reaches from outside, in one container for each
storage policy (what Glance calls a store)."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from typing import Final

from image_registry.records import Bits
from store.core.errors import InvalidError, NotFoundError
from store.objects.interface import ObjectStore, OpenObject, Upload
from store.objects.model import Container, ObjectHead

ACCOUNT: Final = ".images"
HEAD: Final = ObjectHead("application/octet-stream")


class BitStore:
    """Where the bytes of images are."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @property
    def stores(self) -> list[str]:
        """The names of the storage policies that new images may be in; the default one first."""
        usable = [policy for policy in self._store.policies if not policy.deprecated]
        return [policy.name for policy in sorted(usable, key=lambda policy: (not policy.default, policy.index))]

    @property
    def volume_policy(self) -> str:
        """The policy that volumes of images are in: the first that keeps copies, since a volume has to have some."""
        policies = sorted(self._store.policies, key=lambda policy: (not policy.default, policy.index))
        return next((policy.name for policy in policies if not policy.erasure and not policy.deprecated), "")

    def described(self, store: str) -> str:
        """How a policy keeps what is in it."""
        policy = next(policy for policy in self._store.policies if policy.name == store)
        return f"erasure code {policy.k}+{policy.m}" if policy.erasure else f"{policy.replicas} copies"

    async def container(self, store: str) -> Container:
        """Where a policy's images are; made where it is not there yet. Raises InvalidError for no policy."""
        index = next((policy.index for policy in self._store.policies if policy.name == store), None)
        if index is None:
            raise InvalidError(f"There is no store {store}.")
        with suppress(NotFoundError):
            return await self._store.container(ACCOUNT, store)
        with suppress(NotFoundError):
            return (await self._store.put_container(ACCOUNT, store, {}, index))[0]
        await self._store.put_account(ACCOUNT, {})
        return (await self._store.put_container(ACCOUNT, store, {}, index))[0]

    async def upload(self, store: str, object_: str, size: int | None) -> AbstractAsyncContextManager[Upload]:
        """To receive bytes into. Raises as `container` does."""
        return self._store.upload(await self.container(store), object_, size)

    async def open(self, bits: Bits) -> AbstractAsyncContextManager[OpenObject]:
        """The bytes, which stay readable while this is open, whatever becomes of the image."""
        return self._store.open(await self.container(bits.store), bits.object)

    async def delete(self, store: str, object_: str) -> None:
        """Does nothing where it is not there."""
        with suppress(NotFoundError):
            await self._store.delete(await self.container(store), object_)
