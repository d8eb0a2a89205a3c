"""Groups of a real directory."""

from __future__ import annotations

from hashlib import sha256

import pytest

from authn.backends.backend import DirectoryGroup
from tests.authn.backends.conftest import Opened

pytestmark = pytest.mark.process

READERS = DirectoryGroup("g1", sha256(b"d1groupg1").hexdigest(), "readers", "They read")


async def test_a_group_is_found_by_id_and_by_name(opened: Opened) -> None:
    backend = opened()
    assert await backend.group("g1") == READERS
    assert await backend.group_by_name("readers") == READERS
    for unknown in ("readers", "*", "", "g1)(cn=*"):
        assert await backend.group(unknown) is None
    assert await backend.group_by_name("g1") is None


async def test_groups_are_listed(opened: Opened) -> None:
    backend = opened(page_size=2)
    assert sorted(group.id for group in (await backend.groups()).records) == ["g1", "g2", "g3"]
    assert [group.id for group in (await backend.groups("writers")).records] == ["g2"]
    cut = await backend.groups(limit=2)
    assert (len(cut.records), cut.cut) == (2, True)
    filtered = opened(group_filter="(description=*)")
    assert [group.id for group in (await filtered.groups()).records] == ["g1"]


async def test_the_groups_of_a_user(opened: Opened) -> None:
    backend = opened()
    assert [group.id for group in (await backend.groups_of("u1")).records] == ["g1", "g2"]
    assert [group.id for group in (await backend.groups_of("u2")).records] == ["g1"]
    assert [group.id for group in (await backend.groups_of("odd, one")).records] == ["g2"]
    assert (await backend.groups_of("u3")).records == []
    assert (await backend.groups_of("gone")).records == []
    assert (await backend.groups_of("*")).records == []


async def test_members_are_users_of_this_domain(opened: Opened) -> None:
    backend = opened()
    assert [user.id for user in (await backend.members_of("g1")).records] == ["u1", "u2"]
    assert [user.id for user in (await backend.members_of("g2")).records] == ["u1", "odd, one"]
    deep = opened(query_scope="sub")
    assert [user.id for user in (await deep.members_of("g2")).records] == ["u1", "odd, one", "deep"]
    assert (await backend.members_of("g3")).records == []
    assert (await backend.members_of("gone")).records == []
    only_bob = opened(user_filter="(sn=bob)")
    assert [user.id for user in (await only_bob.members_of("g1")).records] == ["u2"]


async def test_members_are_cut_where_it_was_asked_for(opened: Opened) -> None:
    backend = opened()
    cut = await backend.members_of("g1", limit=1)
    assert ([user.id for user in cut.records], cut.cut) == (["u1"], True)
    whole = await backend.members_of("g2", limit=2)
    assert ([user.id for user in whole.records], whole.cut) == (["u1", "odd, one"], False)


async def test_members_by_ids(opened: Opened) -> None:
    backend = opened(
        group_objectclass="posixGroup",
        group_name_attribute="cn",
        group_member_attribute="memberUid",
        group_members_are_ids=True,
    )
    assert [user.id for user in (await backend.members_of("posix")).records] == ["u1", "u3"]
    assert [group.name for group in (await backend.groups_of("u3")).records] == ["posix"]
    assert (await backend.groups_of("u2")).records == []
