"""The registry's promise, kept by etcd."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from store.core.beside import beside
from store.core.errors import DamageError, InvalidError, NotFoundError
from store.registry.etcd.client import Client
from store.registry.etcd.endpoint import Endpoint, ping
from store.registry.etcd.errors import understood
from store.registry.etcd.keyspace import Json, Keyspace, decode_bytes, encode_bytes, header_revision, number
from store.registry.etcd.watch import Follower
from store.registry.evaluation import check, check_key, check_span
from store.registry.interface import LEASE_SECONDS_MAX, CompactedError, Lease
from store.registry.items import Event, Item, Span
from store.registry.operations import Compare, Get, Operation, TransactionResult

RESTART: Final = "Restart all processes of Drystone (docs/registry.md, Recovery)"


class EtcdRegistry:
    """See Registry. All that it has is below `prefix`, so that others may use the same etcd.

    Beside what the promise has, calls raise UnavailableError, where nothing was done, OutcomeUnknownError, AccessError,
    and DamageError where etcd was put back to an older state under a running process.
    """

    def __init__(self, client: Client, prefix: bytes) -> None:
        if not prefix:
            raise InvalidError("the registry needs a prefix of its own in etcd")
        self.prefix = prefix
        self._client = client
        self._known: Keyspace | None = None
        self._seen = 0

    async def revision(self) -> int:
        keyspace = await self._keyspace()
        answer = await self._read({**keyspace.bounds(Span(b"", b"")), "count_only": True})
        with understood():
            return keyspace.revision(answer)

    async def get(self, key: bytes) -> Item | None:
        check_key(key)
        keyspace = await self._keyspace()
        answer = await self._read({"key": keyspace.key(key)})
        with understood():
            return next(iter(keyspace.items(answer)), None)

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        check_span(span)
        if limit is not None and limit < 1:
            raise InvalidError(f"a limit of {limit} items")
        keyspace = await self._keyspace()
        order = {"sort_order": "DESCEND", "sort_target": "KEY"} if reverse else {}
        answer = await self._read({**keyspace.bounds(span), "limit": str(limit or 0), **order})
        with understood():
            return keyspace.items(answer)

    async def transact(
        self,
        compares: Sequence[Compare],
        on_success: Sequence[Operation],
        on_failure: Sequence[Operation] = (),
    ) -> TransactionResult:
        check(compares, on_success, on_failure)
        keyspace = await self._keyspace()
        reads_only = all(isinstance(operation, Get) for operation in (*on_success, *on_failure))
        request = keyspace.transaction(compares, on_success, on_failure)
        answer = await self._call("/v3/kv/txn", request, repeatable=reads_only)
        with understood():
            return keyspace.result(answer)

    async def lease(self, ttl_s: int) -> Lease:
        if not isinstance(ttl_s, int) or not 1 <= ttl_s <= LEASE_SECONDS_MAX:
            raise InvalidError(f"a lease lives a whole number of seconds, 1 to {LEASE_SECONDS_MAX}")
        granted = await self._client.call("/v3/lease/grant", {"TTL": str(ttl_s)})
        with understood():
            return EtcdLease(self._client, number(granted, "ID"), number(granted, "TTL"))

    @asynccontextmanager
    async def watch(self, span: Span, from_revision: int = 0) -> AsyncIterator[AsyncIterator[Event]]:
        check_span(span)
        if from_revision < 0:
            raise InvalidError(f"no revision is {from_revision}")
        keyspace = await self._keyspace()
        start = (from_revision or await self.revision() + 1) - keyspace.offset
        if start < 1:
            raise CompactedError(f"events before revision {keyspace.offset + 1} were lost in a recovery of etcd")
        follower = Follower(self._client.endpoints, keyspace, span, start, self._serves)
        async with beside(follower.run):
            try:
                yield follower.events
            finally:
                follower.events.close()

    async def check_same(self) -> None:
        """Raises DamageError where etcd was recovered since the first call: no process is to live through that."""
        keyspace = await self._keyspace()
        if await self._offset() != keyspace.offset:
            raise DamageError(f"etcd was recovered under this process. {RESTART}")

    async def _keyspace(self) -> Keyspace:
        """With the offset that is stored; asked for once, since a recovery needs all processes stopped."""
        if self._known is None:
            self._known = Keyspace(self.prefix, await self._offset())
        return self._known

    async def _offset(self) -> int:
        found = (await self._read({"key": encode_bytes(Keyspace(self.prefix).offset_key)})).get("kvs")
        with understood():
            return int(decode_bytes(found[0]["value"])) if found else 0

    async def _read(self, request: Json) -> Json:
        return await self._call("/v3/kv/range", request, repeatable=True)

    async def _call(self, path: str, request: Json, *, repeatable: bool) -> Json:
        seen = self._seen
        answer = await self._client.call(path, request, repeatable=repeatable)
        self._check(seen, answer)
        return answer

    async def _serves(self, endpoint: Endpoint) -> None:
        """Raises an error for a member that does not serve now."""
        seen = self._seen
        self._check(seen, await ping(endpoint))

    def _check(self, seen: int, answer: Json) -> None:
        """Whatever is asked later is answered at a revision as high, or etcd is not what it was."""
        with understood():
            revision = header_revision(answer)
        if revision < seen:
            raise DamageError(
                f"etcd is at revision {revision} after {seen}: it was put back to an older state. {RESTART}"
            )
        self._seen = max(self._seen, revision)


class EtcdLease:
    """See Lease. etcd gives no less than 2 seconds, or one and a half times its election timeout."""

    def __init__(self, client: Client, lease: int, ttl_s: int) -> None:
        self._client = client
        self._id = lease
        self._ttl_s = ttl_s

    @property
    def id(self) -> int:
        return self._id

    @property
    def ttl_s(self) -> int:
        return self._ttl_s

    async def keep_alive(self) -> None:
        answer = await self._client.call("/v3/lease/keepalive", {"ID": str(self._id)}, repeatable=True)
        with understood():
            lives = number(answer.get("result", {}), "TTL") > 0
        if not lives:
            raise NotFoundError(f"lease {self._id} has ended")

    async def revoke(self) -> None:
        try:
            await self._client.call("/v3/lease/revoke", {"ID": str(self._id)}, repeatable=True)
        except NotFoundError:
            return
