"""What is no mapping is refused with the name of the field, and nothing hostile takes long or breaks the engine."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authn.errors import UnauthorizedError
from authn.federation.assertion import ATTRIBUTES_MAX, CHARACTERS_MAX, VALUES_MAX
from authn.federation.mapped import MappedIdentity
from authn.federation.mapping import apply, validate
from authn.federation.rules import parse_rules
from store.core.errors import InvalidError

GOOD: list[Any] = [
    {
        "local": [
            {
                "user": {"name": "{0}", "type": "ephemeral", "domain": {"id": "d"}},
                "group": {"id": "g"},
                "projects": [{"name": "p", "roles": [{"name": "r"}]}],
            }
        ],
        "remote": [{"type": "UserName"}, {"type": "Kind", "any_one_of": ["a"], "regex": False}],
    }
]


def changed(path: list[Any], value: Any) -> list[Any]:
    rules = copy.deepcopy(GOOD)
    held: Any = rules
    for step in path[:-1]:
        held = held[step]
    held[path[-1]] = value
    return rules


LOCAL = [0, "local", 0]
REMOTE = [0, "remote"]


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ({}, "rules: not of type 'array'"),
        ([], "rules: has fewer than 1 items"),
        ([{"local": []}], r"rules\[0\]: 'remote' is a required property"),
        ([{"remote": [{"type": "A"}]}], r"rules\[0\]: 'local' is a required property"),
        (changed([0, "extra"], 1), r"rules\[0\]: .*'extra' was unexpected"),
        (changed(REMOTE, []), r"rules\[0\]\.remote: has fewer"),
        (changed([*REMOTE, 0], {}), r"remote\[0\]: 'type' is a required"),
        (changed([*REMOTE, 0], {"type": 1}), r"remote\[0\]\.type: not of type 'string'"),
        (changed([*REMOTE, 0, "regex"], True), r"remote\[0\]: 'regex' goes with"),
        (changed([*REMOTE, 1, "whitelist"], ["a"]), r"remote\[1\]: only one of"),
        (changed([*REMOTE, 1, "regex"], "yes"), r"remote\[1\]\.regex: not of type 'boolean'"),
        (changed([*REMOTE, 1, "any_one_of"], "a"), r"remote\[1\]\.any_one_of: not of type 'array'"),
        (changed([*REMOTE, 1, "any_one_of"], [1]), r"any_one_of\[0\]: not of type 'string'"),
        (changed([*LOCAL, "user", "name"], None), r"local\[0\]\.user\.name: not of type 'string'"),
        (changed([*LOCAL, "user", "name"], "{1}"), r"user\.name: \{1\} refers to a remote match"),
        (changed([*LOCAL, "user", "name"], "{x}"), r"user\.name: a brace"),
        (changed([*LOCAL, "user", "name"], "{0.__class__}"), r"user\.name: a brace"),
        (changed([*LOCAL, "user", "name"], "\ud800"), r"user\.name: is no text"),
        (changed([*LOCAL, "user", "type"], "root"), r"user\.type: not one of"),
        (changed([*LOCAL, "user", "groups"], []), r"user: .*'groups' was unexpected"),
        (changed([*LOCAL, "user", "domain"], {}), r"user\.domain: has neither"),
        (changed([*LOCAL, "group"], {"id": "a", "domain": {"id": "b"}}), r"group: has either"),
        (changed([*LOCAL, "group"], {"name": "a"}), r"group: has either"),
        (changed([*LOCAL, "groups"], "a"), r"local\[0\]: both 'groups' and 'domain'"),
        (changed([*LOCAL, "projects", 0], {"name": "p"}), r"projects\[0\]: 'roles' is a required"),
        (changed([*LOCAL, "projects", 0, "roles", 0], {}), r"roles\[0\]: 'name' is a required"),
    ],
)
def test_the_field_is_named(rules: Any, named: str) -> None:
    validate(GOOD)
    with pytest.raises(InvalidError, match=named):
        validate(rules)


def test_versions_that_are_not_known_are_refused() -> None:
    versions: list[Any] = ["3.1", "", None, 1.0, []]
    for version in versions:
        with pytest.raises(InvalidError, match="schema_version"):
            validate(GOOD, version)


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)", "a{1001}", "(?P<", "x" * 1025, r"\pL{1000}"])
def test_patterns_that_cannot_be_bounded_are_refused(pattern: str) -> None:
    rules = changed([*REMOTE, 1], {"type": "Kind", "any_one_of": ["fine", pattern], "regex": True})
    with pytest.raises(InvalidError, match=r"remote\[1\]\.any_one_of\[1\]"):
        validate(rules)


def test_patterns_are_counted() -> None:
    condition = {"type": "A", "any_one_of": ["a"] * 64, "regex": True}
    rules = [{"local": [], "remote": [condition]}] * 4
    validate(rules)
    with pytest.raises(InvalidError, match=r"rules\[4\]: a mapping has at most 256"):
        validate(rules + rules)
    with pytest.raises(InvalidError, match="more than 64"):
        validate([{"local": [], "remote": [{**condition, "any_one_of": ["a"] * 65}]}])


def test_a_pattern_that_would_take_for_ever_does_not() -> None:
    """With backtracking this is 2 to the power of 50,000; the test would never end."""
    remote = [{"type": "A", "any_one_of": ["^(a+)+$", "^(a|aa)*b$"], "regex": True}, {"type": "A"}]
    rules = parse_rules([{"local": [{"user": {"name": "{0}"}}], "remote": remote}])
    assert apply(rules, {"A": "a" * 50_000 + "!"}) is None


@pytest.mark.parametrize(
    ("assertion", "named"),
    [
        ({str(number): "" for number in range(ATTRIBUTES_MAX + 1)}, "attributes"),
        ({"A": "x" * CHARACTERS_MAX}, "characters"),
        ({"A": ["x" * (CHARACTERS_MAX // 2)] * 2}, "characters"),
        ({"A": ";" * VALUES_MAX}, "values"),
        ({"A": [""] * (VALUES_MAX + 1)}, "values"),
        ({"A": "\udcff"}, "no text"),
    ],
)
def test_assertions_are_bounded(assertion: Any, named: str) -> None:
    with pytest.raises(InvalidError, match=named):
        apply(parse_rules(GOOD), assertion)


NAMES = [
    *("local", "remote", "type", "any_one_of", "whitelist", "regex", "user", "name", "id", "domain"),
    *("group", "groups", "group_ids", "projects", "projects_json", "roles", "email"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "{0}", "{1}", "(", "a", "1.0", "local"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


@given(JSON)
def test_nothing_but_invalid_error_comes_of_any_json(rules: Any) -> None:
    for value in (rules, [{"local": [rules], "remote": [{"type": "a"}]}], [{"local": [], "remote": [rules]}]):
        try:
            parsed = parse_rules(value, "3.0")
        except InvalidError:
            continue
        with suppress(UnauthorizedError):
            apply(parsed, {"a": "b;c"})


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=";"), max_size=8)


@given(name=TEXTS, groups=st.lists(TEXTS, max_size=5))
def test_groups_are_the_values_whatever_is_in_them(name: str, groups: list[str]) -> None:
    local = [{"user": {"name": "{0}!"}}, {"groups": "{1}", "domain": {"id": "d"}}]
    rules = parse_rules([{"local": local, "remote": [{"type": "N"}, {"type": "G"}]}])
    found = apply(rules, {"N": [name], "G": groups})
    if not groups:
        assert found is None
        return
    assert isinstance(found, MappedIdentity)
    assert found.user.name == f"{name}!"
    assert [one.name for one in found.groups] == list(dict.fromkeys(groups))


@given(values=st.lists(TEXTS, min_size=1, max_size=6), listed=st.lists(TEXTS, max_size=4))
def test_a_whitelist_and_a_blacklist_share_out_all_values(values: list[str], listed: list[str]) -> None:
    def kept(kind: str) -> set[str]:
        local = [{"user": {"name": "u"}}, {"groups": "{0}", "domain": {"id": "d"}}]
        found = apply(parse_rules([{"local": local, "remote": [{"type": "G", kind: listed}]}]), {"G": values})
        assert found is not None
        return {one.name for one in found.groups}

    assert kept("whitelist") == set(values) & set(listed)
    assert kept("blacklist") == set(values) - set(listed)
