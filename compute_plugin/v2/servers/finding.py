"""Servers are found for whoever may see them."""

from __future__ import annotations

from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.v2.frame.call import Call, of
from store.core.errors import NotFoundError

SERVERS = "os_compute_api:servers:"


async def find_server(call: Call, operation: str, id_: str | None = None, records: Records | None = None) -> Server:
    """The server in the path, for an operation on it. Raises NotFoundError, also to those who are of another project,
    and ForbiddenError to those of its own who may not."""
    id_ = call.path("server_id") if id_ is None else id_
    records = records or await call.records()
    missing = NotFoundError(f"Instance {id_[:255]} could not be found.")
    server = records.servers.get(id_)
    if server is None:
        await call.credentials()
        raise missing
    mine = (await call.credentials()).get("project_id")
    if mine != server.project_id and not await call.is_admin():
        raise missing
    await call.allow(operation, {**of(server.project_id), "user_id": server.user_id})
    return server
