"""What is asked of Active Directory, which is not at hand, and where a DN is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from authn.backends.ldap import LdapBackend
from authn.backends.ldap_calls import Entry, Search
from authn.backends.ldap_connections import Found
from authn.backends.ldap_filters import equals, is_under
from authn.backends.ldap_options import LdapOptions
from authn.backends.public_id import public_id


def test_public_ids_are_those_of_stock_keystone() -> None:
    # printf 'defaultuseralice' | sha256sum
    assert public_id("default", "user", "alice") == PUBLIC
    assert public_id("default", "group", "alice") != PUBLIC


PUBLIC = "c43e4dd25aba357630477a0f49fde7da8567b753ddd430c9555ad09aa2a76e9e"


@pytest.mark.parametrize(
    ("dn", "deep", "under"),
    [
        ("cn=a,ou=Users,dc=x", False, True),
        ("CN=a, OU=users , DC=X", False, True),
        ("cn=a,ou=Deep,ou=Users,dc=x", False, False),
        ("cn=a,ou=Deep,ou=Users,dc=x", True, True),
        ("ou=Users,dc=x", True, False),
        ("cn=a,ou=Users\\,dc=x", True, False),
        ("cn=a\\,ou=Users,dc=x", True, False),
        ("cn=a,ou=Other,dc=x", True, False),
        ("no dn", True, False),
        ("", True, False),
    ],
)
def test_where_a_dn_is(dn: str, deep: bool, under: bool) -> None:
    assert is_under(dn, "ou=Users,dc=x", deep=deep) is under


def test_values_in_filters() -> None:
    assert equals("cn", "a*(b)\\\0é") == "(cn=a\\2a\\28b\\29\\5c\\00é)"
    assert equals("cn", "") is None
    assert equals("objectGUID", "not one") is None
    assert equals("objectGUID", "00112233-4455-6677-8899-aabbccddeeff") == (
        "(objectGUID=\\33\\22\\11\\00\\55\\44\\77\\66\\88\\99\\aa\\bb\\cc\\dd\\ee\\ff)"
    )


async def test_groups_in_groups_are_followed_by_active_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Search] = []
    backend = LdapBackend("d1", LdapOptions.parse({"suffix": "dc=x", "group_ad_nesting": True}))

    async def answer(search: Search, limit: int) -> Found:
        asked.append(search)
        values = {"cn": [b"a"], "sn": [b"a"], "ou": [b"a"]}
        return Found([Entry("cn=a(1),dc=x", values)], cut=False)

    monkeypatch.setattr(backend._connections, "search", answer)
    assert [group.id for group in (await backend.groups_of("a")).records] == ["a"]
    assert asked[-1].base == "ou=UserGroups,dc=x"
    assert asked[-1].filter == "(&(member:1.2.840.113556.1.4.1941:=cn=a\\281\\29,dc=x)(objectClass=groupOfNames))"
    assert [user.id for user in (await backend.members_of("a")).records] == ["a"]
    assert asked[-1].base == "ou=Users,dc=x"
    assert asked[-1].filter == "(&(memberOf:1.2.840.113556.1.4.1941:=cn=a\\281\\29,dc=x)(objectClass=inetOrgPerson))"


async def test_large_groups_of_active_directory_are_told_in_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LdapBackend("d1", LdapOptions.parse({"suffix": "dc=x", "group_members_are_ids": True}))
    ranges: dict[str, Mapping[str, Sequence[bytes]]] = {
        "member": {"member": [], "member;range=0-1": [b"a", b"b"]},
        "member;range=2-*": {"member;range=2-3": [b"c", b"d"]},
        "member;range=4-*": {"member;range=4-*": [b"e"]},
    }

    async def answer(search: Search, limit: int) -> Found:
        if search.attributes[0] in ranges:
            return Found([Entry(search.base, ranges[search.attributes[0]])], cut=False)
        named = search.filter.partition("cn=")[2].partition(")")[0].encode()
        return Found([Entry("cn=x,dc=x", {"cn": [named], "sn": [b"s"], "ou": [b"o"]})], cut=False)

    monkeypatch.setattr(backend._connections, "search", answer)
    assert [user.id for user in (await backend.members_of("g")).records] == ["a", "b", "c", "d", "e"]
    # One that says the same again and again is not asked for ever.
    ranges["member;range=2-*"] = {"member;range=0-1": [b"a", b"b"]}
    assert [user.id for user in (await backend.members_of("g")).records] == ["a", "b", "a", "b"]
    ranges["member;range=2-*"] = {"member;range=0-1": []}
    assert [user.id for user in (await backend.members_of("g")).records] == ["a", "b"]
