"""Calls to an etcd of several members: to one of them, and to the next where that one certainly did nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from store.core.errors import InvalidError, RetryableError
from store.registry.etcd.endpoint import Endpoint, Tls, connections, in_turn
from store.registry.etcd.keyspace import Json
from store.registry.interface import OutcomeUnknownError, UnavailableError


class Client:
    """The members' gateways. Begins with the one that answered last."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        if not endpoints:
            raise InvalidError("etcd needs an endpoint at least")
        self.endpoints = list(endpoints)
        self._last = 0

    def endpoint(self, url: str) -> Endpoint:
        """Another member, asked over the same connections. Raises InvalidError for what is no URL."""
        return self.endpoints[0].beside(url)

    def use(self, urls: Sequence[str]) -> None:
        """Ask the members at these URLs from now on, in watches that are open, too."""
        if not urls:
            raise InvalidError("etcd needs an endpoint at least")
        self.endpoints[:] = [self.endpoint(url) for url in urls]

    async def call(self, path: str, body: Json, *, repeatable: bool = False) -> Json:
        """The answer of the first member that gives one. `repeatable`: doing it twice is as good as once.

        Raises OutcomeUnknownError for a call that is not repeatable and may have taken effect, UnavailableError where
        all members were tried, and what etcd refuses as `refusal` has it.
        """
        failures: list[RetryableError] = []
        for place, endpoint in in_turn(self.endpoints, self._last):
            try:
                answer = await endpoint.call(path, body)
            except OutcomeUnknownError as error:
                self._last = (place + 1) % len(self.endpoints)
                if not repeatable:
                    raise
                failures.append(error)
            except UnavailableError as error:
                failures.append(error)
            else:
                self._last = place
                return answer
        raise UnavailableError("no member of etcd serves now: " + "; ".join(map(str, failures)))


@asynccontextmanager
async def open_client(urls: Sequence[str], tls: Tls | None = None) -> AsyncIterator[Client]:
    """For the members at `urls`; nothing is asked yet. Raises InvalidError for what is no URL, or no TLS file."""
    async with connections(tls) as http:
        yield Client([Endpoint(http, url) for url in urls])
