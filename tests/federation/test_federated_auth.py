"""Programs that bring a provider's word to the API: who they are then, and what ends that."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from authn.federation.mapped import MappedProject, MappedUser
from authn.keys import DOMAIN_TARGET, GROUP_ACTOR, PROJECT_TARGET, USER_ACTOR, Assignment
from authn.mapped_places import MappedProjects
from authn.password_rules import PasswordRules
from authn.records import User
from authn.records.federation import IdentityProvider
from authn.service import IdentityService
from authn.shadow_users import ShadowUsers
from tests.authn.conftest import Cloud
from tests.authn.test_v3 import ask, password_auth
from tests.federation.fake_provider import ISSUER, claims, signed
from tests.federation.ways_in import AUTH, WayIn, named, open_way

PROVIDER_PATH = "/v3/OS-FEDERATION/identity_providers/acme"
EMAIL = [
    {
        "local": [{"user": {"name": "{0}", "email": "{1}"}}],
        "remote": [{"type": "OIDC-preferred_username"}, {"type": "OIDC-email"}],
    }
]


ACME = IdentityProvider("acme", "default")


@pytest.fixture
async def way(cloud: Cloud) -> WayIn:
    return await open_way(cloud)


def with_local(*local: Any) -> Any:
    return [{"local": [{"user": {"name": "{0}"}}, *local], "remote": [{"type": "OIDC-preferred_username"}]}]


def rescoped(token: str, scope: Any, method: str = "token") -> Any:
    return {"auth": {"identity": {"methods": [method], method: {"id": token}}, "scope": scope}}


async def lives(way: WayIn, token: str) -> bool:
    return (await ask(way.cloud, "GET", "/v3/auth/projects", token=token)).status == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_access_token_becomes_an_unscoped_token(way: WayIn, method: str) -> None:
    answer = await way.log_in(method=method)
    assert answer.status == 201
    told = answer.json["token"]
    assert told["methods"] == ["openid"]
    assert told["user"]["name"] == "jane"
    assert told["user"]["domain"]["id"] == await way.domain()
    assert told["user"]["OS-FEDERATION"] == {
        "identity_provider": {"id": "acme"},
        "protocol": {"id": "openid"},
        "groups": [],
    }
    assert not told.keys() & {"project", "domain", "roles", "catalog"}
    token = answer.headers["x-subject-token"]
    shown = await ask(way.cloud, "GET", "/v3/auth/tokens", token=token, headers={"x-subject-token": token})
    assert shown.json["token"] == told
    held = way.cloud.service.snapshot.users.require(told["user"]["id"])
    assert held.federated == (("acme", "openid", "jane"),)


async def test_the_same_person_is_the_same_user_by_the_name_of_today(way: WayIn) -> None:
    local = [{"user": {"id": "{0}", "name": "{1}", "email": "{2}"}}]
    remote = [{"type": name} for name in ("OIDC-sub", "OIDC-preferred_username", "OIDC-email")]
    await way.map([{"local": local, "remote": remote}])
    first = (await way.log_in(email="old@example.com")).json["token"]["user"]
    users = len(way.cloud.service.snapshot.users)
    second = (await way.log_in(preferred_username="jane.doe", email="new@example.com")).json["token"]["user"]
    assert second["id"] == first["id"]
    assert second["name"] == "jane.doe"
    shown = (await way.ask("GET", f"/v3/users/{first['id']}")).json["user"]
    assert shown["email"] == "new@example.com"
    assert shown["federated"] == [{"idp_id": "acme", "protocols": [{"protocol_id": "openid", "unique_id": "jane"}]}]
    other = (await way.log_in(sub="another", email="new@example.com")).json["token"]["user"]
    assert other["id"] != first["id"]
    assert len(way.cloud.service.snapshot.users) == users + 1


async def test_an_address_that_is_told_no_more_stays(way: WayIn) -> None:
    await way.map(EMAIL)
    id_ = (await way.log_in(email="jane@example.com")).json["token"]["user"]["id"]
    await way.map(with_local())
    assert (await way.log_in()).json["token"]["user"]["id"] == id_
    assert (await way.ask("GET", f"/v3/users/{id_}")).json["user"]["email"] == "jane@example.com"


async def test_names_may_be_those_of_others(way: WayIn) -> None:
    """Whoever chooses their name at the provider neither becomes a user of that name nor keeps them out."""
    await way.map(with_local())
    await way.map([{"local": [{"user": {"name": "{0}", "domain": {"id": "default"}}}], **_REMOTE}], "2.0")
    answer = await way.log_in(preferred_username="admin")
    user = answer.json["token"]["user"]
    assert (user["name"], user["domain"]["id"]) == ("admin", "default")
    assert user["id"] != way.cloud.made.user_id
    assert (await ask(way.cloud, "POST", "/v3/auth/tokens", password_auth("admin"))).json["token"]["user"][
        "id"
    ] == way.cloud.made.user_id
    later = await way.log_in(preferred_username="later")
    made = await way.ask("POST", "/v3/users", {"user": {"name": "later", "domain_id": "default", "password": "x"}})
    assert made.status == 201
    found = (await way.ask("GET", "/v3/users?name=later&domain_id=default")).json["users"]
    assert {user["id"] for user in found} == {later.json["token"]["user"]["id"], made.json["user"]["id"]}


_REMOTE = {"remote": [{"type": "OIDC-preferred_username"}]}


async def test_who_is_given_a_password_is_one_of_the_names_and_keeps_it(way: WayIn) -> None:
    local = [{"user": {"id": "{0}", "name": "{1}"}}]
    await way.map([{"local": local, "remote": [{"type": "OIDC-sub"}, {"type": "OIDC-preferred_username"}]}])
    id_ = (await way.log_in()).json["token"]["user"]["id"]
    assert (await way.ask("PATCH", f"/v3/users/{id_}", {"user": {"password": "her own"}})).status == 200
    user = {"name": "jane", "domain": {"id": await way.domain()}, "password": "her own"}
    auth = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
    assert (await ask(way.cloud, "POST", "/v3/auth/tokens", auth)).json["token"]["user"]["id"] == id_
    assert (await way.log_in(preferred_username="june")).json["token"]["user"]["name"] == "jane"
    taken = {"user": {"name": "jane", "domain_id": await way.domain(), "password": "x"}}
    assert (await way.ask("POST", "/v3/users", taken)).status == 409


async def test_an_administrator_may_say_beforehand_who_somebody_is(way: WayIn) -> None:
    link = [{"idp_id": "acme", "protocols": [{"protocol_id": "openid", "unique_id": "jane"}]}]
    body = {"user": {"name": "known", "domain_id": "default", "federated": link}}
    known = await way.made("POST", "/v3/users", body)
    assert (await way.log_in()).json["token"]["user"]["id"] == known["id"]
    assert (await way.ask("POST", "/v3/users", body)).status == 409
    assert (await way.ask("PATCH", f"/v3/users/{known['id']}", {"user": {"federated": []}})).status == 200
    assert (await way.log_in()).json["token"]["user"]["id"] != known["id"]


async def test_users_are_listed_by_what_others_know_them_by(way: WayIn) -> None:
    id_ = (await way.log_in()).json["token"]["user"]["id"]
    await way.log_in(preferred_username="june")
    for query in ("idp_id=acme&protocol_id=openid&unique_id=jane", "unique_id=jane"):
        assert [user["id"] for user in (await way.ask("GET", f"/v3/users?{query}")).json["users"]] == [id_]
    assert len((await way.ask("GET", "/v3/users?idp_id=acme")).json["users"]) == 2
    for query in ("idp_id=other", "protocol_id=saml2"):
        assert (await way.ask("GET", f"/v3/users?{query}")).json["users"] == []


async def test_a_link_that_is_no_text_is_refused(way: WayIn) -> None:
    id_ = (await way.log_in()).json["token"]["user"]["id"]
    link = [{"idp_id": "acme", "protocols": [{"protocol_id": "openid", "unique_id": "\ud800"}]}]
    assert (await way.ask("PATCH", f"/v3/users/{id_}", {"user": {"federated": link}})).status == 400
    body = {"user": {"name": "x", "domain_id": "default", "federated": link}}
    assert (await way.ask("POST", "/v3/users", body)).status == 400


async def test_who_is_deleted_comes_back_as_somebody_new(way: WayIn) -> None:
    answer = await way.log_in()
    id_ = answer.json["token"]["user"]["id"]
    assert (await way.ask("DELETE", f"/v3/users/{id_}")).status == 204
    assert (await way.log_in()).json["token"]["user"]["id"] != id_
    assert not await lives(way, answer.headers["x-subject-token"])


async def test_two_logins_at_once_make_one_user(cloud: Cloud, nursery: trio.Nursery) -> None:
    """In processes that have not heard of each other's writes."""
    domain = cloud.service.snapshot.domains.require("default")
    found: list[User] = []

    async def log_in(service: Any) -> None:
        users = ShadowUsers(service.directory, service.administration, service.clock, PasswordRules())
        found.append(await users.ephemeral(ACME, "openid", MappedUser("", "jane", "", None, "ephemeral"), domain))

    async with trio.open_nursery() as both:
        for service in (cloud.service, await cloud.another(nursery), await cloud.another(nursery)):
            service.directory._follow = lambda key, value, revision: None  # type: ignore[method-assign]
            both.start_soon(log_in, service)
    assert len({user.id for user in found}) == 1
    assert len(found) == 3


async def test_who_was_deleted_elsewhere_a_moment_ago_is_made_anew(cloud: Cloud, nursery: trio.Nursery) -> None:
    way = await open_way(cloud)
    id_ = (await way.log_in()).json["token"]["user"]["id"]
    elsewhere = await cloud.another(nursery)
    elsewhere.directory._follow = lambda key, value, revision: None  # type: ignore[method-assign]
    assert (await way.ask("DELETE", f"/v3/users/{id_}")).status == 204
    domain = cloud.service.snapshot.domains.require("default")
    users = ShadowUsers(elsewhere.directory, elsewhere.administration, elsewhere.clock, PasswordRules())
    found = await users.ephemeral(ACME, "openid", MappedUser("jane", "june", "", None, "ephemeral"), domain)
    assert (found.id != id_, found.name) == (True, "june")


async def test_who_is_disabled_is_not_let_in(way: WayIn) -> None:
    answer = await way.log_in()
    path = f"/v3/users/{answer.json['token']['user']['id']}"
    await way.ask("PATCH", path, {"user": {"enabled": False}})
    assert (await way.log_in()).status == 401
    assert not await lives(way, answer.headers["x-subject-token"])
    await way.ask("PATCH", path, {"user": {"enabled": True}})
    assert (await way.log_in()).status == 201


async def test_a_disabled_domain_lets_nobody_in_and_gets_no_users(way: WayIn) -> None:
    users = len(way.cloud.service.snapshot.users)
    await way.ask("PATCH", f"/v3/domains/{await way.domain()}", {"domain": {"enabled": False}})
    assert (await way.log_in()).status == 401
    assert len(way.cloud.service.snapshot.users) == users


async def test_a_provider_goes_with_its_domain(way: WayIn) -> None:
    id_ = await way.domain()
    token = (await way.log_in()).headers["x-subject-token"]
    await way.ask("PATCH", f"/v3/domains/{id_}", {"domain": {"enabled": False}})
    assert (await way.ask("DELETE", f"/v3/domains/{id_}")).status == 204
    assert (await way.ask("GET", PROVIDER_PATH)).status == 404
    assert not list(way.cloud.service.snapshot.protocols)
    assert not await lives(way, token)
    assert (await way.log_in()).status == 404


async def test_a_domain_that_the_mapping_makes_up_is_nobodys(way: WayIn) -> None:
    for domain in ({"id": "nowhere"}, {"name": "nowhere"}):
        await way.map([{"local": [{"user": {"name": "{0}", "domain": domain}}], **_REMOTE}], "2.0")
        assert (await way.log_in()).status == 401
    await way.map([{"local": [{"user": {"name": "{0}", "domain": {"name": "Default"}}}], **_REMOTE}], "2.0")
    assert (await way.log_in()).json["token"]["user"]["domain"]["id"] == "default"


async def test_the_configuration_may_name_the_domain(cloud: Cloud) -> None:
    way = await open_way(cloud)
    party = cloud.service.parties.at("acme", "openid")
    object.__setattr__(party.provider, "domain", "default")
    try:
        assert (await way.log_in()).json["token"]["user"]["domain"]["id"] == "default"
    finally:
        object.__setattr__(party.provider, "domain", "")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 256])
async def test_a_name_that_nobody_may_have_is_nobodys(way: WayIn, name: str) -> None:
    assert (await way.log_in(preferred_username=name)).status == 401


async def test_an_endless_id_is_nobodys(way: WayIn) -> None:
    local = [{"user": {"id": "{0}", "name": "jane"}}]
    await way.map([{"local": local, "remote": [{"type": "OIDC-sub"}]}])
    assert (await way.log_in(sub="x" * 1024)).status == 201
    assert (await way.log_in(sub="x" * 1025)).status == 401


async def test_whom_the_mapping_does_not_mean_is_nobody(way: WayIn) -> None:
    answer = await way.log_in(preferred_username=None)
    assert answer.status == 401
    assert "mapping" in answer.json["error"]["message"]


async def test_another_issuers_word_is_refused(way: WayIn) -> None:
    await way.ask("PATCH", PROVIDER_PATH, {"identity_provider": {"remote_ids": ["https://other.example.com"]}})
    assert (await way.log_in()).status == 403
    await way.ask("PATCH", PROVIDER_PATH, {"identity_provider": {"remote_ids": [ISSUER]}})
    assert (await way.log_in()).status == 201


async def test_what_does_not_exist_is_not_found_and_what_is_disabled_forbidden(cloud: Cloud) -> None:
    way = await open_way(cloud, named("acme", "unknown"), named("nobody", "openid"))
    for path in ("acme/protocols/unknown", "nobody/protocols/openid"):
        assert (await way.log_in(f"/v3/OS-FEDERATION/identity_providers/{path}/auth")).status == 404
    await way.made("PUT", f"{PROVIDER_PATH}/protocols/saml2", {"protocol": {"mapping_id": "people"}})
    assert (await way.log_in(f"{PROVIDER_PATH}/protocols/saml2/auth")).status == 404
    assert (await ask(cloud, "GET", "/v3/OS-FEDERATION/identity_providers/acme/protocols/unknown/auth")).status == 404
    await way.ask("PATCH", PROVIDER_PATH, {"identity_provider": {"enabled": False}})
    assert (await way.log_in()).status == 403
    assert (await ask(cloud, "GET", AUTH)).status == 403
    assert not way.provider.requests


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic YTpi"])
async def test_without_a_token_of_the_provider_nobody_gets_one(way: WayIn, header: str | None) -> None:
    way.provider.reply("/introspect", 200, {"active": False})
    headers = {} if header is None else {"authorization": header}
    answer = await ask(way.cloud, "POST", AUTH, headers=headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Keystone")


async def test_a_provider_that_is_away_is_told(way: WayIn) -> None:
    way.provider.away = True
    answer = await way.log_in()
    assert answer.status == 503
    assert "acme" in answer.json["error"]["message"]


async def test_a_protocol_of_any_name_is_a_mapped_one_in_tokens(cloud: Cloud) -> None:
    """A protocol that is called like another method must not pass for it."""
    way = await open_way(cloud, named("acme", "password"))
    await way.made("PUT", f"{PROVIDER_PATH}/protocols/password", {"protocol": {"mapping_id": "people"}})
    answer = await way.log_in(f"{PROVIDER_PATH}/protocols/password/auth")
    assert answer.json["token"]["methods"] == ["mapped"]
    assert answer.json["token"]["user"]["OS-FEDERATION"]["protocol"] == {"id": "password"}


async def test_more_methods_than_the_provider_may_be_asked_for(way: WayIn) -> None:
    id_ = (await way.log_in()).json["token"]["user"]["id"]
    options = {"multi_factor_auth_enabled": True, "multi_factor_auth_rules": [["openid", "totp"]]}
    await way.ask("PATCH", f"/v3/users/{id_}", {"user": {"options": options}})
    assert (await way.log_in()).status == 401


# -- local users -----------------------------------------------------------------------------------------------------


async def test_a_local_user_is_who_was_here_before(way: WayIn) -> None:
    project = await way.cloud.project("quarry")
    jane = await way.cloud.user("jane", project)
    await way.ask("PATCH", f"/v3/users/{jane.id}", {"user": {"default_project_id": project.id}})
    for local in (
        {"id": jane.id},
        {"name": "{0}", "domain": {"id": "default"}},
        {"name": "{0}", "domain": {"name": "Default"}},
    ):
        await way.map([{"local": [{"user": {**local, "type": "local"}}], **_REMOTE}])
        told = (await way.log_in()).json["token"]
        assert told["user"]["id"] == jane.id
        assert "OS-FEDERATION" not in told["user"]
        assert told["project"]["id"] == project.id
    assert (await way.log_in(preferred_username="june")).status == 401
    await way.ask("PATCH", f"/v3/users/{jane.id}", {"user": {"enabled": False}})
    assert (await way.log_in()).status == 401


async def test_who_is_not_here_is_no_local_user(way: WayIn) -> None:
    for local in ({"id": "unknown"}, {"name": "{0}", "domain": {"id": "nowhere"}}):
        await way.map([{"local": [{"user": {**local, "type": "local"}}], **_REMOTE}])
        assert (await way.log_in()).status == 401


# -- groups ----------------------------------------------------------------------------------------------------------


async def test_groups_give_roles_for_the_tokens_life(way: WayIn) -> None:
    project = await way.cloud.project("quarry")
    dev = await way.made("POST", "/v3/groups", {"group": {"name": "dev", "domain_id": "default"}})
    ops = await way.made("POST", "/v3/groups", {"group": {"name": "ops", "domain_id": "default"}})
    administration = way.cloud.service.administration
    held = Assignment(ops["id"], project.id, way.cloud.made.role_ids["member"], GROUP_ACTOR)
    await administration.assign(held)
    await administration.assign(
        Assignment(dev["id"], "default", way.cloud.made.role_ids["reader"], GROUP_ACTOR, DOMAIN_TARGET)
    )
    groups = {"groups": "{1}", "domain": {"name": "Default"}}
    await way.map(
        [
            {
                "local": [{"user": {"name": "{0}"}}, groups, {"group": {"id": dev["id"]}}],
                "remote": [{"type": "OIDC-preferred_username"}, {"type": "OIDC-groups"}],
            }
        ]
    )
    answer = await way.log_in(groups=["ops", "no such group"])
    told = answer.json["token"]["user"]["OS-FEDERATION"]["groups"]
    assert {group["id"] for group in told} == {dev["id"], ops["id"]}
    token = answer.headers["x-subject-token"]
    for stem in ("auth", "OS-FEDERATION"):
        projects = await ask(way.cloud, "GET", f"/v3/{stem}/projects", token=token)
        assert [one["id"] for one in projects.json["projects"]] == [project.id]
        domains = await ask(way.cloud, "GET", f"/v3/{stem}/domains", token=token)
        assert [one["id"] for one in domains.json["domains"]] == ["default"]
    scoped = await ask(way.cloud, "POST", "/v3/auth/tokens", rescoped(token, {"project": {"id": project.id}}))
    assert {role["name"] for role in scoped.json["token"]["roles"]} == {"member", "reader"}
    assert scoped.json["token"]["user"]["OS-FEDERATION"]["groups"] == told
    assert set(scoped.json["token"]["methods"]) == {"openid", "token"}
    assert await way.cloud.service.identify(scoped.headers["x-subject-token"]) is not None
    await administration.unassign(held)
    assert await way.cloud.service.identify(scoped.headers["x-subject-token"]) is None


async def test_a_group_of_an_id_that_is_not_here_lets_nobody_in(way: WayIn) -> None:
    await way.map(with_local({"group": {"id": "unknown"}}))
    assert (await way.log_in()).status == 401


async def test_as_many_groups_as_a_token_carries(way: WayIn) -> None:
    names = [f"group-{number}" for number in range(129)]
    for name in names:
        await way.made("POST", "/v3/groups", {"group": {"name": name, "domain_id": "default"}})
    local = [{"user": {"name": "{0}"}}, {"groups": "{1}", "domain": {"id": "default"}}]
    await way.map([{"local": local, "remote": [{"type": "OIDC-preferred_username"}, {"type": "OIDC-groups"}]}])
    answer = await way.log_in(groups=names[:128])
    assert await lives(way, answer.headers["x-subject-token"])
    assert (await way.log_in(groups=names)).status == 401


# -- projects --------------------------------------------------------------------------------------------------------


def with_projects(*projects: Any) -> Any:
    return with_local({"projects": list(projects)})


async def test_projects_are_made_and_roles_given(way: WayIn) -> None:
    here = await way.cloud.project("here")
    member = {"name": "{0}'s own", "roles": [{"name": "member"}]}
    also = {"name": "here", "roles": [{"name": "reader"}], "domain": {"name": "Default"}}
    await way.map(with_projects(member, also), "2.0")
    token = (await way.log_in()).headers["x-subject-token"]
    found = (await ask(way.cloud, "GET", "/v3/auth/projects", token=token)).json["projects"]
    assert {(one["name"], one["domain_id"]) for one in found} == {
        ("jane's own", await way.domain()),
        ("here", "default"),
    }
    assert here.id in {one["id"] for one in found}
    await way.log_in()
    assert len([one for one in way.cloud.service.snapshot.projects if one.name == "jane's own"]) == 1


async def test_two_logins_at_once_make_one_project(cloud: Cloud, nursery: trio.Nursery) -> None:
    """In processes that have not heard of each other's writes."""
    users = [await cloud.user("jane"), await cloud.user("june")]
    domain = cloud.service.snapshot.domains.require("default")
    mapped = [MappedProject("quarry", ("member",), None)]

    async def give(service: IdentityService, user: User) -> None:
        projects = MappedProjects(service.directory, service.administration)
        await projects.give(user, mapped, domain, take_others=False)

    services = [await cloud.another(nursery) for _ in users]
    async with trio.open_nursery() as both:
        for service, user in zip(services, users, strict=True):
            service.directory._follow = lambda key, value, revision: None  # type: ignore[method-assign]
            both.start_soon(give, service, user)
    late = (await cloud.another(nursery)).snapshot
    (project,) = (one for one in late.projects if one.name == "quarry")
    assert {held.actor_id for held in late.held.in_target(PROJECT_TARGET, project.id)} == {user.id for user in users}


@pytest.mark.parametrize(
    "project",
    [
        {"name": "p", "roles": [{"name": "nobody's"}]},
        {"name": "p", "roles": [{"name": "member"}], "domain": {"id": "nowhere"}},
    ],
)
async def test_a_role_or_domain_that_does_not_exist_makes_nothing(way: WayIn, project: Any) -> None:
    await way.map(with_projects({"name": "first", "roles": [{"name": "member"}]}, project), "2.0")
    assert (await way.log_in()).status == 404
    assert not {one.name for one in way.cloud.service.snapshot.projects} & {"first", "p"}


async def test_only_version_3_takes_roles(way: WayIn) -> None:
    both = [
        {"name": "a", "roles": [{"name": "member"}, {"name": "reader"}]},
        {"name": "b", "roles": [{"name": "member"}]},
    ]
    await way.map(with_projects(*both))
    id_ = (await way.log_in()).json["token"]["user"]["id"]

    def held() -> set[tuple[str, str]]:
        snapshot = way.cloud.service.snapshot
        return {
            (snapshot.projects.require(one.target_id).name, snapshot.roles.require(one.role_id).name)
            for one in snapshot.held.of_actor(USER_ACTOR, id_)
            if one.target == PROJECT_TARGET
        }

    everything = {("a", "member"), ("a", "reader"), ("b", "member")}
    assert held() == everything
    fewer = with_projects({"name": "a", "roles": [{"name": "reader"}]})
    await way.map(fewer, "2.0")
    await way.log_in()
    assert held() == everything
    await way.map(fewer, "3.0")
    await way.log_in()
    assert held() == {("a", "reader")}
    others = {
        Assignment(id_, "default", way.cloud.made.role_ids["reader"], target=DOMAIN_TARGET),
        Assignment(id_, way.cloud.made.project_id, way.cloud.made.role_ids["reader"], inherited=True),
    }
    for other in others:
        await way.cloud.service.administration.assign(other)
    await way.map(with_local(), "3.0")
    assert (await way.log_in()).status == 201
    assert way.cloud.service.snapshot.held.of_actor(USER_ACTOR, id_) == others


async def test_a_role_of_a_domain_is_for_its_own_users(way: WayIn) -> None:
    own = await way.domain()
    await way.made("POST", "/v3/roles", {"role": {"name": "mason", "domain_id": own}})
    await way.made("POST", "/v3/roles", {"role": {"name": "smith", "domain_id": "default"}})
    await way.map(with_projects({"name": "a", "roles": [{"name": "smith"}]}))
    assert (await way.log_in()).status == 404
    await way.map(with_projects({"name": "a", "roles": [{"name": "mason"}]}))
    assert (await way.log_in()).status == 201


# -- what ends tokens ------------------------------------------------------------------------------------------------


async def scoped_token(way: WayIn) -> tuple[str, str]:
    """Of the same login, an unscoped one and one for a project."""
    await way.map(with_projects({"name": "quarry", "roles": [{"name": "member"}]}))
    token = (await way.log_in()).headers["x-subject-token"]
    (project,) = (await ask(way.cloud, "GET", "/v3/OS-FEDERATION/projects", token=token)).json["projects"]
    answer = await ask(way.cloud, "POST", "/v3/auth/tokens", rescoped(token, {"project": {"id": project["id"]}}))
    return token, answer.headers["x-subject-token"]


async def test_a_disabled_provider_ends_its_tokens_for_good(way: WayIn) -> None:
    tokens = await scoped_token(way)
    for token in tokens:
        assert await way.cloud.service.identify(token) is not None
    await way.ask("PATCH", PROVIDER_PATH, {"identity_provider": {"enabled": False}})
    for token in tokens:
        assert await way.cloud.service.identify(token) is None
    assert (await ask(way.cloud, "POST", "/v3/auth/tokens", rescoped(tokens[0], "unscoped"))).status == 404
    await way.ask("PATCH", PROVIDER_PATH, {"identity_provider": {"enabled": True}})
    for token in tokens:
        assert await way.cloud.service.identify(token) is None
    assert (await way.log_in()).status == 201


async def test_what_is_changed_about_a_provider_besides_ends_nothing(way: WayIn) -> None:
    token = (await way.log_in()).headers["x-subject-token"]
    await way.ask("PATCH", PROVIDER_PATH, {"identity_provider": {"description": "x", "enabled": True}})
    assert await lives(way, token)


async def test_a_provider_that_is_made_anew_is_another(way: WayIn) -> None:
    token = (await way.log_in()).headers["x-subject-token"]
    assert (await way.ask("DELETE", PROVIDER_PATH)).status == 204
    assert not await lives(way, token)
    way = await open_again(way)
    assert (await way.log_in()).status == 201
    assert not await lives(way, token)


async def open_again(way: WayIn) -> WayIn:
    await way.ask("DELETE", "/v3/OS-FEDERATION/mappings/people")
    return await open_way(way.cloud)


async def test_a_protocol_that_is_gone_ends_its_tokens(way: WayIn) -> None:
    tokens = await scoped_token(way)
    for token in tokens:
        assert await way.cloud.service.identify(token) is not None
    assert (await way.ask("DELETE", f"{PROVIDER_PATH}/protocols/openid")).status == 204
    for token in tokens:
        assert await way.cloud.service.identify(token) is None


async def test_another_process_knows_a_token_before_its_watch_tells(cloud: Cloud, nursery: trio.Nursery) -> None:
    """User, group, protocol and all are newer than what it has heard of; the provider has changed."""
    way = await open_way(cloud, named("acme", "second"))
    elsewhere = await cloud.another(nursery)
    elsewhere.directory._follow = lambda key, value, revision: None  # type: ignore[method-assign]
    for enabled in (False, True):
        await way.ask("PATCH", PROVIDER_PATH, {"identity_provider": {"enabled": enabled}})
    await way.made("PUT", f"{PROVIDER_PATH}/protocols/second", {"protocol": {"mapping_id": "people"}})
    group = await way.made("POST", "/v3/groups", {"group": {"name": "dev", "domain_id": "default"}})
    project = await cloud.project("quarry")
    held = Assignment(group["id"], project.id, cloud.made.role_ids["member"], GROUP_ACTOR)
    await cloud.service.administration.assign(held)
    await way.map(with_local({"group": {"id": group["id"]}}))
    token = (await way.log_in(f"{PROVIDER_PATH}/protocols/second/auth")).headers["x-subject-token"]
    answer = await ask(cloud, "POST", "/v3/auth/tokens", rescoped(token, {"project": {"id": project.id}}))
    assert await elsewhere.identify(answer.headers["x-subject-token"]) is not None


# -- POST /v3/auth/tokens --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["mapped", "openid", "saml2", "x509"])
async def test_a_federated_token_is_rescoped_by_the_methods_of_federation_too(way: WayIn, method: str) -> None:
    _, token = await scoped_token(way)
    answer = await ask(way.cloud, "POST", "/v3/auth/tokens", rescoped(token, "unscoped", method))
    assert answer.status == 201
    assert answer.json["token"]["user"]["OS-FEDERATION"]["identity_provider"] == {"id": "acme"}
    ordinary = rescoped(await way.cloud.token("admin"), "unscoped", method)
    assert (await ask(way.cloud, "POST", "/v3/auth/tokens", ordinary)).status == 401


@pytest.mark.parametrize(
    ("named", "status"),
    [
        ({}, 400),
        ({"identity_provider": "acme"}, 400),
        ({"protocol": "openid"}, 400),
        ({"identity_provider": "nobody", "protocol": "openid"}, 404),
        ({"identity_provider": "acme", "protocol": "unknown"}, 404),
        ({"identity_provider": "acme", "protocol": "openid"}, 401),
    ],
)
async def test_a_body_is_no_providers_word(way: WayIn, named: Any, status: int) -> None:
    body = {"auth": {"identity": {"methods": ["openid"], "openid": named}}}
    token = signed(claims(preferred_username="jane"))
    headers = {"authorization": f"Bearer {token}"}
    assert (await ask(way.cloud, "POST", "/v3/auth/tokens", body, headers=headers)).status == status


async def test_a_default_project_does_not_scope_a_federated_token(way: WayIn) -> None:
    token, _ = await scoped_token(way)
    answer = await ask(way.cloud, "GET", "/v3/OS-FEDERATION/projects", token=token)
    (project,) = answer.json["projects"]
    user = (await way.log_in()).json["token"]["user"]["id"]
    await way.ask("PATCH", f"/v3/users/{user}", {"user": {"default_project_id": project["id"]}})
    assert "project" not in (await way.log_in()).json["token"]
    again = await ask(way.cloud, "POST", "/v3/auth/tokens", rescoped(token, None))
    assert "project" not in again.json["token"]
    assert again.json["token"]["expires_at"] == (await _shown(way, token))["expires_at"]


async def _shown(way: WayIn, token: str) -> Any:
    answer = await ask(way.cloud, "GET", "/v3/auth/tokens", token=token, headers={"x-subject-token": token})
    return answer.json["token"]
