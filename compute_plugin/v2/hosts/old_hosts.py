"""Hosts as clients of before 2.43 ask for them; later ones ask for services and hypervisors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.hypervisors.interface import UnsupportedError
from compute_plugin.records.flavor import Flavor
from compute_plugin.records.records import Records
from compute_plugin.scheduling.hosts import store_of
from compute_plugin.v2.frame.call import Call, Handler, within
from compute_plugin.v2.frame.listing import asked
from compute_plugin.v2.frame.reading import checked, one_of
from compute_plugin.v2.hosts.hypervisor_view import amounts
from compute_plugin.v2.hosts.noted import with_hosts
from compute_plugin.v2.hosts.rows import HostRow, host_rows, servers_on
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from store.core.errors import InvalidError, NotFoundError

PATH: Final = "os-hosts"
POLICY: Final = "os_compute_api:os-hosts:"
LAST: Final = 42
CHOICES: Final = ("enable", "disable", "Enable", "Disable", "ENABLE", "DISABLE")


async def list_hosts(call: Call) -> Response:
    await call.allow(f"{POLICY}list")
    zone = asked(call, "zone")
    rows = [one for one in await _rows(call) if not one.disabled and (not zone or one.zone == zone)]
    shown = [{"host_name": one.name, "service": "compute", "zone": one.zone} for one in rows]
    return answer({"hosts": shown})


async def show_host(call: Call) -> Response:
    """What it has, what is claimed of it, and by which projects."""
    await call.allow(f"{POLICY}show")
    row = await _found(call)
    records = await call.records()
    held = amounts(call, records, row, store_of(records, call.service.states.states))
    shown = [
        _resource(row, "(total)", held["vcpus"], held["memory_mb"], held["local_gb"]),
        _resource(row, "(used_now)", held["vcpus_used"], held["memory_mb_used"], held["local_gb_used"]),
    ]
    servers = servers_on(records, row.name)
    by_project: dict[str, list[Flavor]] = {"(used_max)": [one.flavor for one in servers]}
    for one in servers:
        by_project.setdefault(one.project_id, []).append(one.flavor)
    return answer({"host": [*shown, *(_sum(row, project, flavors) for project, flavors in by_project.items())]})


async def update_host(call: Call) -> Response:
    """Whether it takes servers."""
    await call.allow(f"{POLICY}update")
    body = checked(await call.body(), (), ("status", "maintenance_mode"))
    if not body.names():
        raise InvalidError("'status' or 'maintenance_mode' is a required property")
    for name in body.names():
        one_of(body, name, CHOICES)
    row = await _found(call)
    if "maintenance_mode" in body:
        raise UnsupportedError("This hypervisor has no maintenance mode.")
    enabled = body.text("status").lower() == "enable"

    def step(records: Records) -> None:
        note = records.host_notes.require(row.name)
        records.host_notes.put(replace(note, disabled=not enabled, disabled_reason=None))

    await call.service.store.change(step)
    return answer({"host": row.name, "status": "enabled" if enabled else "disabled"})


def _powers(operation: str) -> Handler:
    """Machines are not switched from here."""

    async def act(call: Call) -> Response:
        await call.allow(f"{POLICY}{operation}")
        await _found(call)
        raise UnsupportedError("This hypervisor does not switch its host on or off.")

    return within(1, LAST, act)


async def _rows(call: Call) -> list[HostRow]:
    return host_rows(await with_hosts(call.service), call.service.states.states, call.service.settings)


async def _found(call: Call) -> HostRow:
    name = call.path("host")
    for row in await _rows(call):
        if row.name == name:
            return row
    raise NotFoundError(f"Compute host {name[:255]} could not be found.")


def _sum(row: HostRow, project: str, flavors: Sequence[Flavor]) -> dict[str, Any]:
    disk = sum(one.disk + one.ephemeral for one in flavors)
    return _resource(row, project, sum(one.vcpus for one in flavors), sum(one.ram for one in flavors), disk)


def _resource(row: HostRow, project: str, cpu: int, memory_mb: int, disk_gb: int) -> dict[str, Any]:
    return {"resource": {"host": row.name, "project": project, "cpu": cpu, "memory_mb": memory_mb, "disk_gb": disk_gb}}


ROUTES: Final[Routes[Call]] = {
    f"/{PATH}": {"GET": within(1, LAST, list_hosts)},
    f"/{PATH}/{{host}}": {"GET": within(1, LAST, show_host), "PUT": within(1, LAST, update_host)},
    f"/{PATH}/{{host}}/startup": {"GET": _powers("start")},
    f"/{PATH}/{{host}}/shutdown": {"GET": _powers("shutdown")},
    f"/{PATH}/{{host}}/reboot": {"GET": _powers("reboot")},
}
