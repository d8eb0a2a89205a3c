"""Migrations: which servers go from where to where, and which went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from zlib import crc32

from starlette.responses import Response

from compute_plugin.records.action import Migration
from compute_plugin.v2.frame.call import Call, of
from compute_plugin.v2.frame.listing import PAGING, Page, asked, know, paged
from compute_plugin.v2.frame.times import time_of
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.times import read_us
from store.core.errors import InvalidError

PATH: Final = "os-migrations"
POLICY: Final = "os_compute_api:os-migrations:index"
TYPED: Final = 23
PAGED: Final = 59
BEFORE: Final = 66
OF_WHOM: Final = 80
LIVE: Final = "live-migration"
GOING_ON: Final = frozenset({"queued", "preparing", "running", "post-migrating"})
"""Of a live migration, which can be looked at then."""
KNOWN: Final = ("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")


async def list_migrations(call: Call) -> Response:
    """Of a project of the caller's where it is named, else of all."""
    later = (*PAGING, "changes-since", *(("changes-before",) if call.since(BEFORE) else ()))
    owners = ("user_id", "project_id") if call.since(OF_WHOM) else ()
    know(call, *KNOWN, *later, *owners, strict=PAGED)
    project = await call.project()
    await call.allow(POLICY, of(project))
    if asked(call, "project_id") != project:
        await call.allow(f"{POLICY}:all_projects", of(project))
    hosts = await call.may(f"{POLICY}:host", of(project))
    wanted = _wanted(call)
    rows = sorted(
        (one for one in (await call.records()).migrations if wanted(one)), key=lambda one: (one.created_us, one.number)
    )
    page = paged(call, rows[::-1], lambda one: one.id, PATH) if call.since(PAGED) else Page(rows, None)
    return answer(page.document("migrations", [_shown(call, one, hosts=hosts) for one in page.rows]))


def _wanted(call: Call) -> Callable[[Migration], bool]:
    """What the query asks for. Raises InvalidError."""
    host = asked(call, "host")
    exact = {
        "server_id": asked(call, "instance_uuid"),
        "source": asked(call, "source_compute"),
        "status": asked(call, "status"),
        "type": asked(call, "migration_type"),
        "project_id": asked(call, "project_id"),
        "user_id": asked(call, "user_id"),
    }
    since = _time(call, "changes-since") if call.since(PAGED) else None
    before = _time(call, "changes-before") if call.since(BEFORE) else None
    if since is not None and before is not None and since > before:
        raise InvalidError("The value of changes-since must be less than or equal to changes-before.")

    def test(one: Migration) -> bool:
        return (
            (host is None or host in (one.source, one.target))
            and all(value is None or getattr(one, name) == value for name, value in exact.items())
            and (since is None or one.updated_us >= since)
            and (before is None or one.updated_us <= before)
        )

    return test


def _time(call: Call, name: str) -> int | None:
    value = asked(call, name)
    return None if value is None else read_us(name, value)


def _shown(call: Call, one: Migration, *, hosts: bool) -> dict[str, Any]:
    """`hosts`: whether the caller may see them."""
    target, source = (one.target or None, one.source or None) if hosts else (None, None)
    shown: dict[str, Any] = {
        "id": one.number,
        "instance_uuid": one.server_id,
        "status": one.status,
        "source_compute": source,
        "source_node": source,
        "dest_compute": target,
        "dest_node": target,
        "dest_host": target,
        "old_instance_type_id": _flavor_number(one.old_flavor_id),
        "new_instance_type_id": _flavor_number(one.new_flavor_id),
        "created_at": time_of(one.created_us),
        "updated_at": time_of(one.updated_us),
    }
    if call.since(TYPED):
        shown["migration_type"] = one.type
        if one.type == LIVE and one.status in GOING_ON:
            shown["links"] = call.links(f"servers/{one.server_id}/migrations/{one.number}")
    if call.since(PAGED):
        shown["uuid"] = one.id
    if call.since(OF_WHOM):
        shown |= {"user_id": one.user_id, "project_id": one.project_id}
    return shown


def _flavor_number(id_: str) -> int | None:
    """Clients expect a number, which flavors have none of here: their id where it is one, else one made of it."""
    if not id_:
        return None
    return int(id_) if id_.isascii() and id_.isdecimal() and len(id_) < 10 else crc32(id_.encode()) & 0x7FFFFFFF


ROUTES: Final[Routes[Call]] = {f"/{PATH}": {"GET": list_migrations}}
