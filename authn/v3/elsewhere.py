"""Users and groups of directories on their way into answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog
import trio

from authn.backends.backend import DirectoryAwayError
from authn.keys import USER_ACTOR
from authn.records import Group, User
from authn.shadows import Told
from authn.v3.call import Call
from gateway.rest.errors import ForbiddenError
from gateway.rest.policy import Target

_log: Final = structlog.get_logger(__name__)

R = TypeVar("R", User, Group)

Ask = Callable[[str, str | None], Awaitable[Told[R]]]
"""`Shadows.users` or `Shadows.groups`."""


async def bring_in(
    call: Call, actor: str, id_: str, operation: str, known: Target | None = None
) -> User | Group | None:
    """The record of a user or group, stored now if it is a directory's and was not. Only those directories are looked
    through whose members the caller may do this with. Raises UnauthorizedError, DirectoryAwayError."""
    credentials, shadows = await call.credentials(), call.service.shadows

    def may(domain_id: str) -> bool:
        target = {**(known or {}), f"target.{actor}.id": id_, f"target.{actor}.domain_id": domain_id}
        return bool(call.policy.decide(operation, credentials, target))

    domain_ids = filter(may, shadows.backends.domains())
    find = shadows.find_user if actor == USER_ACTOR else shadows.find_group
    return await find(id_, domain_ids)


async def listed_elsewhere(call: Call, ask: Ask[R]) -> Told[R]:
    """Of the directories that the query is about. One that is away is left out, which the log tells, unless the query
    is about it alone."""
    asked, name = call.query.get("domain_id"), call.query.get("name")
    backends = call.service.backends
    domain_ids = [id_ for id_ in backends.domains() if asked in (None, id_) and call.domain in (None, id_)]
    found: dict[str, Told[R]] = {}

    async def one(domain_id: str) -> None:
        try:
            found[domain_id] = await ask(domain_id, name)
        except DirectoryAwayError as error:
            _log.warning("a list goes without a directory that is away", domain=domain_id, error=str(error))

    if asked is not None:
        return await ask(asked, name) if domain_ids else Told()
    async with trio.open_nursery() as nursery:
        for domain_id in domain_ids:
            nursery.start_soon(one, domain_id)
    records = [record for domain_id in domain_ids if domain_id in found for record in found[domain_id].records]
    return Told(tuple(records), any(told.cut for told in found.values()))


def refuse_directory(record: User | Group | None) -> None:
    """Raises ForbiddenError for what a directory has: it is never written."""
    if record is not None and record.directory_id:
        raise ForbiddenError("LDAP does not support write operations")


def refuse_in_directory(call: Call, domain_id: str) -> None:
    """Raises ForbiddenError where users and groups of the domain are a directory's."""
    if call.service.backends.serves(domain_id):
        raise ForbiddenError("LDAP does not support write operations")
