"""Connections to a directory: how many there are, how long they are waited for, and what it means when they fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import ldap
import trio

from authn.backends import ldap_calls
from authn.backends.backend import DirectoryAwayError
from authn.backends.ldap_calls import Connection, Entry, Page, Search
from authn.backends.ldap_options import LdapOptions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """Entries, in the directory's order. `cut`: there are more."""

    entries: list[Entry]
    cut: bool


class _LostError(DirectoryAwayError):
    """The connection is gone."""


@dataclass(frozen=True, slots=True)
class _Kept:
    connection: Connection
    url: str
    born: float


class LdapConnections:
    """At most `pool_size` connections and as many threads, opened when needed and kept for the next (`use_pool`).

    Every step (opening a connection, a page of a search, judging a password) has `timeout_s`; then it is given up, and
    its thread ends by itself soon after. Threads that have not ended count: a directory that swallows everything holds
    up itself and nobody else. Everything raises DirectoryAwayError.
    """

    def __init__(self, options: LdapOptions) -> None:
        self._options = options
        self._places = trio.Semaphore(options.pool_size)
        self._threads = trio.CapacityLimiter(options.pool_size)
        self._kept: list[_Kept] = []

    async def search(self, search: Search, limit: int) -> Found:
        """At most `limit` entries."""
        async with self._place():
            kept = self._take()
            if kept is not None:
                try:
                    return await self._search_on(kept, search, limit)
                except _LostError:
                    self._kept.clear()  # the directory closed it meanwhile, and so the others
            return await self._search_on(await self._open(), search, limit)

    async def judge(self, dn: str, password: str) -> bool:
        """Whether the password is that entry's: asked over a connection of its own, which is closed again."""
        async with self._place():
            return (await self._at_first(ldap_calls.judge, dn, password))[1]

    async def aclose(self) -> None:
        """Close what is kept."""
        kept, self._kept = self._kept, []
        for each in kept:
            await self._step(each.url, ldap_calls.close, each.connection)

    async def _search_on(self, kept: _Kept, search: Search, limit: int) -> Found:
        entries: list[Entry] = []
        cookie = b""
        while True:
            page: Page = await self._step(
                kept.url,
                ldap_calls.page,
                kept.connection,
                search,
                self._options.page_size,
                cookie,
                limit - len(entries),
                self._options.timeout_s,
            )
            entries += page.entries
            cookie = page.cookie
            if not cookie or page.cut or len(entries) > limit:
                break
        if self._options.use_pool:
            self._kept.append(kept)
        return Found(entries[:limit], page.cut or len(entries) > limit)

    def _take(self) -> _Kept | None:
        """The one used last, so those that are not needed grow old."""
        oldest = trio.current_time() - self._options.pool_connection_lifetime
        self._kept = [kept for kept in self._kept if kept.born > oldest]
        return self._kept.pop() if self._kept else None

    async def _open(self) -> _Kept:
        url, connection = await self._at_first(ldap_calls.open_bound)
        return _Kept(connection, url, trio.current_time())

    async def _at_first(self, call: Callable[..., T], *args: object) -> tuple[str, T]:
        """What the first directory says that answers at all, and which it is."""
        reasons = []
        for url in self._options.urls:
            try:
                return url, await self._step(url, call, self._options, url, *args)
            except DirectoryAwayError as error:
                reasons.append(str(error))
        raise DirectoryAwayError("; ".join(reasons))

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        with trio.move_on_after(self._options.timeout_s) as waiting:
            await self._places.acquire()
        if waiting.cancelled_caught:
            raise DirectoryAwayError(f"all {self._options.pool_size} connections to the directory are in use")
        try:
            yield
        finally:
            self._places.release()

    async def _step(self, url: str, call: Callable[..., T], *args: object) -> T:
        try:
            with trio.fail_after(self._options.timeout_s):
                return await trio.to_thread.run_sync(call, *args, abandon_on_cancel=True, limiter=self._threads)
        except trio.TooSlowError:
            raise DirectoryAwayError(f"{url} has not answered for {self._options.timeout_s} s") from None
        except (ldap.SERVER_DOWN, ldap.CONNECT_ERROR) as error:
            raise _LostError(f"{url}: {_reason(error)}") from error
        except ldap.LDAPError as error:
            raise DirectoryAwayError(f"{url}: {_reason(error)}") from error


def _reason(error: ldap.LDAPError) -> str:
    told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    parts = [str(told[name]) for name in ("desc", "info") if told.get(name)]
    return ": ".join(parts) or type(error).__name__
