"""The policy engine: oslo.policy's language, answers of three values, scopes, overrides."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rest.errors import ForbiddenError
from gateway.rest.policy import Operation, Policy, Verdict
from store.core.errors import InvalidError


def policy(check: str, rules: dict[str, str] | None = None, scopes: tuple[str, ...] = ("project",)) -> Policy:
    return Policy([Operation("x:do", check, scopes)], rules or {})


def caller(**held: Any) -> dict[str, Any]:
    return {"user_id": "ann", "project_id": "quarry", "domain_id": None, "roles": frozenset({"member"}), **held}


@pytest.mark.parametrize(
    ("check", "target", "verdict"),
    [
        ("", {}, True),
        ("@", {}, True),
        ("!", {}, False),
        ("role:member", {}, True),
        ("role:MEMBER", {}, True),
        ("role:admin", {}, False),
        ("not role:admin", {}, True),
        ("role:admin or role:member", {}, True),
        ("role:admin and role:member", {}, False),
        ("role:member and not (role:admin or role:reader)", {}, True),
        ("user_id:%(target.user.id)s", {"target.user.id": "ann"}, True),
        ("user_id:%(target.user.id)s", {"target.user.id": "bob"}, False),
        ("user_id:%(target.user.id)s", {}, None),
        ("not user_id:%(target.user.id)s", {}, None),
        ("role:member or user_id:%(target.user.id)s", {}, True),
        ("role:admin or user_id:%(target.user.id)s", {}, None),
        ("role:admin and user_id:%(target.user.id)s", {}, False),
        ("role:member and user_id:%(target.user.id)s", {}, None),
        ("user_id:ann", {}, True),
        ("nothing:%(target.user.id)s", {"target.user.id": "ann"}, False),
        ("domain_id:%(target.domain.id)s", {"target.domain.id": None}, False),
        ("domain_id:None", {}, True),
        ("None:%(target.domain.id)s", {"target.domain.id": None}, True),
        ("'manager':%(target.role.name)s", {"target.role.name": "manager"}, True),
        ("'manager':%(target.role.name)s", {"target.role.name": "admin"}, False),
        ("True:%(target.enabled)s", {"target.enabled": True}, True),
    ],
)
def test_checks(check: str, target: dict[str, Any], verdict: Verdict) -> None:
    assert policy(check).decide("x:do", caller(), target) is verdict


def test_and_binds_closer_than_or() -> None:
    for a, b, c in product((True, False), repeat=3):
        text = " ".join(("@" if a else "!", "or", "@" if b else "!", "and", "@" if c else "!"))
        assert policy(text).decide("x:do", caller(), {}) is (a or (b and c))


def test_a_token_for_something_else_is_refused_whatever_its_roles() -> None:
    held = caller(roles=frozenset({"admin"}))
    assert policy("role:admin", scopes=("system",)).decide("x:do", held, {}) is False
    assert policy("role:admin", scopes=("system",)).decide("x:do", {**held, "system_scope": "all"}, {}) is True
    assert policy("role:admin", scopes=("domain",)).decide("x:do", {**held, "domain_id": "d"}, {}) is True
    assert policy("role:admin", scopes=("project",)).decide("x:do", {**held, "domain_id": "d"}, {}) is False


def test_what_is_not_known_is_refused_for_one_and_looked_at_for_many() -> None:
    one = policy("user_id:%(target.user.id)s")
    with pytest.raises(ForbiddenError):
        one.require("x:do", caller(), {})
    chosen = one.chosen("x:do", caller(), {})
    assert [chosen({"target.user.id": id_}) for id_ in ("ann", "bob")] == [True, False]
    with pytest.raises(ForbiddenError):
        policy("role:admin and user_id:%(target.user.id)s").chosen("x:do", caller(), {})


def test_rules_by_name_and_overrides() -> None:
    made = Policy(
        [Operation("x:do", "rule:boss")], {"boss": "role:admin"}, {"boss": "role:member", "x:do": "rule:boss and @"}
    )
    assert made.decide("x:do", caller(), {}) is True
    assert made.text("boss") == "role:member"


@pytest.mark.parametrize(
    ("check", "why"),
    [
        ("role:admin or", "ends too early"),
        ("(role:admin", "bracket"),
        ("role:admin)", "one too many"),
        ("role:admin role:member", "one too many"),
        ("admin", "is no check"),
        ("rule:nobody", "no rule is called nobody"),
        ("rule:x:do", "circle"),
    ],
)
def test_what_is_not_understood_is_refused_when_it_is_read(check: str, why: str) -> None:
    with pytest.raises(InvalidError, match=why):
        policy(check)


def test_an_override_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidError, match="no such operation or rule: x:did"):
        Policy([Operation("x:do", "@")], {}, {"x:did": "@"})


@given(st.text(alphabet="abro() :%'s@!notd", max_size=40))
def test_any_text_is_a_check_or_refused(text: str) -> None:
    try:
        made = policy(text)
    except InvalidError:
        return
    assert made.decide("x:do", caller(), {}) in (True, False, None)
