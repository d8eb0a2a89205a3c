"""The store's public client: all that a tenant may ask of it.

Two forms keep this contract: `store.objects.store.DeviceStore` over devices, and the in-memory twin in
`tests/twins/objects.py`; one suite tests both.

Errors are those of `store.core.errors`: NotFoundError, ConflictError (a container that is not empty),
PreconditionError, InvalidError (over a limit), and RetryableError and its kinds where the system cannot now. An
operation that raised RetryableError may or may not have happened; every operation may be repeated.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from store.objects.model import (
    ALWAYS,
    Account,
    Condition,
    Container,
    ContainerEntry,
    ListingQuery,
    ObjectEntry,
    ObjectHead,
    ObjectInfo,
    Policy,
    Subdir,
    Usage,
)

HeaderChanges = Mapping[str, str | None]
"""New values by name; None (or an empty string) removes a header; what is not named stays."""

Buffer = bytes | bytearray | memoryview


class Data(Protocol):
    """What an object and its copies may have in common: bytes that are not in a row. Only for `Upload.reflink`."""

    @property
    def size(self) -> int: ...


class OpenObject(Protocol):
    """An object held open: its data stay readable while it is open, whatever overwrites or deletes it."""

    info: ObjectInfo

    @property
    def data(self) -> Data | None:
        """What a copy may share; None where all data are `inline`."""
        ...

    @property
    def inline(self) -> Buffer | None:
        """All data, verified, where the object is small enough to live in its row; else None."""
        ...

    def read(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[Buffer, None]:
        """The bytes [start, stop) in order, in pieces of up to 1 MiB, each verified before it is given out.

        A piece may be overwritten once the next is asked for. Raises DamageError when no good copy can be had:
        what was given out until then is right, but not all.
        """
        ...


class Upload(Protocol):
    """Data on their way in. Nothing is visible before `commit`; leaving the context without it gives all space back."""

    async def write(self, data: Buffer) -> None:
        """Take the next bytes; returns when there is room for more. The buffer may be reused afterwards."""
        ...

    async def reflink(self, data: Data) -> bool:
        """Take all data of an object that is held open, in the place of `write`, without moving them.

        False where that cannot be (another policy, a device that is away, data that are to move): nothing is taken,
        and the bytes are to be written. From the commit on neither object knows of the other.
        """
        ...

    async def digest(self) -> tuple[int, str]:
        """Size and MD5 (hex) of all data written, which are durable when this returns. No more may be written."""
        ...

    async def commit(self, head: ObjectHead, condition: Condition = ALWAYS) -> ObjectInfo:
        """Make the object visible, durably. Raises PreconditionError, and NotFoundError if its container is gone."""
        ...


class ObjectStore(Protocol):
    """Accounts, containers and objects."""

    @property
    def policies(self) -> Sequence[Policy]:
        """All policies, by index; exactly one is `default`."""
        ...

    # -- accounts ------------------------------------------------------------------------------------------------

    async def account(self, name: str) -> Account:
        """The account. NotFoundError if there is none."""
        ...

    def known_account(self, name: str) -> Account | None:
        """The account as it was last seen, where that is remembered; None where `account` must look. Others may have
        changed it since: whoever goes by it names it (`owner`, below)."""
        ...

    async def put_account(self, name: str, headers: HeaderChanges) -> tuple[Account, bool]:
        """Make the account or change its headers; the flag says whether it was made."""
        ...

    async def delete_account(self, name: str) -> None:
        """Remove an account without containers. ConflictError while it has any."""
        ...

    async def account_usage(self, account: Account) -> Usage: ...

    async def list_containers(self, account: Account, query: ListingQuery) -> list[ContainerEntry | Subdir]: ...

    # -- containers ----------------------------------------------------------------------------------------------

    async def container(self, account: str, name: str) -> Container:
        """The container. NotFoundError if there is none."""
        ...

    def known_container(self, account: str, name: str) -> Container | None:
        """The container as it was last seen, where that is remembered; None where `container` must look. Others may
        have changed it since, as with `known_account`."""
        ...

    async def put_container(
        self, account: str, name: str, headers: HeaderChanges, policy: int | None = None
    ) -> tuple[Container, bool]:
        """Make the container or change its headers; the flag says whether it was made.

        NotFoundError if there is no such account; ConflictError if it exists under another policy than asked for.
        """
        ...

    async def delete_container(self, account: str, name: str) -> None:
        """Remove an empty container. ConflictError while it holds objects."""
        ...

    async def container_usage(self, container: Container) -> Usage: ...

    async def list_objects(self, container: Container, query: ListingQuery) -> list[ObjectEntry | Subdir]:
        """Objects as they are now: every acknowledged write is seen. Expired objects are left out."""
        ...

    async def list_names(self, container: Container, query: ListingQuery) -> list[str]:
        """The names alone of what `list_objects` gives, for less."""
        ...

    # -- objects -------------------------------------------------------------------------------------------------
    # `owner` is said where a container is what `known_container` gave: its account, as `known_account` gave it. Whether
    # both are still that is asked beside the object. OutdatedError where not: then nothing was done, and the container
    # is to be had from `container`.

    async def head(
        self, container: Container, name: str, *, expired: bool = False, owner: Account | None = None
    ) -> ObjectInfo:
        """The object without its data. NotFoundError if there is none, or it has expired (unless `expired`)."""
        ...

    def open(
        self, container: Container, name: str, *, expired: bool = False, owner: Account | None = None
    ) -> AbstractAsyncContextManager[OpenObject]:
        """The object, held open for reading."""
        ...

    async def put(
        self,
        container: Container,
        name: str,
        data: Buffer,
        head: ObjectHead,
        condition: Condition = ALWAYS,
        digest: str = "",
        *,
        owner: Account | None = None,
    ) -> ObjectInfo:
        """Write a small object (up to INLINE_BYTES_MAX) in one step. Raises DigestError where its MD5 (hex) is not
        `digest`, if that is stated."""
        ...

    def upload(self, container: Container, name: str, size: int | None = None) -> AbstractAsyncContextManager[Upload]:
        """Write an object of any size as it arrives; `size`, where known, only helps to lay it out."""
        ...

    async def update(
        self,
        container: Container,
        name: str,
        edit: Callable[[ObjectInfo], ObjectHead],
        condition: Condition = ALWAYS,
    ) -> ObjectInfo:
        """Change an object's head in one step; `edit` is given the present object. Data stay where they are."""
        ...

    async def delete(
        self,
        container: Container,
        name: str,
        condition: Condition = ALWAYS,
        *,
        check: Callable[[ObjectInfo], bool] | None = None,
        owner: Account | None = None,
    ) -> ObjectInfo:
        """Remove an object and return what it was. NotFoundError if there is none.

        `check` is given the present object in the same step; where it says no, PreconditionError is raised.
        """
        ...
