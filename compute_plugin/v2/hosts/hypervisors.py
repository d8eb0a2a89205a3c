"""Hypervisors: list, show, search, and what they have in all."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from compute_plugin.records.records import Records
from compute_plugin.scheduling.hosts import store_of
from compute_plugin.v2.frame.call import Call, within
from compute_plugin.v2.frame.listing import PAGING, Page, asked, know, paged
from compute_plugin.v2.frame.reading import flag, is_uuid
from compute_plugin.v2.hosts.hypervisor_view import UUIDS, brief, hypervisor_id, statistics, uptime, whole, with_servers
from compute_plugin.v2.hosts.noted import with_hosts
from compute_plugin.v2.hosts.rows import HostRow, host_rows
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from store.core.errors import InvalidError, NotFoundError

PATH: Final = "os-hypervisors"
POLICY: Final = "os_compute_api:os-hypervisors:"
PAGED: Final = 33
LAST_OF_AMOUNTS: Final = 87
PATTERN: Final = "hypervisor_hostname_pattern"


async def list_hypervisors(call: Call) -> Response:
    await call.allow(f"{POLICY}list")
    return await _listed(call, detail=False)


async def list_details(call: Call) -> Response:
    await call.allow(f"{POLICY}list-detail")
    return await _listed(call, detail=True)


async def show_hypervisor(call: Call) -> Response:
    know(call, "with_servers", strict=UUIDS, single=True)
    await call.allow(f"{POLICY}show")
    servers = _wants_servers(call)
    records, row = await _found(call)
    shown = whole(call, records, row, store_of(records, call.service.states.states))
    return answer({"hypervisor": shown | (with_servers(call, records, row) if servers else {})})


async def show_uptime(call: Call) -> Response:
    await call.allow(f"{POLICY}uptime")
    _, row = await _found(call)
    said = uptime(call, row)
    if said is None:
        raise InvalidError(f"Compute service of {row.name} is unavailable at this time.")
    return answer({"hypervisor": brief(call, row) | {"uptime": said}})


async def show_statistics(call: Call) -> Response:
    await call.allow(f"{POLICY}statistics")
    records, rows = await _all(call)
    return answer(
        {"hypervisor_statistics": statistics(call, records, rows, store_of(records, call.service.states.states))}
    )


async def search(call: Call) -> Response:
    """By a part of the name."""
    await call.allow(f"{POLICY}search")
    _, rows = await _all(call)
    return answer({"hypervisors": [brief(call, one) for one in _matching(rows, call.path("hypervisor_id"))]})


async def list_servers(call: Call) -> Response:
    """Of those that match a part of a name."""
    await call.allow(f"{POLICY}servers")
    records, rows = await _all(call)
    found = _matching(rows, call.path("hypervisor_id"))
    return answer({"hypervisors": [brief(call, one) | with_servers(call, records, one) for one in found]})


async def _listed(call: Call, *, detail: bool) -> Response:
    know(call, *PAGING, PATTERN, "with_servers", strict=UUIDS, single=True)
    pattern = asked(call, PATTERN) if call.since(UUIDS) else None
    servers = _wants_servers(call)
    records, rows = await _all(call)
    if pattern is not None:
        if any(name in call.query for name in PAGING):
            raise InvalidError(f"Paging over hypervisors with the {PATTERN} query parameter is not supported.")
        page = Page(_matching(rows, pattern), None)
    elif call.since(PAGED):
        path = f"{PATH}/detail" if detail else PATH
        page = paged(call, rows, lambda one: hypervisor_id(call, one), path)
    else:
        page = Page(rows, None)

    store = store_of(records, call.service.states.states)

    def shown(row: HostRow) -> dict[str, Any]:
        found = whole(call, records, row, store) if detail else brief(call, row)
        return found | (with_servers(call, records, row) if servers else {})

    return answer(page.document("hypervisors", [shown(one) for one in page.rows]))


def _wants_servers(call: Call) -> bool:
    value = asked(call, "with_servers") if call.since(UUIDS) else None
    return value is not None and flag("with_servers", value)


async def _all(call: Call) -> tuple[Records, list[HostRow]]:
    records = await with_hosts(call.service)
    return records, host_rows(records, call.service.states.states, call.service.settings)


async def _found(call: Call) -> tuple[Records, HostRow]:
    """The one that the path names."""
    id_ = call.path("hypervisor_id")
    if call.since(UUIDS) and not is_uuid(id_):
        raise InvalidError(f"Invalid uuid {id_[:255]}")
    records, rows = await _all(call)
    for row in rows:
        if hypervisor_id(call, row) == id_:
            return records, row
    raise NotFoundError(f"Hypervisor with ID '{id_[:255]}' could not be found.")


def _matching(rows: list[HostRow], pattern: str) -> list[HostRow]:
    found = [one for one in rows if pattern in one.name]
    if not found:
        raise NotFoundError(f"No hypervisor matching '{pattern[:255]}' could be found.")
    return found


ROUTES: Final[Routes[Call]] = {
    f"/{PATH}": {"GET": list_hypervisors},
    f"/{PATH}/detail": {"GET": list_details},
    f"/{PATH}/statistics": {"GET": within(1, LAST_OF_AMOUNTS, show_statistics)},
    f"/{PATH}/{{hypervisor_id}}": {"GET": show_hypervisor},
    f"/{PATH}/{{hypervisor_id}}/uptime": {"GET": within(1, LAST_OF_AMOUNTS, show_uptime)},
    f"/{PATH}/{{hypervisor_id}}/search": {"GET": within(1, UUIDS - 1, search)},
    f"/{PATH}/{{hypervisor_id}}/servers": {"GET": within(1, UUIDS - 1, list_servers)},
}
