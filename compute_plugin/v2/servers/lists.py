"""Lists of servers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from starlette.responses import Response

from compute_plugin.records.server import Server
from compute_plugin.v2.frame.call import Call, of
from compute_plugin.v2.frame.listing import Page, asked, know, paged
from compute_plugin.v2.frame.reading import flag
from compute_plugin.v2.servers.filters import (
    ADMINS,
    EVERYBODY,
    SORTS,
    Test,
    are_statuses,
    by_address,
    by_statuses,
    by_tags,
    by_text,
    is_deleted,
)
from compute_plugin.v2.servers.view import brief, sight_of, whole
from gateway.rest.answers import answer
from gateway.rest.errors import ForbiddenError
from gateway.rest.policy import Target
from gateway.rest.times import read_us
from store.core.errors import InvalidError

SECOND_US: Final = 1_000_000
PAGING: Final = frozenset({"limit", "marker", "sort_key", "sort_dir"})
TAGS: Final = 26
CHANGES_BEFORE: Final = 66
LOCKED: Final = 73
LISTED: Final = "os_compute_api:servers:"


async def list_servers(call: Call) -> Response:
    page = await _listed(call, "index")
    return answer(page.document("servers", (brief(call, server) for server in page.rows)))


async def list_servers_detail(call: Call) -> Response:
    page = await _listed(call, "detail")
    sight = await sight_of(call, await call.project())
    return answer(page.document("servers", [whole(sight, server) for server in page.rows]))


async def _listed(call: Call, operation: str) -> Page[Server]:
    project = await call.project()
    target = {**of(project), "user_id": await call.user()}
    await call.allow(f"{LISTED}{operation}", target)
    know(call, *EVERYBODY, *ADMINS, *PAGING)
    everywhere = await _everywhere(call, operation, target)
    records = await call.records()
    all_filters = await call.may("os_compute_api:servers:allow_all_filters", target)
    wanted = asked(call, "project_id") or asked(call, "tenant_id")
    rows: Iterable[Server] = records.servers if everywhere else records.servers.by("project", project)
    if wanted is not None and everywhere:
        rows = records.servers.by("project", wanted)
    tests = _tests(call, all_filters=all_filters)
    found = _ordered(call, [one for one in rows if all(test(one) for test in tests)])
    path = "servers/detail" if operation == "detail" else "servers"
    return paged(call, found, lambda server: server.id, path)


async def _everywhere(call: Call, operation: str, target: Target) -> bool:
    """Whether servers of all projects are asked for. Raises ForbiddenError where the caller may not."""
    said = asked(call, "all_tenants")
    if said is None:
        return False
    if said != "" and not flag("all_tenants", said):
        return False
    line = f"{LISTED}{operation}:get_all_tenants"
    if not await call.may(line, target):
        raise ForbiddenError(line)
    return True


def shown_us(server: Server) -> int:
    """When it was changed, in whole seconds, as clients are told, who ask with that again."""
    return server.updated_us - server.updated_us % SECOND_US


def _tests(call: Call, *, all_filters: bool) -> list[Test]:
    """Raises InvalidError."""
    tests: list[Test] = []
    query = call.query
    statuses = [one for one in query.getlist("status") if one]
    if statuses:
        tests.append(by_statuses(statuses) if are_statuses(statuses) else lambda _: False)
    wants_deleted = all_filters and any(
        flag(name, said) for name in ("deleted", "soft_deleted") if (said := asked(call, name))
    )
    since, before = asked(call, "changes-since"), asked(call, "changes-before")
    if before is not None and not call.since(CHANGES_BEFORE):
        before = None
    least = read_us("changes-since", since) if since is not None else 0
    if since is not None and before is not None and least > read_us("changes-before", before):
        raise InvalidError("The value of changes-since must be less than or equal to changes-before.")
    if since is not None:
        tests.append(lambda server: shown_us(server) >= least)
    else:
        tests.append(lambda server: is_deleted(server) is wants_deleted or "SOFT_DELETED" in statuses)
    if before is not None:
        most = read_us("changes-before", before)
        tests.append(lambda server: shown_us(server) <= most)
    for name, said in query.multi_items():
        if name in PAGING or (name not in EVERYBODY and not all_filters):
            continue
        test = _test(call, name, said)
        if test is not None:
            tests.append(test)
    return tests


def _test(call: Call, name: str, said: str) -> Test | None:
    if name in ("status", "all_tenants", "deleted", "soft_deleted", "changes-since", "changes-before"):
        return None
    if name in ("project_id", "tenant_id") and asked(call, "all_tenants") is None:
        return None
    if name in ("ip", "ip6"):
        return by_address(call.service.network_records(), said, 6 if name == "ip6" else 4)
    if name in ("tags", "tags-any", "not-tags", "not-tags-any"):
        return by_tags(name, said) if call.since(TAGS) else None
    if name == "locked":
        if not call.since(LOCKED):
            return None
        wanted = flag(name, said)
        return lambda server: bool(server.locked) is wanted
    if name == "metadata":
        return _metadata(said)
    return by_text(name, said)


def _metadata(said: str) -> Test:
    """Such as `{"role": "web"}`."""
    try:
        wanted = json.loads(said)
    except ValueError:
        wanted = None
    if not isinstance(wanted, dict):
        raise InvalidError("Invalid input for query parameters metadata: an object in JSON.")
    pairs = {(str(key), str(value)) for key, value in wanted.items()}
    return lambda server: pairs <= set(server.metadata.items())


def _ordered(call: Call, rows: list[Server]) -> list[Server]:
    keys, directions = call.query.getlist("sort_key"), call.query.getlist("sort_dir")
    for one in directions:
        if one not in ("asc", "desc"):
            raise InvalidError("Unknown sort direction, must be one of: asc, desc")
    pairs = [(key, directions[at] if at < len(directions) else "desc") for at, key in enumerate(keys)]
    rows.sort(key=lambda server: server.id, reverse=True)
    for key, direction in reversed([*pairs, ("created_at", "desc")]):
        if key not in SORTS:
            raise InvalidError(f"Invalid input for query parameters sort_key: {key[:64]} is none.")
        rows.sort(key=SORTS[key], reverse=direction == "desc")
    return rows
