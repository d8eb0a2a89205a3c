"""Whatever a client says of whatever attribute: it is told what is wrong, and nothing breaks."""

from __future__ import annotations

from typing import Any

import pytest

from compute_plugin.networks.v2.frame.attributes import REQUIRED
from compute_plugin.networks.v2.frame.collection import Collection
from compute_plugin.networks.v2.routes import COLLECTIONS
from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN, inside, join, outside, port, router

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1 << 70, 1.5, "", "x", "\ud800", "\0", "x" * 5000, "\u0661", "10.0.0.1", "::1", "fe80::1%1",
    [], [None], [7], ["x"], [{}], [[]], [{"x": 7}], {}, {"x": 7}, {"network_id": []},
)  # fmt: skip
USUAL: dict[str, Any] = {
    "object_type": "network", "action": "access_as_shared", "target_tenant": "*", "direction": "ingress",
    "ip_version": 4, "protocol": "tcp", "port": 21, "helper": "ftp", "network_type": "vxlan", "max_kbps": 1,
    "min_kbps": 1, "max_kpps": 1, "min_kpps": 1, "dscp_mark": 8, "service_type": "L3_ROUTER_NAT",
    "prefixes": ["10.0.0.0/8"],
}  # fmt: skip
BESIDES: dict[str, dict[str, Any]] = {
    "subnets": {"cidr": "10.9.0.0/24"},
    "port_forwardings": {"external_port": 1, "internal_port": 1},
    "service_profiles": {"metainfo": "{}"},
    "rbac_policies": {"target_tenant": "*"},
}
"""What new ones of a kind have to say, though no attribute alone is required."""


@pytest.mark.parametrize("kind", COLLECTIONS, ids=lambda kind: kind.plural)
async def test_odd_values_are_refused_or_taken(cloud: Cloud, kind: Collection[Any]) -> None:
    ids, above = await things(cloud, kind)
    path = kind.path.format(parent_id=above)
    required = [one.name for one in kind.attributes if one.default is REQUIRED]
    usual = {name: ids.get(name, USUAL.get(name)) for name in required} | BESIDES.get(kind.plural, {})
    for attribute in kind.attributes:
        for odd in ODD:
            body = {kind.singular: {**usual, attribute.name: odd}}
            answer = await cloud.ask("POST", path, body, ADMIN)
            assert answer.status in (201, 400, 403, 404, 409), (body, answer.body)
    await cloud.ask("POST", path, {kind.singular: usual}, ADMIN)
    rows = await cloud.listed(kind.plural, path, ADMIN)
    assert rows
    for attribute in kind.attributes:
        for odd in ODD:
            body = {kind.singular: {attribute.name: odd}}
            answer = await cloud.ask("PUT", f"{path}/{rows[0]['id']}", body, ADMIN)
            assert answer.status in (200, 400, 403, 404, 405, 409), (body, answer.body)
    for action in kind.actions:
        for odd in ODD:
            for body in (odd, {kind.singular: odd}, {"subnet_id": odd}, {"port_id": odd}, {"sub_ports": odd}):
                answer = await cloud.ask("PUT", f"{path}/{rows[0]['id']}/{action}", body, ADMIN)
                assert answer.status in (200, 400, 403, 404, 409), (action, body, answer.body)


async def things(cloud: Cloud, kind: Collection[Any]) -> tuple[dict[str, Any], str]:
    """What new ones may name, and what they are below."""
    beyond, lan = await outside(cloud), await inside(cloud, token=ADMIN)
    between = await router(cloud, beyond, ADMIN)
    await join(cloud, between["id"], ADMIN, subnet_id=lan["id"])
    server = await port(cloud, lan["network_id"], ADMIN)
    floating = await cloud.create("floatingip", "/floatingips", ADMIN, floating_network_id=beyond["id"])
    policy = await cloud.create("policy", "/qos/policies", ADMIN)
    group = await cloud.create("security_group", "/security-groups", ADMIN)
    ids = {
        "network_id": lan["network_id"],
        "object_id": lan["network_id"],
        "floating_network_id": beyond["id"],
        "security_group_id": group["id"],
        "internal_port_id": server["id"],
        "port_id": server["id"],
    }
    above = {"/floatingips": floating["id"], "/qos/policies": policy["id"], "/routers": between["id"]}
    return ids, next((id_ for path, id_ in above.items() if kind.path.startswith(f"{path}/{{")), "")


async def test_what_grows_with_each_request_has_an_end(cloud: Cloud) -> None:
    network = await cloud.network()
    path = f"/ports/{(await port(cloud, network['id']))['id']}"
    options = [[{"opt_name": f"{at}-{one}", "opt_value": "x"} for one in range(50)] for at in range(2)]
    await cloud.update("port", path, extra_dhcp_opts=options[0])
    await cloud.refused(400, "HTTPBadRequest", "PUT", path, {"port": {"extra_dhcp_opts": options[1]}})
    gone = [{**one, "opt_value": None} for one in options[0]]
    assert len((await cloud.update("port", path, extra_dhcp_opts=gone[:5]))["extra_dhcp_opts"]) == 45


async def test_pools_have_so_many_prefixes_and_no_more(cloud: Cloud) -> None:
    scattered = [[f"2001:db8:{at}:{one:x}::/96" for one in range(0, 1600, 2)] for at in range(2)]
    pool = await cloud.create("subnetpool", "/subnetpools", name="p", prefixes=scattered[0])
    path = f"/subnetpools/{pool['id']}"
    error = "IllegalSubnetPoolPrefixUpdate"
    await cloud.refused(400, error, "PUT", f"{path}/add_prefixes", {"prefixes": scattered[1]})
    whole = {"prefixes": [*scattered[0], *scattered[1][:300]]}
    await cloud.refused(400, "HTTPBadRequest", "PUT", path, {"subnetpool": whole})
    pool = await cloud.create("subnetpool", "/subnetpools", name="q", prefixes=["2001::/16"])
    gone = {"prefixes": [f"2001:{one:x}::1/128" for one in range(0, 1600, 2)]}
    await cloud.refused(400, error, "PUT", f"/subnetpools/{pool['id']}/remove_prefixes", gone)
    assert (await cloud.listed("subnetpools", f"/subnetpools?id={pool['id']}"))[0]["prefixes"] == ["2001::/16"]
