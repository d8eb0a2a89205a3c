"""The mapping engine, by the examples of Keystone's documentation and by what is written nowhere but in its code."""

from __future__ import annotations

from typing import Any

import pytest

from authn.errors import UnauthorizedError
from authn.federation.mapped import DomainReference, MappedGroup, MappedIdentity, MappedProject
from authn.federation.mapping import apply
from authn.federation.rules import parse_rules
from store.core.errors import InvalidError

USER = {"user": {"name": "{0}"}}


def rule(remote: list[Any], *local: Any) -> dict[str, Any]:
    return {"local": list(local), "remote": remote}


def of(*names: str) -> list[Any]:
    return [{"type": name} for name in names]


def mapped(rules: list[Any], assertion: Any, version: str = "1.0") -> MappedIdentity:
    found = apply(parse_rules(rules, version), assertion)
    assert found is not None
    return found


def group(name: str, domain: str) -> MappedGroup:
    return MappedGroup(name, DomainReference(domain))


def test_names_are_put_together_and_a_group_named_by_many_values_is_many() -> None:
    rules = [
        rule(
            of("FirstName", "LastName", "Email", "OIDC_GROUPS"),
            {
                "user": {"name": "{0} {1}", "email": "{2}"},
                "group": {"name": "{3}", "domain": {"id": "0cd5e9"}},
            },
        )
    ]
    found = mapped(
        rules,
        {"FirstName": "Jane", "LastName": "Doe", "Email": "jane.doe@example.com", "OIDC_GROUPS": "developers;testers"},
    )
    assert (found.user.name, found.user.email) == ("Jane Doe", "jane.doe@example.com")
    assert (found.user.type, found.user.domain) == ("ephemeral", None)
    assert found.groups == (group("developers", "0cd5e9"), group("testers", "0cd5e9"))


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ({"whitelist": ["Developers", "OpsTeam"]}, ["Developers", "OpsTeam"]),
        ({"blacklist": ["Finance"]}, ["Developers", "OpsTeam", "Marketing"]),
        ({"whitelist": [".*Team$"], "regex": True}, ["OpsTeam"]),
        ({"blacklist": ["^Fin", "ing$"], "regex": True}, ["Developers", "OpsTeam"]),
        ({"whitelist": []}, []),
        ({"blacklist": []}, ["Developers", "OpsTeam", "Finance", "Marketing"]),
    ],
)
def test_lists_let_groups_through(condition: Any, left: list[str]) -> None:
    remote = [*of("UserName"), {"type": "HTTP_OIDC_GROUPIDS", **condition}]
    rules = [rule(remote, USER, {"groups": "{1}", "domain": {"id": "abc1234"}})]
    found = mapped(rules, {"UserName": "jsmith", "HTTP_OIDC_GROUPIDS": "Developers;OpsTeam;Finance;Marketing"})
    assert found.groups == tuple(group(name, "abc1234") for name in left)


def test_conditions_that_only_ask_have_no_number() -> None:
    remote = [
        *of("UserName"),
        {"type": "HTTP_OIDC_GROUPIDS", "any_one_of": [".*@yeah.com$"], "regex": True},
        {"type": "HTTP_OIDC_GROUPIDS", "whitelist": ["Project.*$"], "regex": True},
    ]
    rules = [rule(remote, {**USER, "group": {"name": "{1}", "domain": {"id": "abc1234"}}})]
    values = "admin@yeah.com;users@yeah.com;ProjectAlpha;ProjectBeta;Finance"
    found = mapped(rules, {"UserName": "jane.doe", "HTTP_OIDC_GROUPIDS": values})
    assert found.groups == (group("ProjectAlpha", "abc1234"), group("ProjectBeta", "abc1234"))


MANY_RULES = [
    rule(of("UserName"), {"user": {"id": "{0}"}}),
    rule(
        [{"type": "orgPersonType", "not_any_of": ["Contractor", "SubContractor"]}],
        {"group": {"name": "non-contractors", "domain": {"id": "abc1234"}}},
    ),
    rule(
        [{"type": "orgPersonType", "any_one_of": ["Contractor", "SubContractor"]}],
        {"group": {"name": "contractors", "domain": {"id": "abc1234"}}},
    ),
]


@pytest.mark.parametrize(
    ("assertion", "groups"),
    [
        ({"orgPersonType": "Employee"}, ["non-contractors"]),
        ({"orgPersonType": "SubContractor"}, ["contractors"]),
        ({"orgPersonType": "Employee;Contractor"}, ["contractors"]),
        ({}, []),
        ({"orgPersonType": ""}, ["non-contractors"]),
        ({"orgPersonType": []}, []),
    ],
)
def test_rules_add_up_and_what_is_missing_fits_no_condition(assertion: dict[str, Any], groups: list[str]) -> None:
    found = mapped(MANY_RULES, {"UserName": "jsmith", **assertion})
    assert found.user.unique_id == found.user.display_name == "jsmith"
    assert found.groups == tuple(group(name, "abc1234") for name in groups)


def test_no_rule_no_identity() -> None:
    assert apply(parse_rules([rule(of("UserName"), USER)]), {"Other": "x"}) is None


def test_the_first_user_and_the_last_projects_count() -> None:
    def projects(name: str) -> dict[str, Any]:
        return {"projects": [{"name": name, "roles": []}]}

    rules = [
        rule(of("A"), {"user": {}}, projects("one")),
        rule(of("A"), {"user": {"name": "first"}}, projects("two")),
        rule(of("A"), {"user": {"name": "second"}}, {"group": {"id": "g"}}),
    ]
    found = mapped(rules, {"A": "x"})
    assert found.user.name == "first"
    assert [project.name for project in found.projects] == ["two"]
    assert found.group_ids == ("g",)


def test_projects_come_with_roles() -> None:
    projects = [
        {"name": "Production", "roles": [{"name": "reader"}]},
        {"name": "Project for {0}", "roles": [{"name": "admin"}, {"name": "member"}]},
    ]
    found = mapped([rule(of("UserName"), USER, {"projects": projects})], {"UserName": "jsmith"})
    assert found.projects == (
        MappedProject("Production", ("reader",), None),
        MappedProject("Project for jsmith", ("admin", "member"), None),
    )


def test_a_domain_of_an_entry_is_its_users_and_projects_from_version_2_on() -> None:
    projects = [{"name": "a", "roles": []}, {"name": "b", "roles": [], "domain": {"name": "own"}}]
    rules = [rule(of("UserName"), {**USER, "projects": projects, "domain": {"name": "theirs"}})]
    found = mapped(rules, {"UserName": "x"}, "2.0")
    theirs, own = DomainReference("", "theirs"), DomainReference("", "own")
    assert found.user.domain == theirs
    assert [project.domain for project in found.projects] == [theirs, own]
    with_own = [rule(of("A"), {"user": {"name": "{0}", "domain": {"name": "own"}}, "domain": {"name": "theirs"}})]
    assert mapped(with_own, {"A": "x"}, "2.0").user.domain == own
    with pytest.raises(InvalidError, match=r"projects\[1\]"):
        parse_rules(rules, "1.0")
    del projects[1]
    found = mapped(rules, {"UserName": "x"}, "1.0")
    assert (found.user.domain, found.projects[0].domain) == (None, None)


def test_a_local_user_needs_an_id_or_a_name_and_domain() -> None:
    def found(user: dict[str, Any]) -> MappedIdentity | None:
        return apply(parse_rules([rule(of("A"), {"user": {"type": "local", **user}})]), {"A": "x", "REMOTE_USER": "r"})

    by_id = found({"id": "{0}"})
    assert by_id is not None
    assert (by_id.user.type, by_id.user.id) == ("local", "x")
    assert found({"name": "{0}"}) is None
    by_name = found({"name": "{0}", "domain": {"name": "theirs"}})
    assert by_name is not None
    assert by_name.user.domain == DomainReference("", "theirs")


def test_who_the_web_server_says_it_is_counts_where_the_rules_name_nobody() -> None:
    rules = [rule(of("A"), {"group": {"id": "g"}})]
    assert mapped(rules, {"A": "x", "REMOTE_USER": "who"}).user.name == "who"
    assert apply(parse_rules(rules), {"A": "x"}) is None
    assert mapped([rule(of("A"), USER)], {"A": "x", "REMOTE_USER": "who"}).user.name == "x"


def test_a_name_of_no_value_is_nobody() -> None:
    """Keystone would name all of them "[]"."""
    rules = parse_rules([rule([{"type": "A", "whitelist": ["nobody"]}], USER)])
    assert apply(rules, {"A": "x"}) is None


def test_a_unique_id_is_safe_in_an_address() -> None:
    assert mapped([rule(of("A"), USER)], {"A": "tbo?x y"}).user.unique_id == "tbo%3Fx%20y"


def test_ids_of_groups_come_one_by_one_and_once() -> None:
    rules = [
        rule(of("A", "B"), USER, {"group_ids": "{1}"}, {"group": {"id": "b"}}),
        rule(of("A"), {"group_ids": "['c', 'd']"}, {"group_ids": "e;f"}),
    ]
    assert mapped(rules, {"A": "x", "B": "a;b"}).group_ids == ("a", "b", "c", "d", "e;f")


def test_groups_of_another_cloud_say_their_domain() -> None:
    told = 'JSON:{"name":"group1","domain":{"name":"Default"}};JSON:{"name":"group2","domain":{"id":"d"}}'
    rules = [rule(of("openstack_user", "openstack_groups"), USER, {"groups": "{1}"})]
    found = mapped(rules, {"openstack_user": "u", "openstack_groups": told})
    assert found.groups == (MappedGroup("group1", DomainReference("", "Default")), group("group2", "d"))
    for none in ("plain", "JSON:{", "JSON:[1]", 'JSON:{"name":"g"}', 'JSON:{"name":"\\ud800","domain":{"id":"d"}}'):
        with pytest.raises(UnauthorizedError):
            mapped(rules, {"openstack_user": "u", "openstack_groups": [told.split(";")[0], none]})


@pytest.mark.parametrize("domain", [{"id": "here"}, {"id": "{2}"}])
def test_a_group_leaves_the_domain_of_its_rule_by_no_name(domain: dict[str, str]) -> None:
    told = 'JSON:{"name":"admins","domain":{"id":"default"}}'
    rules = [rule(of("A", "B", "C"), USER, {"groups": "{1}", "domain": domain})]
    found = mapped(rules, {"A": "u", "B": [told], "C": [""]})
    assert all(one.domain.id != "default" for one in found.groups)


def test_a_semicolon_of_a_single_value_makes_no_two() -> None:
    rules = [rule([*of("A"), {"type": "B", "any_one_of": ["admins"]}], USER)]
    assert apply(parse_rules(rules), {"A": "x", "B": ["mine;admins"]}) is None
    assert apply(parse_rules(rules), {"A": "x", "B": "mine;admins"}) is not None


def test_values_are_never_templates() -> None:
    rules = [rule(of("A", "B"), {"user": {"name": "{{{0}}} {1}"}})]
    assert mapped(rules, {"A": "{1}", "B": "{0.__class__}"}).user.name == "{{1}} {0.__class__}"


def test_a_name_of_many_values_is_written_as_a_list() -> None:
    assert mapped([rule(of("A"), USER)], {"A": "x;y"}).user.name == "['x', 'y']"


def test_an_attribute_tells_projects_from_version_3_on() -> None:
    written = [{"name": "written", "roles": []}]
    local = {**USER, "projects": written, "projects_json": "{1}", "domain": {"id": "d"}}
    rules = [rule(of("A", "B"), local)]
    told = '[{"name": "p;q", "roles": [{"name": "r"}]}, {"name": "o", "roles": [], "domain": {"name": "own"}}]'
    d = DomainReference("d")
    assert mapped(rules, {"A": "x", "B": [told]}, "3.0").projects == (
        MappedProject("written", (), d),
        MappedProject("p;q", ("r",), d),
        MappedProject("o", (), DomainReference("", "own")),
    )
    assert parse_rules(rules, "3.0").takes_roles
    assert not parse_rules([rule(of("A"), USER)], "2.0").takes_roles
    for none in ("", "{}", "[1]", '[{"name": "p"}]', '[{"name": "p", "roles": ["r"]}]', "[" * 9999):
        with pytest.raises(UnauthorizedError):
            mapped(rules, {"A": "x", "B": [none]}, "3.0")
    with pytest.raises(InvalidError, match="'projects_json' was unexpected"):
        parse_rules(rules, "2.0")
    for text in ("{0}{1}", "x{0}", "x", ""):
        with pytest.raises(InvalidError, match="projects_json: is not one number"):
            parse_rules([rule(of("A", "B"), {"projects_json": text})], "3.0")
