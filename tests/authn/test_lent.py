"""Whoever acts for somebody gets what was lent, and nothing beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from authn.errors import UnauthorizedError
from authn.hashing import CHEAP
from authn.keys import PROJECT_TARGET, Assignment
from authn.records import DOMAIN, Domain, Project, User
from authn.records.credentials import ACCESS_TOKEN, TRUST, AccessToken, Trust
from authn.rights import Scope
from authn.service import IdentityConfig, IdentityService
from authn.tokens import Proof
from tests.authn.conftest import Cloud
from tests.authn.test_credentials import lent, make
from tests.authn.test_v3 import Answer, ask


async def trust(cloud: Cloud, trustor: User, trustee: User, project: Project, **fields: Any) -> Trust:
    """A trust of the role `member`."""
    made = Trust(
        cloud.service.administration.new_id(),
        trustor.id,
        trustee.id,
        project.id,
        (cloud.made.role_ids["member"],),
        **{"impersonation": False, **fields},
    )
    await cloud.service.administration.create(TRUST, lambda snapshot: snapshot.trusts, made)
    return made


def by_trust(cloud: Cloud, given: Trust) -> str:
    """A trustee's token."""
    users = cloud.service.snapshot.users
    proof = Proof(
        users.require(given.trustor_user_id if given.impersonation else given.trustee_user_id),
        frozenset({"password"}),
        trust=given,
    )
    return cloud.service.tokens.issue(proof, Scope(PROJECT_TARGET, given.project_id))[0]


async def hand_on(cloud: Cloud, token: str, user: User, project_id: str | None) -> Answer:
    asked = {
        "trustor_user_id": user.id,
        "trustee_user_id": user.id,
        "project_id": project_id,
        "impersonation": False,
        "roles": [{"name": "member"}] if project_id else [],
    }
    return await ask(cloud, "POST", "/v3/OS-TRUST/trusts", {"trust": asked}, token=token)


async def test_a_trust_is_handed_on_for_its_own_project_only(cloud: Cloud) -> None:
    project, other = await cloud.project("quarry"), await cloud.project("other")
    ann, bob = await cloud.user("ann", project), await cloud.user("bob")
    await cloud.service.administration.assign(Assignment(ann.id, other.id, cloud.made.role_ids["member"]))
    token = by_trust(cloud, await trust(cloud, ann, bob, project, allow_redelegation=True, redelegation_count=2))
    assert (await hand_on(cloud, token, bob, project.id)).status == 201
    for elsewhere in (other.id, None):
        assert (await hand_on(cloud, token, bob, elsewhere)).status == 403


async def test_a_delegated_token_makes_itself_no_second_factor(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    factor = {"type": "totp", "blob": "GEZDGNBVGY3TQOJQGEZDGNBVGY", "user_id": ann.id, "project_id": project.id}
    token = await lent(cloud, ann, project, unrestricted=True)
    assert (await make(cloud, token, **factor)).status == 403
    made = (await make(cloud, await cloud.token("ann", project), **factor)).json["credential"]
    path = f"/v3/credentials/{made['id']}"
    assert (await ask(cloud, "GET", "/v3/credentials", token=token)).json["credentials"] == []
    for method in ("GET", "PATCH", "DELETE"):
        assert (await ask(cloud, method, path, {"credential": {"blob": "x"}}, token=token)).status == 403


async def test_a_delegated_token_sees_no_keys_that_open_more(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    whole = {"type": "ec2", "blob": '{"access": "whole", "secret": "s"}', "user_id": ann.id, "project_id": project.id}
    made = (await make(cloud, await cloud.token("ann", project), **whole)).json["credential"]
    token = await lent(cloud, ann, project, unrestricted=True, role="reader")
    own = (await make(cloud, token, **{**whole, "blob": '{"access": "part", "secret": "s"}'})).json["credential"]
    rows = (await ask(cloud, "GET", "/v3/credentials", token=token)).json["credentials"]
    assert [row["id"] for row in rows] == [own["id"]]
    for credential, status in ((made, 403), (own, 200)):
        path = f"/v3/credentials/{credential['id']}"
        change = {"credential": {"blob": credential["blob"].replace('"s"', '"t"')}}
        assert (await ask(cloud, "GET", path, token=token)).status == status
        assert (await ask(cloud, "PATCH", path, change, token=token)).status == status


@pytest.mark.parametrize("impersonation", [False, True])
async def test_what_ends_with_a_lender_or_a_borrower_ends_at_once(cloud: Cloud, impersonation: bool) -> None:
    project, administration = await cloud.project("quarry"), cloud.service.administration
    ann, bob = await cloud.user("ann", project), await cloud.user("bob")
    given = await trust(cloud, ann, bob, project, impersonation=impersonation)
    token = by_trust(cloud, given)
    held = Assignment(ann.id, project.id, cloud.made.role_ids["member"])
    assert await cloud.service.identify(token)
    await administration.unassign(held)
    assert await cloud.service.identify(token) is None
    await administration.assign(held)
    for user in (ann, bob):
        token = by_trust(cloud, given)
        assert await cloud.service.identify(token)
        await administration.update_user(user.id, lambda before: replace(before, enabled=False))
        assert await cloud.service.identify(token) is None
        await administration.update_user(user.id, lambda before: replace(before, enabled=True))
        assert await cloud.service.identify(token) is None
    assert await cloud.service.identify(by_trust(cloud, given))


async def test_a_token_ends_no_later_than_its_oauth_key(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    ends_s = cloud.clock.wall_us() // 1_000_000 + 60
    key = AccessToken("a" * 32, b"", "c" * 32, ann.id, project.id, (cloud.made.role_ids["member"],), ends_s)
    await cloud.service.administration.create(ACCESS_TOKEN, lambda snapshot: snapshot.access_tokens, key)
    proof = Proof(ann, frozenset({"oauth1"}), access_token=key)
    token = cloud.service.tokens.issue(proof, Scope(PROJECT_TARGET, project.id))[0]
    assert await cloud.service.identify(token)
    cloud.clock.advance(60)
    assert await cloud.service.identify(token) is None


async def test_two_delegations_together_give_what_both_do(cloud: Cloud) -> None:
    project, other = await cloud.project("quarry"), await cloud.project("other")
    ann = await cloud.user("ann", project)
    await cloud.service.administration.assign(Assignment(ann.id, other.id, cloud.made.role_ids["member"]))
    await lent(cloud, ann, project, unrestricted=False)
    (credential,) = cloud.service.snapshot.application_credentials

    async def both(place: Project) -> str:
        ends_s = cloud.clock.wall_us() // 1_000_000 + 60
        id_ = cloud.service.administration.new_id()
        key = AccessToken(id_, b"", "c" * 32, ann.id, place.id, (cloud.made.role_ids["reader"],), ends_s)
        await cloud.service.administration.create(ACCESS_TOKEN, lambda snapshot: snapshot.access_tokens, key)
        proof = Proof(ann, frozenset({"oauth1"}), application_credential=credential, access_token=key)
        return cloud.service.tokens.issue(proof, Scope(PROJECT_TARGET, place.id))[0]

    identity = await cloud.service.identify(await both(project))
    assert identity is not None
    assert identity.roles == {"reader"}
    with pytest.raises(UnauthorizedError):
        await both(other)


async def test_what_an_ec2_credential_gives_makes_nothing_else(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    proof = Proof(ann, frozenset({"ec2credential"}))
    token = cloud.service.tokens.issue(proof, Scope(PROJECT_TARGET, project.id))[0]
    again = {"auth": {"identity": {"methods": ["token"], "token": {"id": token}}}}
    assert (await ask(cloud, "POST", "/v3/auth/tokens", again)).status == 403
    assert (await hand_on(cloud, token, ann, project.id)).status == 403


async def test_access_rules_are_handed_down(cloud: Cloud) -> None:
    project, administration = await cloud.project("quarry"), cloud.service.administration
    ann = await cloud.user("ann", project)
    path = f"/v3/users/{ann.id}/application_credentials"
    rules = [{"service": "identity", "method": method, "path": path} for method in ("POST", "GET")]

    async def made(token: str, rules: list[Any], **fields: Any) -> Answer:
        fields |= {"name": administration.new_id(), "access_rules": rules, "unrestricted": True}
        return await ask(cloud, "POST", path, {"application_credential": fields}, token=token)

    first = (await made(await cloud.token("ann", project), rules)).json["application_credential"]
    secret = {"id": first["id"], "secret": first["secret"]}
    shown = {"methods": ["application_credential"], "application_credential": secret}
    login = await ask(cloud, "POST", "/v3/auth/tokens", {"auth": {"identity": shown}})
    token = login.headers["x-subject-token"]
    more = {"service": "object-store", "method": "GET", "path": "/**"}
    for asked, status in ((rules, 201), (rules[:1], 201), ([], 403), ([*rules, more], 403)):
        assert (await made(token, asked)).status == status


async def test_a_process_that_is_behind_knows_what_was_lent_a_moment_ago(cloud: Cloud) -> None:
    project, administration = await cloud.project("quarry"), cloud.service.administration
    await administration.create(DOMAIN, lambda snapshot: snapshot.domains, Domain("d" * 32, "there"))
    ann = await administration.create_user(User(administration.new_id(), "ann", "d" * 32), None)
    bob = await cloud.user("bob")
    behind = IdentityService(cloud.registry, IdentityConfig(hash_cost=CHEAP), clock=cloud.clock)
    await behind.directory.load()
    await administration.assign(Assignment(ann.id, project.id, cloud.made.role_ids["member"]))
    await administration.update_user(ann.id, lambda before: replace(before, epoch=1))
    await administration.update(
        DOMAIN, lambda snapshot: snapshot.domains, "d" * 32, lambda before: replace(before, epoch=1)
    )
    assert await behind.identify(by_trust(cloud, await trust(cloud, ann, bob, project)))
