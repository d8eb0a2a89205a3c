"""Routes of routers besides those that come by themselves."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from compute_plugin.networks.errors import BadRequestError, InUseError
from compute_plugin.networks.records.network import HostRoute
from compute_plugin.networks.records.router import Router
from compute_plugin.networks.v2.addressing.address_readers import host_routes
from compute_plugin.networks.v2.frame.attributes import wrong
from compute_plugin.networks.v2.frame.collection import Collection, Row
from compute_plugin.networks.v2.frame.readers import WrongValueError
from compute_plugin.networks.v2.frame.view import NO_LIMIT, Change
from compute_plugin.networks.v2.routing.router_subnets import own_addresses, reached


def shown_routes(router: Router) -> list[Row]:
    return [{"destination": one.destination, "nexthop": one.nexthop} for one in router.routes]


def add_extraroutes(kind: Collection[Any], change: Change, router: Router, body: Row) -> Row:
    """PUT .../add_extraroutes: those that are there already stay."""
    return _with(kind, change, router, dict.fromkeys([*router.routes, *_said(body)]))


def remove_extraroutes(kind: Collection[Any], change: Change, router: Router, body: Row) -> Row:
    """PUT .../remove_extraroutes: those that are not there are gone already."""
    gone = set(_said(body))
    return _with(kind, change, router, (one for one in router.routes if one not in gone))


def _with(kind: Collection[Any], change: Change, router: Router, routes: Iterable[HostRoute]) -> Row:
    after = replace(router, routes=tuple(routes))
    require_routes(change, after)
    return {"router": kind.show(change, change.put(change.records.routers, after))}


def _said(body: Row) -> tuple[HostRoute, ...]:
    found = body.get("router")
    if not isinstance(found, dict) or "routes" not in found:
        raise BadRequestError("HTTPBadRequest", "The body has to say which routes")
    try:
        return host_routes(found["routes"])
    except WrongValueError as error:
        raise wrong("routes", str(error)) from error


def require_routes(change: Change, router: Router) -> None:
    """That each goes to somebody whom the router reaches, and that there are not too many. Raises BadRequestError,
    InUseError."""
    if not router.routes:
        return
    limit = change.settings.limit(change.records, router.project_id, "router_route")
    if limit != NO_LIMIT and len(router.routes) > limit:
        raise InUseError("OverQuota", "Quota exceeded for resources: ['router_route'].")
    networks = [ipaddress.ip_network(one.cidr) for one in reached(change.records, router)]
    own = own_addresses(change.records, router)
    for route in router.routes:
        hop = ipaddress.ip_address(route.nexthop)
        if hop.version != ipaddress.ip_network(route.destination).version:
            raise _invalid(router, "the nexthop is of another version of IP than the destination")
        if not any(hop in network for network in networks):
            raise _invalid(router, "the nexthop is not connected with router")
        if route.nexthop in own:
            raise _invalid(router, "the nexthop is used by router")


def _invalid(router: Router, reason: str) -> BadRequestError:
    return BadRequestError("InvalidRoutes", f"Invalid format for routes: {shown_routes(router)}, {reason}")
