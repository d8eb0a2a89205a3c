"""Users of a directory log in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from authn.administration import Administration
from authn.directory_login import REFUSAL_SECONDS
from authn.errors import UnauthorizedError
from authn.keys import GROUP_ACTOR, PROJECT_TARGET, Assignment
from authn.records import USER, User
from authn.throttle import FREE_FAILURES, WAIT_SECONDS_MAX
from authn.v1 import V1AuthApp
from tests.authn.conftest import PASSWORD
from tests.authn.directories.conftest import Mine
from tests.authn.directories.fake import ADDRESS


async def _disable_here(administration: Administration, id_: str) -> None:
    await administration.update(
        USER, lambda snapshot: snapshot.users, id_, lambda before: replace(before, enabled=False)
    )


async def test_by_name_and_then_by_id(mine: Mine, autojump_clock: MockClock) -> None:
    alice = mine.directory.users["u1"]
    answer = await mine.login("ALICE")
    assert answer.status == 201
    assert answer.json["token"]["user"] == {
        "id": alice.public_id,
        "name": "Alice",
        "domain": {"id": mine.staff.id, "name": "staff"},
        "password_expires_at": None,
    }
    assert mine.service.snapshot.users.require(alice.public_id) == User(
        alice.public_id, "Alice", mine.staff.id, directory_id="u1"
    )
    assert (await mine.login(id_=alice.public_id)).status == 201
    assert (await mine.login(password="wrong", id_=alice.public_id)).status == 401
    assert (await mine.login(id_=mine.directory.users["u2"].public_id)).status == 401  # nobody has seen that id


async def test_refusals_are_alike_and_take_as_long(mine: Mine, autojump_clock: MockClock) -> None:
    mine.directory.disable("u2")
    told, took = set(), []
    for name, password in (("alice", "wrong"), ("alice", ""), ("nobody", PASSWORD), ("bob", PASSWORD)):
        start = trio.current_time()
        answer = await mine.login(name, password)
        told.add((answer.status, answer.text))
        took.append(trio.current_time() - start)
    assert len(told) == 1
    assert answer.status == 401
    assert took == [pytest.approx(REFUSAL_SECONDS)] * 4


async def test_who_is_disabled_here_or_whose_domain_is_stays_out(mine: Mine, autojump_clock: MockClock) -> None:
    alice = mine.directory.users["u1"]
    assert (await mine.login("alice")).status == 201
    await _disable_here(mine.service.administration, alice.public_id)
    assert (await mine.login("alice")).status == 401
    assert (await mine.login("bob")).status == 201
    listed = (await mine.ask("GET", f"/v3/users?domain_id={mine.staff.id}")).json["users"]
    assert {user["name"]: user["enabled"] for user in listed} == {"Alice": False, "Bob": True}
    assert (await mine.ask("PATCH", f"/v3/domains/{mine.staff.id}", {"domain": {"enabled": False}})).status == 200
    assert (await mine.login("bob")).status == 401


async def test_a_name_that_is_another_users_now(mine: Mine) -> None:
    alice, bob = mine.directory.users["u1"], mine.directory.users["u2"]
    assert (await mine.login("alice")).json["token"]["user"]["id"] == alice.public_id
    mine.directory.users["u1"] = replace(alice, name="Alicia")
    mine.directory.users["u2"] = replace(bob, name="Alice")
    assert (await mine.login("alice")).json["token"]["user"]["id"] == bob.public_id
    assert (await mine.login(id_=alice.public_id)).json["token"]["user"]["name"] == "Alicia"


async def test_an_id_that_leads_to_somebody_else_opens_nothing(mine: Mine, autojump_clock: MockClock) -> None:
    """Directories compare ids as they like."""
    alice = mine.directory.users["u1"]
    await mine.login("alice")
    mine.directory.users["u1"] = replace(mine.directory.add("U1", "somebody", PASSWORD))
    assert (await mine.login(id_=alice.public_id)).status == 401
    assert (await mine.ask("GET", f"/v3/users/{alice.public_id}")).status == 404


async def test_whoever_gets_in_begins_to_count_anew(mine: Mine, autojump_clock: MockClock) -> None:
    for _ in range(2):
        for _ in range(FREE_FAILURES - 1):
            assert (await mine.login("alice", "guess")).status == 401
        assert (await mine.login("alice")).status == 201


async def test_guesses_count_for_the_user_however_the_name_is_spelled(mine: Mine, autojump_clock: MockClock) -> None:
    for number in range(FREE_FAILURES):
        spelling = "ALICE" if number % 2 else "alice"
        assert (await mine.login(spelling, f"guess {number}")).status == 401
    judged = mine.directory.asked["authenticate"]
    for spelling in ("Alice", "alice", "aLICE"):
        assert (await mine.login(spelling)).status == 401
    assert mine.directory.asked["authenticate"] == judged
    mine.cloud.clock.advance(WAIT_SECONDS_MAX)
    assert (await mine.login("Alice")).status == 201


async def test_names_that_nobody_has_make_no_guess_forgotten(
    mine: Mine, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("authn.throttle.PLACES_MAX", 3)
    for number in range(FREE_FAILURES):
        assert (await mine.login("Alice", f"guess {number}")).status == 401
    for number in range(4):
        assert (await mine.login(f"nobody {number}", "guess")).status == 401
    assert (await mine.login("Alice")).status == 401


async def test_a_name_that_nobody_has_is_soon_not_asked_for(mine: Mine, autojump_clock: MockClock) -> None:
    for number in range(FREE_FAILURES):
        assert (await mine.login("nobody", f"guess {number}")).status == 401
    mine.directory.away = True
    assert (await mine.login("nobody")).status == 401


async def test_a_spelling_that_was_used_before_is_counted_with_the_user(mine: Mine, autojump_clock: MockClock) -> None:
    """What remembers right passwords asks so, before it compares."""
    assert (await mine.login("Alice")).status == 201
    for _ in range(FREE_FAILURES):
        await mine.login("ALICE", "guess")
    login = mine.service.login
    with pytest.raises(UnauthorizedError):
        login.require_admitted("Alice", address="192.0.2.7", domain_id=mine.staff.id)
    login.require_admitted("Bob", address="192.0.2.7", domain_id=mine.staff.id)


async def test_a_directory_that_is_away_says_nothing_to_strangers_and_holds_up_nobody_else(mine: Mine) -> None:
    alice = mine.directory.users["u1"]
    await mine.login("alice")
    mine.directory.away = True
    for answer in (await mine.login("alice"), await mine.login("nobody"), await mine.login(id_=alice.public_id)):
        assert answer.status == 503
        assert ADDRESS not in answer.text.decode()
        assert "10.9.8.7" not in answer.text.decode()
        assert answer.headers["retry-after"] == "1"
    assert await mine.cloud.admin_token()
    mine.directory.away = False
    assert (await mine.login("alice")).status == 201


async def test_one_that_never_answers_holds_up_neither_local_users_nor_other_directories(
    mine: Mine, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await trio.sleep_forever()

    other = await mine.domain("other")
    mine.directories[other.id].add("u1", "carol", PASSWORD)
    await mine.login("alice")
    monkeypatch.setattr(mine.directories.opened[0], "user_by_name", never)
    for number in range(50):
        nursery.start_soon(mine.login, f"somebody {number}")
    await trio.testing.wait_all_tasks_blocked()
    with trio.fail_after(1):
        assert await mine.cloud.admin_token()
        assert (await mine.login("carol", domain_id=other.id)).status == 201


async def test_without_its_directory_nobody_of_it_gets_in(mine: Mine, autojump_clock: MockClock) -> None:
    alice = mine.directory.users["u1"]
    await mine.login("alice")
    assert (await mine.ask("DELETE", f"/v3/domains/{mine.staff.id}/config")).status == 204
    assert (await mine.login("alice")).status == 401
    assert (await mine.login(id_=alice.public_id)).status == 401


async def test_users_of_the_registry_come_first_in_their_domain(mine: Mine, autojump_clock: MockClock) -> None:
    """Nobody is locked out of the domain `default` by the directory that it is given."""
    assert (await mine.ask("PUT", "/v3/domains/default/config", {"config": _config()})).status == 201
    mine.directories["default"].add("a", "admin", "another")
    assert (await mine.login("admin", domain_id="default")).status == 201
    assert (await mine.login("admin", "another", domain_id="default")).status == 401


async def test_roles_of_groups_come_with_the_token(mine: Mine, autojump_clock: MockClock) -> None:
    project = await mine.cloud.project("quarry")
    readers = mine.directory.groups["g1"]
    scope = {"project": {"id": project.id}}
    assert (await mine.login("alice", scope=scope)).status == 401
    role = mine.cloud.made.role_ids["reader"]
    path = f"/v3/projects/{project.id}/groups/{readers.public_id}/roles/{role}"
    assert (await mine.ask("PUT", path)).status == 204
    held = Assignment(readers.public_id, project.id, role, GROUP_ACTOR, PROJECT_TARGET)
    assert held in mine.service.snapshot.held
    answer = await mine.login("alice", scope=scope)
    assert [one["name"] for one in answer.json["token"]["roles"]] == ["reader"]
    assert (await mine.login("bob", scope=scope)).status == 401
    # Nobody is asked any more, neither for this token nor for one that is made of it.
    mine.directory.away = True
    token = answer.headers["x-subject-token"]
    identity = await mine.service.identify(token)
    assert identity is not None
    assert identity.roles == {"reader"}
    own = await mine.ask("GET", "/v3/auth/projects", token=token)
    assert [one["id"] for one in own.json["projects"]] == [project.id]
    again = {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope}
    assert (await mine.ask("POST", "/v3/auth/tokens", {"auth": again})).status == 201
    mine.directory.away = False
    assert (await mine.ask("DELETE", path)).status == 204
    assert await mine.service.identify(token) is None


async def test_the_first_handshake_knows_them(mine: Mine) -> None:
    assert (await mine.ask("PUT", "/v3/domains/default/config", {"config": _config()})).status == 201
    directory = mine.directories["default"]
    directory.add("u1", "erin", PASSWORD)
    group = directory.group("g1", "members", "u1")
    project = await mine.cloud.project("quarry")
    role = mine.cloud.made.role_ids["member"]
    assert (await mine.ask("PUT", f"/v3/projects/{project.id}/groups/{group.public_id}/roles/{role}")).status == 204
    app = V1AuthApp(mine.service)
    sent: list[Any] = []
    headers = [(b"x-auth-user", b"quarry:erin"), (b"x-auth-key", PASSWORD.encode()), (b"host", b"cloud")]
    scope = {"type": "http", "method": "GET", "path": "/auth/v1.0", "scheme": "http", "headers": headers}

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app({**scope, "client": ("192.0.2.7", 1)}, receive, send)
    assert sent[0]["status"] == 200
    token = dict(sent[0]["headers"])[b"x-auth-token"].decode()
    identity = await mine.service.identify(token)
    assert identity is not None
    assert identity.user_name == "erin"


def _config() -> dict[str, dict[str, str]]:
    return {"identity": {"driver": "ldap"}, "ldap": {"url": "ldap://10.9.8.7"}}
