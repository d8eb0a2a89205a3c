"""Availability zones: those that hosts are in."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.times import time_of
from compute_plugin.v2.hosts.noted import with_hosts
from compute_plugin.v2.hosts.rows import BINARY, HostRow, host_rows
from gateway.rest.answers import answer
from gateway.rest.app import Routes

POLICY: Final = "os_compute_api:os-availability-zone:"


async def list_zones(call: Call) -> Response:
    await call.allow(f"{POLICY}list")
    return answer({"availabilityZoneInfo": [_shown(name, rows, None) for name, rows in await _zones(call)]})


async def list_details(call: Call) -> Response:
    """With the hosts of those that are there."""
    await call.allow(f"{POLICY}detail")
    shown = []
    for name, rows in await _zones(call):
        hosts = {one.name: {BINARY: _service(one)} for one in rows if not one.disabled}
        shown.append(_shown(name, rows, hosts or None))
    return answer({"availabilityZoneInfo": shown})


async def _zones(call: Call) -> list[tuple[str, list[HostRow]]]:
    """With their hosts: first those that are in use, each by name."""
    records = await with_hosts(call.service)
    found: dict[str, list[HostRow]] = {}
    for row in host_rows(records, call.service.states.states, call.service.settings):
        found.setdefault(row.zone, []).append(row)
    return sorted(found.items(), key=lambda one: (not _is_there(one[1]), one[0]))


def _is_there(rows: list[HostRow]) -> bool:
    return any(not one.disabled for one in rows)


def _shown(name: str, rows: list[HostRow], hosts: dict[str, Any] | None) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": _is_there(rows)}, "hosts": hosts}


def _service(row: HostRow) -> dict[str, Any]:
    return {"available": row.up, "active": not row.disabled, "updated_at": time_of(row.updated_us)}


ROUTES: Final[Routes[Call]] = {
    "/os-availability-zone": {"GET": list_zones},
    "/os-availability-zone/detail": {"GET": list_details},
}
