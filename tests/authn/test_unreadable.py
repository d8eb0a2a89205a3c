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
from tests.authn.conftest import PASSWORD, House
from tests.authn.test_v1 import ask as ask_v1
from tests.authn.test_v1 import credentials
from tests.authn.test_v3 import ask

NEWER = msgpack.packb([99, "who knows"])


async def write(house: House, *puts: Put | Delete) -> None:
    await house.registry.transact((), list(puts))
    await wait_all_tasks_blocked()


async def test_a_user_that_cannot_be_read_is_refused_and_all_others_work(house: House) -> None:
    project = await house.project("quarry")
    ann, bob = await house.user("ann", project), await house.user("bob", project)
    theirs, ours = await house.token("ann", project), await house.token("bob", project)
    with capture_logs() as logs:
        await write(house, Put(keys.record(USER, ann.id), NEWER))
        await write(house, Put(keys.record(USER, ann.id), NEWER), Put(keys.record(USER, "0" * 32), NEWER))
    said = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["key"] for entry in said] == [f"identity/user/{ann.id}", f"identity/user/{'0' * 32}"]
    assert "version 99 is not known here" in said[0]["reason"]
    assert house.service.unreadable() == 2

    assert await house.service.identify(theirs) is None
    for login in (house.service.login.by_id(ann.id, PASSWORD), house.service.login.by_name("ann", PASSWORD)):
        with pytest.raises(UnauthorizedError):
            await login
    app = V1AuthApp(house.service)
    assert (await ask_v1(app, credentials()))[0] == 401
    assert (await ask_v1(app, credentials("quarry:bob")))[0] == 200
    assert await house.service.identify(ours)
    assert await house.service.login.by_id(bob.id, PASSWORD) == bob

    admin = await house.admin_token()
    for method, body in (("GET", None), ("PATCH", {"user": {"name": "anna"}}), ("DELETE", None)):
        answer = await ask(house, method, f"/v3/users/{ann.id}", body, token=admin)
        assert answer.status == 503
        assert answer.json["error"]["message"] == (
            f"The user {ann.id} cannot be used here: user: version 99 is not known here (known: 1)"
        )
    shown = await ask(house, "GET", "/v3/users", token=admin)
    assert {user["name"] for user in shown.json["users"]} == {"admin", "bob"}
    with pytest.raises(ConflictError):
        await house.user("ann")  # the name is theirs
    with pytest.raises(ConflictError):
        await house.service.administration.create_user(User(ann.id, "other"), None)

    await write(house, Put(keys.record(USER, ann.id), USER.codec.encode(ann)), Delete(keys.record(USER, "0" * 32)))
    assert house.service.unreadable() == 0
    assert await house.service.login.by_name("ann", PASSWORD) == ann


async def test_a_project_that_cannot_be_read(house: House) -> None:
    quarry, pit = await house.project("quarry"), await house.project("pit")
    ann = await house.user("ann", quarry)
    await house.service.administration.assign(Assignment(ann.id, pit.id, house.made.role_ids["member"]))
    lost, kept = await house.token("ann", quarry), await house.token("ann", pit)
    await write(house, Put(keys.record(PROJECT, quarry.id), NEWER))
    assert await house.service.identify(lost) is None
    assert await house.service.identify(kept)
    with pytest.raises(UnreadableError, match="The project"):
        await house.service.administration.delete_project(quarry.id)


@pytest.mark.parametrize("what", ["role", "domain", "assignment"])
async def test_rights_that_cannot_be_read_are_none(house: House, what: str) -> None:
    project = await house.project("quarry")
    ann = await house.user("ann", project)
    token = await house.token("ann", project)
    key = {
        "role": keys.record(ROLE, house.made.role_ids["member"]),
        "domain": keys.record(DOMAIN, "default"),
        "assignment": keys.assignment(Assignment(ann.id, project.id, house.made.role_ids["member"])),
    }[what]
    assert await house.service.identify(token)
    await write(house, Put(key, NEWER))
    assert await house.service.identify(token) is None
    assert house.service.unreadable() == 1


async def test_a_token_given_back_in_whatever_form_is_given_back(house: House) -> None:
    project = await house.project("quarry")
    await house.user("ann", project)
    token = await house.token("ann", project)
    held = await house.service.tokens.read(token)
    assert held is not None
    await write(house, Put(keys.revoked(held.token.audit_ids[0]), NEWER))
    house.clock.advance(10)
    assert await house.service.tokens.read(token) is None


async def test_token_keys_that_cannot_be_read(house: House) -> None:
    """No token can be opened; but that is no reason to say that one does not hold."""
    token = await house.admin_token()
    await write(house, Put(keys.TOKEN_KEYS, NEWER))
    fresh = Tokens(house.service.directory, house.clock, house.service.random)
    for tokens in (house.service.tokens, fresh):
        with pytest.raises(UnreadableError, match="token keys: version 99 is not known here"):
            await tokens.read(token)
    shown = await ask(house, "GET", "/v3/auth/tokens", token=token, headers={"x-subject-token": token})
    assert shown.status == 503
    assert (await ask(house, "GET", "/v3")).status == 200


async def test_keys_that_are_not_known(house: House) -> None:
    with capture_logs() as logs:
        await write(house, Put(b"identity/unheard-of/x", b"x"))
    assert [entry["key"] for entry in logs] == ["identity/unheard-of/x"]
    assert house.service.unreadable() == 1
    await write(house, Delete(b"identity/unheard-of/x"))
    assert house.service.unreadable() == 0


Spoil = Callable[[House], bytes]
SPOILT: dict[str, Spoil] = {
    "user": lambda house: keys.record(USER, house.made.user_id),
    "project": lambda house: keys.record(PROJECT, house.made.project_id),
    "role": lambda house: keys.record(ROLE, house.made.role_ids["admin"]),
    "domain": lambda house: keys.record(DOMAIN, "default"),
    "token keys": lambda _: keys.TOKEN_KEYS,
    "another role": lambda house: keys.record(ROLE, house.made.role_ids["reader"]),
    "service": lambda house: keys.record(house.service.view.services.kind, next(iter(house.service.view.services)).id),
    "endpoint": lambda house: keys.record(
        house.service.view.endpoints.kind, next(iter(house.service.view.endpoints)).id
    ),
}


@pytest.mark.parametrize("what", SPOILT)
async def test_a_process_starts_over_what_it_cannot_read(house: House, nursery: trio.Nursery, what: str) -> None:
    """And makes nothing anew that is there."""
    await house.user("bob")
    await write(house, Put(SPOILT[what](house), NEWER))
    before = await house.registry.range(keys.EVERYTHING)
    made = await bootstrap(house.registry, hasher=PasswordHasher(CHEAP))
    assert (made.user_id, made.project_id, made.role_ids) == (
        house.made.user_id,
        house.made.project_id,
        house.made.role_ids,
    )
    assert (made.created, made.password) == ((), None)
    assert await house.registry.range(keys.EVERYTHING) == before
    service = IdentityService(house.registry, IdentityConfig(hash_cost=CHEAP), clock=house.clock)
    await nursery.start(lambda task_status: service.run(task_status=task_status))
    assert service.unreadable() == 1
    if what != "domain":
        assert (await service.login.by_name("bob", PASSWORD)).name == "bob"
    await open_operator(house.registry)
    if what == "user":
        with pytest.raises(UnreadableError):
            await bootstrap(house.registry, password="new", hasher=PasswordHasher(CHEAP))
