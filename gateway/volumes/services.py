"""Services, hosts, pools and capabilities: what administrators are told of who serves volumes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from starlette.responses import Response

from gateway.rest.answers import answer
from gateway.rest.app import Routes
from gateway.rest.times import shown_us
from gateway.volumes.call import Call, of
from gateway.volumes.places import PROTOCOL, VENDOR, VOLUME, Place
from gateway.volumes.reading import flag, text
from gateway.volumes.records import Snapshot, Volume
from store.core.errors import InvalidError, NotFoundError

SERVICES: Final = "volume_extension:services:"
CLUSTERS: Final = 7
BACK_ENDS: Final = 49
POOL_FILTERS: Final = 28
DRIVER: Final = "1.0"


async def list_services(call: Call) -> Response:
    """Those of a host or with a name, where that is asked for."""
    await call.allow(f"{SERVICES}index", of(""))
    host, binary = call.query.get("host"), call.query.get("binary") or call.query.get("service")
    found = [
        _service(call, one)
        for one in await call.service.places.every()
        if (not host or host in (one.host, one.host.partition("@")[0])) and (not binary or binary == one.binary)
    ]
    return answer({"services": found})


async def disable(call: Call) -> Response:
    return await _disable(call, with_reason=False)


async def disable_with_reason(call: Call) -> Response:
    return await _disable(call, with_reason=True)


async def enable(call: Call) -> Response:
    place, _ = await _asked(call)
    await call.service.places.enable(place)
    told = {"disabled": False, "status": "enabled", "disabled_reason": None}
    return answer(told | {"host": place.host, "service": place.binary, "binary": place.binary})


async def not_here(call: Call) -> Response:
    """Freeze, thaw and fail over are of back ends that are copied elsewhere."""
    await call.allow(f"{SERVICES}update", of(""))
    raise InvalidError("Invalid input received: back ends are not frozen or failed over here.")


async def _disable(call: Call, *, with_reason: bool) -> Response:
    place, reason = await _asked(call)
    if with_reason and not reason:
        raise InvalidError("disabled_reason: 1 to 255 characters")
    await call.service.places.disable(place, reason)
    told: dict[str, Any] = {"disabled": True, "status": "disabled"}
    told |= {"host": place.host, "service": place.binary, "binary": place.binary}
    return answer(told | ({"disabled_reason": reason} if with_reason else {}))


async def _asked(call: Call) -> tuple[Place, str]:
    await call.allow(f"{SERVICES}update", of(""))
    body = await call.body()
    host = text(body, "host")
    binary = text(body, "binary") if body.value("binary") else text(body, "service")
    reason = text(body, "disabled_reason") if body.value("disabled_reason") else ""
    for one in await call.service.places.every():
        if (one.binary, one.host) == (binary, host):
            return one, reason
    raise NotFoundError(f"Service {binary} could not be found on host {host}.")


def _service(call: Call, one: Place) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "binary": one.binary,
        "host": one.host,
        "zone": call.service.zone,
        "status": "enabled" if one.disabled is None else "disabled",
        "state": "up",
        "updated_at": shown_us(call.service.clock.wall_us()),
        "disabled_reason": one.disabled or None,
    }
    if one.binary == VOLUME:
        shown |= {"replication_status": "disabled", "active_backend_id": None, "frozen": False}
        if call.since(BACK_ENDS):
            shown["backend_state"] = "up"
    if call.since(CLUSTERS):
        shown["cluster"] = None
    return shown


# -- hosts -----------------------------------------------------------------------------------------------------------


async def list_hosts(call: Call) -> Response:
    await call.allow("volume_extension:hosts", of(""))
    return answer(
        {
            "hosts": [
                {
                    "host_name": one.host,
                    "service": one.binary,
                    "zone": call.service.zone,
                    "service-status": "available",
                    "service-state": "enabled",
                    "last-update": shown_us(call.service.clock.wall_us()),
                }
                for one in await call.service.places.every()
                if one.disabled is None
            ]
        }
    )


async def show_host(call: Call) -> Response:
    """What each project has there, and all of them."""
    await call.allow("volume_extension:hosts", of(""))
    host, service = call.path("host"), call.service
    places = [one.host for one in await service.places.every() if one.binary == VOLUME]
    if host not in places:
        raise NotFoundError(f"Host {host[:255]} could not be found.")
    types = {one.id for one in await service.types.every() if service.types.policy_of(one) == host.partition("@")[2]}
    volumes = [one for one in await service.volumes.every() if one.type_id in types]
    there = {one.id for one in volumes}
    snapshots = [one for one in await service.snapshots.every() if one.volume_id in there]
    rows = [_usage(host, "(total)", volumes, snapshots)]
    for project in sorted({one.project_id for one in volumes}):
        mine = [one for one in volumes if one.project_id == project]
        rows.append(_usage(host, project, mine, [one for one in snapshots if one.project_id == project]))
    return answer({"host": rows})


def _usage(host: str, project: str, volumes: Iterable[Volume], snapshots: Iterable[Snapshot]) -> dict[str, Any]:
    sizes, snapshot_sizes = [one.size for one in volumes], [one.size for one in snapshots]
    return {
        "resource": {
            "host": host,
            "project": project,
            "volume_count": str(len(sizes)),
            "total_volume_gb": str(sum(sizes)),
            "snapshot_count": str(len(snapshot_sizes)),
            "total_snapshot_gb": str(sum(snapshot_sizes)),
        }
    }


# -- pools and capabilities ------------------------------------------------------------------------------------------


async def list_pools(call: Call) -> Response:
    """One for each storage policy. How much is free is a matter of the whole store, and not told here."""
    await call.allow("scheduler_extension:scheduler_stats:get_pools", of(""))
    detail = flag("detail", call.query.get("detail", "false"))
    wanted = call.query.get("name") if call.since(POOL_FILTERS) else None
    places = call.service.places
    pools = [
        {"name": places.pool(policy)} | ({"capabilities": _capabilities(call, policy)} if detail else {})
        for policy in places.policies
        if wanted in (None, places.pool(policy))
    ]
    return answer({"pools": pools})


async def show_capabilities(call: Call) -> Response:
    """Of a host, by its name with or without the pool."""
    await call.allow("volume_extension:capabilities", of(""))
    host, places = call.path("host"), call.service.places
    for policy in places.policies:
        if host in (places.back_end(policy), places.pool(policy)):
            return answer(
                {
                    "namespace": f"OS::Storage::Capabilities::{host}",
                    "vendor_name": VENDOR,
                    "volume_backend_name": policy,
                    "pool_name": policy,
                    "driver_version": DRIVER,
                    "storage_protocol": PROTOCOL,
                    "display_name": None,
                    "description": None,
                    "visibility": None,
                    "replication_targets": [],
                    "properties": {},
                }
            )
    raise NotFoundError(f"Host {host[:255]} could not be found.")


def _capabilities(call: Call, policy: str) -> dict[str, Any]:
    return {
        "pool_name": policy,
        "volume_backend_name": policy,
        "vendor_name": VENDOR,
        "driver_version": DRIVER,
        "storage_protocol": PROTOCOL,
        "total_capacity_gb": "unknown",
        "free_capacity_gb": "unknown",
        "reserved_percentage": 0,
        "QoS_support": False,
        "multiattach": True,
        "thin_provisioning_support": True,
        "timestamp": shown_us(call.service.clock.wall_us()),
    }


ROUTES: Final[Routes[Call]] = {
    "/os-services": {"GET": list_services},
    "/os-services/enable": {"PUT": enable},
    "/os-services/disable": {"PUT": disable},
    "/os-services/disable-log-reason": {"PUT": disable_with_reason},
    "/os-services/freeze": {"PUT": not_here},
    "/os-services/thaw": {"PUT": not_here},
    "/os-services/failover_host": {"PUT": not_here},
    "/os-hosts": {"GET": list_hosts},
    "/os-hosts/{host}": {"GET": show_host},
    "/scheduler-stats/get_pools": {"GET": list_pools},
    "/capabilities/{host}": {"GET": show_capabilities},
}
