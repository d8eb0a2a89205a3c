"""Which directory is asked: as the domain's configuration says, wherever it was changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from authn.backends.backend import DirectoryAwayError
from authn.hashing import CHEAP
from authn.service import IdentityConfig, IdentityService
from authn.v3 import domain_config
from tests.authn.conftest import LIFETIME_S
from tests.authn.directories.conftest import LDAP, Mine
from tests.authn.directories.fake import FakeDirectories


def _with(**options: Any) -> Any:
    changed = copy.deepcopy(LDAP)
    changed["ldap"].update(options)
    return {"config": changed}


async def test_one_is_opened_at_the_first_question_with_its_secrets(mine: Mine) -> None:
    assert mine.directories.opened == []
    for _ in range(2):
        await mine.ask("GET", "/v3/users")
    assert [backend.options for backend in mine.directories.opened] == [LDAP["ldap"]]


async def test_another_configuration_opens_another_and_closes_the_first(mine: Mine) -> None:
    await mine.ask("GET", "/v3/users")
    path = f"/v3/domains/{mine.staff.id}/config"
    assert (await mine.ask("PATCH", path, _with(password="other"))).status == 200
    await mine.ask("GET", "/v3/users")
    await wait_all_tasks_blocked()
    first, second = mine.directories.opened
    assert (first.closed, second.closed) == (True, False)
    assert second.options["password"] == "other"
    assert (await mine.ask("DELETE", path)).status == 204
    await wait_all_tasks_blocked()
    assert second.closed
    await mine.ask("GET", "/v3/users")
    assert len(mine.directories.opened) == 2


async def test_a_change_by_another_process_counts(mine: Mine, nursery: trio.Nursery) -> None:
    directories = FakeDirectories()
    directories.by_domain = mine.directories.by_domain
    config = IdentityConfig(LIFETIME_S, hash_cost=CHEAP)
    other = IdentityService(mine.cloud.registry, config, clock=mine.cloud.clock, opener=directories.open)
    scope = trio.CancelScope()

    async def run(task_status: trio.TaskStatus[None]) -> None:
        with scope:
            await other.run(task_status=task_status)

    await nursery.start(run)
    assert len((await other.shadows.users(mine.staff.id)).records) == 2
    await mine.ask("PATCH", f"/v3/domains/{mine.staff.id}/config", _with(suffix="dc=other"))
    await wait_all_tasks_blocked()
    assert directories.opened[0].closed
    await other.shadows.users(mine.staff.id)
    assert directories.opened[1].options["suffix"] == "dc=other"
    scope.cancel()
    await wait_all_tasks_blocked()
    assert directories.opened[1].closed


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"page_size": "many"}, "page_size"),
        ({"tls_req_cert": "perhaps"}, "tls_req_cert"),
        ({"user_id_attribute": "cn)(x=*"}, "user_id_attribute"),
        ({"user_filter": "(a=b"}, "user_filter"),
        ({"user_enabled_emulation": True}, "user_enabled_emulation"),
        ({"password": None}, "password"),
        ({"url": 7}, "url"),
        ({"url": "ldap://a b"}, "url"),
        ({"url": "ldaps://a", "use_tls": True}, "use_tls"),
    ],
)
async def test_what_cannot_work_is_refused_by_name_and_not_stored(
    mine: Mine, options: dict[str, object], named: str
) -> None:
    path = f"/v3/domains/{mine.staff.id}/config"
    before = mine.service.snapshot.domain_configs.require(mine.staff.id)
    for method in ("PUT", "PATCH"):
        answer = await mine.ask(method, path, _with(**options))
        assert answer.status == 400
        assert named in answer.json["error"]["message"]
    assert mine.service.snapshot.domain_configs.require(mine.staff.id) == before


async def test_a_driver_that_is_not_there_is_a_directory_that_is_away(mine: Mine) -> None:
    answer = await mine.ask("PUT", "/v3/domains/default/config", {"config": {"identity": {"driver": 500}}})
    assert answer.status == 400
    assert "driver" in answer.json["error"]["message"]
    answer = await mine.ask("PUT", "/v3/domains/default/config", {"config": {"identity": {"driver": "x500"}}})
    assert answer.status == 201
    assert mine.service.backends.serves("default")
    for driver in ("sql", None):
        body = {"config": {"identity": {"driver": driver}, "ldap": {"page_size": "many"}}}
        assert (await mine.ask("PUT", "/v3/domains/default/config", body)).status in (200, 201)
        assert not mine.service.backends.serves("default")


async def test_a_url_of_no_directory_is_stored_as_stock_keystone_does(mine: Mine) -> None:
    assert (await mine.ask("PATCH", f"/v3/domains/{mine.staff.id}/config", _with(url="https://a.com"))).status == 200


async def test_what_cannot_be_opened_is_away_and_says_why(mine: Mine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that another version of the program has stored."""
    monkeypatch.setattr(domain_config, "require_sensible", lambda options: None)
    service = IdentityService(mine.cloud.registry, clock=mine.cloud.clock)
    await mine.ask("PATCH", f"/v3/domains/{mine.staff.id}/config", _with(page_size="many"))
    await service.directory.load()
    with pytest.raises(DirectoryAwayError, match="page_size"):
        await service.shadows.users(mine.staff.id)


async def test_what_is_stored_while_a_configuration_is_deleted_stays(
    mine: Mine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, change = f"/v3/domains/{mine.staff.id}/config", mine.service.directory.change
    statuses = []

    async def then_another(make: Any) -> None:
        await change(make)
        monkeypatch.undo()
        statuses.append((await mine.ask("PUT", path, {"config": {"identity": {"driver": "sql"}}})).status)

    monkeypatch.setattr(mine.service.directory, "change", then_another)
    assert (await mine.ask("DELETE", path)).status == 204
    assert statuses == [201]
    assert (await mine.ask("GET", path)).json == {"config": {"identity": {"driver": "sql"}}}
