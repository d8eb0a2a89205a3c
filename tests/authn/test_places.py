"""What a place is for, and who is told of it."""

from __future__ import annotations

from typing import Any

import pytest

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
