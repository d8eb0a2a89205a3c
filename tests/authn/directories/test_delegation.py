"""Users of a directory who are represented: by keys, application credentials and trusts. What they may do comes by a
group of the directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from authn.directory_watch import LOOK_SECONDS
from tests.authn.directories.conftest import Mine
from tests.authn.directories.fake import FakeDirectory
from tests.authn.test_ec2_tokens import s3
from tests.authn.test_v3 import Answer

Use = Callable[[], Awaitable[Answer]]


class Represented:
    """alice, a member of `quarry` by her group, and bob, who is to act for her."""

    def __init__(self, mine: Mine, project_id: str, token: str) -> None:
        self.mine, self.project_id, self.token = mine, project_id, token
        self.alice = mine.directory.users["u1"].public_id
        self.bob = mine.directory.users["u2"].public_id
        self.role = mine.cloud.made.role_ids["member"]

    async def by_key(self) -> Use:
        path = f"/v3/users/{self.alice}/credentials/OS-EC2"
        made = await self.mine.ask("POST", path, {"tenant_id": self.project_id}, token=self.token)
        held = made.json["credential"]

        async def use() -> Answer:
            return await self.mine.ask("POST", "/v3/s3tokens", {"credentials": s3(held["access"], held["secret"])})

        return use

    async def by_application_credential(self) -> Use:
        path = f"/v3/users/{self.alice}/application_credentials"
        made = await self.mine.ask("POST", path, {"application_credential": {"name": "a"}}, token=self.token)
        held = made.json["application_credential"]
        shown = {"id": held["id"], "secret": held["secret"]}
        identity = {"methods": ["application_credential"], "application_credential": shown}

        async def use() -> Answer:
            return await self.mine.ask("POST", "/v3/auth/tokens", {"auth": {"identity": identity}})

        return use

    async def by_trust(self, impersonation: bool = True) -> Use:
        trust: dict[str, Any] = {
            "trustor_user_id": self.alice,
            "trustee_user_id": self.bob,
            "project_id": self.project_id,
            "impersonation": impersonation,
            "roles": [{"id": self.role}],
        }
        made = await self.mine.ask("POST", "/v3/OS-TRUST/trusts", {"trust": trust}, token=self.token)
        scope = {"OS-TRUST:trust": {"id": made.json["trust"]["id"]}}

        async def use() -> Answer:
            return await self.mine.login("bob", scope=scope)

        return use


@pytest.fixture
async def represented(mine: Mine) -> Represented:
    project = await mine.cloud.project("quarry")
    role, group = mine.cloud.made.role_ids["member"], mine.directory.groups["g1"].public_id
    assert (await mine.ask("PUT", f"/v3/projects/{project.id}/groups/{group}/roles/{role}")).status == 204
    assert (await mine.login("bob")).status == 201
    answer = await mine.login("alice", scope={"project": {"id": project.id}})
    return Represented(mine, project.id, answer.headers["x-subject-token"])


def _disabled(directory: FakeDirectory) -> None:
    directory.disable("u1")


def _no_member(directory: FakeDirectory) -> None:
    directory.members["g1"].clear()


@pytest.mark.parametrize("change", [_disabled, _no_member])
@pytest.mark.parametrize("way", [Represented.by_key, Represented.by_application_credential, Represented.by_trust])
async def test_it_works_as_long_as_the_directory_says_so(
    represented: Represented,
    way: Callable[[Represented], Awaitable[Use]],
    change: Callable[[FakeDirectory], None],
    autojump_clock: MockClock,
) -> None:
    use = await way(represented)
    answer = await use()
    assert answer.status in (200, 201), answer.text
    assert "member" in {role["name"] for role in answer.json["token"]["roles"]}
    assert answer.json["token"]["user"]["id"] == represented.alice
    represented.mine.directory.away = True
    assert (await use()).status == 503
    represented.mine.directory.away = False
    change(represented.mine.directory)
    assert (await use()).status == 401


@pytest.mark.parametrize("impersonation", [True, False])
async def test_a_trust_ends_nobodys_tokens(
    represented: Represented, impersonation: bool, autojump_clock: MockClock
) -> None:
    """Its token names the trustor's groups, which the trustee is not in."""
    mine = represented.mine
    use = await represented.by_trust(impersonation)
    token = (await use()).headers["x-subject-token"]
    bobs = (await mine.login("bob")).headers["x-subject-token"]
    for _ in range(4):
        mine.cloud.clock.advance(LOOK_SECONDS / 2)
        await trio.sleep(LOOK_SECONDS / 2)
    for sealed in (token, represented.token, bobs):
        assert await mine.service.identify(sealed)
