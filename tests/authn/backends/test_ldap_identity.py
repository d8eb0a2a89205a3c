"""Users of a real directory through the whole of identity."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

from authn.backends.public_id import public_id
from authn.records import DOMAIN, Domain
from tests.authn.backends.directory import READER, READER_PASSWORD, SUFFIX, TALL, OpenLdap
from tests.authn.backends.entries import PASSWORD as THEIRS
from tests.authn.conftest import Cloud
from tests.authn.test_v3 import Answer, ask

pytestmark = pytest.mark.process


def configuration(directory: OpenLdap, **options: object) -> dict[str, Any]:
    usual = {
        "url": directory.url,
        "user": READER,
        "password": READER_PASSWORD,
        "suffix": SUFFIX,
        "user_enabled_attribute": "employeeType",
        "page_size": 10,
    }
    return {"config": {"identity": {"driver": "ldap"}, "ldap": usual | options}}


async def test_from_the_configuration_to_a_token(cloud: Cloud, directory: OpenLdap) -> None:
    staff = Domain("d1", "staff")
    await cloud.service.administration.create(DOMAIN, lambda snapshot: snapshot.domains, staff)
    admin = await cloud.admin_token()
    alice, bob = public_id("d1", "user", "u1"), public_id("d1", "user", "u2")
    readers = public_id("d1", "group", "g1")
    project = await cloud.project("quarry")

    async def request(method: str, path: str, body: Any = None, token: str = admin) -> Answer:
        return await ask(cloud, method, path, body, token=token)

    async def login(name: str, password: str = THEIRS, scope: Any = None) -> Answer:
        user = {"name": name, "domain": {"name": "staff"}, "password": password}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
        return await ask(cloud, "POST", "/v3/auth/tokens", {"auth": auth})

    assert (await login("alice")).status == 401
    assert (await request("PUT", "/v3/domains/d1/config", configuration(directory))).status == 201
    listed = (await request("GET", "/v3/users?domain_id=d1")).json["users"]
    assert {user["id"]: user["enabled"] for user in listed if user["id"] in (alice, bob)} == {alice: True, bob: False}
    assert len([user for user in listed if user["name"].startswith("tall")]) == TALL
    assert (await request("GET", f"/v3/users/{alice}")).json["user"]["email"] == "alice@example.org"
    groups = (await request("GET", f"/v3/users/{alice}/groups")).json["groups"]
    assert {group["name"] for group in groups} == {"readers", "writers"}
    members = (await request("GET", f"/v3/groups/{readers}/users")).json["users"]
    assert {member["id"] for member in members} == {alice, bob}

    role = cloud.made.role_ids["member"]
    assert (await request("PUT", f"/v3/projects/{project.id}/groups/{readers}/roles/{role}")).status == 204
    scope = {"project": {"id": project.id}}
    answer = await login("ALICE", scope=scope)
    assert answer.status == 201
    assert answer.json["token"]["user"]["id"] == alice
    token = answer.headers["x-subject-token"]
    identity = await cloud.service.identify(token)
    assert identity is not None
    assert identity.roles == {"member", "reader"}
    for name, password in (
        ("alice", "wrong"),
        ("alice", ""),
        ("bob", THEIRS),
        ("*", THEIRS),
        ("stranger", THEIRS),
        ("\ud800", THEIRS),
    ):
        assert (await login(name, password, scope)).status == 401

    # Another suffix, where nobody is; and a directory that is not there.
    elsewhere = {"config": {"ldap": {"suffix": "dc=elsewhere"}}}
    assert (await request("PATCH", "/v3/domains/d1/config", elsewhere)).status == 200
    assert (await request("GET", "/v3/users?domain_id=d1")).json["users"] == []
    assert (await login("alice")).status == 401
    nowhere = configuration(directory, url="ldap://127.0.0.1:1")
    assert (await request("PUT", "/v3/domains/d1/config", nowhere)).status == 200
    away = await login("alice")
    assert away.status == 503
    assert "127.0.0.1" not in away.text.decode()
    told = await request("GET", f"/v3/users/{alice}")
    assert told.status == 503
    assert "127.0.0.1:1" in told.json["error"]["message"]
    await wait_all_tasks_blocked()
