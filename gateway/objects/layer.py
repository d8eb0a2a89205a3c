"""`ObjectLayer`: the object layer's surroundings, made once, and the way to a container for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.objects.access.caller import Caller
from gateway.objects.large.ownership import ManifestOwnership
from gateway.objects.notes import ACCOUNT_ACCESS, READ_ACCESS, WRITE_ACCESS
from gateway.objects.versions.store import VersionedStore
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import NotFoundError
from store.core.limits import LISTING_ROWS_MAX
from store.objects.interface import ObjectStore
from store.objects.model import Container, Policy


@dataclass(frozen=True, slots=True)
class ObjectLayer:
    """What every function of this layer is given besides whoever asks."""

    store: VersionedStore
    ownership: ManifestOwnership
    clock: Clock
    random: Random
    policies: Mapping[int, Policy]
    page_rows: int
    """Entries that are listed at once where a manifest stands for all that there are."""

    @classmethod
    def over(cls, store: ObjectStore, clock: Clock, random: Random, page_rows: int = LISTING_ROWS_MAX) -> ObjectLayer:
        """The layer over a store."""
        ownership = ManifestOwnership(store, clock, random)
        policies = {policy.index: policy for policy in store.policies}
        return cls(VersionedStore(store, clock, ownership.gone), ownership, clock, random, policies, page_rows)

    async def hear(self, caller: Caller, account: str) -> None:
        """Tell whoever asks what an account that is not theirs gives them by its own access list."""
        if caller.owns(account):
            return
        try:
            stored = (await self.store.account(account)).headers.get(ACCOUNT_ACCESS)
        except NotFoundError:
            return
        if stored:
            caller.learn(account, stored)

    async def container(
        self, caller: Caller, account: str, name: str, *, reading: bool, listing: bool = False, object: str = ""
    ) -> Container:
        """A container that the caller may read, list or write; `object` in it, where it is one object.

        Raises AccessError before NotFoundError, so that strangers learn nothing of what exists.
        """
        if caller.owns(account):
            return await self.store.container(account, name)
        await self.hear(caller, account)
        try:
            container = await self.store.container(account, name)
        except NotFoundError:
            caller.require(account, name, "", reading=reading, listing=listing, object=object)
            raise
        rule = container.headers.get(READ_ACCESS if reading else WRITE_ACCESS, "")
        caller.require(account, name, rule, reading=reading, listing=listing, object=object)
        return container
