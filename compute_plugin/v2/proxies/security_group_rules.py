"""Rules of security groups, for what comes in."""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from starlette.responses import Response

from compute_plugin.v2.frame.call import Call
from compute_plugin.v2.frame.reading import is_uuid, uuid_of
from compute_plugin.v2.proxies.askers import ask, called, proxied
from compute_plugin.v2.proxies.networks import networks
from compute_plugin.v2.proxies.security_group_view import EVERYWHERE, PORT_MOST, Row, shown_rule
from compute_plugin.v2.proxies.security_groups import POLICY, find_group, names_of
from gateway.rest.answers import accepted, answer
from gateway.rest.app import Routes
from gateway.rest.fields import Fields
from store.core.errors import InvalidError, NotFoundError

PATH: Final = "/security-group-rules"
CODE_MOST: Final = 255


async def create_rule(call: Call) -> Response:
    fields = (await call.body()).object("security_group_rule")
    group = await find_group(call, uuid_of("parent_group_id", fields.value("parent_group_id")))
    remote = fields.value("group_id")
    if remote is not None:
        remote = (await find_group(call, uuid_of("group_id", remote)))["id"]
    asked = {"security_group_id": group["id"], "direction": "ingress", **_matched(fields, remote)}
    with called(f"Security group {group['id']} not found."):
        made = (await ask(call, networks, "POST", PATH, {"security_group_rule": asked}))["security_group_rule"]
    return answer({"security_group_rule": shown_rule(made, await names_of(call))})


async def delete_rule(call: Call) -> Response:
    id_ = call.path("rule_id")
    if not is_uuid(id_):
        raise InvalidError("Security group id should be uuid")
    with called(f"Rule ({id_}) not found"):
        rule = (await ask(call, networks, "GET", f"{PATH}/{id_}"))["security_group_rule"]
        if rule["direction"] != "ingress":
            raise NotFoundError(f"Rule ({id_}) not found")
        await ask(call, networks, "DELETE", f"{PATH}/{id_}")
    return accepted()


def _matched(fields: Fields, remote: str | None) -> Row:
    """What a packet is to be like, in the network service's words. Raises InvalidError."""
    protocol, least, most = (fields.value(name) for name in ("ip_protocol", "from_port", "to_port"))
    cidr = _cidr(fields.value("cidr")) if remote is None else None
    ethertype = "IPv6" if cidr is not None and ":" in cidr else "IPv4"
    matched: Row = {"ethertype": ethertype, "remote_group_id": remote, "remote_ip_prefix": cidr}
    said = isinstance(protocol, str) and protocol
    if remote is not None and said and least is None and most is None:
        least, most = (-1, -1) if protocol.upper() == "ICMP" else (1, PORT_MOST)
    if said and least is not None and most is not None:
        return matched | _ports(protocol, least, most)
    if remote is None:
        raise InvalidError("Not enough parameters to build a valid rule.")
    return matched


def _ports(protocol: str, least: Any, most: Any) -> Row:
    kind = protocol.upper()
    try:
        first, last = int(least), int(most)
    except (TypeError, ValueError) as error:
        raise InvalidError("Invalid input received: ports, types and codes are integers.") from error
    if kind not in ("TCP", "UDP", "ICMP"):
        raise InvalidError(f"Invalid IP protocol {protocol[:64]}.")
    within = -1 <= first <= CODE_MOST and -1 <= last <= CODE_MOST if kind == "ICMP" else 1 <= first <= last <= PORT_MOST
    if not within:
        raise InvalidError(f"Invalid port range {first}:{last}.")
    return {
        "protocol": kind.lower(),
        "port_range_min": first if first >= 0 else None,
        "port_range_max": last if last >= 0 else None,
    }


def _cidr(value: Any) -> str:
    if value in (None, ""):
        return EVERYWHERE
    try:
        return ipaddress.ip_interface(str(value)).with_prefixlen
    except ValueError as error:
        raise InvalidError(f"Invalid CIDR {str(value)[:64]!a}.") from error


ROUTES: Final[Routes[Call]] = {
    "/os-security-group-rules": {"POST": proxied(f"{POLICY}rule:create", create_rule)},
    "/os-security-group-rules/{rule_id}": {"DELETE": proxied(f"{POLICY}rule:delete", delete_rule)},
}
