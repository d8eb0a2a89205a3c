"""Migrations: what is told of servers that change their host or size. Pure."""

from __future__ import annotations

from dataclasses import replace

from compute_plugin.records.action import Migration
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from gateway.rest.policy import Credentials


def new_migration(
    records: Records,
    server: Server,
    id_: str,
    type_: str,
    caller: Credentials,
    *,
    target: str,
    new_flavor: str,
    status: str,
    now_us: int,
) -> Migration:
    """One that begins."""
    made = Migration(
        id=id_,
        number=records.next_number("migration"),
        server_id=server.id,
        project_id=server.project_id,
        user_id=str(caller.get("user_id") or ""),
        type=type_,
        status=status,
        source=server.host,
        target=target,
        old_flavor_id=server.flavor.id,
        new_flavor_id=new_flavor,
        created_us=now_us,
        updated_us=now_us,
    )
    records.migrations.put(made)
    return made


def migration_is(records: Records, id_: str, status: str, now_us: int) -> None:
    """How far it is. Nothing where there is none."""
    found = records.migrations.get(id_)
    if found is not None and found.status != status:
        records.migrations.put(replace(found, status=status, updated_us=now_us))


def unconfirmed(records: Records, server: Server) -> Migration | None:
    """The one that is to be confirmed or reverted."""
    found = [one for one in records.migrations.by("server", server.id) if one.status == "finished"]
    return max(found, key=lambda one: one.number) if found else None
