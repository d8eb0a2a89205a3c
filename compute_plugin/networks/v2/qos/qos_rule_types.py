"""Kinds of QoS rules that packets are held to, and what rules of each say.

Rules of other kinds (minima) are kept as they are said: nothing is promised by them.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.networks.errors import MissingError
from compute_plugin.networks.records.qos import BANDWIDTH_LIMIT, DSCP_MARKING, PACKET_RATE_LIMIT
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.plain_lists import listed
from compute_plugin.networks.v2.frame.requests import Handler
from compute_plugin.networks.v2.qos.qos_rows import PARAMETERS
from compute_plugin.networks.v2.qos.qos_rules import DIRECTIONS, MARKS, MOST
from gateway.rest.answers import answer
from gateway.rest.errors import ForbiddenError

DRIVER: Final = "drystone"
ENFORCED: Final = (BANDWIDTH_LIMIT, DSCP_MARKING, PACKET_RATE_LIMIT)


def _drivers(kind: str) -> list[Row]:
    parameters = [_parameter(name) for name in PARAMETERS[kind]]
    return [{"name": DRIVER, "supported_parameters": parameters}]


def _parameter(name: str) -> Row:
    if name == "direction":
        return {"parameter_name": name, "parameter_type": "choices", "parameter_values": list(DIRECTIONS)}
    if name == "dscp_mark":
        return {"parameter_name": name, "parameter_type": "choices", "parameter_values": list(MARKS)}
    return {"parameter_name": name, "parameter_type": "range", "parameter_values": {"start": 0, "end": MOST}}


async def _allow(call: Call) -> None:
    view = await call.view()
    if not view.may("get_rule_type", {}):
        raise ForbiddenError("get_rule_type")


async def _list(call: Call) -> Response:
    await _allow(call)
    rows = [{"type": kind} for kind in ENFORCED]
    return listed(call, "rule_types", rows, ("type",), "type")


async def _show(call: Call) -> Response:
    await _allow(call)
    kind = call.path("type")
    if kind not in ENFORCED:
        raise MissingError("HTTPNotFound", f"The resource {kind[:255]} could not be found.")
    return answer({"rule_type": {"type": kind, "drivers": _drivers(kind)}})


ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "/v2.0/qos/rule-types": {"GET": _list},
    "/v2.0/qos/rule-types/{type}": {"GET": _show},
}
