"""Connections to a directory: how many there are, how long they are waited for, and what it means when they fail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import ldap
import trio

from authn.backends import ldap_calls
from authn.backends.backend import DirectoryAwayError
from authn.backends.ldap_calls import Entry, Page, Search
from authn.backends.ldap_line import Line, open_line
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
class _Bound:
    """A line as the account of the configuration, and since when (trio's clock)."""

    line: Line
    url: str
    born: float


class LdapConnections:
    """At most `pool_size` calls at a time, each with a connection and a thread. Those of searches are kept for the next
    (`use_pool`), so there are at most twice as many connections.

    Every step (opening a connection, a page of a search, judging a password) has `timeout_s`. Everything raises
    DirectoryAwayError.
    """

    def __init__(self, options: LdapOptions) -> None:
        self._options = options
        self._places = trio.Semaphore(options.pool_size)
        self._threads = trio.CapacityLimiter(options.pool_size)
        self._kept: list[_Bound] = []

    async def search(self, search: Search, limit: int) -> Found:
        """At most `limit` entries."""
        async with self._place():
            kept = await self._take()
            if kept is not None:
                try:
                    return await self._search_on(kept, search, limit)
                except _LostError:
                    await self.aclose()  # the directory closed it meanwhile, and so the others
            return await self._search_on(await self._at_first(self._open), search, limit)

    async def judge(self, dn: str, password: str) -> bool:
        """Whether the password is that entry's: asked over a connection of its own, which is closed again."""

        async def ask(url: str) -> bool:
            line = await open_line(self._options, url, self._threads)
            right = await line.call(self._threads, ldap_calls.judge, dn, password)
            await line.aclose()
            return right

        async with self._place():
            return await self._at_first(ask)

    async def aclose(self) -> None:
        """Close what is kept."""
        kept, self._kept = self._kept, []
        for each in kept:
            await each.line.aclose()

    async def _search_on(self, bound: _Bound, search: Search, limit: int) -> Found:
        entries: list[Entry] = []
        cookie = b""
        while True:
            most = limit - len(entries)
            page: Page = await self._step(
                bound.url,
                bound.line.call,
                self._threads,
                ldap_calls.page,
                search,
                self._options.page_size,
                cookie,
                most,
            )
            entries += page.entries
            cookie = page.cookie
            if not cookie or page.cut or len(entries) > limit:
                break
        if self._options.use_pool and not page.cut:
            self._kept.append(bound)
        else:
            await bound.line.aclose()
        return Found(entries[:limit], page.cut or len(entries) > limit)

    async def _take(self) -> _Bound | None:
        """The one used last, so those that are not needed grow old."""
        oldest = trio.current_time() - self._options.pool_connection_lifetime
        old = [bound for bound in self._kept if bound.born <= oldest]
        self._kept = [bound for bound in self._kept if bound.born > oldest]
        for each in old:
            await each.line.aclose()
        return self._kept.pop() if self._kept else None

    async def _open(self, url: str) -> _Bound:
        line = await open_line(self._options, url, self._threads)
        await line.call(self._threads, ldap_calls.bind, self._options.user, self._options.password)
        return _Bound(line, url, trio.current_time())

    async def _at_first(self, ask: Callable[[str], Awaitable[T]]) -> T:
        """What the first directory says that answers at all."""
        reasons = []
        for url in self._options.urls:
            try:
                return await self._step(url, ask, url)
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

    async def _step(self, url: str, ask: Callable[..., Awaitable[T]], *args: object) -> T:
        try:
            with trio.fail_after(self._options.timeout_s):
                return await ask(*args)
        except trio.TooSlowError:
            raise DirectoryAwayError(f"{url} has not answered for {self._options.timeout_s} s") from None
        except (ldap.SERVER_DOWN, ldap.CONNECT_ERROR) as error:
            raise _LostError(f"{url}: {_reason(error)}") from error
        except ldap.LDAPError as error:
            raise DirectoryAwayError(f"{url}: {_reason(error)}") from error
        except ValueError as error:  # a DN that is no UTF-8, or that has a NUL and so cannot be asked about
            raise DirectoryAwayError(f"{url} says what cannot be read: {error}") from error
        except trio.BrokenResourceError as error:  # TLS says why in the cause
            raise DirectoryAwayError(f"{url}: {error.__cause__ or 'the connection broke'}") from error
        except OSError as error:
            raise DirectoryAwayError(f"{url}: {_system_reason(error)}") from error


def _system_reason(error: OSError) -> str:
    """What each address of a name answered, where that is known."""
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        return "; ".join(str(each) for each in cause.exceptions)
    return str(cause or error)


def _reason(error: ldap.LDAPError) -> str:
    told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    parts = [str(told[name]) for name in ("desc", "info") if told.get(name)]
    return ": ".join(parts) or type(error).__name__
