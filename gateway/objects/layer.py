"""`ObjectLayer`: the object layer's surroundings, made once, and the way to a container for whoever asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway.objects.access.caller import Caller
from gateway.objects.large.owned_marks import OWNING
from gateway.objects.large.ownership import ManifestOwnership
from gateway.objects.lifting import OLD_CONTAINER
from gateway.objects.notes import ACCOUNT_ACCESS, QUOTA_BYTES, QUOTA_COUNT, READ_ACCESS, WRITE_ACCESS
from gateway.objects.versions.names import MODE
from gateway.objects.versions.store import VersionedStore
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import NotFoundError
from store.core.limits import LISTING_ROWS_MAX
from store.objects.interface import ObjectStore
from store.objects.model import Account, Container, Policy

_ASKED = frozenset({MODE, OWNING, QUOTA_BYTES, QUOTA_COUNT, *OLD_CONTAINER})
_ASKED_FRONTS = (".quota-", "x-account-quota-")


def is_plain(headers: Mapping[str, str], asked: frozenset[str]) -> bool:
    """Whether there is no note among the headers of a container or an account that objects in it are concerned by."""
    for name in headers:
        if name.startswith(_ASKED_FRONTS):
            return False
    return asked.isdisjoint(headers)


@dataclass(frozen=True, slots=True)
class ObjectLayer:
    """What every function of this layer is given besides whoever asks."""

    store: VersionedStore
    plain: ObjectStore
    """The store beneath: for objects of containers of which `is_plain` is true."""
    ownership: ManifestOwnership
    clock: Clock
    random: Random
    policies: Mapping[int, Policy]
    page_rows: int
    """Entries that are listed at once where a manifest stands for all that there are."""

    asked: frozenset[str]
    """Headers of containers and accounts that concern the objects in them."""

    @classmethod
    def over(
        cls,
        store: ObjectStore,
        clock: Clock,
        random: Random,
        page_rows: int = LISTING_ROWS_MAX,
        asked: Collection[str] = (),
    ) -> ObjectLayer:
        """The layer over a store. `asked` are headers of the dialect's own that it has to ask of a container or an
        account."""
        ownership = ManifestOwnership(store, clock, random)
        policies = {policy.index: policy for policy in store.policies}
        versioned = VersionedStore(store, clock, ownership.gone)
        return cls(versioned, store, ownership, clock, random, policies, page_rows, _ASKED.union(asked))

    def plain_container(self, caller: Caller, account: str, name: str) -> tuple[Container, Account] | None:
        """A container that is remembered, and its account, which the caller owns, where nothing more is to be asked of
        either before objects are written or read than whether they are still that: no versions, no quotas, nothing that
        older programs named otherwise. None where `container` is to be called."""
        if not caller.owns(account):
            return None
        container = self.plain.known_container(account, name)
        owner = self.plain.known_account(account)
        if container is None or owner is None or not is_plain(container.headers, self.asked):
            return None
        return (container, owner) if is_plain(owner.headers, self.asked) else None

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
