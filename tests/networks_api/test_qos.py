"""QoS policies, their rules, and what they hold for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.networks_api.cloud import Cloud
from tests.networks_api.routed import ADMIN, gone, left, outside, router

PATH = "/qos/policies"


async def policy(cloud: Cloud, **asked: Any) -> dict[str, Any]:
    return await cloud.create("policy", PATH, ADMIN, **asked)


async def test_a_policy_is_made_shown_changed_and_deleted(cloud: Cloud) -> None:
    made = await policy(cloud, name="slow", description="of blue", project_id="blue")
    path = f"{PATH}/{made['id']}"
    assert (made["name"], made["shared"], made["is_default"], made["rules"]) == ("slow", False, False, [])
    assert (await cloud.ask("GET", path, token="reader@blue")).json["policy"]["name"] == "slow"
    for method, body in (("PUT", {"policy": {"name": "x"}}), ("DELETE", None)):
        await cloud.refused(403, "PolicyNotAuthorized", method, path, body)
        await cloud.refused(404, "QosPolicyNotFound", method, path, body, "member@red")
    await cloud.refused(403, "PolicyNotAuthorized", "POST", PATH, {"policy": {}})
    changed = await cloud.update("policy", path, ADMIN, name="slower", shared=True)
    assert (changed["name"], changed["shared"]) == ("slower", True)
    assert (await cloud.ask("GET", path, token="reader@green")).status == 200
    assert (await cloud.update("policy", path, ADMIN, shared=False))["shared"] is False
    await gone(cloud, path, ADMIN)
    assert left(cloud) == {}


RULES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("bandwidth_limit", {"max_kbps": 1000}, {"max_kbps": 1000, "max_burst_kbps": 0, "direction": "egress"}),
    ("dscp_marking", {"dscp_mark": "26"}, {"dscp_mark": 26}),
    ("minimum_bandwidth", {"min_kbps": 10, "direction": "ingress"}, {"min_kbps": 10, "direction": "ingress"}),
    ("minimum_packet_rate", {"min_kpps": 10, "direction": "any"}, {"min_kpps": 10, "direction": "any"}),
    ("packet_rate_limit", {"max_kpps": 10}, {"max_kpps": 10, "max_burst_kpps": 0, "direction": "egress"}),
]


@pytest.mark.parametrize(("kind", "asked", "kept"), RULES)
async def test_rules_of_each_kind(cloud: Cloud, kind: str, asked: dict[str, Any], kept: dict[str, Any]) -> None:
    above = await policy(cloud, project_id="blue")
    singular, path = f"{kind}_rule", f"{PATH}/{above['id']}/{kind}_rules"
    made = await cloud.create(singular, path, ADMIN, **asked)
    assert made == {"id": made["id"], "qos_policy_id": above["id"], **kept}
    assert await cloud.listed(f"{kind}_rules", path, "reader@blue") == [made]
    shown = (await cloud.ask("GET", f"{PATH}/{above['id']}")).json["policy"]
    assert shown["rules"] == [{"type": kind, **made}]
    one = f"{path}/{made['id']}"
    await cloud.refused(409, "QoSRulesConflict", "POST", path, {singular: asked}, ADMIN)
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", one, {singular: asked})
    await cloud.refused(404, "QosPolicyNotFound", "GET", one, token="member@red")
    await cloud.refused(404, "QosPolicyNotFound", "GET", path, token="member@red")
    name = next(name for name in asked if name != "direction")
    changed = await cloud.update(singular, one, ADMIN, **{name: 48})
    assert changed[name] == 48
    if kind != "packet_rate_limit":
        alias = f"/qos/alias_{kind}_rules/{made['id']}"
        assert (await cloud.ask("GET", alias, token="reader@blue")).json[f"alias_{kind}_rule"] == changed
        await cloud.refused(404, "QosRuleNotFound", "GET", alias, token="reader@red")
        await cloud.refused(403, "PolicyNotAuthorized", "DELETE", alias)
        again = await cloud.update(f"alias_{kind}_rule", alias, ADMIN, **{name: 46})
        assert again[name] == 46
        other = f"/qos/alias_{'dscp_marking' if kind != 'dscp_marking' else 'bandwidth_limit'}_rules/{made['id']}"
        await cloud.refused(404, "QosRuleNotFound", "GET", other, token=ADMIN)
        one = alias
    await gone(cloud, one, ADMIN)
    assert (await cloud.ask("GET", f"{PATH}/{above['id']}")).json["policy"]["rules"] == []


async def test_a_rule_is_found_below_its_own_policy_and_kind_alone(cloud: Cloud) -> None:
    above, other = await policy(cloud), await policy(cloud)
    made = await cloud.create("dscp_marking_rule", f"{PATH}/{above['id']}/dscp_marking_rules", ADMIN, dscp_mark=8)
    for path in (f"{other['id']}/dscp_marking_rules", f"{above['id']}/bandwidth_limit_rules"):
        await cloud.refused(404, "QosRuleNotFound", "DELETE", f"{PATH}/{path}/{made['id']}", token=ADMIN)
    body = {"dscp_marking_rule": {"dscp_mark": 8}}
    await cloud.refused(404, "QosPolicyNotFound", "POST", f"{PATH}/{made['id']}/dscp_marking_rules", body, ADMIN)


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("bandwidth_limit", {}),
        ("bandwidth_limit", {"max_kbps": -1}),
        ("bandwidth_limit", {"max_kbps": 1 << 31}),
        ("bandwidth_limit", {"max_kbps": 1, "direction": "any"}),
        ("bandwidth_limit", {"max_kbps": [1]}),
        ("bandwidth_limit", {"max_kbps": 1, "type": "x"}),
        ("dscp_marking", {"dscp_mark": 7}),
        ("dscp_marking", {"dscp_mark": "x"}),
        ("minimum_packet_rate", {"min_kpps": 1, "direction": "both"}),
    ],
)
async def test_odd_rules_are_refused(cloud: Cloud, kind: str, asked: dict[str, Any]) -> None:
    path = f"{PATH}/{(await policy(cloud))['id']}/{kind}_rules"
    await cloud.refused(400, "HTTPBadRequest", "POST", path, {f"{kind}_rule": asked}, ADMIN)


async def test_rules_do_not_contradict_each_other(cloud: Cloud) -> None:
    path = f"{PATH}/{(await policy(cloud))['id']}"
    limit = await cloud.create("bandwidth_limit_rule", f"{path}/bandwidth_limit_rules", ADMIN, max_kbps=100)
    body: dict[str, Any] = {"minimum_bandwidth_rule": {"min_kbps": 101}}
    await cloud.refused(409, "QoSRuleParameterConflict", "POST", f"{path}/minimum_bandwidth_rules", body, ADMIN)
    await cloud.create(
        "minimum_bandwidth_rule", f"{path}/minimum_bandwidth_rules", ADMIN, min_kbps=101, direction="ingress"
    )
    await cloud.create("minimum_bandwidth_rule", f"{path}/minimum_bandwidth_rules", ADMIN, min_kbps=100)
    one = f"{path}/bandwidth_limit_rules/{limit['id']}"
    await cloud.refused(409, "QoSRuleParameterConflict", "PUT", one, {"bandwidth_limit_rule": {"max_kbps": 99}}, ADMIN)
    await cloud.create("minimum_packet_rate_rule", f"{path}/minimum_packet_rate_rules", ADMIN, min_kpps=1)
    body = {"minimum_packet_rate_rule": {"min_kpps": 1, "direction": "any"}}
    await cloud.refused(409, "QoSRuleParameterConflict", "POST", f"{path}/minimum_packet_rate_rules", body, ADMIN)


async def test_a_policy_stays_as_long_as_it_holds_for_anything(cloud: Cloud) -> None:
    made = await policy(cloud, shared=True)
    beyond = await outside(cloud)
    network = await cloud.network(qos_policy_id=made["id"])
    port = await cloud.create("port", "/ports", network_id=network["id"])
    assert (port["qos_policy_id"], port["qos_network_policy_id"]) == (None, made["id"])
    floating = await cloud.create("floatingip", "/floatingips", floating_network_id=beyond["id"])
    between = await router(cloud, beyond)
    path = f"{PATH}/{made['id']}"
    gateway = {"network_id": beyond["id"], "qos_policy_id": made["id"]}
    uses = (
        ("network", f"/networks/{network['id']}", {"qos_policy_id": made["id"]}, {"qos_policy_id": None}),
        ("port", f"/ports/{port['id']}", {"qos_policy_id": made["id"]}, {"qos_policy_id": None}),
        ("floatingip", f"/floatingips/{floating['id']}", {"qos_policy_id": made["id"]}, {"qos_policy_id": None}),
        (
            "router",
            f"/routers/{between['id']}",
            {"external_gateway_info": gateway},
            {"external_gateway_info": gateway | {"qos_policy_id": None}},
        ),
    )
    for singular, where, with_it, without in uses:
        await cloud.update(singular, where, **with_it)
        assert singular in await cloud.refused(409, "QosPolicyInUse", "DELETE", path, token=ADMIN)
        await cloud.update(singular, where, **without)
    await gone(cloud, path, ADMIN)


async def test_what_cannot_be_used_is_not_there_and_what_was_set_by_others_stays(cloud: Cloud) -> None:
    made = await policy(cloud)
    for path, singular, asked in (
        ("/networks", "network", {}),
        ("/floatingips", "floatingip", {"floating_network_id": (await outside(cloud))["id"]}),
    ):
        body = {singular: {**asked, "qos_policy_id": made["id"]}}
        await cloud.refused(404, "QosPolicyNotFound", "POST", path, body)
    network = await cloud.network()
    where = f"/networks/{network['id']}"
    await cloud.refused(404, "QosPolicyNotFound", "PUT", where, {"network": {"qos_policy_id": made["id"]}})
    await cloud.update("network", where, ADMIN, qos_policy_id=made["id"])
    await cloud.refused(403, "PolicyNotAuthorized", "PUT", where, {"network": {"qos_policy_id": None}})
    assert (await cloud.update("network", where, name="x"))["qos_policy_id"] == made["id"]


async def test_new_networks_have_the_default_policy_of_their_project(cloud: Cloud) -> None:
    made = await policy(cloud, is_default=True, project_id="blue")
    body = {"policy": {"is_default": True, "project_id": "blue"}}
    await cloud.refused(409, "QoSPolicyDefaultAlreadyExists", "POST", PATH, body, ADMIN)
    assert (await cloud.network())["qos_policy_id"] == made["id"]
    assert (await cloud.network("member@red"))["qos_policy_id"] is None


async def test_kinds_of_rules_say_what_they_take(cloud: Cloud) -> None:
    kinds = await cloud.listed("rule_types", "/qos/rule-types")
    enforced = {"bandwidth_limit", "dscp_marking", "packet_rate_limit"}
    assert {one["type"] for one in kinds} == enforced
    for kind, _, kept in RULES:
        if kind not in enforced:
            assert (await cloud.ask("GET", f"/qos/rule-types/{kind}")).status == 404
            continue
        shown = (await cloud.ask("GET", f"/qos/rule-types/{kind}")).json["rule_type"]
        named = {one["parameter_name"] for one in shown["drivers"][0]["supported_parameters"]}
        assert (shown["type"], named) == (kind, set(kept))
    assert (await cloud.ask("GET", "/qos/rule-types/x")).status == 404
