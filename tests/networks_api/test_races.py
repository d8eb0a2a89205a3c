"""Two processes at once over one registry: whoever is first has it, and nothing is anybody's twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import trio

from store.registry import memory_registry
from tests.gateway_rest.doubtful_registry import lose_answer, puts
from tests.gateway_rest.mortal_registry import DeadError, MortalRegistry
from tests.gateway_rest.service import Answer
from tests.networks_api.cloud import Cloud
from tests.networks_api.hostile_routes import Drawn, furnish
from tests.networks_api.routed import ADMIN, inside, join, outside, port, router, subnet
from tests.networks_api.whole import require_whole
from tests.twins.clock import ManualClock

Clouds = tuple[Cloud, Cloud]
ROUNDS = 8


@pytest.fixture
async def clouds() -> AsyncIterator[Clouds]:
    """Registries that stop before each write, so that both look before either writes."""
    held = memory_registry(ManualClock())
    found = Cloud(MortalRegistry(held)), Cloud(MortalRegistry(held))
    async with trio.open_nursery() as nursery:
        for one in found:
            await nursery.start(one.service.run)
        yield found
        nursery.cancel_scope.cancel()


class Asked(NamedTuple):
    """Of a process."""

    cloud: Cloud
    method: str
    path: str
    body: Any = None
    token: str = "member@blue"


async def at_once(*asked: Asked) -> list[Answer]:
    answers: dict[int, Answer] = {}

    async def ask(at: int) -> None:
        one = asked[at]
        answers[at] = await one.cloud.ask(one.method, one.path, one.body, one.token)

    async with trio.open_nursery() as nursery:
        for at in range(len(asked)):
            nursery.start_soon(ask, at)
    return [answers[at] for at in range(len(asked))]


def statuses(answers: list[Answer]) -> list[int]:
    return sorted(one.status for one in answers)


async def whole(clouds: Clouds) -> None:
    records = [await one.service.store.fresh() for one in clouds]
    for one in records:
        require_whole(one)
    ids = [{each.id for table in one.tables() for each in table} for one in records]
    assert ids[0] == ids[1]


async def test_an_address_or_mac_that_two_wish_for_is_ones(clouds: Clouds) -> None:
    one, other = clouds
    network = await one.network()
    await subnet(one, network, "10.0.0.0/24")
    for at in range(ROUNDS):
        mac = {"mac_address": f"fa:16:3e:00:00:{at:02}", "fixed_ips": []}  # none of those that are wished for later
        for wish in ({"fixed_ips": [{"ip_address": f"10.0.0.{at + 20}"}]}, mac):
            body = {"port": {"network_id": network["id"], **wish}}
            answers = await at_once(Asked(one, "POST", "/ports", body), Asked(other, "POST", "/ports", body))
            assert statuses(answers) == [201, 409]
    await whole(clouds)


async def test_a_subnet_is_never_deleted_below_a_port(clouds: Clouds) -> None:
    one, other = clouds
    network = await one.network()
    for _ in range(ROUNDS):
        held = await subnet(one, network, "10.0.0.0/24")
        body = {"port": {"network_id": network["id"], "fixed_ips": [{"subnet_id": held["id"]}]}}
        answers = await at_once(
            Asked(one, "POST", "/ports", body),
            Asked(other, "DELETE", f"/subnets/{held['id']}"),
        )
        assert [answer.status for answer in answers] in ([201, 409], [404, 204], [400, 204])
        await whole(clouds)
        for left in await one.listed("ports", "/ports?device_owner="):
            await one.ask("DELETE", f"/ports/{left['id']}")
        await one.ask("DELETE", f"/subnets/{held['id']}")


async def test_a_network_is_never_deleted_below_a_port(clouds: Clouds) -> None:
    one, other = clouds
    for _ in range(ROUNDS):
        network = await one.network()
        answers = await at_once(
            Asked(one, "DELETE", f"/networks/{network['id']}"),
            Asked(other, "POST", "/ports", {"port": {"network_id": network["id"]}}),
        )
        assert [answer.status for answer in answers] in ([204, 404], [409, 201])
        await whole(clouds)


async def test_a_floating_address_stands_for_no_port_that_is_gone(clouds: Clouds) -> None:
    one, other = clouds
    beyond, within = await outside(one), await inside(one)
    await join(one, (await router(one, beyond))["id"], subnet_id=within["id"])
    floating = await one.create("floatingip", "/floatingips", floating_network_id=beyond["id"])
    for _ in range(ROUNDS):
        server = await port(one, within["network_id"])
        body = {"floatingip": {"port_id": server["id"]}}
        answers = await at_once(
            Asked(one, "PUT", f"/floatingips/{floating['id']}", body),
            Asked(other, "DELETE", f"/ports/{server['id']}"),
        )
        assert [answer.status for answer in answers] in ([200, 204], [404, 204])
        await whole(clouds)


async def test_the_last_of_a_quota_is_ones(clouds: Clouds) -> None:
    one, other = clouds
    assert (await one.ask("PUT", "/quotas/blue", {"quota": {"network": 3, "security_group": 2}}, ADMIN)).status == 200
    for path, singular, most in (("/networks", "network", 3), ("/security-groups", "security_group", 2)):
        asked = [Asked(cloud, "POST", path, {singular: {"name": "n"}}) for cloud in (one, other) * 3]
        answers = await at_once(*asked)
        assert statuses(answers).count(201) == (most if singular == "network" else most - 1)
        assert len(await other.listed(path.strip("/").replace("-", "_"), path)) == most


async def test_all_who_look_at_once_find_one_default_group(clouds: Clouds) -> None:
    one, other = clouds
    network = await one.network(ADMIN, shared=True)
    asked: list[Asked] = []
    for cloud in (one, other):
        asked += [
            Asked(cloud, "GET", "/security-groups"),
            Asked(cloud, "GET", "/security-group-rules"),
            Asked(cloud, "POST", "/ports", {"port": {"network_id": network["id"]}}),
            Asked(cloud, "POST", "/security-groups", {"security_group": {"name": "g"}}),
        ]
    assert statuses(await at_once(*asked)) == [200] * 4 + [201] * 4
    groups = await one.listed("security_groups", "/security-groups?name=default")
    assert len(groups) == 1
    await whole(clouds)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_two_ask_at_once_fits_together(clouds: Clouds, seed: int) -> None:
    one, other = clouds
    await furnish(one)
    drawn = Drawn(seed, ("admin@blue", "admin@red", "member@blue", "member@red"))
    for number in range(150):
        if number % 5 == 0:
            drawn.see(await one.service.store.fresh())
        asked: list[Asked] = []
        for cloud in (one, other, one, other):
            method, path, body, token, _ = drawn.request()
            asked.append(Asked(cloud, method, path, body, token))
        answers = await at_once(*asked)
        assert max(statuses(answers)) < 500, [answer.body for answer in answers]
        await whole(clouds)


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("seed", range(4))
async def test_a_process_that_dies_in_any_change_leaves_what_fits_together(seed: int, answered: bool) -> None:
    held = memory_registry(ManualClock())
    async with trio.open_nursery() as nursery:
        steady = Cloud(held)
        await nursery.start(steady.service.run)
        await furnish(steady)
        drawn, deaths = Drawn(seed, ("admin@blue", "admin@red", "member@blue")), 0
        for _ in range(250):
            drawn.see(await steady.service.store.fresh())
            method, path, body, token, headers = drawn.request()
            if method == "GET":
                continue
            mortal = MortalRegistry(held, None, answered=answered)
            async with trio.open_nursery() as process:
                dying = Cloud(mortal)
                await process.start(dying.service.run)
                mortal.writes_left = 0
                before = await held.revision()
                try:
                    await dying.ask(method, path, body, token, headers)
                except DeadError:
                    deaths += 1
                    assert not answered or await held.revision() == before
                process.cancel_scope.cancel()
            require_whole(await steady.service.store.fresh())
        assert deaths > 10
        nursery.cancel_scope.cancel()


async def test_an_answer_that_is_lost_is_a_503_and_what_was_asked_is_there_once() -> None:
    held = memory_registry(ManualClock())
    async with trio.open_nursery() as nursery:
        cloud = Cloud(held)
        await nursery.start(cloud.service.run)
        lose_answer(held, puts(b"network/network/"))
        answer: Any = await cloud.ask("POST", "/networks", {"network": {"name": "n"}})
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert [one["name"] for one in await cloud.listed("networks", "/networks")] == ["n"]
        nursery.cancel_scope.cancel()
