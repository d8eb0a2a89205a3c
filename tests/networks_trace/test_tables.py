"""What rules do to a packet, by the words of nft itself: tables are loaded into a namespace and listed as JSON."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from compute_plugin.networks.trace.packet import Packet
from compute_plugin.networks.trace.tables import Tables

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces want root")

PING = Packet(
    source_mac="fa:16:3e:00:00:01",
    target_mac="fa:16:3e:00:00:02",
    source="10.0.0.1",
    target="10.0.0.2",
    protocol=1,
    icmp_type=8,
    incoming="tap1",
    outgoing="tap2",
)
WEB = replace(PING, protocol=6, icmp_type=0, source_port=40_000, target_port=80)


@pytest.fixture
def space(worker_id: str) -> Iterator[str]:
    name = f"trace-{worker_id}-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def loaded(space: str, script: str) -> Tables:
    nft = ["ip", "netns", "exec", space, "nft"]
    subprocess.run([*nft, "-f", "-"], input=script, text=True, check=True)
    told = subprocess.run([*nft, "-j", "list", "ruleset"], stdout=subprocess.PIPE, check=True).stdout
    listed: list[dict[str, Any]] = json.loads(told)["nftables"]
    return Tables(listed)


GROUPS = """
table bridge drystone {
  map inputs { type ifname : mark
    elements = { "tap1" : 0x10001, "tap2" : 0x10002 }
  }
  set macs { typeof iifname . ether saddr
    elements = { "tap1" . fa:16:3e:00:00:01 }
  }
  map senders { type ifname : verdict
    elements = { "tap1" : jump from1 }
  }
  chain prerouting { type filter hook prerouting priority -300; policy accept;
    meta mark set iifname map @inputs
    iifname vmap @senders
    drop comment "nobody knows the link"
  }
  chain from1 {
    iifname . ether saddr != @macs counter drop comment "a MAC that is not the port's"
    ether type ip ip saddr != 10.0.0.1 drop comment "an address that is not the port's"
    accept
  }
}
table inet drystone {
  set members { type ipv4_addr; flags interval
    elements = { 10.0.0.0/30, 10.0.0.9 }
  }
  chain entries { type filter hook forward priority 0; policy drop;
    ct state established,related accept
    meta mark & 0xffff vmap { 1 : jump to2 }
  }
  chain to2 {
    icmp type echo-request accept
    meta l4proto tcp th dport 79-81 ip saddr @members accept comment "rule 7"
    tcp dport { 22, 443 } accept
  }
}
"""


def test_a_packet_that_is_let_through_says_by_which_rule(space: str) -> None:
    tables = loaded(space, GROUPS)
    first = tables.hook(["bridge"], "prerouting", WEB)
    assert (first.passed, first.packet.mark, first.unknown) == (True, 0x10001, [])
    second = tables.hook(["inet", "ip"], "forward", first.packet)
    assert (second.passed, second.unknown) == (True, [])
    assert second.seen[-1] == "inet drystone to2: rule 7"
    assert tables.hook(["inet"], "forward", replace(PING, mark=1)).passed


@pytest.mark.parametrize(
    ("packet", "rule"),
    [
        (replace(WEB, incoming="tap9"), "nobody knows the link"),
        (replace(WEB, source_mac="fa:16:3e:00:00:09"), "a MAC that is not the port's"),
        (replace(WEB, source="10.0.0.3"), "an address that is not the port's"),
    ],
)
def test_one_that_is_dropped_says_which_dropped_it(space: str, packet: Packet, rule: str) -> None:
    found = loaded(space, GROUPS).hook(["bridge"], "prerouting", packet)
    assert not found.passed
    assert found.rule.endswith(rule)


def test_what_no_rule_lets_through_ends_by_the_policy_of_its_chain(space: str) -> None:
    tables = loaded(space, GROUPS)
    marked = replace(WEB, mark=1)
    for packet in (replace(marked, target_port=82), replace(marked, source="10.0.0.8"), replace(marked, mark=2)):
        found = tables.hook(["inet"], "forward", packet)
        assert not found.passed
        assert found.rule == "inet drystone entries: policy drop"
    assert tables.hook(["inet"], "forward", replace(marked, source="10.0.0.9")).passed
    assert tables.hook(["inet"], "forward", replace(marked, target_port=443)).passed
    assert tables.hook(["inet"], "forward", replace(marked, target_port=82, state=frozenset({"established"}))).passed


TRANSLATED = """
table ip drystone {
  map inwards { type ipv4_addr : ipv4_addr
    elements = { 203.0.113.5 : 10.0.0.5 }
  }
  map forwardings { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
    elements = { 203.0.113.9 . tcp . 80 : 10.0.0.3 . 8080 }
  }
  chain destinations { type nat hook prerouting priority -100;
    dnat to ip daddr map @inwards
    dnat ip to ip daddr . meta l4proto . th dport map @forwardings
  }
  chain sources { type nat hook postrouting priority 100;
    oifname "qg-1" snat to ip saddr map @inwards
    meta mark != 0x1 ct status dnat snat to 203.0.113.2
    oifname "qg-1" meta mark != 0x1 snat to 203.0.113.3
  }
}
"""


def test_addresses_are_translated(space: str) -> None:
    tables = loaded(space, TRANSLATED)
    floating = tables.hook(["ip"], "prerouting", replace(WEB, target="203.0.113.5"))
    assert (floating.packet.target, floating.packet.target_port, floating.unknown) == ("10.0.0.5", 80, [])
    forwarded = tables.hook(["ip"], "prerouting", replace(WEB, target="203.0.113.9"))
    assert (forwarded.packet.target, forwarded.packet.target_port) == ("10.0.0.3", 8080)
    untouched = tables.hook(["ip"], "prerouting", replace(WEB, target="203.0.113.9", target_port=81))
    assert untouched.packet.target == "203.0.113.9"
    inside = tables.hook(["ip"], "postrouting", replace(floating.packet, outgoing="qr-1"))
    assert inside.packet.source == "203.0.113.2"
    outside = tables.hook(["ip"], "postrouting", replace(WEB, outgoing="qg-1"))
    assert (outside.packet.source, outside.unknown) == ("203.0.113.3", [])


def test_a_rule_that_is_not_understood_is_told_of_and_does_not_decide(space: str) -> None:
    script = """
table inet other {
  chain entries { type filter hook forward priority 0; policy accept;
    meta cpu 3 drop
    meta length > 5000 drop comment "large"
  }
}
"""
    found = loaded(space, script).hook(["inet"], "forward", WEB)
    assert found.passed
    assert found.unknown == ["inet other entries: rule 1 (meta cpu)", "inet other entries: large (meta length)"]
