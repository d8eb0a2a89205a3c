"""Small parts of servers: metadata, tags, addresses, what was done to them, their password, their security groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.action import ServerAction
from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.v2.frame.call import Call, within
from compute_plugin.v2.frame.listing import NEVER, asked, know, paged
from compute_plugin.v2.frame.reading import checked, metadata
from compute_plugin.v2.frame.times import time_of
from compute_plugin.v2.servers.addresses import plain_addresses, ports_of
from compute_plugin.v2.servers.beginning import change_server, require_unlocked
from compute_plugin.v2.servers.finding import find_server
from compute_plugin.v2.servers.view import host_id_of
from compute_plugin.v2.servers.wanted import TAGS_MAX, check_tag, read_tags
from gateway.rest.answers import answer, nothing
from gateway.rest.app import Routes
from gateway.rest.errors import OverLimitError
from gateway.rest.times import read_us
from store.core.errors import ConflictError, InvalidError, NotFoundError

A: Final = "os_compute_api:"
TAGS: Final = 26
UPDATED: Final = 58
HOST_OF_EVENTS: Final = 62
DETAILS: Final = 84


# -- metadata ----------------------------------------------------------------------------------------------------


async def show_metadata(call: Call) -> Response:
    server = await find_server(call, f"{A}server-metadata:index")
    return answer({"metadata": dict(server.metadata)})


async def show_item(call: Call) -> Response:
    server = await find_server(call, f"{A}server-metadata:show")
    key = call.path("key")
    if key not in server.metadata:
        raise NotFoundError("Metadata item was not found")
    return answer({"meta": {key: server.metadata[key]}})


async def add_metadata(call: Call) -> Response:
    said = _items(await body_of_metadata(call))
    server = await find_server(call, f"{A}server-metadata:create")
    after = await _changed(call, server, lambda held: {**held, **said})
    return answer({"metadata": after.metadata})


async def put_metadata(call: Call) -> Response:
    said = _items(await body_of_metadata(call))
    server = await find_server(call, f"{A}server-metadata:update_all")
    after = await _changed(call, server, lambda _: said)
    return answer({"metadata": after.metadata})


async def put_item(call: Call) -> Response:
    body = checked(await call.body(), ("meta",))
    said, key = _items(body.value("meta")), call.path("key")
    if len(said) != 1:
        raise InvalidError("Request body contains too many items" if said else "Request body has no item")
    if key not in said:
        raise InvalidError("Request body and URI mismatch")
    server = await find_server(call, f"{A}server-metadata:update")
    await _changed(call, server, lambda held: {**held, **said})
    return answer({"meta": said})


async def delete_item(call: Call) -> Response:
    server, key = await find_server(call, f"{A}server-metadata:delete"), call.path("key")
    if key not in server.metadata:
        raise NotFoundError("Metadata item was not found")
    await _changed(call, server, lambda held: {name: value for name, value in held.items() if name != key})
    return nothing()


async def body_of_metadata(call: Call) -> Any:
    return checked(await call.body(), ("metadata",)).value("metadata")


def _items(value: Any) -> dict[str, str]:
    return {key: one or "" for key, one in metadata("metadata", value).items()}


async def _changed(call: Call, server: Server, changed: Any) -> Server:
    require_unlocked(call, server, await call.is_admin())
    service = call.service

    def step(records: Records, server: Server) -> Server:
        after: dict[str, str] = changed(server.metadata)
        limit = service.settings.limits_of(records, server.project_id)["metadata_items"]
        if limit != -1 and len(after) > limit:
            raise OverLimitError(f"Maximum number of metadata items exceeds {limit}")
        if server.transition is not None and server.transition.what == "delete":
            raise ConflictError(f"Cannot 'update server metadata' instance {server.id} while it is being deleted")
        return replace(server, metadata=after, updated_us=service.clock.wall_us())

    return await change_server(call, server, step)


# -- tags --------------------------------------------------------------------------------------------------------


async def show_tags(call: Call) -> Response:
    server = await find_server(call, f"{A}os-server-tags:index")
    return answer({"tags": sorted(server.tags)})


async def put_tags(call: Call) -> Response:
    tags = read_tags(checked(await call.body(), ("tags",)).value("tags"))
    server = await find_server(call, f"{A}os-server-tags:update_all")
    after = await _tagged(call, server, lambda _: tags)
    return answer({"tags": sorted(after.tags)})


async def delete_tags(call: Call) -> Response:
    server = await find_server(call, f"{A}os-server-tags:delete_all")
    await _tagged(call, server, lambda _: ())
    return nothing()


async def has_tag(call: Call) -> Response:
    server, tag = await find_server(call, f"{A}os-server-tags:show"), call.path("tag")
    if tag not in server.tags:
        raise NotFoundError(f"Server {server.id} has no tag '{tag[:60]}'")
    return nothing()


async def put_tag(call: Call) -> Response:
    tag = call.path("tag")
    server = await find_server(call, f"{A}os-server-tags:update")
    check_tag(tag)
    if tag in server.tags:
        return nothing()
    if len(server.tags) >= TAGS_MAX:
        raise InvalidError(f"The number of tags exceeded the per-server limit {TAGS_MAX}")
    await _tagged(call, server, lambda held: (*held, tag))
    response = Response(status_code=201)
    response.headers["Location"] = f"{call.base}/servers/{server.id}/tags/{tag}"
    return response


async def delete_tag(call: Call) -> Response:
    server, tag = await find_server(call, f"{A}os-server-tags:delete"), call.path("tag")
    if tag not in server.tags:
        raise NotFoundError(f"Server {server.id} has no tag '{tag[:60]}'")
    await _tagged(call, server, lambda held: tuple(one for one in held if one != tag))
    return nothing()


async def _tagged(call: Call, server: Server, changed: Any) -> Server:
    require_unlocked(call, server, await call.is_admin())
    now = call.service.clock.wall_us()
    return await change_server(
        call, server, lambda _, server: replace(server, tags=changed(server.tags), updated_us=now)
    )


# -- addresses ---------------------------------------------------------------------------------------------------


async def show_addresses(call: Call) -> Response:
    server = await find_server(call, f"{A}ips:index")
    return answer({"addresses": _addresses(call, server)})


async def show_addresses_of(call: Call) -> Response:
    server, label = await find_server(call, f"{A}ips:show"), call.path("label")
    found = _addresses(call, server)
    if label not in found:
        raise NotFoundError("Instance is not a member of specified network")
    return answer({label: found[label]})


def _addresses(call: Call, server: Server) -> dict[str, list[dict[str, Any]]]:
    return plain_addresses(call.service.network_records(), server)


async def show_groups(call: Call) -> Response:
    server = await find_server(call, f"{A}os-security-groups:list")
    networks = call.service.network_records()
    ids = dict.fromkeys(id_ for port in ports_of(networks, server) for id_ in port.security_group_ids)
    found = [group for id_ in ids if (group := networks.security_groups.get(id_)) is not None]
    rows = [
        {
            "id": group.id,
            "name": group.name,
            "description": group.description,
            "tenant_id": group.project_id,
            "rules": [],
        }
        for group in found
    ]
    return answer({"security_groups": rows})


# -- what was done to it -----------------------------------------------------------------------------------------


async def list_actions(call: Call) -> Response:
    """Of a server that is gone, too, for a while."""
    records = await call.records()
    actions = await _actions(call, records, f"{A}os-instance-actions:list")
    if call.since(UPDATED):
        know(call, "limit", "marker", "changes-since", "changes-before", strict=UPDATED)
        since, before = asked(call, "changes-since"), asked(call, "changes-before") if call.since(66) else None
        if since is not None:
            least = read_us("changes-since", since)
            actions = [one for one in actions if one.updated_us >= least]
        if before is not None:
            most = read_us("changes-before", before)
            actions = [one for one in actions if one.updated_us <= most]
        path = f"servers/{call.path('server_id')}/os-instance-actions"
        page = paged(call, actions, lambda one: one.request_id, path)
        document = {"instanceActions": [_action(call, one) for one in page.rows]}
        if page.follows is not None:
            document["links"] = [{"rel": "next", "href": page.follows}]
        return answer(document)
    return answer({"instanceActions": [_action(call, one) for one in actions]})


async def show_action(call: Call) -> Response:
    records = await call.records()
    id_ = call.path("request_id")
    actions = await _actions(call, records, f"{A}os-instance-actions:show")
    found = next((one for one in actions if one.request_id == id_), None)
    if found is None:
        raise NotFoundError(f"Action for request_id {id_[:64]} on instance {call.path('server_id')} not found")
    shown = _action(call, found)
    target = {"project_id": found.project_id}
    may = await call.may(f"{A}os-instance-actions:events", target)
    if may or call.since(51):
        details = await call.may(f"{A}os-instance-actions:events:details", target)
        shown["events"] = [_event(call, one, found.project_id, may=may, details=details) for one in found.events]
    return answer({"instanceAction": shown})


async def _actions(call: Call, records: Records, operation: str) -> list[ServerAction]:
    """The newest first."""
    id_ = call.path("server_id")
    found = sorted(records.actions.by("server", id_), key=lambda one: one.started_us, reverse=True)
    if records.servers.get(id_) is not None or not found or not call.since(21):
        await find_server(call, operation, records=records)
        return found
    mine = (await call.credentials()).get("project_id")
    if found[-1].project_id != mine and not await call.is_admin():
        raise NotFoundError(f"Instance {id_[:255]} could not be found.")
    await call.allow(operation, {"project_id": found[-1].project_id})
    return found


def _action(call: Call, one: ServerAction) -> dict[str, Any]:
    shown = {
        "action": one.action,
        "instance_uuid": one.server_id,
        "request_id": one.request_id,
        "user_id": one.user_id,
        "project_id": one.project_id,
        "start_time": time_of(one.started_us),
        "message": one.message,
    }
    return shown | {"updated_at": time_of(one.updated_us)} if call.since(UPDATED) else shown


def _event(call: Call, one: Any, project: str, *, may: bool, details: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "event": one.event,
        "start_time": time_of(one.started_us),
        "finish_time": time_of(one.finished_us),
        "result": one.result or None,
    }
    if may:
        shown["traceback"] = one.details or None
    if call.since(HOST_OF_EVENTS):
        shown["hostId"] = ""
        if may:
            shown["host"] = one.host or None
        if one.host:
            shown["hostId"] = host_id_of(project, one.host)
    if call.since(DETAILS):
        shown["details"] = (one.details or None) if details or one.result == "Error" else None
    return shown


# -- its password ------------------------------------------------------------------------------------------------


async def show_password(call: Call) -> Response:
    """That its guest has posted, encrypted."""
    server = await find_server(call, f"{A}os-server-password:show")
    return answer({"password": server.password})


async def clear_password(call: Call) -> Response:
    server = await find_server(call, f"{A}os-server-password:clear")
    await change_server(call, server, lambda _, server: replace(server, password=""))
    return nothing()


async def show_topology(call: Call) -> Response:
    """No guest is bound to parts of its host here."""
    server = await find_server(call, "compute:server:topology:index")
    nodes = [{"memory_mb": server.flavor.ram, "vcpu_set": list(range(server.flavor.vcpus)), "siblings": []}]
    if await call.may("compute:server:topology:host:index", {"project_id": server.project_id}):
        nodes = [{**one, "cpu_pinning": {}, "host_node": None} for one in nodes]
    return answer({"nodes": nodes, "pagesize_kb": None})


ROUTES: Final[Routes[Call]] = {
    "/servers/{server_id}/metadata": {"GET": show_metadata, "POST": add_metadata, "PUT": put_metadata},
    "/servers/{server_id}/metadata/{key}": {"GET": show_item, "PUT": put_item, "DELETE": delete_item},
    "/servers/{server_id}/tags": {
        "GET": within(TAGS, NEVER, show_tags),
        "PUT": within(TAGS, NEVER, put_tags),
        "DELETE": within(TAGS, NEVER, delete_tags),
    },
    "/servers/{server_id}/tags/{tag}": {
        "GET": within(TAGS, NEVER, has_tag),
        "PUT": within(TAGS, NEVER, put_tag),
        "DELETE": within(TAGS, NEVER, delete_tag),
    },
    "/servers/{server_id}/ips": {"GET": show_addresses},
    "/servers/{server_id}/ips/{label}": {"GET": show_addresses_of},
    "/servers/{server_id}/os-security-groups": {"GET": show_groups},
    "/servers/{server_id}/os-instance-actions": {"GET": list_actions},
    "/servers/{server_id}/os-instance-actions/{request_id}": {"GET": show_action},
    "/servers/{server_id}/os-server-password": {"GET": show_password, "DELETE": clear_password},
    "/servers/{server_id}/topology": {"GET": within(78, NEVER, show_topology)},
}
