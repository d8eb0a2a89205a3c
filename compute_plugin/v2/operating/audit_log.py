"""Which hosts have counted usage for a log: none, as usage is told from the records whenever it is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.hosts.noted import with_hosts
from compute_plugin.v2.hosts.rows import host_rows
from gateway.rest.answers import answer
from gateway.rest.app import Routes
from store.core.errors import InvalidError

PATH: Final = "os-instance_usage_audit_log"
POLICY: Final = "os_compute_api:os-instance-usage-audit-log:"


async def show_last(call: Call) -> Response:
    await call.allow(f"{POLICY}list")
    now = datetime.fromtimestamp(call.service.clock.wall_us() // 1_000_000, UTC)
    return answer({"instance_usage_audit_logs": await _log(call, now.replace(tzinfo=None))})


async def show_before(call: Call) -> Response:
    """Of the month before a time."""
    await call.allow(f"{POLICY}show")
    asked = call.path("before")
    try:
        before = datetime.strptime(asked, "%Y-%m-%d %H:%M:%S.%f" if "." in asked else "%Y-%m-%d %H:%M:%S")
    except ValueError as error:
        raise InvalidError(f"Invalid timestamp for date {asked[:64]}") from error
    return answer({"instance_usage_audit_log": await _log(call, before)})


async def _log(call: Call, before: datetime) -> dict[str, Any]:
    records = await with_hosts(call.service)
    hosts = [one.name for one in host_rows(records, call.service.states.states, call.service.settings)]
    end = before.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    begin = end.replace(year=end.year - 1, month=12) if end.month == 1 else end.replace(month=end.month - 1)
    done = "ALL" if not hosts else f"0 of {len(hosts)}"
    return {
        "period_beginning": str(begin),
        "period_ending": str(end),
        "num_hosts": len(hosts),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(hosts),
        "hosts_not_run": hosts,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"{done} hosts done. 0 errors.",
        "log": {},
    }


ROUTES: Final[Routes[Call]] = {
    f"/{PATH}": {"GET": show_last},
    f"/{PATH}/{{before}}": {"GET": show_before},
}
