"""Application credentials: made, told once, and what one can do with them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from authn.fair_line import Caller
from authn.hashing import CHEAP, WAITING_MAX
from authn.keys import PROJECT_TARGET, Assignment
from authn.records import Project, User
from authn.records.credentials import TRUST, Trust
from authn.rights import Scope
from authn.throttle import FREE_FAILURES
from authn.tokens import Proof
from tests.authn.conftest import LIFETIME_S, Cloud
from tests.authn.test_v3 import Answer, ask, password_auth


@dataclass
class Ann:
    """A manager of a project, who makes application credentials."""

    cloud: Cloud
    user: User
    project: Project
    token: str

    @property
    def path(self) -> str:
        return f"/v3/users/{self.user.id}/application_credentials"

    def path_of(self, made: Answer) -> str:
        return f"{self.path}/{made.json['application_credential']['id']}"

    async def make(self, token: str = "", **fields: Any) -> Answer:
        return await ask(self.cloud, "POST", self.path, {"application_credential": fields}, token=token or self.token)

    async def login(self, made: Answer, scope: Any = None, **changes: Any) -> Answer:
        held = made.json["application_credential"]
        return await login(self.cloud, {"id": held["id"], "secret": held["secret"], **changes}, scope)


async def login(cloud: Cloud, held: dict[str, Any], scope: Any = None, client: str = "192.0.2.7") -> Answer:
    auth: dict[str, Any] = {"identity": {"methods": ["application_credential"], "application_credential": held}}
    body = {"auth": auth if scope is None else {**auth, "scope": scope}}
    return await ask(cloud, "POST", "/v3/auth/tokens", body, client=client)


async def ann_of(cloud: Cloud) -> Ann:
    project = await cloud.project("quarry")
    user = await cloud.user("ann", project, "manager")
    return Ann(cloud, user, project, await cloud.token("ann", project))


async def test_a_credential_lives(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="backup", description="nightly", roles=[{"name": "member"}])
    assert made.status == 201
    held = made.json["application_credential"]
    secret = held.pop("secret")
    assert len(secret) == 86
    assert held == {
        "id": held["id"],
        "name": "backup",
        "description": "nightly",
        "user_id": ann.user.id,
        "project_id": ann.project.id,
        "system": None,
        "expires_at": None,
        "unrestricted": False,
        "roles": held["roles"],
        "links": {"self": f"http://cloud:8080/identity{ann.path}/{held['id']}"},
    }
    assert [role["name"] for role in held["roles"]] == ["member", "reader"]
    assert set(held["roles"][0]) == {"id", "name", "domain_id", "description", "options"}
    assert (await ask(cloud, "GET", ann.path_of(made), token=ann.token)).json["application_credential"] == held
    assert (await ann.make(name="other")).status == 201
    for query, names in (("", {"backup", "other"}), ("?name=backup", {"backup"})):
        rows = (await ask(cloud, "GET", ann.path + query, token=ann.token)).json["application_credentials"]
        assert {row["name"] for row in rows} == names
    assert (await ann.make(name="backup")).status == 409
    assert (await ask(cloud, "DELETE", ann.path_of(made), token=ann.token)).status == 204
    assert (await ask(cloud, "GET", ann.path_of(made), token=ann.token)).status == 404
    assert (await ann.make(name="backup")).status == 201
    (stored, _) = cloud.service.snapshot.application_credentials
    assert stored.secret_hash.startswith("$argon2id$")


async def test_it_lets_in_with_its_part_of_the_roles(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="backup", secret="given", roles=[{"id": cloud.made.role_ids["reader"]}])
    assert made.json["application_credential"]["secret"] == "given"
    id_ = made.json["application_credential"]["id"]
    for held in (
        {"id": id_, "secret": "given"},
        {"name": "backup", "user": {"id": ann.user.id}, "secret": "given"},
        {"name": "backup", "user": {"name": "ann", "domain": {"id": "default"}}, "secret": "given"},
    ):
        answer = await login(cloud, held)
        assert answer.status == 201
        token = answer.json["token"]
        assert token["methods"] == ["application_credential"]
        assert token["project"]["id"] == ann.project.id
        assert [role["name"] for role in token["roles"]] == ["reader"]
        assert token["application_credential"] == {"id": id_, "name": "backup", "restricted": True}


@pytest.mark.parametrize(
    ("held", "status"),
    [
        ({"secret": "wrong"}, 401),
        ({"secret": None}, 401),
        ({"id": "none"}, 401),
        ({"id": None, "name": "backup", "user": {"id": "none"}}, 401),
        ({"id": None, "name": "backup", "user": {"name": "none", "domain": {"id": "default"}}}, 401),
        ({"id": None, "name": "backup", "user": {"name": "ann", "domain": {"id": "none"}}}, 401),
        ({"id": None, "name": "other", "user": {"name": "ann", "domain": {"id": "default"}}}, 401),
        ({"id": None, "name": "backup"}, 400),
        ({"id": None}, 400),
        ({"id": 5}, 400),
        ({"secret": 5}, 400),
    ],
)
async def test_who_is_not_let_in(cloud: Cloud, held: dict[str, Any], status: int) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="backup")
    assert (await ann.login(made, **held)).status == status
    assert (await ann.login(made)).status == 201


@pytest.mark.parametrize("scope", ["unscoped", {"project": {"id": "x"}}, {"system": {"all": True}}])
async def test_it_says_itself_what_it_is_for(cloud: Cloud, scope: Any) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="backup")
    assert (await ann.login(made, scope)).status == 401
    own = await ann.login(made, {"project": {"id": ann.project.id}})
    assert own.status == 401


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 400),
        ({"name": ""}, 400),
        ({"name": 5}, 400),
        ({"name": "x", "more": 1}, 400),
        ({"name": "x", "secret": "a" * 5000}, 400),
        ({"name": "x", "unrestricted": "yes"}, 400),
        ({"name": "x", "expires_at": "soon"}, 400),
        ({"name": "x", "expires_at": 5}, 400),
        ({"name": "x", "expires_at": "2001-01-01T00:00:00"}, 400),
        ({"name": "x", "expires_at": "9999-12-31T23:59:59-12:00"}, 400),
        ({"name": "x", "roles": [{"name": "admin"}]}, 400),
        ({"name": "x", "roles": [{"id": "none"}]}, 400),
        ({"name": "x", "roles": [{"name": "none"}]}, 404),
        ({"name": "x", "roles": [{}]}, 400),
        ({"name": "x", "roles": [{"id": "x", "more": "y"}]}, 400),
    ],
)
async def test_what_cannot_be_made(cloud: Cloud, fields: dict[str, Any], status: int) -> None:
    ann = await ann_of(cloud)
    assert (await ann.make(**fields)).status == status
    assert not list(cloud.service.snapshot.application_credentials)


async def test_it_ends_when_it_says_and_its_tokens_with_it(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    now_us = cloud.clock.wall_us()
    end = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now_us + 600_123_456)
    made = await ann.make(name="brief", expires_at=end.isoformat())
    stated = end.strftime("%Y-%m-%dT%H:%M:%S.%f")
    assert made.json["application_credential"]["expires_at"] == stated
    assert LIFETIME_S > 600
    entered = await ann.login(made)
    assert entered.json["token"]["expires_at"] == end.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    sealed = entered.headers["x-subject-token"]
    assert await cloud.service.identify(sealed) is not None
    cloud.clock.advance(601)
    assert await cloud.service.identify(sealed) is None
    assert (await ann.login(made)).status == 401


async def test_its_token_ends_with_it_at_once(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="backup")
    sealed = (await ann.login(made)).headers["x-subject-token"]
    assert await cloud.service.identify(sealed) is not None
    assert (await ask(cloud, "DELETE", ann.path_of(made), token=ann.token)).status == 204
    assert await cloud.service.identify(sealed) is None
    assert (await ann.login(made)).status == 401


async def test_a_role_that_is_taken_is_taken_from_it(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="backup")
    sealed = (await ann.login(made)).headers["x-subject-token"]
    administration, roles = cloud.service.administration, cloud.made.role_ids
    await administration.assign(Assignment(ann.user.id, ann.project.id, roles["reader"]))
    await administration.unassign(Assignment(ann.user.id, ann.project.id, roles["manager"]))
    identity = await cloud.service.identify(sealed)
    assert identity is not None
    assert identity.roles == {"reader"}
    await administration.unassign(Assignment(ann.user.id, ann.project.id, roles["reader"]))
    assert await cloud.service.identify(sealed) is None
    assert (await ann.login(made)).status == 401


async def test_a_disabled_user_and_a_deleted_one(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="backup")
    admin = await cloud.admin_token()
    path = f"/v3/users/{ann.user.id}"
    await ask(cloud, "PATCH", path, {"user": {"enabled": False}}, token=admin)
    assert (await ann.login(made)).status == 401
    await ask(cloud, "PATCH", path, {"user": {"enabled": True}}, token=admin)
    assert (await ann.login(made)).status == 201
    await ask(cloud, "DELETE", path, token=admin)
    assert (await ann.login(made)).status == 401
    assert not list(cloud.service.snapshot.application_credentials)


async def test_only_an_unrestricted_one_makes_and_ends_others(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    restricted = await ann.make(name="restricted", unrestricted=None)
    free = await ann.make(name="free", unrestricted=True)
    assert free.json["application_credential"]["unrestricted"] is True
    token = (await ann.login(restricted)).headers["x-subject-token"]
    assert (await ann.make(token=token, name="x")).status == 403
    assert (await ask(cloud, "DELETE", ann.path_of(restricted), token=token)).status == 403
    assert (await ask(cloud, "GET", ann.path, token=token)).status == 200
    entered = await ann.login(free)
    assert entered.json["token"]["application_credential"]["restricted"] is False
    token = entered.headers["x-subject-token"]
    assert (await ann.make(token=token, name="x")).status == 201
    assert (await ask(cloud, "DELETE", ann.path_of(restricted), token=token)).status == 204


async def test_an_unrestricted_one_lends_no_more_than_it_has(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    free = await ann.make(name="free", unrestricted=True, roles=[{"name": "reader"}])
    token = (await ann.login(free)).headers["x-subject-token"]
    assert (await ann.make(token=token, name="x", roles=[{"name": "manager"}])).status == 400
    made = await ann.make(token=token, name="x")
    assert [role["name"] for role in made.json["application_credential"]["roles"]] == ["reader"]


async def test_a_token_of_one_is_no_way_to_another_token(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    token = (await ann.login(await ann.make(name="backup"))).headers["x-subject-token"]
    identity = {"methods": ["token"], "token": {"id": token}}
    for scope in ({}, {"scope": {"project": {"id": ann.project.id}}}):
        assert (await ask(cloud, "POST", "/v3/auth/tokens", {"auth": {"identity": identity, **scope}})).status == 403


async def test_whose_they_are(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="backup")
    bob = await cloud.user("bob", ann.project)
    his, admin = await cloud.token("bob", ann.project), await cloud.admin_token()
    hidden = ann.path_of(made).replace(ann.user.id, bob.id)
    for method, path in (("GET", ann.path), ("GET", ann.path_of(made)), ("DELETE", ann.path_of(made))):
        assert (await ask(cloud, method, path, token=his)).status == 403
        assert (await ask(cloud, method, path)).status == 401
    for method in ("GET", "DELETE"):
        assert (await ask(cloud, method, hidden, token=his)).status == 403
    for caller in (his, admin):
        assert (await ann.make(token=caller, name="x")).status == 403
    for caller, status in ((admin, 404), (ann.token, 404), (his, 403)):
        assert (await ask(cloud, "GET", f"{ann.path}/none", token=caller)).status == status
    assert (await ask(cloud, "GET", ann.path_of(made), token=admin)).status == 200
    rows = (await ask(cloud, "GET", ann.path, token=admin)).json["application_credentials"]
    assert [row["name"] for row in rows] == ["backup"]
    assert (await ask(cloud, "DELETE", ann.path_of(made), token=admin)).status == 204


async def test_without_a_project_there_is_none(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    assert (await ann.make(token=await cloud.token("ann"), name="x")).status == 403


async def test_a_trust_makes_none(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    trust = Trust(
        id=cloud.service.administration.new_id(),
        trustor_user_id=ann.user.id,
        trustee_user_id=ann.user.id,
        project_id=ann.project.id,
        role_ids=(cloud.made.role_ids["member"],),
        impersonation=True,
    )
    await cloud.service.administration.create(TRUST, lambda snapshot: snapshot.trusts, trust)
    proof = Proof(ann.user, frozenset({"token"}), trust=trust)
    token, _ = cloud.service.tokens.issue(proof, Scope(PROJECT_TARGET, ann.project.id))
    made = await ann.make(name="backup")
    assert (await ann.make(token=token, name="x")).status == 403
    for method, path in (("GET", ann.path), ("GET", ann.path_of(made)), ("DELETE", ann.path_of(made))):
        assert (await ask(cloud, method, path, token=token)).status == 403
    assert (await ask(cloud, "GET", f"/v3/users/{ann.user.id}/access_rules", token=token)).status == 403


async def test_it_is_no_way_to_a_trust(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    bob = await cloud.user("bob", ann.project)
    trust = Trust(
        id=cloud.service.administration.new_id(),
        trustor_user_id=bob.id,
        trustee_user_id=ann.user.id,
        project_id=ann.project.id,
        role_ids=(cloud.made.role_ids["member"],),
        impersonation=True,
    )
    await cloud.service.administration.create(TRUST, lambda snapshot: snapshot.trusts, trust)
    scope = {"OS-TRUST:trust": {"id": trust.id}}
    assert (await ask(cloud, "POST", "/v3/auth/tokens", password_auth("ann", scope=scope))).status == 201
    assert (await ann.login(await ann.make(name="backup"), scope)).status == 401


async def test_guesses_are_slowed_down_where_they_are_made(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    held = (await ann.make(name="backup")).json["application_credential"]
    by_id = {"id": held["id"], "secret": "wrong"}
    by_name = {"name": "backup", "user": {"id": ann.user.id}, "secret": "wrong"}
    for number in range(FREE_FAILURES):
        assert (await login(cloud, [by_id, by_name][number % 2], client="192.0.2.66")).status == 401
    right = {"id": held["id"], "secret": held["secret"]}
    assert (await login(cloud, right, client="192.0.2.66")).status == 401
    assert (await login(cloud, right)).status == 201
    assert (await ask(cloud, "POST", "/v3/auth/tokens", password_auth("ann"), client="192.0.2.66")).status == 201


async def test_who_has_many_made_keeps_nobody_from_a_password(cloud: Cloud, nursery: trio.Nursery) -> None:
    ann, line = await ann_of(cloud), cloud.service.application_credentials._hasher.line
    answers: list[int] = []

    async def make(number: int) -> None:
        answers.append((await ann.make(name=f"n{number}")).status)

    async with AsyncExitStack() as stack:
        for number in range(CHEAP.at_once):
            await stack.enter_async_context(line.turn(Caller("192.0.2.7", f"somebody {number}")))
        for number in range(WAITING_MAX):
            nursery.start_soon(make, number)
        await wait_all_tasks_blocked()
        nursery.start_soon(cloud.user, "bob")
        await wait_all_tasks_blocked()
        assert answers == [503]
