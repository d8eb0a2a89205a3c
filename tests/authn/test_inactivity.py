"""Users who have not logged in for long."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing

from authn.hashing import CHEAP
from authn.keys import Assignment
from authn.operator import open_operator
from authn.password_rules import DAY_S, parse_password_rules
from authn.records import User
from authn.service import IdentityConfig, IdentityService
from tests.authn.conftest import LIFETIME_S, PASSWORD, Cloud, issued
from tests.authn.test_password_rules import add, admin, log_in, patch, started
from tests.authn.test_v3 import ask
from tests.federation.ways_in import open_way

TO_MIDNIGHT_S = 6400
"""From the clock's beginning."""


async def of_two_days(nursery: trio.Nursery) -> Cloud:
    """A cloud with the rule, of which the administrator is free; and ann."""
    cloud = await started(nursery, disable_user_account_days_inactive=2)
    await trio.testing.wait_all_tasks_blocked()
    await patch(cloud, cloud.made.user_id, options={"ignore_user_inactivity": True})
    await add(cloud)
    return cloud


def ann(cloud: Cloud) -> User:
    found = cloud.service.snapshot.users.named(("default", "ann"))
    assert found is not None
    return found


async def shown(cloud: Cloud) -> bool:
    answer = await ask(cloud, "GET", f"/v3/users/{ann(cloud).id}", token=await admin(cloud))
    return bool(answer.json["user"]["enabled"])


def written(cloud: Cloud) -> int:
    """Where the user's record was last written."""
    return cloud.service.snapshot.revision(f"identity/user/{ann(cloud).id}".encode())


async def test_days_count_and_a_login_begins_them_anew(nursery: trio.Nursery) -> None:
    cloud = await of_two_days(nursery)
    cloud.clock.advance(TO_MIDNIGHT_S + DAY_S - 1)
    assert (await log_in(cloud)).status == 201  # late on the second day
    cloud.clock.advance(DAY_S)
    assert await shown(cloud)
    cloud.clock.advance(1)
    assert not await shown(cloud)
    refused = await log_in(cloud)
    assert (refused.status, refused.json) == (401, (await log_in(cloud, "wrong")).json), "that it is so is not told"
    assert not await shown(cloud), "a refused login is none"


async def test_a_list_finds_them_as_disabled(nursery: trio.Nursery) -> None:
    cloud = await of_two_days(nursery)
    await add(cloud, name="bob", options={"ignore_user_inactivity": True})
    cloud.clock.advance(2 * DAY_S)

    async def found(asked: str) -> list[str]:
        answer = await ask(cloud, "GET", f"/v3/users?enabled={asked}", token=await admin(cloud))
        return sorted(user["name"] for user in answer.json["users"])

    assert (await found("false"), await found("true")) == (["ann"], ["admin", "bob"])


async def test_it_takes_one_write_a_day(nursery: trio.Nursery) -> None:
    cloud = await of_two_days(nursery)
    made = written(cloud)
    assert (await log_in(cloud)).status == 201
    assert written(cloud) == made
    cloud.clock.advance(DAY_S)
    assert (await log_in(cloud)).status == 201
    once = written(cloud)
    assert once > made
    assert (await log_in(cloud)).status == 201
    assert written(cloud) == once


async def test_without_the_rule_nothing_is_kept(cloud: Cloud) -> None:
    await cloud.user("ann")
    made = written(cloud)
    cloud.clock.advance(1000 * DAY_S)
    assert (await log_in(cloud)).status == 201
    assert (written(cloud), ann(cloud).active_day) == (made, 0)


async def test_tokens_and_credentials_of_the_inactive_open_nothing(nursery: trio.Nursery) -> None:
    cloud = await of_two_days(nursery)
    token = issued(cloud.service, ann(cloud))
    body = {"application_credential": {"name": "program", "secret": "s"}}
    project = cloud.service.snapshot.projects.require(cloud.made.project_id)
    path = f"/v3/users/{ann(cloud).id}/application_credentials"
    held = Assignment(ann(cloud).id, cloud.made.project_id, cloud.made.role_ids["member"])
    await cloud.service.administration.assign(held)
    made = await ask(cloud, "POST", path, body, token=issued(cloud.service, ann(cloud), project))
    assert made.status == 201
    shown = {"id": made.json["application_credential"]["id"], "secret": "s"}
    identity = {"methods": ["application_credential"], "application_credential": shown}

    async def by_credential() -> int:
        return (await ask(cloud, "POST", "/v3/auth/tokens", {"auth": {"identity": identity}})).status

    cloud.clock.advance(TO_MIDNIGHT_S + DAY_S - 1)
    last = issued(cloud.service, ann(cloud))
    assert await cloud.service.tokens.read(last) is not None
    assert await by_credential() == 201
    cloud.clock.advance(1)
    assert await cloud.service.tokens.read(last) is None
    assert await cloud.service.tokens.read(token) is None
    assert await by_credential() == 401, "that it was used in between is no login of the user's own"


async def test_an_administrator_takes_them_back(nursery: trio.Nursery) -> None:
    cloud = await of_two_days(nursery)
    cloud.clock.advance(2 * DAY_S)
    assert (await log_in(cloud)).status == 401
    assert (await patch(cloud, ann(cloud).id, enabled=True)).json["user"]["enabled"] is True
    assert (await log_in(cloud)).status == 201


async def test_so_does_the_command_line(nursery: trio.Nursery) -> None:
    cloud = await of_two_days(nursery)
    cloud.clock.advance(2 * DAY_S)
    await (await open_operator(cloud.registry, CHEAP)).set_password("ann", PASSWORD)
    await trio.testing.wait_all_tasks_blocked()
    assert (await log_in(cloud)).status == 201


async def test_those_of_before_the_rule_begin_with_it(cloud: Cloud, nursery: trio.Nursery) -> None:
    for number in range(101):  # more than one transaction writes
        user = User(f"{number:032x}", f"u{number}")
        await cloud.service.administration.create_user(user, None)
    cloud.clock.advance(1000 * DAY_S)
    rules = parse_password_rules({"disable_user_account_days_inactive": 2})
    config = IdentityConfig(LIFETIME_S, hash_cost=CHEAP, password_rules=rules)
    later = IdentityService(cloud.registry, config, clock=cloud.clock)
    await nursery.start(lambda task_status: later.run(task_status=task_status))
    await trio.testing.wait_all_tasks_blocked()
    assert {user.active_day for user in later.snapshot.users} == {cloud.clock.wall_us() // 1_000_000 // DAY_S}


async def test_a_providers_word_counts_as_a_login(nursery: trio.Nursery) -> None:
    cloud = await started(nursery, disable_user_account_days_inactive=2)
    await trio.testing.wait_all_tasks_blocked()
    await patch(cloud, cloud.made.user_id, options={"ignore_user_inactivity": True})
    way = await open_way(cloud)

    def now() -> dict[str, Any]:
        now_s = cloud.clock.wall_us() // 1_000_000
        return {"iat": now_s, "exp": now_s + 60}

    assert (await way.log_in(**now())).status == 201
    cloud.clock.advance(DAY_S)
    assert (await way.log_in(**now())).status == 201
    cloud.clock.advance(DAY_S)
    assert (await way.log_in(**now())).status == 201
    cloud.clock.advance(2 * DAY_S)
    assert (await way.log_in(**now())).status == 401
    assert (await way.log_in(**now())).status == 401, "nor the second time"
