"""Actions of aggregates: which hosts are in one, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from compute_plugin.records.grouping import Aggregate
from compute_plugin.records.records import Records
from compute_plugin.scheduling.hosts import ZONE
from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import checked, host_of, metadata
from compute_plugin.v2.hosts.aggregates import PATH, POLICY, changed, path_number, set_metadata
from compute_plugin.v2.hosts.noted import with_hosts
from compute_plugin.v2.hosts.zone_rules import require_one_zone, require_same_zone
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import ConflictError, InvalidError, NotFoundError


async def act(call: Call) -> Response:
    body = await call.body()
    match body.names():
        case ["add_host"]:
            return await _add_host(call, body.object("add_host"))
        case ["remove_host"]:
            return await _remove_host(call, body.object("remove_host"))
        case ["set_metadata"]:
            await call.allow(f"{POLICY}set_metadata")
            said = checked(body.object("set_metadata"), ("metadata",)).value("metadata")
            return await set_metadata(call, path_number(call), metadata("metadata", said, nulls=True))
    raise InvalidError("There is no such action; there are add_host, remove_host and set_metadata.")


async def _add_host(call: Call, asked: Fields) -> Response:
    await call.allow(f"{POLICY}add_host")
    host = host_of(checked(asked, ("host",)))
    await with_hosts(call.service)

    def change(records: Records, aggregate: Aggregate) -> Aggregate:
        def refuse(why: str) -> ConflictError:
            return ConflictError(f"Cannot add host to aggregate {aggregate.number}. Reason: {why}.")

        if records.host_notes.get(host) is None:
            raise NotFoundError(f"Compute host {host} could not be found.")
        if host in aggregate.hosts:
            raise ConflictError(f"Aggregate {aggregate.number} already has host {host}.")
        if aggregate.metadata.get(ZONE):
            require_one_zone(records, aggregate, aggregate.metadata[ZONE], (host,), refuse)
        require_same_zone(records, aggregate, host, refuse, added=True)
        return replace(aggregate, hosts=(*aggregate.hosts, host))

    return await changed(call, path_number(call), change)


async def _remove_host(call: Call, asked: Fields) -> Response:
    await call.allow(f"{POLICY}remove_host")
    host = host_of(checked(asked, ("host",)))

    def change(records: Records, aggregate: Aggregate) -> Aggregate:
        def refuse(why: str) -> ConflictError:
            return ConflictError(f"Cannot remove host from aggregate {aggregate.number}. Reason: {why}.")

        if host not in aggregate.hosts:
            raise NotFoundError(f"Cannot remove host {host} in aggregate {aggregate.number}")
        require_same_zone(records, aggregate, host, refuse, added=False)
        return replace(aggregate, hosts=tuple(one for one in aggregate.hosts if one != host))

    return await changed(call, path_number(call), change)


ROUTES: Final[Routes[Call]] = {f"/{PATH}/{{aggregate_id}}/action": {"POST": act}}
