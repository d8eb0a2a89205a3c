"""Kinds of QoS rules that there are, and what rules of each say."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from compute_plugin.networks.errors import MissingError
from compute_plugin.networks.v2.frame.answers import answer
from compute_plugin.networks.v2.frame.call import Call
from compute_plugin.networks.v2.frame.collection import Row
from compute_plugin.networks.v2.frame.plain_lists import listed
from compute_plugin.networks.v2.frame.requests import Handler
from compute_plugin.networks.v2.qos.qos_rows import PARAMETERS
from compute_plugin.networks.v2.qos.qos_rules import ANY, DIRECTIONS, MARKS, MOST
from gateway.rest.errors import ForbiddenError

DRIVER: Final = "drystone"


def _drivers(kind: str) -> list[Row]:
    parameters = [_parameter(kind, name) for name in PARAMETERS[kind]]
    return [{"name": DRIVER, "supported_parameters": parameters}]


def _parameter(kind: str, name: str) -> Row:
    if name == "direction":
        choices = [*DIRECTIONS, ANY] if kind == "minimum_packet_rate" else list(DIRECTIONS)
        return {"parameter_name": name, "parameter_type": "choices", "parameter_values": choices}
    if name == "dscp_mark":
        return {"parameter_name": name, "parameter_type": "choices", "parameter_values": list(MARKS)}
    return {"parameter_name": name, "parameter_type": "range", "parameter_values": {"start": 0, "end": MOST}}


async def _allow(call: Call) -> None:
    view = await call.view()
    if not view.may("get_rule_type", {}):
        raise ForbiddenError("get_rule_type")


async def _list(call: Call) -> Response:
    await _allow(call)
    rows = [{"type": kind} for kind in PARAMETERS]
    return listed(call, "rule_types", rows, ("type",), "type")


async def _show(call: Call) -> Response:
    await _allow(call)
    kind = call.path("type")
    if kind not in PARAMETERS:
        raise MissingError("HTTPNotFound", f"The resource {kind[:255]} could not be found.")
    return answer({"rule_type": {"type": kind, "drivers": _drivers(kind)}})


ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "/v2.0/qos/rule-types": {"GET": _list},
    "/v2.0/qos/rule-types/{type}": {"GET": _show},
}
