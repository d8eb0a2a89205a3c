"""Single decisions of the plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from compute_plugin.networks.plan import names
from compute_plugin.networks.plan.addresses import address, collapsed, link_local, prefix
from compute_plugin.networks.plan.desired import Planner, desired
from compute_plugin.networks.plan.host import Host
from compute_plugin.networks.plan.host_names import is_name
from compute_plugin.networks.plan.judge import Connection, Judge
from compute_plugin.networks.plan.nft_script import changes
from compute_plugin.networks.plan.numbers import MOST, numbers
from compute_plugin.networks.plan.protocols import match, number
from compute_plugin.networks.plan.revocation import concerned
from compute_plugin.networks.plan.wiring import Given, Vlan, Wiring
from tests.networks_plan.made import Made, id_of
from tests.networks_plan.scenes import SCENES, A


@dataclass(frozen=True)
class Thing:
    id: str
    created_us: int = 0


def test_numbers_stay_when_others_come() -> None:
    old = [Thing(f"old {n}", n) for n in range(20_000)]
    before = numbers(old)
    after = numbers([*(Thing(f"new {n}", 50_000 + n) for n in range(20_000)), *old])
    assert all(after[one.id] == before[one.id] for one in old)
    assert len(set(after.values())) == 40_000
    assert min(after.values()) >= 1
    assert max(after.values()) <= MOST


def test_more_things_than_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        numbers(Thing(str(n)) for n in range(MOST + 1))


@pytest.mark.parametrize(
    ("protocol", "ethertype", "expected"),
    [
        (None, "IPv4", None),
        ("any", "IPv4", None),
        ("0", "IPv6", None),
        ("tcp", "IPv4", 6),
        ("TCP", "IPv6", 6),
        ("icmp", "IPv4", 1),
        ("icmp", "IPv6", 58),
        ("1", "IPv6", 58),
        ("ipv6-icmp", "IPv6", 58),
        ("255", "IPv4", 255),
    ],
)
def test_protocols_by_name_and_number(protocol: str | None, ethertype: str, expected: int | None) -> None:
    assert number(protocol, ethertype) == expected


@pytest.mark.parametrize("protocol", ["256", "-1", "x", "6; drop", "٦", ""])
def test_what_is_no_protocol(protocol: str) -> None:
    with pytest.raises(ValueError, match="no protocol"):
        number(protocol, "IPv4")


@pytest.mark.parametrize(
    ("protocol", "least", "most", "expected"),
    [
        (6, 80, 80, "tcp dport 80"),
        (17, 1, 9, "udp dport 1-9"),
        (6, 0, 65535, "meta l4proto 6"),
        (6, None, None, "meta l4proto 6"),
        (1, 8, 0, "icmp type 8 icmp code 0"),
        (58, 128, None, "icmpv6 type 128"),
        (44, None, None, "exthdr frag exists"),
        (47, 5, 5, "meta l4proto 47"),
        (None, None, None, ""),
    ],
)
def test_packets_of_a_rule(protocol: int | None, least: int | None, most: int | None, expected: str) -> None:
    assert match(protocol, least, most) == expected


@pytest.mark.parametrize(("protocol", "least", "most"), [(6, 90, 80), (6, 70000, None), (1, 300, None), (6, -1, 5)])
def test_what_is_no_range(protocol: int, least: int, most: int | None) -> None:
    with pytest.raises(ValueError, match=r"no|are"):
        match(protocol, least, most)


def test_addresses_have_one_form() -> None:
    assert address("FD00:0::0001") == "fd00::1"
    assert prefix("10.1.2.3/8") == "10.0.0.0/8"
    assert link_local("fa:16:3e:00:00:01") == "fe80::f816:3eff:fe00:1"
    assert collapsed({"10.0.0.0/8", "10.1.0.0/16", "fd00::/64"}) == {"10.0.0.0/8", "fd00::/64"}


@pytest.mark.parametrize("text", ["10.0.0.1; drop", "fe80::1%eth0", "", "1.2.3", "10.0.0.1\n"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        address(text)


@pytest.mark.parametrize("text", ["a_b", "-a", "a-", "a b", "a\n", "A", "a" * 64, "", "a..b"])
def test_what_is_no_name(text: str) -> None:
    assert not is_name(text)


@pytest.mark.parametrize("id_", ["", "../x", "a b", "x\n", "-rf", "a;b"])
def test_what_is_no_id(id_: str) -> None:
    with pytest.raises(ValueError, match="an id that is none"):
        names.plug(id_)


def test_no_name_of_a_link_is_too_long() -> None:
    id_ = "0" * 36
    for name in (
        names.bridge(id_),
        names.plug(id_),
        names.dhcp_link(id_),
        names.sub_plug(id_),
        names.router_link(id_),
        names.vxlan(1 << 24),
    ):
        assert len(name) <= 15
        assert names.is_ours(name) == (not name.startswith("tap"))


def wiring(made: Made) -> Wiring:
    return desired(made.records, made.states, A)


def default_scene() -> tuple[Made, Wiring]:
    made = Made()
    SCENES["two_hosts"](made)
    made.rule("web", "default", "ingress", protocol="tcp", port_min=80, port_max=80)
    return made, wiring(made)


def test_one_rule_is_one_change_of_one_chain() -> None:
    made, before = default_scene()
    made.rule("mail", "default", "ingress", protocol="tcp", port_min=25, port_max=25)
    scripts = [changes(old, new) for old, new in zip(before.host.tables, wiring(made).host.tables, strict=True)]
    assert scripts[0] == ""
    lines = scripts[1].splitlines()
    assert lines[0].startswith("flush chain inet drystone ingress-")
    assert all(line.startswith("add rule inet drystone ingress-") for line in lines[1:])


def test_one_member_elsewhere_is_one_element() -> None:
    made, before = default_scene()
    made.port("three", "net", {"v4": "10.0.0.14"}, host="b", groups=["default"])
    scripts = [changes(old, new) for old, new in zip(before.host.tables, wiring(made).host.tables, strict=True)]
    assert scripts[0] == ""
    assert scripts[1].splitlines() == [f"add element inet drystone members4-{id_of('default')} {{ 10.0.0.14 }}"]


def test_another_limit_is_another_object_and_one_element() -> None:
    made = Made()
    host = SCENES["qos"](made)
    before = desired(made.records, made.states, host).host.tables
    rule = made.records.qos_rules.require(id_of("own bandwidth_limit_in"))
    made.records.qos_rules.put(replace(rule, max_kbps=16000))
    after = desired(made.records, made.states, host).host.tables
    bridge, inet = (changes(old, new) for old, new in zip(before, after, strict=True))
    assert inet == ""
    link, limits = names.plug(id_of("with own")), f"-{id_of('with own')}"
    at = "bridge drystone"
    assert bridge.splitlines() == [
        f"add limit {at} ingress-bytes-2000000-0{limits} {{ rate over 2000000 bytes/second burst 0 bytes ; }}",
        f'delete element {at} ingress_bytes {{ "{link}" : "ingress-bytes-1000-64536{limits}" }}',
        f'add element {at} ingress_bytes {{ "{link}" : "ingress-bytes-2000000-0{limits}" }}',
        f"delete limit {at} ingress-bytes-1000-64536{limits}",
    ]


def test_what_is_tagged_is_down_with_its_parent() -> None:
    made = Made()
    host = SCENES["trunks"](made)
    planner = Planner(host)

    def is_up(port: str) -> bool:
        links = {link.name: link for link in planner.plan(made.records, made.states).host.links}
        return links[names.sub_plug(id_of(port))].up

    assert is_up("in_red")
    parent = made.records.ports.require(id_of("in_plain"))
    made.records.ports.put(replace(parent, admin_state_up=False))
    assert not is_up("in_red")
    made.records.ports.put(parent)
    made.trunk("trunk", "in_plain", in_red=9)
    wired = planner.plan(made.records, made.states)
    forms = {link.name: link.form for link in wired.host.links}
    assert forms[names.sub_plug(id_of("in_red"))] == Vlan(names.plug(parent.id), 9)
    assert isinstance(forms[names.plug(id_of("in_blue"))], Given), "no part of the trunk any more"


def test_who_is_concerned_by_what_goes() -> None:
    made, before = default_scene()
    zone = before.zones[id_of("net")]
    made.rule("mail", "default", "ingress", protocol="tcp", port_min=25, port_max=25)
    added = wiring(made)
    assert concerned(before, added) == {}
    mine = {zone: {"10.0.0.11", "fd00::11"}}
    assert concerned(added, before) == mine
    assert concerned(None, before) == mine
    made.records.ports.delete(id_of("two"))
    assert concerned(added, wiring(made)) == mine, "a member of the group has gone"
    made.records.ports.delete(id_of("one"))
    assert concerned(added, wiring(made)) == mine, "its address may be another's next"


def test_the_judge_says_what_the_rules_say() -> None:
    made, _ = default_scene()
    judge = Judge(made.records)
    port = made.records.ports.require(id_of("one"))

    def comes(source: str, target_port: int, protocol: int = 6) -> bool:
        return judge.lets_through(Connection(1, 4, protocol, source, "10.0.0.11", 40000, target_port), None, port)

    assert comes("198.51.100.1", 80)
    assert not comes("198.51.100.1", 81)
    assert not comes("198.51.100.1", 80, 17)
    assert comes("10.0.0.12", 81), "a member"
    out = Connection(1, 4, 6, "10.0.0.11", "198.51.100.1", 40000, 443)
    assert judge.lets_through(out, port, None)
    made.records.rules.delete(id_of("default out IPv4"))
    assert not Judge(made.records).lets_through(out, port, None)


def test_a_host_without_ports_has_nothing() -> None:
    made, _ = default_scene()
    empty = desired(made.records, made.states, Host(name="elsewhere"))
    assert empty.host.links == ()
    assert empty.host.tables == ()
    assert len(empty.spaces) == 1
