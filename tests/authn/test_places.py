"""What a place is for, and who is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from authn.keys import DOMAIN_TARGET, Assignment
from authn.rights import Scope
from authn.tokens import Proof
from tests.authn.conftest import Cloud
from tests.authn.test_v3 import ask


async def made(cloud: Cloud, noun: str, **fields: Any) -> str:
    """The id of a new one."""
    answer = await ask(cloud, "POST", f"/v3/{noun}s", {noun: fields}, token=await cloud.admin_token())
    assert answer.status == 201
    return str(answer.json[noun]["id"])


@pytest.mark.parametrize("inherited", [False, True])
async def test_a_role_of_a_domain_is_held_there_only(cloud: Cloud, inherited: bool) -> None:
    admin, ann = await cloud.admin_token(), await cloud.user("ann")
    here, there = await made(cloud, "domain", name="here"), await made(cloud, "domain", name="there")
    role = await made(cloud, "role", name="clerk", domain_id=here)
    for domain, status in ((here, 204), (there, 403)):
        path = f"/domains/{domain}/users/{ann.id}/roles/{role}"
        path = f"/v3/OS-INHERIT{path}/inherited_to_projects" if inherited else f"/v3{path}"
        assert (await ask(cloud, "PUT", path, token=admin)).status == status
    assert (await ask(cloud, "PUT", f"/v3/system/users/{ann.id}/roles/{role}", token=admin)).status == 400


async def test_nothing_is_enabled_below_what_is_disabled(cloud: Cloud) -> None:
    admin = await cloud.admin_token()
    top = await made(cloud, "project", name="top")
    below = await made(cloud, "project", name="below", parent_id=top)

    async def enable(id_: str, enabled: bool) -> int:
        return (await ask(cloud, "PATCH", f"/v3/projects/{id_}", {"project": {"enabled": enabled}}, token=admin)).status

    assert [await enable(below, False), await enable(top, False), await enable(below, True)] == [200, 200, 403]
    assert [await enable(top, True), await enable(below, True)] == [200, 200]


@pytest.mark.parametrize("sees", [False, True])
async def test_around_a_project_is_shown_what_the_caller_may_see(cloud: Cloud, sees: bool) -> None:
    top = await made(cloud, "project", name="top")
    middle = await made(cloud, "project", name="middle", parent_id=top)
    below = await made(cloud, "project", name="below", parent_id=middle)
    own = cloud.service.snapshot.projects.require(middle)
    ann = await cloud.user("ann", own, "reader")
    if sees:
        for id_ in (top, below):
            await cloud.service.administration.assign(Assignment(ann.id, id_, cloud.made.role_ids["reader"]))
    token = await cloud.token("ann", own)

    async def around(token: str) -> list[Any]:
        path = f"/v3/projects/{middle}?parents_as_list&subtree_as_list"
        project = (await ask(cloud, "GET", path, token=token)).json["project"]
        return [[one["project"]["id"] for one in project[what]] for what in ("parents", "subtree")]

    assert await around(token) == ([[top], [below]] if sees else [[], []])
    assert await around(await cloud.admin_token()) == [[top], [below]]


async def test_a_domains_reader_is_told_of_that_domain_only(cloud: Cloud) -> None:
    ann, bob = await cloud.user("ann"), await cloud.user("bob")
    there = await made(cloud, "domain", name="there")
    inside = await made(cloud, "project", name="inside")
    outside = await made(cloud, "project", name="outside", domain_id=there)
    for user, role in ((ann, "reader"), (bob, "member")):
        for id_ in (inside, outside):
            await cloud.service.administration.assign(Assignment(user.id, id_, cloud.made.role_ids[role]))
    own = Assignment(ann.id, "default", cloud.made.role_ids["admin"], target=DOMAIN_TARGET)
    await cloud.service.administration.assign(own)
    scope = Scope(DOMAIN_TARGET, "default")
    token = cloud.service.tokens.issue(Proof(ann, frozenset({"password"})), scope)[0]

    async def listed(path: str) -> set[str]:
        return {row["id"] for row in (await ask(cloud, "GET", path, token=token)).json["projects"]}

    assert await listed(f"/v3/users/{bob.id}/projects") == {inside}
    assert await listed(f"/v3/users/{ann.id}/projects") == {inside, outside}
    assert await listed("/v3/projects?is_domain=true") == {"default"}


async def test_with_a_domain_go_its_limits(cloud: Cloud) -> None:
    admin, there = await cloud.admin_token(), await made(cloud, "domain", name="there")
    limited = {"service_id": next(iter(cloud.service.snapshot.services)).id, "resource_name": "stones"}
    for noun, fields in (("registered_limits", {"default_limit": 1}), ("limits", {"resource_limit": 1})):
        owner = {"domain_id": there} if noun == "limits" else {}
        answer = await ask(cloud, "POST", f"/v3/{noun}", {noun: [{**limited, **fields, **owner}]}, token=admin)
        assert answer.status == 201
    await ask(cloud, "PATCH", f"/v3/domains/{there}", {"domain": {"enabled": False}}, token=admin)
    assert (await ask(cloud, "DELETE", f"/v3/domains/{there}", token=admin)).status == 204
    assert (await ask(cloud, "GET", "/v3/limits", token=admin)).json["limits"] == []


async def test_who_looks_after_a_domain_links_users_to_its_providers_only(cloud: Cloud) -> None:
    admin, ann = await cloud.admin_token(), await cloud.user("ann")
    here = await made(cloud, "domain", name="here")
    for name, domain in (("ours", here), ("theirs", "default")):
        path, body = f"/v3/OS-FEDERATION/identity_providers/{name}", {"identity_provider": {"domain_id": domain}}
        assert (await ask(cloud, "PUT", path, body, token=admin)).status == 201
    own = Assignment(ann.id, here, cloud.made.role_ids["manager"], target=DOMAIN_TARGET)
    await cloud.service.administration.assign(own)
    scope = Scope(DOMAIN_TARGET, here)
    token = cloud.service.tokens.issue(Proof(ann, frozenset({"password"})), scope)[0]

    async def write(method: str, path: str, provider: str, token: str, **fields: str) -> Any:
        links = [{"idp_id": provider, "protocols": [{"protocol_id": "openid", "unique_id": "boss"}]}]
        return await ask(cloud, method, path, {"user": {**fields, "federated": links}}, token=token)

    for provider in ("theirs", "none"):
        assert (await write("POST", "/v3/users", provider, token, name="bob", domain_id=here)).status == 403
    bob = (await write("POST", "/v3/users", "ours", token, name="bob", domain_id=here)).json["user"]
    path = f"/v3/users/{bob['id']}"
    assert (await write("PATCH", path, "theirs", token)).status == 403
    assert (await write("PATCH", path, "theirs", admin)).status == 200
    assert (await write("PATCH", path, "theirs", token, description="repeats what is so")).status == 200
