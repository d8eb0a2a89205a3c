"""More than one change has room for: ports of a subnet whose machines make their addresses themselves, and what goes
along with what is deleted."""

from __future__ import annotations

from typing import Any

import pytest
import trio
import trio.testing

from store.core.errors import RetryableError
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry
from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN, gone, inside, join, left, outside, port, router, subnet
from tests.networks_api.whole import require_whole

SLAAC = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"}
MANY = 260


async def crowded(cloud: Cloud, count: int = MANY) -> dict[str, Any]:
    network = await cloud.network()
    for at in range(0, count, 100):
        body = {"ports": [{"network_id": network["id"]}] * min(100, count - at)}
        assert (await cloud.ask("POST", "/ports", body)).status == 201
    return network


def with_addresses(cloud: Cloud) -> int:
    return sum(1 for one in cloud.service.store.records.ports if one.fixed_ips and not one.device_owner)


async def test_all_ports_get_an_address_of_a_new_subnet_and_lose_it_with_it(cloud: Cloud) -> None:
    network = await crowded(cloud)
    made = await subnet(cloud, network, "fd00::/64", **SLAAC)
    assert with_addresses(cloud) == MANY
    require_whole(cloud.service.store.records)
    await gone(cloud, f"/subnets/{made['id']}")
    assert with_addresses(cloud) == 0
    assert all(one.revision == 2 for one in cloud.service.store.records.ports)
    require_whole(cloud.service.store.records)


@pytest.mark.parametrize("writes", [0, 1, 2])
@pytest.mark.parametrize("answered", [True, False])
async def test_who_dies_between_leaves_the_rest_to_the_next_process(writes: int, answered: bool) -> None:
    first = Cloud()
    mortal = MortalRegistry(first.registry, None, answered=answered)
    dying = Cloud(mortal)
    async with trio.open_nursery() as nursery:
        await nursery.start(first.service.run)
        network = await crowded(first)
        await nursery.start(dying.service.run)
        mortal.writes_left = writes
        said = {"network_id": network["id"], "cidr": "fd00::/64", "ip_version": 6, **SLAAC}
        with pytest.raises(DeadError):
            await dying.ask("POST", "/subnets", {"subnet": said})
        await first.service.store.fresh()
        assert with_addresses(first) < MANY or (writes, answered) == (2, False)
        require_whole(first.service.store.records)
        later = Cloud(first.registry)
        await nursery.start(later.service.run)
        await trio.testing.wait_all_tasks_blocked()
        found = await later.listed("subnets", "/subnets")
        assert len(found) == (0 if (writes, answered) == (0, True) else 1)
        assert with_addresses(later) == (MANY if found else 0)
        nursery.cancel_scope.cancel()


async def test_what_cannot_be_done_now_is_done_later(cloud: Cloud, autojump_clock: trio.testing.MockClock) -> None:
    """The subnet is made, so that is what is answered."""
    network = await crowded(cloud)
    change, count = cloud.service.store.change, 0

    async def failing(step: Any) -> Any:
        nonlocal count
        count += 1
        if count in (2, 3):
            raise RetryableError("for now")
        return await change(step)

    cloud.service.store.change = failing  # type: ignore[method-assign]
    await subnet(cloud, network, "fd00::/64", **SLAAC)
    assert with_addresses(cloud) < MANY
    await trio.sleep(30)
    assert with_addresses(cloud) == MANY


async def test_ports_that_come_and_go_meanwhile_are_in_nobodys_way(cloud: Cloud) -> None:
    network = await crowded(cloud)
    other = Cloud(cloud.registry)
    async with trio.open_nursery() as nursery:
        await nursery.start(other.service.run)

        async def plug() -> None:
            for _ in range(10):
                made = await other.create("port", "/ports", network_id=network["id"])
                await gone(other, f"/ports/{made['id']}")
            await other.create("port", "/ports", network_id=network["id"])

        async with trio.open_nursery() as busy:
            busy.start_soon(plug)
            made = await subnet(cloud, network, "fd00::/64", **SLAAC)
        await cloud.service.store.fresh()
        assert with_addresses(cloud) == MANY + 1
        async with trio.open_nursery() as busy:
            busy.start_soon(plug)
            await gone(cloud, f"/subnets/{made['id']}")
        await cloud.service.store.fresh()
        assert with_addresses(cloud) == 0
        require_whole(cloud.service.store.records)
        nursery.cancel_scope.cancel()


async def test_a_network_takes_along_however_much_there_is(cloud: Cloud) -> None:
    limits = {"quota": {"floatingip": -1, "subnet": -1, "rbac_policy": -1}}
    for project in ("blue", "red"):
        assert (await cloud.ask("PUT", f"/quotas/{project}", limits, ADMIN)).status == 200
    beyond = await outside(cloud)
    for _ in range(2):
        body = {"floatingips": [{"floating_network_id": beyond["id"]}] * 60}
        assert (await cloud.ask("POST", "/floatingips", body)).status == 201
    for at in range(0, 130, 10):
        made = [{"network_id": beyond["id"], "ip_version": 4, "cidr": f"10.{one}.0.0/24"} for one in range(at, at + 10)]
        assert (await cloud.ask("POST", "/subnets", {"subnets": made}, ADMIN)).status == 201
    for at in range(130):
        said = {"object_type": "network", "object_id": beyond["id"], "action": "access_as_shared"}
        target = f"5f0c0b1d-9d3e-4f0f-8a51-0d6f8f7a{at:04}"
        await cloud.create("rbac_policy", "/rbac-policies", ADMIN, **said, target_tenant=target)
    server = await port(cloud, beyond["id"], ADMIN)
    before = left(cloud)
    await cloud.refused(409, "NetworkInUse", "DELETE", f"/networks/{beyond['id']}", token=ADMIN)
    assert left(cloud) == before
    await gone(cloud, f"/ports/{server['id']}", ADMIN)
    await gone(cloud, f"/networks/{beyond['id']}", ADMIN)
    assert {name for name, count in left(cloud).items() if count} <= {"quota", "security-group", "security-group-rule"}


async def test_a_port_takes_its_port_forwardings_along_and_a_router_its_helpers(cloud: Cloud) -> None:
    beyond, within = await outside(cloud), await inside(cloud)
    made = await router(cloud, beyond)
    await join(cloud, made["id"], subnet_id=within["id"])
    server = await port(cloud, within["network_id"])
    floating = await cloud.create("floatingip", "/floatingips", floating_network_id=beyond["id"])
    path = f"/floatingips/{floating['id']}/port_forwardings"
    common = {"protocol": "tcp", "internal_port_id": server["id"]}
    for at in range(1, 151, 50):
        body = [{**common, "internal_port": one, "external_port": one} for one in range(at, at + 50)]
        assert (await cloud.ask("POST", path, {"port_forwardings": body})).status == 201
    await gone(cloud, f"/ports/{server['id']}")
    assert "port-forwarding" not in left(cloud)
    helpers = f"/routers/{made['id']}/conntrack_helpers"
    for at in range(1, 151, 50):
        body = [{"protocol": "tcp", "port": one, "helper": "ftp"} for one in range(at, at + 50)]
        assert (await cloud.ask("POST", helpers, {"conntrack_helpers": body})).status == 201
    await cloud.refused(409, "RouterInUse", "DELETE", f"/routers/{made['id']}")
    assert left(cloud)["conntrack-helper"] == 150
    await gone(cloud, f"/floatingips/{floating['id']}")
    await cloud.ask("PUT", f"/routers/{made['id']}/remove_router_interface", {"subnet_id": within["id"]})
    await gone(cloud, f"/routers/{made['id']}")
    assert "conntrack-helper" not in left(cloud)
    require_whole(cloud.service.store.records)
