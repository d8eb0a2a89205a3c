"""Users and groups of a directory as clients see them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs
from trio.testing import MockClock

from authn.backends.backend import LISTED, DirectoryUser, Listed
from authn.backends.public_id import public_id
from authn.keys import DOMAIN_TARGET, Assignment
from tests.authn.conftest import PASSWORD
from tests.authn.directories.conftest import Mine
from tests.authn.directories.fake import ADDRESS
from tests.authn.test_v3 import ask


async def test_a_list_tells_all_and_stores_nobody(mine: Mine) -> None:
    directory = mine.directory
    directory.users["u1"] = replace(directory.users["u1"], email="a@example.org", description="Lives in Köln")
    directory.disable("u2")
    before = len(mine.service.snapshot.users)
    for query in (f"?domain_id={mine.staff.id}", ""):
        users = (await mine.ask("GET", f"/v3/users{query}")).json["users"]
        found = {user["name"]: user for user in users if user["domain_id"] == mine.staff.id}
        assert found.keys() == {"Alice", "Bob"}
        assert found["Alice"]["id"] == public_id(mine.staff.id, "user", "u1")
        assert found["Alice"]["email"] == "a@example.org"
        assert found["Alice"]["description"] == "Lives in Köln"
        assert [found[name]["enabled"] for name in ("Alice", "Bob")] == [True, False]
        assert ("admin" in {user["name"] for user in users}) == (not query)
    named = await mine.ask("GET", f"/v3/users?name=Bob&domain_id={mine.staff.id}")
    assert [user["name"] for user in named.json["users"]] == ["Bob"]
    groups = (await mine.ask("GET", f"/v3/groups?domain_id={mine.staff.id}")).json["groups"]
    assert [(group["id"], group["name"]) for group in groups] == [(directory.groups["g1"].public_id, "readers")]
    assert len(mine.service.snapshot.users) == before
    assert len(mine.service.snapshot.groups) == 0


async def test_a_listed_user_is_found_by_the_id_and_stored_once(mine: Mine) -> None:
    alice = mine.directory.users["u1"]
    await mine.ask("GET", f"/v3/users?domain_id={mine.staff.id}")
    listed = mine.directory.asked["users"]
    for _ in range(2):
        answer = await mine.ask("GET", f"/v3/users/{alice.public_id}")
        assert answer.status == 200
        assert answer.json["user"]["name"] == "Alice"
    assert mine.directory.asked["users"] == listed
    assert mine.service.snapshot.users.require(alice.public_id).directory_id == "u1"
    # As its directory says now.
    mine.directory.users["u1"] = replace(alice, name="Alicia", enabled=False)
    answer = await mine.ask("GET", f"/v3/users/{alice.public_id}")
    assert (answer.json["user"]["name"], answer.json["user"]["enabled"]) == ("Alicia", False)
    assert mine.service.snapshot.users.require(alice.public_id).name == "Alicia"
    assert mine.service.snapshot.users.require(alice.public_id).enabled
    assert len((await mine.ask("GET", f"/v3/users?domain_id={mine.staff.id}")).json["users"]) == 2
    del mine.directory.users["u1"]
    assert (await mine.ask("GET", f"/v3/users/{alice.public_id}")).status == 404


async def test_an_id_that_was_never_told_here_is_looked_for(mine: Mine) -> None:
    """Another process may have told it."""
    bob, readers = mine.directory.users["u2"], mine.directory.groups["g1"]
    assert (await mine.ask("GET", f"/v3/users/{bob.public_id}")).json["user"]["name"] == "Bob"
    assert (await mine.ask("GET", f"/v3/groups/{readers.public_id}")).json["group"]["name"] == "readers"
    groups = (await mine.ask("GET", "/v3/groups")).json["groups"]
    assert [group["id"] for group in groups] == [readers.public_id]  # though it is stored now, too
    asked = mine.directory.asked["users"]
    for missing in ("0" * 64, "Bob", "0" * 32):
        assert (await mine.ask("GET", f"/v3/users/{missing}")).status == 404
    assert mine.directory.asked["users"] == asked + 1  # only for what could be an id of a directory


async def test_many_who_look_for_an_id_make_one_search(mine: Mine, monkeypatch: pytest.MonkeyPatch) -> None:
    bob = mine.directory.users["u2"].public_id
    backend = mine.service.backends.of(mine.staff.id)
    users = backend.users

    async def slowly(name: str | None = None, *, limit: int = LISTED) -> Listed[DirectoryUser]:
        await trio.testing.wait_all_tasks_blocked()
        return await users(name, limit=limit)

    monkeypatch.setattr(backend, "users", slowly)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(mine.ask, "GET", f"/v3/users/{bob}")
    assert mine.directory.asked["users"] == 1
    assert mine.service.snapshot.users.get(bob) is not None


async def test_who_may_not_see_a_user_makes_nobody_ask(mine: Mine, autojump_clock: MockClock) -> None:
    project = await mine.cloud.project("quarry")
    await mine.cloud.user("ann", project)
    token = await mine.cloud.token("ann", project)
    bob = mine.directory.users["u2"]
    mine.directory.asked.clear()
    assert (await mine.ask("GET", f"/v3/users/{bob.public_id}", token=token)).status == 403
    assert (await mine.ask("GET", f"/v3/users?domain_id={mine.staff.id}", token=token)).status == 403
    assert (await ask(mine.cloud, "GET", f"/v3/users/{bob.public_id}")).status == 401
    assert not mine.directory.asked
    # But they see themselves.
    own = (await mine.login("bob")).headers["x-subject-token"]
    assert (await mine.ask("GET", f"/v3/users/{bob.public_id}", token=own)).json["user"]["name"] == "Bob"
    alice = mine.directory.users["u1"]
    assert (await mine.ask("GET", f"/v3/users/{alice.public_id}", token=own)).status == 403


async def test_whoever_looks_after_the_domain_sees_its_people_and_no_others(mine: Mine) -> None:
    other = await mine.domain("other")
    dora = mine.directories[other.id].add("u1", "dora")
    alice, bob = mine.directory.users["u1"], mine.directory.users["u2"]
    role = mine.cloud.made.role_ids["reader"]
    assert (await mine.ask("PUT", f"/v3/domains/{mine.staff.id}/users/{alice.public_id}/roles/{role}")).status == 204
    assert Assignment(alice.public_id, mine.staff.id, role, target=DOMAIN_TARGET) in mine.service.snapshot.held
    scoped = await mine.login("alice", scope={"domain": {"id": mine.staff.id}})
    token = scoped.headers["x-subject-token"]
    assert {user["name"] for user in (await mine.ask("GET", "/v3/users", token=token)).json["users"]} == {
        "Alice",
        "Bob",
    }
    assert mine.directories[other.id].asked["users"] == 0
    assert (await mine.ask("GET", f"/v3/users/{bob.public_id}", token=token)).status == 200
    assert (await mine.ask("GET", f"/v3/users/{dora.public_id}", token=token)).status == 403
    assert mine.directories[other.id].asked["users"] == 0


async def test_nothing_of_it_is_written(mine: Mine, autojump_clock: MockClock) -> None:
    alice, readers = mine.directory.users["u1"].public_id, mine.directory.groups["g1"].public_id
    bob = mine.directory.users["u2"].public_id
    new = {"name": "new", "domain_id": mine.staff.id, "password": PASSWORD}
    password = {"user": {"original_password": PASSWORD, "password": "another one"}}
    for method, path, body in (
        ("POST", "/v3/users", {"user": new}),
        ("POST", "/v3/groups", {"group": {"name": "new", "domain_id": mine.staff.id}}),
        ("PATCH", f"/v3/users/{alice}", {"user": {"enabled": False}}),
        ("PATCH", f"/v3/groups/{readers}", {"group": {"name": "new"}}),
        ("DELETE", f"/v3/users/{alice}", None),
        ("DELETE", f"/v3/groups/{readers}", None),
        ("PUT", f"/v3/groups/{readers}/users/{bob}", None),
        ("DELETE", f"/v3/groups/{readers}/users/{alice}", None),
        ("PUT", f"/v3/groups/{readers}/users/{mine.cloud.made.user_id}", None),
        ("POST", f"/v3/users/{alice}/password", password),
    ):
        answer = await mine.ask(method, path, body)
        assert answer.status == 403, (method, path, answer.text)
    assert (await mine.login("alice")).status == 201


async def test_who_is_in_which_group(mine: Mine) -> None:
    alice, bob = mine.directory.users["u1"].public_id, mine.directory.users["u2"].public_id
    readers = mine.directory.groups["g1"].public_id
    groups = (await mine.ask("GET", f"/v3/users/{alice}/groups")).json["groups"]
    assert [group["id"] for group in groups] == [readers]
    assert (await mine.ask("GET", f"/v3/users/{bob}/groups")).json["groups"] == []
    users = (await mine.ask("GET", f"/v3/groups/{readers}/users")).json["users"]
    assert [user["name"] for user in users] == ["Alice"]
    assert (await mine.ask("HEAD", f"/v3/groups/{readers}/users/{alice}")).status == 204
    assert (await mine.ask("HEAD", f"/v3/groups/{readers}/users/{bob}")).status == 404
    assert (await mine.ask("HEAD", f"/v3/groups/{readers}/users/{mine.cloud.made.user_id}")).status == 403


async def test_roles_of_users_and_groups(mine: Mine) -> None:
    project = await mine.cloud.project("quarry")
    alice, readers = mine.directory.users["u1"], mine.directory.groups["g1"]
    role = mine.cloud.made.role_ids["reader"]
    group_path = f"/v3/projects/{project.id}/groups/{readers.public_id}/roles"
    user_path = f"/v3/projects/{project.id}/users/{alice.public_id}/roles"
    assert (await mine.ask("PUT", f"{group_path}/{role}")).status == 204
    assert (await mine.ask("HEAD", f"{group_path}/{role}")).status == 204
    assert [one["name"] for one in (await mine.ask("GET", group_path)).json["roles"]] == ["reader"]
    assert (await mine.ask("GET", user_path)).json["roles"] == []
    assert (await mine.ask("PUT", f"/v3/projects/{project.id}/users/{'0' * 64}/roles/{role}")).status == 404
    stem = f"/v3/role_assignments?scope.project.id={project.id}&include_names"
    (stored,) = (await mine.ask("GET", stem)).json["role_assignments"]
    assert stored["group"]["name"] == "readers"
    assert stored["group"]["domain"] == {"id": mine.staff.id, "name": "staff"}
    for query in (f"{stem}&effective", f"/v3/role_assignments?include_names&effective&user.id={alice.public_id}"):
        (worked,) = (await mine.ask("GET", query)).json["role_assignments"]
        assert worked["user"] == {
            "id": alice.public_id,
            "name": "Alice",
            "domain": {"id": mine.staff.id, "name": "staff"},
        }
        assert worked["links"]["membership"].endswith(f"/groups/{readers.public_id}/users/{alice.public_id}")
    projects = (await mine.ask("GET", f"/v3/users/{alice.public_id}/projects")).json["projects"]
    assert [one["id"] for one in projects] == [project.id]
    # What is stored needs nobody.
    mine.directory.away = True
    assert len((await mine.ask("GET", stem)).json["role_assignments"]) == 1
    with capture_logs() as logs:
        assert (await mine.ask("GET", f"{stem}&effective")).json["role_assignments"] == []
    assert [log["group_id"] for log in logs if log["log_level"] == "warning"] == [readers.public_id]
    one = await mine.ask("GET", f"/v3/role_assignments?effective&user.id={alice.public_id}")
    assert one.status == 503
    assert (await mine.ask("DELETE", f"{group_path}/{role}")).status == 204


async def test_a_directory_that_is_away(mine: Mine) -> None:
    other = await mine.domain("other")
    mine.directories[other.id].add("u1", "dora")
    alice = mine.directory.users["u1"].public_id
    assert (await mine.ask("GET", f"/v3/users/{alice}")).status == 200
    mine.directory.away = True
    for path in (f"/v3/users/{alice}", f"/v3/users?domain_id={mine.staff.id}", f"/v3/users/{alice}/groups"):
        answer = await mine.ask("GET", path)
        assert answer.status == 503
        assert ADDRESS in answer.json["error"]["message"]
    with capture_logs() as logs:
        answer = await mine.ask("GET", "/v3/users")
    assert {user["name"] for user in answer.json["users"]} == {"admin", "dora"}
    assert [log["domain"] for log in logs if log["log_level"] == "warning"] == [mine.staff.id]
    assert (await mine.ask("GET", f"/v3/users/{mine.cloud.made.user_id}")).status == 200
    dora = mine.directories[other.id].users["u1"].public_id
    assert (await mine.ask("GET", f"/v3/users/{dora}")).status == 200


async def test_an_id_that_may_be_in_a_directory_that_is_away(mine: Mine) -> None:
    for name in ("other", "third"):  # whichever is looked through first
        domain = await mine.domain(name)
        dora = mine.directories[domain.id].add("u1", "dora").public_id
        mine.directory.away = True
        assert (await mine.ask("GET", f"/v3/users/{dora}")).json["user"]["name"] == "dora"
    assert (await mine.ask("GET", f"/v3/users/{'0' * 64}")).status == 503
    mine.directory.away = False
    assert (await mine.ask("GET", f"/v3/users/{'0' * 64}")).status == 404


async def test_a_list_that_is_cut_says_so(mine: Mine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "truncated" not in (await mine.ask("GET", "/v3/users")).json
    users = mine.directories.opened[0].users
    monkeypatch.setattr(mine.directories.opened[0], "users", lambda name: users(name, limit=1))
    answer = (await mine.ask("GET", "/v3/users")).json
    assert answer["truncated"] is True
    assert len([user for user in answer["users"] if user["domain_id"] == mine.staff.id]) == 1


async def test_with_the_domain_its_people_are_forgotten(mine: Mine) -> None:
    alice = mine.directory.users["u1"].public_id
    role = mine.cloud.made.role_ids["reader"]
    assert (await mine.ask("PUT", f"/v3/system/users/{alice}/roles/{role}")).status == 204
    assert (await mine.ask("PATCH", f"/v3/domains/{mine.staff.id}", {"domain": {"enabled": False}})).status == 200
    assert (await mine.ask("DELETE", f"/v3/domains/{mine.staff.id}")).status == 204
    assert mine.service.snapshot.users.get(alice) is None
    assert not mine.service.snapshot.held.of_actor("user", alice)
