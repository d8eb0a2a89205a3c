"""What a newer program wrote cannot be used here; everything else works on."""

from __future__ import annotations

from collections.abc import Callable

import msgpack
import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import wait_all_tasks_blocked

from authn import keys
from authn.bootstrap import bootstrap
from authn.errors import UnauthorizedError, UnreadableError
from authn.hashing import CHEAP, PasswordHasher
from authn.keys import Assignment
from authn.operator import open_operator
from authn.records import DOMAIN, PROJECT, ROLE, USER, User
from authn.service import IdentityConfig, IdentityService
from authn.tokens import Tokens
from authn.v1 import V1AuthApp
from store.core.errors import ConflictError
from store.registry import Delete, Put
from tests.authn.conftest import PASSWORD, Cloud
from tests.authn.test_v1 import ask as ask_v1
from tests.authn.test_v1 import credentials
from tests.authn.test_v3 import ask

NEWER = msgpack.packb([99, "who knows"])


async def write(cloud: Cloud, *puts: Put | Delete) -> None:
    await cloud.registry.transact((), list(puts))
    await wait_all_tasks_blocked()


async def test_a_user_that_cannot_be_read_is_refused_and_all_others_work(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    ann, bob = await cloud.user("ann", project), await cloud.user("bob", project)
    theirs, ours = await cloud.token("ann", project), await cloud.token("bob", project)
    with capture_logs() as logs:
        await write(cloud, Put(keys.record(USER, ann.id), NEWER))
        await write(cloud, Put(keys.record(USER, ann.id), NEWER), Put(keys.record(USER, "0" * 32), NEWER))
    said = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["key"] for entry in said] == [f"identity/user/{ann.id}", f"identity/user/{'0' * 32}"]
    assert "version 99 is not known here" in said[0]["reason"]
    assert cloud.service.unreadable() == 2

    assert await cloud.service.identify(theirs) is None
    for login in (cloud.service.login.by_id(ann.id, PASSWORD), cloud.service.login.by_name("ann", PASSWORD)):
        with pytest.raises(UnauthorizedError):
            await login
    app = V1AuthApp(cloud.service)
    assert (await ask_v1(app, credentials()))[0] == 401
    assert (await ask_v1(app, credentials("quarry:bob")))[0] == 200
    assert await cloud.service.identify(ours)
    assert await cloud.service.login.by_id(bob.id, PASSWORD) == bob

    admin = await cloud.admin_token()
    for method, body in (("GET", None), ("PATCH", {"user": {"name": "anna"}}), ("DELETE", None)):
        answer = await ask(cloud, method, f"/v3/users/{ann.id}", body, token=admin)
        assert answer.status == 503
        assert answer.json["error"]["message"] == (
            f"The user {ann.id} cannot be used here: user: version 99 is not known here (known: 1, 2, 3, 4, 5): "
            "a newer Drystone wrote it"
        )
    shown = await ask(cloud, "GET", "/v3/users", token=admin)
    assert {user["name"] for user in shown.json["users"]} == {"admin", "bob"}
    with pytest.raises(ConflictError):
        await cloud.user("ann")  # the name is theirs
    with pytest.raises(ConflictError):
        await cloud.service.administration.create_user(User(ann.id, "other"), None)

    await write(cloud, Put(keys.record(USER, ann.id), USER.codec.encode(ann)), Delete(keys.record(USER, "0" * 32)))
    assert cloud.service.unreadable() == 0
    assert await cloud.service.login.by_name("ann", PASSWORD) == ann


async def test_a_project_that_cannot_be_read(cloud: Cloud) -> None:
    quarry, pit = await cloud.project("quarry"), await cloud.project("pit")
    ann = await cloud.user("ann", quarry)
    await cloud.service.administration.assign(Assignment(ann.id, pit.id, cloud.made.role_ids["member"]))
    lost, kept = await cloud.token("ann", quarry), await cloud.token("ann", pit)
    await write(cloud, Put(keys.record(PROJECT, quarry.id), NEWER))
    assert await cloud.service.identify(lost) is None
    assert await cloud.service.identify(kept)
    with pytest.raises(UnreadableError, match="The project"):
        await cloud.service.administration.delete_project(quarry.id)


@pytest.mark.parametrize("what", ["role", "domain", "assignment"])
async def test_rights_that_cannot_be_read_are_none(cloud: Cloud, what: str) -> None:
    project = await cloud.project("quarry")
    ann = await cloud.user("ann", project)
    token = await cloud.token("ann", project)
    key = {
        "role": keys.record(ROLE, cloud.made.role_ids["member"]),
        "domain": keys.record(DOMAIN, "default"),
        "assignment": keys.assignment(Assignment(ann.id, project.id, cloud.made.role_ids["member"])),
    }[what]
    assert await cloud.service.identify(token)
    await write(cloud, Put(key, NEWER))
    assert await cloud.service.identify(token) is None
    assert cloud.service.unreadable() == 1


async def test_a_token_given_back_in_whatever_form_is_given_back(cloud: Cloud) -> None:
    project = await cloud.project("quarry")
    await cloud.user("ann", project)
    token = await cloud.token("ann", project)
    held = await cloud.service.tokens.read(token)
    assert held is not None
    await write(cloud, Put(keys.revoked(held.token.audit_ids[0]), NEWER))
    cloud.clock.advance(10)
    assert await cloud.service.tokens.read(token) is None


async def test_token_keys_that_cannot_be_read(cloud: Cloud) -> None:
    """No token can be opened; but that is no reason to say that one does not hold."""
    token = await cloud.admin_token()
    await write(cloud, Put(keys.TOKEN_KEYS, NEWER))
    fresh = Tokens(cloud.service.directory, cloud.clock, cloud.service.random)
    for tokens in (cloud.service.tokens, fresh):
        with pytest.raises(UnreadableError, match="token keys: version 99 is not known here"):
            await tokens.read(token)
    shown = await ask(cloud, "GET", "/v3/auth/tokens", token=token, headers={"x-subject-token": token})
    assert shown.status == 503
    assert (await ask(cloud, "GET", "/v3")).status == 200


async def test_keys_that_are_not_known(cloud: Cloud) -> None:
    with capture_logs() as logs:
        await write(cloud, Put(b"identity/unheard-of/x", b"x"))
    assert [entry["key"] for entry in logs] == ["identity/unheard-of/x"]
    assert cloud.service.unreadable() == 1
    await write(cloud, Delete(b"identity/unheard-of/x"))
    assert cloud.service.unreadable() == 0


Spoil = Callable[[Cloud], bytes]
SPOILT: dict[str, Spoil] = {
    "user": lambda cloud: keys.record(USER, cloud.made.user_id),
    "project": lambda cloud: keys.record(PROJECT, cloud.made.project_id),
    "role": lambda cloud: keys.record(ROLE, cloud.made.role_ids["admin"]),
    "domain": lambda cloud: keys.record(DOMAIN, "default"),
    "token keys": lambda _: keys.TOKEN_KEYS,
    "another role": lambda cloud: keys.record(ROLE, cloud.made.role_ids["reader"]),
    "service": lambda cloud: keys.record(
        cloud.service.snapshot.services.kind, next(iter(cloud.service.snapshot.services)).id
    ),
    "endpoint": lambda cloud: keys.record(
        cloud.service.snapshot.endpoints.kind, next(iter(cloud.service.snapshot.endpoints)).id
    ),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_a_process_starts_over_what_it_cannot_read(cloud: Cloud, nursery: trio.Nursery, what: str) -> None:
    """And makes nothing anew that is there."""
    await cloud.user("bob")
    await write(cloud, Put(SPOILT[what](cloud), NEWER))
    before = await cloud.registry.range(keys.EVERYTHING)
    made = await bootstrap(cloud.registry, hasher=PasswordHasher(CHEAP))
    assert (made.user_id, made.project_id, made.role_ids) == (
        cloud.made.user_id,
        cloud.made.project_id,
        cloud.made.role_ids,
    )
    assert (made.created, made.password) == ((), None)
    assert await cloud.registry.range(keys.EVERYTHING) == before
    service = IdentityService(cloud.registry, IdentityConfig(hash_cost=CHEAP), clock=cloud.clock)
    await nursery.start(lambda task_status: service.run(task_status=task_status))
    assert service.unreadable() == 1
    if what != "domain":
        assert (await service.login.by_name("bob", PASSWORD)).name == "bob"
    await open_operator(cloud.registry)
    if what == "user":
        with pytest.raises(UnreadableError):
            await bootstrap(cloud.registry, password="new", hasher=PasswordHasher(CHEAP))
