"""Options of a directory are read strictly."""

from __future__ import annotations

import builtins
import sys
from types import ModuleType

import pytest

from authn.backends.ldap_options import DEFAULT_TIMEOUT_S, LdapOptions
from authn.backends.opening import open_backend
from store.core.errors import InvalidError


def test_without_options_it_is_as_in_stock_keystone() -> None:
    options = LdapOptions.parse({})
    assert options.urls == ("ldap://localhost",)
    assert (options.users_dn, options.groups_dn) == ("ou=Users,cn=example,cn=com", "ou=UserGroups,cn=example,cn=com")
    assert (options.user_id_attribute, options.user_name_attribute, options.group_name_attribute) == ("cn", "sn", "ou")
    assert (options.tls_req_cert, options.query_scope, options.page_size) == ("demand", "one", 0)
    assert options.timeout_s == DEFAULT_TIMEOUT_S


def test_values_as_configuration_files_and_json_have_them() -> None:
    options = LdapOptions.parse(
        {
            "url": "ldap://a:389, ldaps://b",
            "use_pool": "False",
            "group_ad_nesting": True,
            "page_size": "100",
            "pool_size": 3,
            "connection_timeout": "5",
            "user_enabled_mask": "2",
            "user_enabled_default": 512,
            "user_filter": "(&(a=b)(|(c=d)(e=f)))",
            "user_mail_attribute": "",
            "user_tree_dn": None,
        }
    )
    assert options.urls == ("ldap://a:389", "ldaps://b")
    assert (options.use_pool, options.group_ad_nesting) == (False, True)
    assert (options.page_size, options.pool_size, options.timeout_s) == (100, 3, 5)
    assert (options.user_enabled_mask, options.user_enabled_default) == (2, "512")
    assert options.user_mail_attribute == ""
    assert options.users_dn == "ou=Users,cn=example,cn=com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "http://a"),
        ("url", ""),
        ("url", 7),
        ("url", "ldap://"),
        ("url", "ldap://user@host"),
        ("url", "ldap://host/dc=x??sub"),
        ("url", "ldap://a,ldapi:///x"),
        ("url", "ldap://a:port"),
        ("url", "ldap://a:99999"),
        ("use_pool", "perhaps"),
        ("use_pool", 2),
        ("page_size", -1),
        ("page_size", True),
        ("page_size", "1e3"),
        ("pool_size", 0),
        ("connection_timeout", -2),
        ("query_scope", "base"),
        ("tls_req_cert", "try"),
        ("user_id_attribute", ""),
        ("user_id_attribute", "cn)(x"),
        ("user_name_attribute", "cn=*"),
        ("user_objectclass", "*)(|(a"),
        ("group_member_attribute", "member:1.2:"),
        ("user_filter", "a=b"),
        ("user_filter", "(a=b)(c=d)"),
        ("user_filter", "(a=b))(|(c=d)"),
        ("user_filter", "((a=b)"),
        ("user_filter", "("),
        ("user_filter", "x"),
        ("suffix", 7),
        ("password", "a\0b"),
        ("password", "\ud800"),
        ("user_enabled_emulation", True),
        ("chase_referrals", True),
        ("user_additional_attribute_mapping", ["a:b"]),
        ("user_tree", "ou=x"),
        ("URL", "ldap://a"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InvalidError, match=name):
        LdapOptions.parse({name: value})


def test_options_that_do_not_go_together() -> None:
    with pytest.raises(InvalidError, match="use_tls"):
        LdapOptions.parse({"url": "ldaps://a", "use_tls": True})
    with pytest.raises(InvalidError, match="password"):
        LdapOptions.parse({"user": "cn=a"})
    with pytest.raises(InvalidError, match="user_enabled_default"):
        LdapOptions.parse({"user_enabled_mask": 2})


def test_stock_options_that_ask_for_nothing_are_taken() -> None:
    LdapOptions.parse(
        {
            "pool_retry_max": 5,
            "user_pass_attribute": "userPassword",
            "user_enabled_emulation": False,
            "user_attribute_ignore": ["default_project_id"],
            "chase_referrals": None,
        }
    )


def test_the_password_is_not_shown() -> None:
    assert "hush" not in repr(LdapOptions.parse({"user": "cn=a", "password": "hush"}))


def test_another_driver() -> None:
    with pytest.raises(InvalidError, match="'sql'"):
        open_backend("d1", "sql", {})


def test_without_libldap_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name == "ldap" or name.startswith(("ldap.", "authn.backends.ldap"))]:
        if name != "authn.backends.ldap_options":
            monkeypatch.delitem(sys.modules, name)
    really = builtins.__import__

    def without(name: str, *rest: object) -> ModuleType:
        if name == "ldap":
            raise ModuleNotFoundError("No module named 'ldap'")
        return really(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidError, match=r"drystone\[ldap\]"):
        open_backend("d1", "ldap", {})
