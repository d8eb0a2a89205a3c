"""Security groups: the one that each project has, others, and what new ones begin with."""

from __future__ import annotations

from typing import Any

from tests.networks_api.cloud import Cloud

GROUPS = "/security-groups"
RULES = "/security-group-rules"
TEMPLATES = "/default-security-group-rules"


async def group(cloud: Cloud, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    return await cloud.create("security_group", GROUPS, token, **asked)


async def rule(cloud: Cloud, token: str = "member@blue", **asked: Any) -> dict[str, Any]:
    return await cloud.create("security_group_rule", RULES, token, **{"direction": "ingress", **asked})


async def test_whoever_looks_finds_the_default_group_once(cloud: Cloud) -> None:
    (found,) = await cloud.listed("security_groups", GROUPS, "reader@blue")
    assert (found["name"], found["description"], found["project_id"]) == ("default", "Default security group", "blue")
    assert await cloud.listed("security_groups", GROUPS) == [found]
    rules = found["security_group_rules"]
    assert all(one["belongs_to_default_sg"] for one in rules)
    assert {(one["direction"], one["ethertype"], one["remote_group_id"]) for one in rules} == {
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
        ("ingress", "IPv4", found["id"]),
        ("ingress", "IPv6", found["id"]),
    }
    assert {one["id"] for one in await cloud.listed("security_group_rules", RULES)} == {one["id"] for one in rules}


async def test_a_look_at_rules_makes_the_default_group_too(cloud: Cloud) -> None:
    assert len(await cloud.listed("security_group_rules", RULES)) == 4


async def test_nobody_makes_the_default_group_of_another_project_but_administrators(cloud: Cloud) -> None:
    assert await cloud.listed("security_groups", f"{GROUPS}?project_id=red") == []
    assert list(cloud.service.store.records.security_groups) == []
    (found,) = await cloud.listed("security_groups", f"{GROUPS}?project_id=red", "admin@blue")
    assert found["project_id"] == "red"


async def test_the_default_group_stays_and_keeps_its_name(cloud: Cloud) -> None:
    (found,) = await cloud.listed("security_groups", GROUPS)
    path = f"{GROUPS}/{found['id']}"
    await cloud.refused(409, "SecurityGroupCannotRemoveDefault", "DELETE", path)
    await cloud.refused(409, "SecurityGroupCannotUpdateDefault", "PUT", path, {"security_group": {"name": "other"}})
    assert (await cloud.update("security_group", path, description="ours"))["description"] == "ours"
    for name in ("default", "DEFAULT"):
        body = {"security_group": {"name": name}}
        await cloud.refused(409, "SecurityGroupDefaultAlreadyExists", "POST", GROUPS, body)
    assert (await cloud.ask("DELETE", path, token="admin@red")).status == 204
    assert len(list(cloud.service.store.records.rules)) == 0


async def test_a_new_group_lets_everything_out_and_nothing_in(cloud: Cloud) -> None:
    made = await group(cloud, name="web", description="of blue")
    assert (made["name"], made["stateful"], made["shared"], made["tags"]) == ("web", True, False, [])
    assert [(one["direction"], one["belongs_to_default_sg"]) for one in made["security_group_rules"]] == [
        ("egress", False)
    ] * 2
    names = {one["name"] for one in await cloud.listed("security_groups", GROUPS)}
    assert names == {"default", "web"}
    changed = await cloud.update("security_group", f"{GROUPS}/{made['id']}", name="www", stateful=False)
    assert (changed["name"], changed["stateful"]) == ("www", False)


async def test_another_project_neither_sees_nor_changes_a_group(cloud: Cloud) -> None:
    made = await group(cloud, name="web")
    path = f"{GROUPS}/{made['id']}"
    for method, body in (("GET", None), ("PUT", {"security_group": {"name": "x"}}), ("DELETE", None)):
        await cloud.refused(404, "SecurityGroupNotFound", method, path, body, "member@red")
    await cloud.refused(403, "PolicyNotAuthorized", "DELETE", path, token="reader@blue")
    await cloud.refused(403, "PolicyNotAuthorized", "POST", GROUPS, {"security_group": {}}, "reader@blue")
    assert made["id"] not in {one["id"] for one in await cloud.listed("security_groups", GROUPS, "member@red")}
    mine = made["security_group_rules"][0]["id"]
    await cloud.refused(404, "SecurityGroupRuleNotFound", "GET", f"{RULES}/{mine}", token="member@red")
    await cloud.refused(404, "SecurityGroupRuleNotFound", "DELETE", f"{RULES}/{mine}", token="member@red")
    body = {"security_group_rule": {"security_group_id": made["id"], "direction": "ingress"}}
    await cloud.refused(404, "SecurityGroupNotFound", "POST", RULES, body, "member@red")


async def test_a_group_takes_its_rules_along_and_those_that_name_it(cloud: Cloud) -> None:
    web, database = await group(cloud, name="web"), await group(cloud, name="database")
    kept = await rule(cloud, security_group_id=database["id"], protocol="udp")
    gone = await rule(cloud, security_group_id=database["id"], protocol="tcp", remote_group_id=web["id"])
    own = await rule(cloud, security_group_id=web["id"], remote_group_id=web["id"])
    before = (await cloud.ask("GET", f"{GROUPS}/{database['id']}")).json["security_group"]["revision_number"]
    assert (await cloud.ask("DELETE", f"{GROUPS}/{web['id']}")).status == 204
    left = {one.id for one in cloud.service.store.records.rules}
    assert kept["id"] in left
    assert not left & {gone["id"], own["id"], *(one["id"] for one in web["security_group_rules"])}
    after = (await cloud.ask("GET", f"{GROUPS}/{database['id']}")).json["security_group"]
    assert after["revision_number"] > before
    assert {one["id"] for one in after["security_group_rules"]} == {
        kept["id"],
        *(one["id"] for one in database["security_group_rules"]),
    }


async def test_a_project_has_so_many_groups_and_rules_and_no_more(cloud: Cloud) -> None:
    cloud.service.settings.limits.update(security_group=3, security_group_rule=9)
    first = await group(cloud)
    await group(cloud)
    await cloud.refused(409, "OverQuota", "POST", GROUPS, {"security_group": {}})
    await rule(cloud, security_group_id=first["id"])
    body = {"security_group_rule": {"security_group_id": first["id"], "direction": "ingress", "protocol": "tcp"}}
    await cloud.refused(409, "OverQuota", "POST", RULES, body)


async def test_rules_of_new_groups_are_the_administrators(cloud: Cloud) -> None:
    stock = await cloud.listed("default_security_group_rules", TEMPLATES, "reader@blue")
    assert [(one["direction"], one["used_in_non_default_sg"]) for one in stock] == [
        ("egress", True), ("egress", True), ("ingress", False), ("ingress", False),
    ]  # fmt: skip
    asked = {"direction": "ingress", "protocol": "icmp", "used_in_default_sg": True, "remote_group_id": "PARENT"}
    body = {"default_security_group_rule": asked}
    await cloud.refused(403, "PolicyNotAuthorized", "POST", TEMPLATES, body)
    made = await cloud.create("default_security_group_rule", TEMPLATES, "admin@red", **asked)
    await cloud.refused(409, "DefaultSecurityGroupRuleExists", "POST", TEMPLATES, body, "admin@red")
    for one in stock:
        assert (await cloud.ask("DELETE", f"{TEMPLATES}/{one['id']}", token="admin@red")).status == 204
        missing = f"{TEMPLATES}/{one['id']}"
        await cloud.refused(404, "DefaultSecurityGroupRuleNotFound", "GET", missing, token="admin@red")
    assert await cloud.listed("default_security_group_rules", TEMPLATES) == [made]
    new = await group(cloud)
    (rule_,) = new["security_group_rules"]
    assert (rule_["protocol"], rule_["remote_group_id"], rule_["project_id"]) == ("icmp", new["id"], "blue")
    again = await cloud.create(
        "default_security_group_rule", TEMPLATES, "admin@red", direction="egress", used_in_default_sg=True
    )
    assert again["id"] not in {one["id"] for one in stock}
    assert (await cloud.ask("DELETE", f"{TEMPLATES}/{made['id']}", token="admin@red")).status == 204
    (left,) = (await group(cloud))["security_group_rules"]
    assert left["direction"] == "egress"


async def test_a_group_goes_however_many_rules_it_has(cloud: Cloud) -> None:
    cloud.service.settings.limits["security_group_rule"] = -1
    made, other = await group(cloud), await group(cloud)
    named = {"security_group_id": other["id"], "direction": "ingress", "remote_group_id": made["id"]}
    for one in ({"security_group_id": made["id"], "direction": "ingress"}, named):
        for start in (1000, 2000):
            ports = range(start, start + 90)
            asked = [{**one, "protocol": "tcp", "port_range_min": at, "port_range_max": at} for at in ports]
            assert (await cloud.ask("POST", RULES, {"security_group_rules": asked})).status == 201
    path = f"{GROUPS}/{made['id']}"
    for token in ("member@red", "reader@blue"):
        assert (await cloud.ask("DELETE", path, token=token)).status in (403, 404)
    assert len((await cloud.ask("GET", path)).json["security_group"]["security_group_rules"]) == 182
    assert (await cloud.ask("DELETE", path)).status == 204
    left = (await cloud.ask("GET", f"{GROUPS}/{other['id']}")).json["security_group"]
    assert left["security_group_rules"] == other["security_group_rules"]
    assert {one.security_group_id for one in cloud.service.store.records.rules if not one.belongs_to_default} == {
        other["id"]
    }
