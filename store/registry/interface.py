"""The registry's promise. `memory` and `embedded` keep it in one process, `served` for others that ask that one, `etcd`
for clusters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from store.core.errors import ConflictError, RetryableError
from store.registry.items import Event, Item, Span
from store.registry.operations import Compare, Operation, TransactionResult

LEASE_SECONDS_MAX: Final = 24 * 3600

GENERATION: Final = 1 << 40
"""What a recovery raises the revisions by: more than are counted between two of them."""


class CompactedError(ConflictError):
    """The events asked for are no longer kept. Read the present state again and watch from there."""


class UnavailableError(RetryableError):
    """Whoever keeps the registry could not serve the call, and nothing was done."""


class OutcomeUnknownError(RetryableError):
    """The call may or may not have taken effect: what was asked for is there, or not, but never in part."""


class Lease(Protocol):
    """A claim that ends unless it is kept alive. All keys attached to it vanish when it ends, in one revision.

    A lease alone proves nothing: its holder may sleep through its end. Whatever the lease guards must be told a
    fencing number, which is the revision of the transaction that put the holder's key, and must refuse lower ones
    than it has seen.
    """

    @property
    def id(self) -> int:
        """Above 0; never given out again."""
        ...

    @property
    def ttl_s(self) -> int:
        """Seconds that it lives from its grant or from the last keep_alive: those asked for, or more."""
        ...

    async def keep_alive(self) -> None:
        """It lives for another ttl_s from now on. Raises NotFoundError when it has ended: its keys are gone."""
        ...

    async def revoke(self) -> None:
        """It ends now. Does nothing when it has ended before."""
        ...


class Registry(Protocol):
    """Strongly consistent: what a call tells or does happens at one moment between its start and its end, in one
    order for all callers, and what was acknowledged is not lost (memory: with the process).

    Every transaction that changes something raises the registry's revision, and no other has the same: by one in the
    forms of one process; in etcd by one or more, since others may write there. It never goes back, and a recovery may
    raise it. Keys are 1 to 511 bytes, values up to 1 MiB. All methods raise InvalidError for what is over a limit or
    malformed. A call that is cancelled or fails with any error that is no CallerError may or may not have taken effect,
    but never in part.
    """

    async def revision(self) -> int:
        """The present revision; in the forms of one process 1 for a registry that never changed. To read and then watch
        without a gap, ask this first, read, and watch from the next revision: what is seen twice is seen in order."""
        ...

    async def get(self, key: bytes) -> Item | None:
        """The item at `key`, None where there is none."""
        ...

    async def range(self, span: Span, *, limit: int | None = None, reverse: bool = False) -> list[Item]:
        """The items in `span` in the order of their keys' bytes, or against it; the first `limit` of them (1 or
        more)."""
        ...

    async def transact(
        self,
        compares: Sequence[Compare],
        on_success: Sequence[Operation],
        on_failure: Sequence[Operation] = (),
    ) -> TransactionResult:
        """Does `on_success` if all compares hold (none: they do), else `on_failure`; all of it in one moment or
        nothing.

        Operations run in order and see those before them. Raises NotFoundError, with nothing done, for a Put with a
        lease that has ended. Raises InvalidError where one branch puts a key twice, or puts a key that it also
        deletes, in either order (etcd refuses both); where there are more than 128 compares or operations in a
        branch, or keys and values together are above 1.25 MiB; or for a compare of a value with a number or of a
        number with bytes.
        """
        ...

    async def lease(self, ttl_s: int) -> Lease:
        """A new lease of `ttl_s` seconds, 1 to 86,400. After a restart of the registry a lease begins its ttl anew:
        it may live longer than was asked for, but never shorter."""
        ...

    def watch(self, span: Span, from_revision: int = 0) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """All changes in `span` from `from_revision` on, past ones too, in order and without a gap, without end. 0:
        those after the present revision.

        Waiting is cancellable and loses nothing. Iteration raises CompactedError where the events due next are no
        longer kept, be it that `from_revision` is too old or that the reader was too slow; nothing is ever skipped
        silently.
        """
        ...
