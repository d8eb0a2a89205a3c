"""Access lists as values."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authn.identity import Identity
from gateway.objects.access import access_list
from gateway.swift.containers import acl

TEXT = st.text(alphabet=st.sampled_from(list(".r:-*, aé/%2")), max_size=30) | st.text(max_size=30)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("", ""),
        (" a , b:c ,, ", "a,b:c"),
        (".r:*", ".r:*"),
        (".referer : *.example.com", ".r:.example.com"),
        (".referrer:- host", ".r:-host"),
        (".ref:-*.example.com", ".r:-.example.com"),
        (".rlistings", ".rlistings"),
    ],
)
def test_cleaning(sent: str, kept: str) -> None:
    assert acl.clean(sent, writing=False) == kept


@given(TEXT, st.booleans())
def test_what_is_kept_is_kept_again(sent: str, writing: bool) -> None:
    with contextlib.suppress(acl.AclError):
        kept = acl.clean(sent, writing=writing)
        assert acl.clean(kept, writing=writing) == kept
        if writing:
            assert not access_list.parse(kept).referrers


@given(TEXT, TEXT)
def test_anything_can_be_asked(stored: str, page: str) -> None:
    rules = access_list.parse(stored)
    identity = Identity("u", "user", "p", "project", frozenset({"member"}), 0.0)
    rules.admits_referrer(page)
    assert rules.admits_user(identity) in (True, False)
    assert rules.admits_role(identity.roles) in (True, False)


def test_the_last_fitting_referrer_decides() -> None:
    rules = access_list.parse(".r:*,.r:-.bad.com,.r:good.bad.com")
    assert rules.admits_referrer("http://x.org/")
    assert rules.admits_referrer("")
    assert not rules.admits_referrer("http://x.bad.com/")
    assert rules.admits_referrer("http://good.bad.com/")
