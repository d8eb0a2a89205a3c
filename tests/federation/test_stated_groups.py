"""Groups that a provider puts users into for a while, and groups of a directory."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from authn.keys import GROUP_ACTOR, Assignment
from authn.records import Project
from tests.authn.conftest import Cloud
from tests.authn.directories.conftest import Mine
from tests.authn.directories.conftest import mine as mine
from tests.authn.test_v3 import Answer, ask
from tests.federation.ways_in import WayIn, open_way

PROVIDER = "/v3/OS-FEDERATION/identity_providers/acme"
REMOTE = [{"type": "OIDC-preferred_username"}, {"type": "OIDC-groups"}]
TTL_S = 120 * 60
"""Longer than a token lasts."""


def named(domain: str) -> Any:
    return [{"local": [{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": domain}}], "remote": REMOTE}]


class Stated:
    """A provider whose groups `ops` and `dev` hold for two hours; `ops` is reader of `project`."""

    def __init__(self, way: WayIn, project: Project, ops: str) -> None:
        self.way = way
        self.project = project
        self.ops = ops

    async def log_in(self, *groups: str) -> Answer:
        now_s = self.way.cloud.clock.wall_us() // 1_000_000
        return await self.way.log_in(groups=list(groups), iat=now_s, exp=now_s + 60)

    async def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """As an administrator, whatever the time."""
        return await ask(self.way.cloud, method, path, body, token=await self.way.cloud.admin_token())

    async def scoped(self, token: str) -> Answer:
        identity = {"methods": ["token"], "token": {"id": token}}
        scope = {"project": {"id": self.project.id}}
        return await ask(self.way.cloud, "POST", "/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope}})

    async def credential(self, token: str, user: str) -> Any:
        """Of the user, made with a token for the project: what is to be shown of it."""
        path, body = f"/v3/users/{user}/application_credentials", {"application_credential": {"name": "c"}}
        made = await ask(self.way.cloud, "POST", path, body, token=token)
        assert made.status == 201
        held = made.json["application_credential"]
        return {"id": held["id"], "secret": held["secret"]}

    async def by(self, credential: Any) -> Answer:
        identity = {"methods": ["application_credential"], "application_credential": credential}
        return await ask(self.way.cloud, "POST", "/v3/auth/tokens", {"auth": {"identity": identity}})

    async def groups(self, user: str) -> dict[str, str | None]:
        rows = (await self.ask("GET", f"/v3/users/{user}/groups")).json["groups"]
        return {row["name"]: row["membership_expires_at"] for row in rows}


@pytest.fixture
async def stated(cloud: Cloud) -> Stated:
    way = await open_way(cloud, rules=named("default"))
    await way.made("PATCH", PROVIDER, {"identity_provider": {"authorization_ttl": TTL_S // 60}})
    for name in ("ops", "dev"):
        await way.made("POST", "/v3/groups", {"group": {"name": name, "domain_id": "default"}})
    ops = cloud.service.snapshot.groups.named(("default", "ops"))
    assert ops is not None
    project = await cloud.project("quarry")
    held = Assignment(ops.id, project.id, cloud.made.role_ids["reader"], GROUP_ACTOR)
    await cloud.service.administration.assign(held)
    return Stated(way, project, ops.id)


async def acting(stated: Stated) -> tuple[str, Any]:
    """Who has logged in, and an application credential of theirs."""
    answer = await stated.log_in("ops")
    user = answer.json["token"]["user"]["id"]
    scoped = await stated.scoped(answer.headers["x-subject-token"])
    return user, await stated.credential(scoped.headers["x-subject-token"], user)


async def test_they_hold_for_so_long_after_a_login(stated: Stated) -> None:
    user, credential = await acting(stated)
    clock = stated.way.cloud.clock
    assert await stated.groups(user) == {"ops": "2023-11-15T00:13:20.000000Z"}
    member = f"/v3/groups/{stated.ops}/users/{user}"
    clock.advance(TTL_S - 1)
    assert (await stated.ask("HEAD", member)).status == 204
    last = await stated.by(credential)
    assert [role["name"] for role in last.json["token"]["roles"]] == ["reader"]
    sealed = last.headers["x-subject-token"]
    assert await stated.way.cloud.service.identify(sealed) is not None
    assert stated.way.cloud.service.known(sealed) is not None
    clock.advance(1)
    assert stated.way.cloud.service.known(sealed) is None, "what is remembered of a token ends with its roles"
    assert await stated.way.cloud.service.identify(sealed) is None
    assert (await stated.by(credential)).status == 401
    assert (await stated.groups(user), (await stated.ask("HEAD", member)).status) == ({}, 404)


async def test_each_login_begins_the_time_anew_and_ends_nothing(stated: Stated) -> None:
    _, credential = await acting(stated)
    stated.way.cloud.clock.advance(TTL_S - 1)
    earlier = (await stated.by(credential)).headers["x-subject-token"]
    assert (await stated.log_in("ops")).status == 201
    stated.way.cloud.clock.advance(TTL_S - 1)
    assert (await stated.by(credential)).status == 201
    stated.way.cloud.clock.advance(-TTL_S + 2)
    assert await stated.way.cloud.service.tokens.read(earlier) is not None


async def test_other_groups_end_the_tokens_of_before(stated: Stated) -> None:
    user, credential = await acting(stated)
    token = (await stated.by(credential)).headers["x-subject-token"]
    assert (await stated.log_in("dev")).status == 201
    assert set(await stated.groups(user)) == {"dev"}
    assert await stated.way.cloud.service.tokens.read(token) is None
    assert (await stated.by(credential)).status == 401


@pytest.mark.parametrize("ttl", [None, 0, 1])
async def test_what_the_provider_says_now_counts(stated: Stated, ttl: int | None) -> None:
    user, credential = await acting(stated)
    stated.way.cloud.clock.advance(60)
    await stated.ask("PATCH", PROVIDER, {"identity_provider": {"authorization_ttl": ttl}})
    assert await stated.groups(user) == {}
    assert (await stated.by(credential)).status == 401


async def test_without_a_time_nothing_is_kept(stated: Stated) -> None:
    await stated.ask("PATCH", PROVIDER, {"identity_provider": {"authorization_ttl": None}})
    answer = await stated.log_in("ops")
    user = stated.way.cloud.service.snapshot.users.require(answer.json["token"]["user"]["id"])
    assert (user.stated_groups, user.epoch) == ((), 0)
    assert (await stated.scoped(answer.headers["x-subject-token"])).status == 201


async def test_the_word_of_a_provider_that_is_disabled_ends_for_good(stated: Stated) -> None:
    user, credential = await acting(stated)
    for enabled in (False, True):
        await stated.ask("PATCH", PROVIDER, {"identity_provider": {"enabled": enabled}})
        assert await stated.groups(user) == {}
        assert (await stated.by(credential)).status == 401


async def test_who_is_in_a_group_for_good_stays(stated: Stated) -> None:
    user, credential = await acting(stated)
    assert (await stated.ask("PUT", f"/v3/groups/{stated.ops}/users/{user}")).status == 204
    assert await stated.groups(user) == {"ops": None}
    stated.way.cloud.clock.advance(TTL_S)
    assert (await stated.by(credential)).status == 201


async def test_roles_by_such_groups_are_told(stated: Stated) -> None:
    user, _ = await acting(stated)
    path = f"/v3/role_assignments?effective&user.id={user}"
    (row,) = (await stated.ask("GET", path)).json["role_assignments"]
    assert (row["scope"]["project"]["id"], row["user"]["id"]) == (stated.project.id, user)
    stated.way.cloud.clock.advance(TTL_S)
    assert (await stated.ask("GET", path)).json["role_assignments"] == []


# -- groups of a directory -------------------------------------------------------------------------------------------


async def test_a_group_of_a_directory_is_found_there(mine: Mine) -> None:
    group = mine.directory.group("g2", "ops")
    way = await open_way(mine.cloud, rules=named(mine.staff.id))
    answer = await way.log_in(groups=["ops", "no such group"])
    told = answer.json["token"]["user"]["OS-FEDERATION"]["groups"]
    assert told == [{"id": group.public_id}]
    project = await mine.cloud.project("quarry")
    held = Assignment(group.public_id, project.id, mine.cloud.made.role_ids["reader"], GROUP_ACTOR)
    await mine.service.administration.assign(held)
    identity = {"methods": ["token"], "token": {"id": answer.headers["x-subject-token"]}}
    body = {"auth": {"identity": identity, "scope": {"project": {"id": project.id}}}}
    scoped = await ask(mine.cloud, "POST", "/v3/auth/tokens", body)
    assert [role["name"] for role in scoped.json["token"]["roles"]] == ["reader"]


@pytest.mark.parametrize(("known", "status"), [(True, 201), (False, 401)])
async def test_one_may_be_named_by_its_id(mine: Mine, known: bool, status: int) -> None:
    id_ = mine.directory.group("g2", "ops").public_id if known else "0" * 64
    rules = [{"local": [{"user": {"name": "{0}"}}, {"group": {"id": id_}}], "remote": REMOTE[:1]}]
    way = await open_way(mine.cloud, rules=rules)
    assert (await way.log_in()).status == status


async def test_a_directory_that_is_away_is_waited_for(mine: Mine) -> None:
    way = await open_way(mine.cloud, rules=named(mine.staff.id))
    mine.directory.away = True
    answer = await way.log_in(groups=["ops"])
    assert answer.status == 503
    assert "10.9.8.7" not in answer.text.decode()


async def test_a_directory_is_asked_for_so_many_groups_only(mine: Mine) -> None:
    way = await open_way(mine.cloud, rules=named(mine.staff.id))
    assert (await way.log_in(groups=[f"g{number}" for number in range(128)])).status == 201
    assert mine.directory.asked["groups"] == 128
    assert (await way.log_in(groups=[f"g{number}" for number in range(129)])).status == 401
    assert mine.directory.asked["groups"] == 128


async def test_another_process_counts_them_too(stated: Stated, nursery: trio.Nursery) -> None:
    _, credential = await acting(stated)
    other = await stated.way.cloud.another(nursery)
    token = (await stated.by(credential)).headers["x-subject-token"]
    assert await other.identify(token) is not None
    stated.way.cloud.clock.advance(TTL_S)
    assert await other.identify(token) is None
