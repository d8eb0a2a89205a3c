"""Tokens: what they look like, whom they stand for, and all that ends them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from authn import keys, token_keys
from authn.errors import UnauthorizedError
from authn.hashing import CHEAP
from authn.identity import Authenticator
from authn.keys import Assignment
from authn.records import DOMAIN, Domain, Project, User
from authn.service import IdentityConfig, IdentityService
from authn.tokens import SKEW_SECONDS
from store.core.entropy import SystemRandom
from store.core.errors import ConflictError
from store.registry import Delete, Put, memory_registry
from tests.authn.conftest import LIFETIME_S, PASSWORD, Cloud, issued
from tests.authn.test_v3 import ask


async def test_a_scoped_token_looks_like_the_stock_one_and_says_who_asks(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    user = await cloud.user("ann", project)
    token = await cloud.token("ann", project)
    assert token.startswith("gAAAA")
    assert len(token) == 183
    authenticator: Authenticator = cloud.service
    identity = await authenticator.identify(token)
    assert identity is not None
    assert (identity.user_id, identity.user_name) == (user.id, "ann")
    assert (identity.project_id, identity.project_name) == (project.id, "quarry")
    assert identity.roles == {"member", "reader"}
    assert identity.expires_at == cloud.clock.wall_us() // 1_000_000 + LIFETIME_S
    assert await authenticator.identify(token) is identity


async def test_an_unscoped_token_has_no_project_and_no_roles(cloud: Cloud) -> None:
    await cloud.user("ann")
    identity = await cloud.service.identify(await cloud.token("ann"))
    assert identity is not None
    assert (identity.project_id, identity.project_name, identity.roles) == ("", "", frozenset())


@pytest.mark.parametrize("cached", [False, True])
async def test_a_token_ends_in_time(cloud: Cloud, cached: bool) -> None:
    token = await cloud.admin_token()
    if cached:
        assert await cloud.service.identify(token)
    cloud.clock.advance(LIFETIME_S)
    assert await cloud.service.identify(token) is None


@pytest.mark.parametrize("text", ["", "gAAAA", "x" * 183, "ü", "gAAAA" + "A" * 178, "a" * 100_000, "\ud800", "a=b"])
async def test_what_is_no_token_is_nobody(cloud: Cloud, text: str) -> None:
    assert await cloud.service.identify(text) is None


async def test_no_bit_of_a_token_may_change(cloud: Cloud) -> None:
    token = await cloud.admin_token()
    for source in range(0, len(token) - 1, 7):
        other = "A" if token[source] != "A" else "B"
        assert await cloud.service.identify(token[:source] + other + token[source + 1 :]) is None


async def revoke(cloud: Cloud, user_id: str, project_id: str, token: str) -> None:
    held = await cloud.service.tokens.read(token)
    assert held is not None
    await cloud.service.tokens.revoke(held.token)


async def new_password(cloud: Cloud, user_id: str, project_id: str, token: str) -> None:
    await cloud.service.administration.update_user(user_id, password="another")


async def disable_user(cloud: Cloud, user_id: str, project_id: str, token: str) -> None:
    await cloud.service.administration.update_user(user_id, lambda user: replace(user, enabled=False))


async def disable_and_enable_user(cloud: Cloud, user_id: str, project_id: str, token: str) -> None:
    await disable_user(cloud, user_id, project_id, token)
    await cloud.service.administration.update_user(user_id, lambda user: replace(user, enabled=True))


async def delete_user(cloud: Cloud, user_id: str, project_id: str, token: str) -> None:
    await cloud.service.administration.delete_user(user_id)


async def disable_project(cloud: Cloud, user_id: str, project_id: str, token: str) -> None:
    await cloud.service.administration.update_project(project_id, lambda project: replace(project, enabled=False))


async def disable_and_enable_project(cloud: Cloud, user_id: str, project_id: str, token: str) -> None:
    await disable_project(cloud, user_id, project_id, token)
    await cloud.service.administration.update_project(project_id, lambda project: replace(project, enabled=True))


async def delete_project(cloud: Cloud, user_id: str, project_id: str, token: str) -> None:
    await cloud.service.administration.delete_project(project_id)


async def take_role(cloud: Cloud, user_id: str, project_id: str, token: str) -> None:
    role_id = cloud.made.role_ids["member"]
    await cloud.service.administration.unassign(Assignment(user_id, project_id, role_id))


@pytest.mark.parametrize(
    "end",
    [
        revoke,
        new_password,
        disable_user,
        disable_and_enable_user,
        delete_user,
        disable_project,
        disable_and_enable_project,
        delete_project,
        take_role,
    ],
)
async def test_what_ends_a_token_ends_it_at_once_and_everywhere(cloud: Cloud, end, nursery: trio.Nursery) -> None:  # type: ignore[no-untyped-def]
    project = await cloud.project("quarry")
    user = await cloud.user("ann", project)
    token, other_token = await cloud.token("ann", project), await cloud.admin_token()
    elsewhere = await cloud.another(nursery)
    for service in (cloud.service, elsewhere):
        assert await service.identify(token)
        assert await service.identify(other_token)
    await end(cloud, user.id, project.id, token)
    assert await cloud.service.identify(token) is None
    await wait_all_tasks_blocked()
    assert await elsewhere.identify(token) is None
    for service in (cloud.service, elsewhere):
        assert await service.identify(other_token)


@pytest.mark.parametrize("whose", ["user", "project"])
async def test_a_domain_that_is_disabled_ends_tokens_and_gives_none(cloud: Cloud, whose: str) -> None:
    elsewhere = Domain("e" * 32, "elsewhere")
    await put_domain(cloud, elsewhere)
    administration = cloud.service.administration
    project = Project(administration.new_id(), "quarry")
    user = User(administration.new_id(), "ann")
    if whose == "project":
        project = replace(project, domain_id=elsewhere.id)
    else:
        user = replace(user, domain_id=elsewhere.id)
    await administration.create_project(project)
    user = await administration.create_user(user, PASSWORD)
    await administration.assign(Assignment(user.id, project.id, cloud.made.role_ids["member"]))
    token = issued(cloud.service, user, project)
    assert await cloud.service.identify(token)
    path, admin = f"/v3/domains/{elsewhere.id}", await cloud.admin_token()
    await ask(cloud, "PATCH", path, {"domain": {"enabled": False}}, token=admin)
    assert await cloud.service.identify(token) is None
    with pytest.raises(UnauthorizedError):
        issued(cloud.service, user, project)
    await ask(cloud, "PATCH", path, {"domain": {"enabled": True}}, token=admin)
    assert await cloud.service.identify(token) is None
    assert await cloud.service.identify(issued(cloud.service, user, project))


async def put_domain(cloud: Cloud, domain: Domain) -> None:
    await cloud.registry.transact((), [Put(keys.record(DOMAIN, domain.id), DOMAIN.codec.encode(domain))])
    await wait_all_tasks_blocked()


async def test_a_role_taken_leaves_the_others(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    user = await cloud.user("ann", project)
    roles = cloud.made.role_ids
    await cloud.service.administration.assign(Assignment(user.id, project.id, roles["ResellerAdmin"]))
    token = await cloud.token("ann", project)
    before = await cloud.service.identify(token)
    await take_role(cloud, user.id, project.id, token)
    after = await cloud.service.identify(token)
    assert before is not None
    assert after is not None
    assert before.roles == {"member", "reader", "ResellerAdmin"}
    assert after.roles == {"ResellerAdmin"}


async def test_without_a_role_there_is_no_token(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    await cloud.user("ann")
    with pytest.raises(UnauthorizedError):
        await cloud.token("ann", project)


async def test_a_token_of_another_process_is_known_before_the_watch_says_so(
    cloud: Cloud, nursery: trio.Nursery
) -> None:
    elsewhere = await cloud.another(nursery)
    # A service that follows nothing is as late as one can be.
    elsewhere.directory._follow = lambda key, value, revision: None  # type: ignore[method-assign]
    project = await cloud.project("quarry")
    await cloud.user("ann", project)
    assert await elsewhere.identify(await cloud.token("ann", project))


async def test_keys_rotate_and_old_tokens_open_while_their_key_is_kept(cloud: Cloud) -> None:
    tokens = [await cloud.admin_token()]
    for _ in range(3):
        rotated = await token_keys.rotate(cloud.registry, SystemRandom())
        await wait_all_tasks_blocked()
        assert len(rotated.by_number) <= 3
        tokens.append(await cloud.admin_token())
    alive = [await cloud.service.identify(token) is not None for token in tokens]
    assert alive == [False, False, True, True]


async def test_a_staged_key_opens_before_it_seals(cloud: Cloud) -> None:
    before = cloud.service.snapshot.token_keys
    after = await token_keys.rotate(cloud.registry, SystemRandom())
    assert before is not None
    assert after.by_number[max(after.by_number)] == before.by_number[token_keys.STAGED]


async def test_revocations_are_cleared_away_after_their_tokens_have_ended(cloud: Cloud) -> None:
    for _ in range(3):
        await revoke(cloud, "", "", await cloud.admin_token())
    assert len(cloud.service.snapshot.revoked) == 3
    cloud.clock.advance(3 * LIFETIME_S)
    await revoke(cloud, "", "", await cloud.admin_token())
    assert len(cloud.service.snapshot.revoked) == 1


async def test_a_revocation_outlives_its_token_for_clocks_that_are_late(cloud: Cloud) -> None:
    await revoke(cloud, "", "", await cloud.admin_token())
    (first,) = cloud.service.snapshot.revoked
    cloud.clock.advance(LIFETIME_S + SKEW_SECONDS)
    await revoke(cloud, "", "", await cloud.admin_token())
    assert first in cloud.service.snapshot.revoked
    cloud.clock.advance(1)
    await revoke(cloud, "", "", await cloud.admin_token())
    assert first not in cloud.service.snapshot.revoked
    assert len(cloud.service.snapshot.revoked) == 2


async def test_nobody_is_known_before_the_bootstrap(cloud: Cloud) -> None:
    empty = IdentityService(memory_registry(cloud.clock), clock=cloud.clock)
    await empty.directory.load()
    assert await empty.identify(await cloud.admin_token()) is None


async def test_without_keys_no_token_is_made(cloud: Cloud) -> None:
    await cloud.registry.transact((), [Delete(keys.TOKEN_KEYS)])
    await wait_all_tasks_blocked()
    with pytest.raises(ConflictError, match="bootstrap identity first"):
        await cloud.admin_token()


async def test_the_cache_is_bounded(cloud: Cloud, nursery: trio.Nursery) -> None:
    small = IdentityService(cloud.registry, IdentityConfig(cached_tokens=2, hash_cost=CHEAP), clock=cloud.clock)
    await small.directory.load()
    tokens = [await cloud.admin_token() for _ in range(4)]
    for token in tokens:
        assert await small.identify(token)
    assert len(small.tokens._cache) == 2
    assert await small.identify(tokens[0])
