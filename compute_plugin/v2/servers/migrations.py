"""/servers/{server_id}/migrations: live migrations that go on; and what a guest uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.action import Migration
from compute_plugin.records.records import Records
from compute_plugin.records.server import VmState
from compute_plugin.v2.frame.call import Call, within
from compute_plugin.v2.frame.listing import NEVER
from compute_plugin.v2.frame.reading import checked
from compute_plugin.v2.frame.times import time_of
from compute_plugin.v2.servers.finding import find_server
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from store.core.errors import ConflictError, InvalidError, NotFoundError

A: Final = "os_compute_api:servers:migrations:"
STATES: Final = {0: "pending", 1: "running", 3: "paused", 4: "shutdown", 6: "crashed", 7: "suspended"}
GOES_ON: Final = frozenset({"queued", "accepted", "preparing", "running"})


async def list_migrations(call: Call) -> Response:
    server = await find_server(call, f"{A}index")
    records = await call.records()
    found = [one for one in records.migrations.by("server", server.id) if _goes_on(one)]
    return answer({"migrations": [_shown(call, one) for one in found]})


async def show_migration(call: Call) -> Response:
    await find_server(call, f"{A}show")
    return answer({"migration": _shown(call, await _found(call))})


async def abort_migration(call: Call) -> Response:
    server = await find_server(call, f"{A}delete")
    migration = await _found(call)
    if migration.status not in GOES_ON:
        raise InvalidError(f"Migration {migration.number} is {migration.status}: it cannot be aborted.")

    def step(records: Records) -> None:
        held = records.migrations.get(migration.id)
        if held is not None:
            records.migrations.put(replace(held, abort=True))

    await call.service.store.change(step)
    if server.transition is None:
        raise ConflictError(f"Instance {server.id} is not migrated.")
    return accepted()


async def force_complete(call: Call) -> Response:
    body = await call.body()
    checked(body, ("force_complete",))
    await find_server(call, f"{A}force_complete")
    migration = await _found(call)
    raise InvalidError(f"Migration {migration.number} is {migration.status}: it comes to its end by itself.")


async def show_diagnostics(call: Call) -> Response:
    server = await find_server(call, "os_compute_api:os-server-diagnostics")
    if server.state not in (VmState.ACTIVE, VmState.PAUSED, VmState.RESCUED, VmState.RESIZED):
        raise ConflictError(f"Cannot 'get_diagnostics' instance {server.id} while it is in vm_state {server.state}")
    used = await call.service.consoles.usage(server)
    if not call.since(48):
        old: dict[str, Any] = {f"cpu{at}_time": ns for at, ns in enumerate(used.cpu_ns)}
        old |= {"memory": used.memory_mib * 1024, "memory-actual": used.memory_mib * 1024}
        for target, (read, reads, written, writes, errors) in used.disks.items():
            old |= {
                f"{target}_read": read, f"{target}_read_req": reads, f"{target}_write": written,
                f"{target}_write_req": writes, f"{target}_errors": errors,
            }  # fmt: skip
        return answer(old)
    kind = call.service.states.states.hosts.get(server.host)
    return answer(
        {
            "state": STATES[server.power],
            "driver": "libvirt",
            "hypervisor": kind.kind.lower() if kind is not None else None,
            "hypervisor_os": "linux",
            "uptime": used.uptime_s,
            "config_drive": server.config_drive,
            "num_cpus": len(used.cpu_ns),
            "num_nics": len(used.nics),
            "num_disks": len(used.disks),
            "cpu_details": [
                {"id": at, "time": ns, "utilisation": None} for at, ns in enumerate(used.cpu_ns)
            ],
            "nic_details": [
                {
                    "mac_address": mac, "rx_octets": one[0], "rx_packets": one[1], "rx_errors": one[2],
                    "rx_drop": one[3], "rx_rate": None, "tx_octets": one[4], "tx_packets": one[5],
                    "tx_errors": one[6], "tx_drop": one[7], "tx_rate": None,
                }
                for mac, one in used.nics.items()
            ],
            "disk_details": [
                {
                    "read_bytes": one[0], "read_requests": one[1], "write_bytes": one[2], "write_requests": one[3],
                    "errors_count": one[4],
                }
                for one in used.disks.values()
            ],
            "memory_details": {"maximum": used.memory_mib, "used": used.memory_used_mib},
        }
    )  # fmt: skip


async def _found(call: Call) -> Migration:
    number = call.path("number")
    records = await call.records()
    for one in records.migrations.by("server", call.path("server_id")):
        if str(one.number) == number and _goes_on(one):
            return one
    raise NotFoundError(f"In-progress live migration {number[:64]} is not found for server {call.path('server_id')}.")


def _goes_on(one: Migration) -> bool:
    return one.type == "live-migration" and one.status in GOES_ON


def _shown(call: Call, one: Migration) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": one.number,
        "server_uuid": one.server_id,
        "status": one.status,
        "source_compute": one.source,
        "source_node": one.source,
        "dest_compute": one.target,
        "dest_node": one.target,
        "dest_host": one.target,
        "created_at": time_of(one.created_us),
        "updated_at": time_of(one.updated_us),
    }
    for name in ("memory", "disk"):
        shown |= {f"{name}_{part}_bytes": None for part in ("total", "processed", "remaining")}
    if call.since(59):
        shown["uuid"] = one.id
    if call.since(80):
        shown |= {"user_id": one.user_id, "project_id": one.project_id}
    return shown


ROUTES: Final[Routes[Call]] = {
    "/servers/{server_id}/migrations": {"GET": within(23, NEVER, list_migrations)},
    "/servers/{server_id}/migrations/{number}": {
        "GET": within(23, NEVER, show_migration),
        "DELETE": within(24, NEVER, abort_migration),
    },
    "/servers/{server_id}/migrations/{number}/action": {"POST": within(22, NEVER, force_complete)},
    "/servers/{server_id}/diagnostics": {"GET": show_diagnostics},
}
