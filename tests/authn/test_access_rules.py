"""Access rules: which requests they open, in identity itself, and how they are kept."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from authn.access_rules import AllowedRequests
from authn.records.credentials import ACCESS_RULE, AccessRule
from tests.authn.conftest import Cloud
from tests.authn.test_application_credentials import Ann, ann_of
from tests.authn.test_v3 import ask

USERS = {"service": "identity", "method": "GET", "path": "/v3/users/*"}


@pytest.mark.parametrize(
    ("pattern", "path", "opens"),
    [
        ("/v1/a", "/v1/a", True),
        ("/v1/a", "/v1/a/", False),
        ("/v1/a", "/v1/ab", False),
        ("/v1/a.b", "/v1/aXb", False),
        ("/v1/a b", "/v1/a b", True),
        ("/v1/a%20b", "/v1/a b", True),
        ("/v1/ü", "/v1/ü", True),
        ("/v1/*", "/v1/a", True),
        ("/v1/*", "/v1/", False),
        ("/v1/*", "/v1/a/b", False),
        ("/v1/*/c", "/v1/a/c", True),
        ("/v1/x*", "/v1/xyz", True),
        ("/v1/{a}/c", "/v1/b/c", True),
        ("/v1/{a}/c", "/v1/b/b/c", False),
        ("/v1/**", "/v1/a/b", True),
        ("/v1/**", "/v1/", True),
        ("/v1/**", "/v1", False),
        ("/**/c", "/v1/a/b/c", True),
        ("/v1/{a", "/v1/{a", True),
        ("/v1/{a", "/v1/b", False),
        ("/v1/(a|b)+", "/v1/a", False),
    ],
)
def test_paths(pattern: str, path: str, opens: bool) -> None:
    allowed = AllowedRequests((AccessRule("i", "u", "identity", "GET", pattern),))
    assert allowed.allows("identity", "GET", path) is opens
    assert not allowed.allows("object-store", "GET", path)
    assert not allowed.allows("identity", "HEAD", path)


def test_any_rule_will_do_and_none_opens_nothing() -> None:
    rules = tuple(AccessRule("i", "u", "identity", "GET", path) for path in ("/a", "/b"))
    assert AllowedRequests(rules).allows("identity", "GET", "/b")
    assert not AllowedRequests(()).allows("identity", "GET", "/b")


def test_a_hostile_pattern_is_no_burden() -> None:
    """A backtracking matcher would not end."""
    allowed = AllowedRequests((AccessRule("i", "u", "identity", "GET", "/" + "*a" * 112),))
    assert not allowed.allows("identity", "GET", "/" + "a" * 8_000 + "/")


async def token_with(ann: Ann, *rules: Any) -> str:
    made = await ann.make(name=f"with {len(rules)} {rules}"[:200], access_rules=list(rules))
    assert made.status == 201
    return (await ann.login(made)).headers["x-subject-token"]


async def test_a_token_opens_what_its_rules_say_only(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    token = await token_with(ann, USERS)
    assert (await ask(cloud, "GET", f"/v3/users/{ann.user.id}", token=token)).status == 200
    for method, path in (
        ("HEAD", f"/v3/users/{ann.user.id}"),
        ("GET", f"/v3/users/{ann.user.id}/projects"),
        ("GET", "/v3/auth/projects"),
        ("PATCH", f"/v3/users/{ann.user.id}"),
    ):
        assert (await ask(cloud, method, path, token=token)).status == 401
    prefixed = await token_with(ann, {**USERS, "path": "/identity/v3/users/**"})
    assert (await ask(cloud, "GET", f"/v3/users/{ann.user.id}", token=prefixed)).status == 200
    assert (await ask(cloud, "GET", "/v3/auth/projects", token=prefixed)).status == 401
    elsewhere = await token_with(ann, {**USERS, "service": "compute", "path": "/**"})
    assert (await ask(cloud, "GET", f"/v3/users/{ann.user.id}", token=elsewhere)).status == 401


async def test_other_services_are_told_with_the_identity(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    identity = await cloud.service.identify(await token_with(ann, {**USERS, "service": "object-store"}))
    assert identity is not None
    assert identity.allowed is not None
    assert identity.allowed.allows("object-store", "GET", "/v3/users/x")
    free = await cloud.service.identify((await ann.login(await ann.make(name="free"))).headers["x-subject-token"])
    assert free is not None
    assert free.allowed is None


async def test_who_does_not_mind_rules_is_not_told_of_such_a_token(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    token, admin = await token_with(ann, USERS), await cloud.admin_token()
    for stated, status in ({}, 404), ({"openstack-identity-access-rules": "1.0"}, 200):
        headers = {"x-subject-token": token, **stated}
        for method in ("GET", "HEAD"):
            assert (await ask(cloud, method, "/v3/auth/tokens", token=admin, headers=headers)).status == status
        assert (await ask(cloud, "GET", "/v3/auth/tokens", token=token, headers=headers)).status == status
    headers["openstack-identity-access-rules"] = "many"
    assert (await ask(cloud, "GET", "/v3/auth/tokens", token=admin, headers=headers)).status == 404
    headers["openstack-identity-access-rules"] = "1.0"
    shown = (await ask(cloud, "GET", "/v3/auth/tokens", token=admin, headers=headers)).json["token"]
    (rule,) = shown["application_credential"]["access_rules"]
    assert {name: rule[name] for name in USERS} == USERS


async def test_rules_are_kept_once_and_shown(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    path = f"/v3/users/{ann.user.id}/access_rules"
    first = await ann.make(name="one", access_rules=[USERS, USERS])
    (rule,) = first.json["application_credential"]["access_rules"]
    assert rule == {"id": rule["id"], **USERS}
    other = {"service": "compute", "method": "POST", "path": "/v2.1/servers"}
    second = await ann.make(name="two", access_rules=[{"id": rule["id"]}, other])
    assert [one["service"] for one in second.json["application_credential"]["access_rules"]] == ["identity", "compute"]
    rows = (await ask(cloud, "GET", path, token=ann.token)).json["access_rules"]
    assert len(rows) == 2
    chosen = (await ask(cloud, "GET", f"{path}?service=identity&method=GET", token=ann.token)).json["access_rules"]
    assert chosen == [{**rule, "links": {"self": f"http://cloud:8080/identity{path}/{rule['id']}"}}]
    shown = await ask(cloud, "GET", f"{path}/{rule['id']}", token=ann.token)
    assert shown.json["access_rule"] == chosen[0]
    assert (await ask(cloud, "GET", f"{path}/none", token=ann.token)).status == 404


async def test_a_rule_in_use_stays(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="one", access_rules=[USERS])
    (rule,) = made.json["application_credential"]["access_rules"]
    path = f"/v3/users/{ann.user.id}/access_rules/{rule['id']}"
    assert (await ask(cloud, "DELETE", path, token=ann.token)).status == 403
    assert (await ask(cloud, "DELETE", ann.path_of(made), token=ann.token)).status == 204
    assert (await ask(cloud, "DELETE", path, token=ann.token)).status == 204
    assert (await ask(cloud, "DELETE", path, token=ann.token)).status == 404


async def test_whose_rules_they_are(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    made = await ann.make(name="one", access_rules=[USERS])
    (rule,) = made.json["application_credential"]["access_rules"]
    bob = await cloud.user("bob", ann.project)
    his, path = await cloud.token("bob", ann.project), f"/v3/users/{ann.user.id}/access_rules"
    for method, where in (("GET", path), ("GET", f"{path}/{rule['id']}"), ("DELETE", f"{path}/{rule['id']}")):
        assert (await ask(cloud, method, where, token=his)).status == 403
    own = f"/v3/users/{bob.id}/access_rules"
    assert (await ask(cloud, "GET", own, token=his)).json["access_rules"] == []
    for method in ("GET", "DELETE"):
        assert (await ask(cloud, method, f"{own}/{rule['id']}", token=his)).status == 404
    body = {"application_credential": {"name": "x", "access_rules": [{"id": rule["id"]}]}}
    path = f"/v3/users/{bob.id}/application_credentials"
    assert (await ask(cloud, "POST", path, body, token=his)).status == 400


@pytest.mark.parametrize(
    "rule",
    [
        {"id": "none"},
        {"service": "identity", "method": "GET"},
        {**USERS, "method": "LOOK"},
        {**USERS, "path": "v3"},
        {**USERS, "path": "/" + "a" * 225},
        {**USERS, "path": "/\ud800"},
        {**USERS, "service": "a/b"},
        {**USERS, "more": 1},
        5,
    ],
)
async def test_what_is_no_rule(cloud: Cloud, rule: Any) -> None:
    ann = await ann_of(cloud)
    assert (await ann.make(name="x", access_rules=[rule])).status == 400
    assert not list(cloud.service.snapshot.access_rules)


async def test_too_many_rules(cloud: Cloud) -> None:
    ann = await ann_of(cloud)
    rules = [{**USERS, "path": f"/{number}"} for number in range(51)]
    assert (await ann.make(name="x", access_rules=rules)).status == 400
    assert (await ann.make(name="x", access_rules=rules[:50])).status == 201


async def test_a_rule_that_another_process_wrote_a_moment_ago(cloud: Cloud, nursery: trio.Nursery) -> None:
    other = await cloud.another(nursery)
    ann = await ann_of(cloud)
    token = await token_with(ann, USERS)
    identity = await other.identify(token)
    assert identity is not None
    assert identity.allowed is not None
    assert identity.allowed.allows("identity", "GET", "/v3/users/x")


async def test_a_token_whose_rule_is_gone_opens_nothing(cloud: Cloud) -> None:
    """It cannot be taken away over HTTP; but a newer program may have written it anew."""
    ann = await ann_of(cloud)
    token = await token_with(ann, USERS)
    (rule,) = cloud.service.snapshot.access_rules
    await cloud.service.administration.delete(ACCESS_RULE, lambda snapshot: snapshot.access_rules, rule.id)
    assert await cloud.service.tokens.read(token) is None
