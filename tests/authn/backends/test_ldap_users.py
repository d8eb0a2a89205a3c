"""Users of a real directory."""

from __future__ import annotations

from hashlib import sha256

import pytest

from authn.backends.backend import DirectoryUser
from tests.authn.backends.conftest import Opened
from tests.authn.backends.directory import TALL, OpenLdap
from tests.authn.backends.entries import GUID, ODD, PASSWORD

pytestmark = pytest.mark.process

ALICE = DirectoryUser(
    "u1", sha256(b"d1useru1").hexdigest(), "alice", "alice@example.org", "Lives in Köln", enabled=True
)


async def test_a_user_is_found_by_id_and_by_name(opened: Opened) -> None:
    backend = opened()
    assert await backend.user("u1") == ALICE
    assert await backend.user_by_name("alice") == ALICE
    assert await backend.user("alice") is None
    assert await backend.user_by_name("u1") is None


async def test_names_and_ids_that_nobody_can_have(opened: Opened) -> None:
    backend = opened()
    for impossible in ("", "\0", "\ud800", "a\0"):
        assert await backend.user(impossible) is None
        assert await backend.user_by_name(impossible) is None
        assert (await backend.users(impossible)).records == []
        assert await backend.authenticate(impossible, PASSWORD) is None


@pytest.mark.parametrize(
    "injected", ["*", "u*", "u1)(objectClass=*", "u1)(|(cn=*", "*)(userPassword=*", "u1\\2a", "\\75\\31", "(cn=u1)"]
)
async def test_what_means_something_in_a_filter_is_only_text(opened: Opened, injected: str) -> None:
    backend = opened()
    assert await backend.user(injected) is None
    assert await backend.user_by_name(injected) is None
    assert (await backend.users(injected)).records == []
    assert await backend.authenticate(injected, PASSWORD) is None


async def test_a_user_with_all_those_characters_in_the_name(opened: Opened) -> None:
    user = await opened().user_by_name(ODD)
    assert user is not None
    assert (user.id, user.name) == ("odd, one", ODD)
    assert await opened().authenticate("odd, one", PASSWORD) == user


async def test_passwords(opened: Opened) -> None:
    backend = opened()
    assert await backend.authenticate("u1", PASSWORD) == ALICE
    for wrong in ("wrong", PASSWORD.upper(), PASSWORD + "\0", "\0", "\ud800", "*"):
        assert await backend.authenticate("u1", wrong) is None
    assert await backend.authenticate("gone", PASSWORD) is None
    assert await backend.authenticate("passwordless", PASSWORD) is None


async def test_an_empty_password_is_nobodys_although_the_directory_takes_it(
    opened: Opened, directory: OpenLdap
) -> None:
    backend = opened()
    assert await backend._connections.judge("cn=u1,ou=Users,dc=example,dc=org", "") is False
    assert await backend.authenticate("u1", "") is None


async def test_who_is_disabled_is_told_of_and_does_not_get_in(opened: Opened) -> None:
    backend = opened()
    bob = await backend.user("u2")
    assert bob is not None
    assert not bob.enabled
    assert await backend.authenticate("u2", PASSWORD) is None
    unclear = await backend.user("u4")
    assert unclear is not None
    assert not unclear.enabled


async def test_enabled_turned_round(opened: Opened) -> None:
    backend = opened(user_enabled_invert=True, user_enabled_default="false")
    enabled = {user.id: user.enabled for user in (await backend.users()).records}
    assert (enabled["u1"], enabled["u2"], enabled["u3"]) == (False, True, True)


async def test_account_control_of_active_directory(opened: Opened) -> None:
    backend = opened(
        user_enabled_attribute="userAccountControl",
        user_enabled_mask=2,
        user_enabled_default=512,
        page_size=7,
    )
    enabled = {user.id: user.enabled for user in (await backend.users()).records}
    assert (enabled["u1"], enabled["u2"], enabled["u3"]) == (True, False, True)
    assert await backend.authenticate("u2", PASSWORD) is None
    assert await backend.authenticate("u3", PASSWORD) is not None


async def test_the_ids_of_active_directory(opened: Opened) -> None:
    backend = opened(user_id_attribute="objectGUID")
    carol = await backend.user(str(GUID))
    assert carol is not None
    assert (carol.id, carol.name) == (str(GUID), "carol")
    assert carol.public_id == sha256(f"d1user{GUID}".encode()).hexdigest()
    assert await backend.authenticate(str(GUID), PASSWORD) == carol
    assert await backend.user("u3") is None
    assert await backend.user_by_name("alice") is None, "who has no id cannot be told of"


async def test_a_second_value_of_an_id_is_not_the_id(opened: Opened) -> None:
    backend = opened()
    assert await backend.user("u1-too") is None
    twin = await backend.user("u5")
    assert twin is not None
    assert twin.name == "twin"
    dave = await backend.user("u4")
    assert dave is not None
    assert dave.id == "u4"


async def test_a_name_that_two_have_is_nobodys(opened: Opened) -> None:
    backend = opened()
    assert await backend.user_by_name("twin") is None
    assert [user.id for user in (await backend.users("twin")).records] == ["u5", "u6"]


async def test_more_than_a_page(opened: Opened) -> None:
    backend = opened(page_size=4, user_filter="(title=tall)")
    listed = await backend.users()
    assert sorted(user.id for user in listed.records) == [f"tall{number:02}" for number in range(TALL)]
    assert not listed.cut
    assert await backend.user("u1") is None, "the filter holds for everything"


@pytest.mark.parametrize("page_size", [0, 4])
@pytest.mark.parametrize("limit", [1, 4, 10])
async def test_a_listing_is_cut_where_it_was_asked_for(opened: Opened, page_size: int, limit: int) -> None:
    backend = opened(page_size=page_size, user_filter="(title=tall)")
    listed = await backend.users(limit=limit)
    assert len(listed.records) == limit
    assert listed.cut
    if page_size == 0:
        assert backend._connections._kept == [], "there may be more under way on it"
    assert await backend.user("tall00") is not None


async def test_as_many_as_were_asked_for_is_all(opened: Opened) -> None:
    listed = await opened(page_size=5, user_filter="(title=tall)").users(limit=TALL)
    assert (len(listed.records), listed.cut) == (TALL, False)


async def test_a_directory_that_tells_no_more_than_20_at_once(opened: Opened) -> None:
    listed = await opened(page_size=0).users()
    assert (len(listed.records), listed.cut) == (20, True)


async def test_how_deep_it_is_searched(opened: Opened) -> None:
    assert await opened().user("deep") is None
    assert await opened(query_scope="sub").user("deep") is not None
    assert await opened(query_scope="sub").user("stranger") is None


async def test_a_tree_that_is_not_there_is_empty(opened: Opened) -> None:
    backend = opened(user_tree_dn="ou=Nowhere,dc=example,dc=org")
    assert (await backend.users()).records == []
