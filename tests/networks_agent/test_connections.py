"""What `conntrack` says, and is told."""

from __future__ import annotations

from compute_plugin.networks.agent.connections import line, parse
from compute_plugin.networks.plan.judge import Connection

TCP = (
    "tcp      6 431999 ESTABLISHED src=10.0.0.11 dst=10.0.0.12 sport=36434 dport=80 "
    "src=10.0.0.12 dst=10.0.0.11 sport=80 dport=36434 [ASSURED] mark=0 zone=7 use=1"
)
ECHO = (
    "icmpv6   58 29 src=fd00::11 dst=fd00::12 type=128 code=0 id=9 src=fd00::12 dst=fd00::11 type=129 code=0 id=9 use=1"
)


def test_lines_are_read_as_connections_were_begun() -> None:
    assert parse(TCP, 4) == Connection(7, 4, 6, "10.0.0.11", "10.0.0.12", 36434, 80)
    assert parse(ECHO, 6) == Connection(0, 6, 58, "fd00::11", "fd00::12", None, 128, 0, 9)
    assert parse("unknown  47 29 src=10.0.0.11 dst=10.0.0.12 src=10.0.0.12 dst=10.0.0.11 use=1", 4) == Connection(
        0, 4, 47, "10.0.0.11", "10.0.0.12"
    )
    assert parse("", 4) is None
    assert parse("conntrack v1.4.7 (conntrack-tools): 2 flow entries have been shown.", 4) is None


def test_one_is_deleted_and_no_other() -> None:
    tcp, echo = parse(TCP, 4), parse(ECHO, 6)
    assert tcp is not None
    assert echo is not None
    assert line(tcp).split()[-4:] == ["--orig-port-src", "36434", "--orig-port-dst", "80"]
    assert line(echo).endswith("--icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9")
    assert "-w 7 " in line(tcp)
