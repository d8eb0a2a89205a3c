"""What every feature is given besides the request: the object layer, the choices made for this gateway, and time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from gateway.objects.downloads import Downloads
from gateway.objects.layer import ObjectLayer
from gateway.objects.versions import one
from gateway.objects.versions.store import VersionedStore
from gateway.swift.config import Config, Limits
from gateway.swift.protocol import etag_quoter
from gateway.swift.protocol.request import Request
from gateway.swift.refusal_log import RefusalLog
from store.core.clock import Clock
from store.core.entropy import Random
from store.objects.interface import OpenObject
from store.objects.model import Account, Container, ObjectInfo, Policy

_ACCOUNT_QUOTES, _CONTAINER_QUOTES = etag_quoter.header("account"), etag_quoter.header("container")


ASKED = (_ACCOUNT_QUOTES, _CONTAINER_QUOTES)
"""Headers of this dialect that concern the objects of a container or an account."""


@dataclass(frozen=True, slots=True)
class Service:
    """The gateway's surroundings, made once."""

    layer: ObjectLayer
    downloads: Downloads
    refusals: RefusalLog
    config: Config
    limits: Limits

    @property
    def store(self) -> VersionedStore:
        return self.layer.store

    @property
    def clock(self) -> Clock:
        return self.layer.clock

    @property
    def random(self) -> Random:
        return self.layer.random

    @property
    def policies(self) -> Mapping[int, Policy]:
        return self.layer.policies

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.wall_us() / 1e6

    def plain_container(self, request: Request) -> tuple[Container, Account] | None:
        """The container of a request by its account's owner, and the account, where nothing more is to be asked of them
        than that they are there; None where `container` is to be called."""
        if self.config.quote_etags:
            return None
        return self.layer.plain_container(request.principal, request.account, request.container)

    async def container(
        self, request: Request, *, reading: bool, listing: bool = False, name: str | None = None, object: str = ""
    ) -> Container:
        """The container (of the request, unless named) that the principal may read, list or write; `object` in it, if
        that is not the request's. Raises AccessError, NotFoundError."""
        account = request.account
        container = await self.layer.container(
            request.principal,
            account,
            request.container if name is None else name,
            reading=reading,
            listing=listing,
            object=object or request.object,
        )
        await self.show_etags(request, container)
        return container

    async def show_etags(self, request: Request, container: Container) -> None:
        """Have the answer show etags as a container, or its account, says."""
        if request.object:
            flag = container.headers.get(_CONTAINER_QUOTES)
            if flag is None:
                flag = (await self.store.account(container.account)).headers.get(_ACCOUNT_QUOTES)
            if flag == "True" or (flag is None and self.config.quote_etags):
                request.add_finisher(etag_quoter.quoting)

    # -- what a request reads: the object, or the version of it that is named ----------------------------------------

    def opening(
        self, request: Request, container: Container, name: str, *, expired: bool = False
    ) -> AbstractAsyncContextManager[OpenObject]:
        """It, held open."""
        version = request.version
        if not version:
            return self.store.open(container, name, expired=expired)
        return one.opening(self.store, request.principal, container, name, version)

    async def head(self, request: Request, container: Container, name: str, *, expired: bool = False) -> ObjectInfo:
        """The same without the bytes."""
        version = request.version
        if not version:
            return await self.store.head(container, name, expired=expired)
        return await one.head(self.store, request.principal, container, name, version)
