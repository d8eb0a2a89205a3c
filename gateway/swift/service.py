"""What every feature is given besides the request: the store, the choices made for it, and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.swift import account_acl, etag_quoter
from gateway.swift.auth import User
from gateway.swift.config import Config, Limits
from gateway.swift.downloads import Downloads
from gateway.swift.errors import RefusedError
from gateway.swift.manifest_ownership import ManifestOwnership
from gateway.swift.refusal_log import RefusalLog
from gateway.swift.request import Request
from gateway.swift.versioned_store import VersionedStore
from store.core.clock import Clock
from store.core.entropy import Random
from store.core.errors import NotFoundError
from store.objects.model import Container, Policy

_ACCOUNT_QUOTES, _CONTAINER_QUOTES = etag_quoter.header("account"), etag_quoter.header("container")


@dataclass(frozen=True, slots=True)
class Service:
    """The gateway's surroundings, made once."""

    store: VersionedStore
    ownership: ManifestOwnership
    downloads: Downloads
    refusals: RefusalLog
    config: Config
    limits: Limits
    clock: Clock
    random: Random
    policies: Mapping[int, Policy]

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.wall_us() / 1e6

    async def hear(self, request: Request, account: str) -> None:
        """Tell the principal what an account that is not theirs gives them by its own access list."""
        principal = request.principal
        if not isinstance(principal, User) or principal.owns(account):
            return
        try:
            stored = (await self.store.account(account)).headers.get(account_acl.HEADER)
        except NotFoundError:
            return
        if stored:
            principal.learn(account, stored)

    async def container(
        self,
        request: Request,
        *,
        reading: bool,
        listing: bool = False,
        account: str | None = None,
        name: str | None = None,
        object: str | None = None,
    ) -> Container:
        """The container (of the request, unless named) that the principal may read, list or write; `object` in it, if
        that is not the request's.

        Raises RefusedError: 401 or 403 before 404, so that strangers learn nothing of what exists.
        """
        account = request.account if account is None else account
        if not request.principal.owns(account):
            await self.hear(request, account)
        name = request.container if name is None else name
        object = request.object if object is None else object
        try:
            container = await self.store.container(account, name)
        except NotFoundError:
            request.principal.require(request, account, name, "", reading=reading, listing=listing, object=object)
            raise RefusedError(404) from None
        rule = container.headers.get("x-container-read" if reading else "x-container-write", "")
        request.principal.require(request, account, name, rule, reading=reading, listing=listing, object=object)
        if request.object:
            flag = container.headers.get(_CONTAINER_QUOTES)
            if flag is None:
                flag = (await self.store.account(account)).headers.get(_ACCOUNT_QUOTES)
            if flag == "True" or (flag is None and self.config.quote_etags):
                request.add_finisher(etag_quoter.quoting)
        return container
