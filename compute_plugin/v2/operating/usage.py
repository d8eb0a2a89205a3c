"""How long servers of which size have been there, for bills."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.records import Records
from compute_plugin.records.server import Server
from compute_plugin.v2.frame.call import Call, of
from compute_plugin.v2.frame.listing import PAGING, Page, asked, know, paged
from compute_plugin.v2.frame.times import time_of
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from store.core.errors import InvalidError

PATH: Final = "os-simple-tenant-usage"
POLICY: Final = "os_compute_api:os-simple-tenant-usage:"
PAGED: Final = 40
HOUR_US: Final = 3_600_000_000
FORMS: Final = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")

Period = tuple[int, int]


async def list_usages(call: Call) -> Response:
    """Of all projects."""
    know(call, *PAGING, "start", "end", "detailed")
    await call.allow(f"{POLICY}list")
    period = _period(call)
    page = _page(call, _servers(await call.records(), period), PATH)
    detailed = asked(call, "detailed") == "1"
    projects = dict.fromkeys(one.project_id for one in page.rows)
    shown = [
        _usage(call, period, [one for one in page.rows if one.project_id == project], detailed=detailed)
        for project in projects
    ]
    return answer(page.document("tenant_usages", shown))


async def show_usage(call: Call) -> Response:
    """Of one project; nothing where it has had no servers."""
    know(call, *PAGING, "start", "end")
    project = call.path("project_id")
    await call.allow(f"{POLICY}show", of(project))
    period = _period(call)
    held = [one for one in _servers(await call.records(), period) if one.project_id == project]
    page = _page(call, held, f"{PATH}/{project}")
    shown: dict[str, Any] = {"tenant_usage": _usage(call, period, page.rows, detailed=True) if page.rows else {}}
    if page.follows is not None:
        shown["tenant_usage_links"] = [{"rel": "next", "href": page.follows}]
    return answer(shown)


def _page(call: Call, servers: Sequence[Server], path: str) -> Page[Server]:
    return paged(call, servers, lambda one: one.id, path) if call.since(PAGED) else Page(list(servers), None)


def _period(call: Call) -> Period:
    """From when until when; not beyond now. Raises InvalidError."""
    now_us = call.service.clock.wall_us()
    begin, end = _time(asked(call, "start"), now_us), _time(asked(call, "end"), now_us)
    if begin >= end:
        raise InvalidError("Invalid start time. The start time cannot occur after the end time.")
    return begin, min(end, now_us)


def _time(text: str | None, now_us: int) -> int:
    if not text:
        return now_us
    for form in FORMS:
        try:
            found = datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        return int(found.timestamp()) * 1_000_000 + found.microsecond
    raise InvalidError("Datetime is in invalid format")


def _servers(records: Records, period: Period) -> list[Server]:
    """Those that were there at any time of it."""
    begin, end = period
    return sorted(
        (
            one
            for one in records.servers
            if one.launched_us and one.launched_us <= end and (not one.terminated_us or one.terminated_us >= begin)
        ),
        key=lambda one: one.id,
    )


def _usage(call: Call, period: Period, servers: Sequence[Server], *, detailed: bool) -> dict[str, Any]:
    """Of servers of one project."""
    now_us = call.service.clock.wall_us()
    rows = [_row(one, period, now_us) for one in servers]

    def total(name: str) -> float:
        return sum((float(row[name] * row["hours"]) for row in rows), 0.0)

    shown: dict[str, Any] = {
        "tenant_id": servers[0].project_id,
        "start": time_of(period[0]),
        "stop": time_of(period[1]),
        "total_hours": sum(row["hours"] for row in rows),
        "total_vcpus_usage": total("vcpus"),
        "total_memory_mb_usage": total("memory_mb"),
        "total_local_gb_usage": total("local_gb"),
    }
    return shown | {"server_usages": rows} if detailed else shown


def _row(server: Server, period: Period, now_us: int) -> dict[str, Any]:
    begin, end = period
    ended = server.terminated_us
    there_us = max(0, (min(end, ended) if ended else end) - max(begin, server.launched_us))
    return {
        "instance_id": server.id,
        "name": server.name,
        "tenant_id": server.project_id,
        "flavor": server.flavor.name,
        "memory_mb": server.flavor.ram,
        "local_gb": server.flavor.disk + server.flavor.ephemeral,
        "vcpus": server.flavor.vcpus,
        "hours": there_us / HOUR_US,
        "started_at": time_of(server.launched_us),
        "ended_at": time_of(ended),
        "state": "terminated" if ended else str(server.state),
        "uptime": ((ended or now_us) - server.launched_us) // 1_000_000,
    }


ROUTES: Final[Routes[Call]] = {
    f"/{PATH}": {"GET": list_usages},
    f"/{PATH}/{{project_id}}": {"GET": show_usage},
}
