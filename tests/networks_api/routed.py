"""A network outside, one inside, and a router between them: what routers and floating addresses need."""

from __future__ import annotations

from typing import Any

from tests.networks_api.cloud import Cloud

ADMIN = "admin@red"
OUTSIDE = "203.0.113.0/24"


async def subnet(
    cloud: Cloud, network: dict[str, Any], cidr: str, token: str = "member@blue", **asked: Any
) -> dict[str, Any]:
    version = 6 if ":" in cidr else 4
    said = {"network_id": network["id"], "cidr": cidr, "ip_version": version, **asked}
    return await cloud.create("subnet", "/subnets", token, **said)


async def outside(cloud: Cloud, cidr: str = OUTSIDE) -> dict[str, Any]:
    """An external network with a subnet."""
    made = await cloud.network(ADMIN, **{"router:external": True, "name": "outside"})
    await subnet(cloud, made, cidr, ADMIN, enable_dhcp=False)
    return made


async def inside(cloud: Cloud, cidr: str = "10.0.0.0/24", token: str = "member@blue") -> dict[str, Any]:
    """A subnet on a network of its own."""
    return await subnet(cloud, await cloud.network(token), cidr, token)


async def router(
    cloud: Cloud, beyond: dict[str, Any] | None = None, token: str = "member@blue", **asked: Any
) -> dict[str, Any]:
    said = {"external_gateway_info": {"network_id": beyond["id"]}} if beyond is not None else {}
    return await cloud.create("router", "/routers", token, **said, **asked)


async def join(cloud: Cloud, router_id: str, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    """Put an interface in."""
    answer = await cloud.ask("PUT", f"/routers/{router_id}/add_router_interface", asked, token)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def leave(cloud: Cloud, router_id: str, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    """Take an interface out."""
    answer = await cloud.ask("PUT", f"/routers/{router_id}/remove_router_interface", asked, token)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def port(cloud: Cloud, network_id: str, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    return await cloud.create("port", "/ports", token, network_id=network_id, **asked)


async def gone(cloud: Cloud, path: str, token: str = "member@blue") -> None:
    """Delete it."""
    answer = await cloud.ask("DELETE", path, token=token)
    assert answer.status == 204, answer.body


def left(cloud: Cloud) -> dict[str, int]:
    """How many records of each kind there are, where there are any."""
    counts = {table.kind.name: len(table) for table in cloud.service.store.records.tables()}
    return {name: count for name, count in counts.items() if count}
