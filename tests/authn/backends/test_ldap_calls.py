"""What libldap is told, and what is made of its answers, where a real directory does not show it."""

from __future__ import annotations

import socket

import ldap
import pytest

from authn.backends.ldap_calls import ONE, Entry, Search, judge, page, wrap
from authn.backends.ldap_entries import group_of, user_of
from authn.backends.ldap_options import LdapOptions

OPTIONS = LdapOptions.parse({"alias_dereferencing": "never"})
SEARCH = Search("dc=x", ONE, "(cn=*)", ["cn"])


def test_referrals_are_not_followed() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        connection = wrap(OPTIONS, "ldap://directory.example", theirs.detach())
        assert connection.get_option(ldap.OPT_REFERRALS) == ldap.OPT_OFF
        assert connection.get_option(ldap.OPT_DEREF) == ldap.DEREF_NEVER


class Endless:
    """A directory that tells, and tells, and tells."""

    told = 0

    def search_ext(self, *_: object, **__: object) -> int:
        return 1

    def result3(
        self, *_: object, **__: object
    ) -> tuple[int, list[tuple[str | None, dict[str, list[bytes]]]], int, list[object]]:
        self.told += 1
        assert self.told < 100
        return ldap.RES_SEARCH_ENTRY, [("cn=x", {"CN": [b"x"]}), (None, {})], 1, []


def test_no_more_is_taken_in_than_was_asked_for() -> None:
    endless = Endless()
    found = page(endless, SEARCH, 0, b"", 3)
    assert found.cut
    assert found.entries == [Entry("cn=x", {"cn": [b"x"]})] * 4


def test_a_password_of_nobody_is_not_asked_for() -> None:
    assert judge(None, "", "secret") is False
    assert judge(None, "cn=x", "") is False


@pytest.mark.parametrize(
    "values", [{"cn": [b"a"]}, {"cn": [b"a"], "sn": [b"  "]}, {"sn": [b"a"]}, {"cn": [b"\xff"], "sn": [b"a"]}]
)
def test_users_without_a_name_or_an_id_are_none(values: dict[str, list[bytes]]) -> None:
    assert user_of(Entry("cn=a,dc=x", values), OPTIONS, "d") is None
    named = {("ou" if name == "sn" else name): value for name, value in values.items()}
    assert group_of(Entry("cn=a,dc=x", named), OPTIONS, "d") is None


def test_an_account_control_that_is_no_number_is_disabled() -> None:
    options = LdapOptions.parse({"user_enabled_mask": 2, "user_enabled_default": 512})
    for told in (b"-3", b"0x200", "²".encode()):
        user = user_of(Entry("cn=a", {"cn": [b"a"], "sn": [b"a"], "enabled": [told]}), options, "d")
        assert user is not None
        assert not user.enabled
