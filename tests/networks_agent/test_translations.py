"""Which translated connections a router would translate in the same way now. Pure."""

from __future__ import annotations

import pytest

from compute_plugin.networks.agent.announcing import frames
from compute_plugin.networks.agent.translations import Addresses, is_so, line, parse

NOW = Addresses(
    inwards={"203.0.113.50": "10.0.0.11"},
    outwards={"10.0.0.11": "203.0.113.50"},
    forwardings={"203.0.113.52 . tcp . 80": "10.0.0.12 . 8080"},
    own=frozenset({"203.0.113.9"}),
)
CLIENT, OWN, FLOATING, FORWARDING = "203.0.113.1", "203.0.113.9", "203.0.113.50", "203.0.113.52"


def tcp(source: str, target: str, answers: str, answered: str, ports: tuple[int, int] = (80, 80)) -> str:
    """As `conntrack -L` shows it."""
    begun = f"src={source} dst={target} sport=4000 dport={ports[0]}"
    answer = f"src={answers} dst={answered} sport={ports[1]} dport=4000"
    return f"tcp      6 431999 ESTABLISHED {begun} {answer} [ASSURED] use=1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (tcp(CLIENT, FLOATING, "10.0.0.11", CLIENT), True),
        (tcp(CLIENT, FLOATING, "10.0.0.12", CLIENT), False),
        (tcp(CLIENT, FLOATING, FLOATING, CLIENT), False),
        (tcp(CLIENT, "203.0.113.51", "10.0.0.11", CLIENT), False),
        (tcp(CLIENT, FORWARDING, "10.0.0.12", CLIENT, (80, 8080)), True),
        (tcp(CLIENT, FORWARDING, "10.0.0.12", CLIENT, (80, 8081)), False),
        (tcp(CLIENT, FORWARDING, "10.0.0.12", CLIENT, (81, 8080)), False),
        (tcp("10.0.0.11", CLIENT, CLIENT, FLOATING), True),
        (tcp("10.0.0.12", CLIENT, CLIENT, FLOATING), False),
        (tcp("10.0.0.12", CLIENT, CLIENT, OWN), True),
        (tcp("10.0.0.11", CLIENT, CLIENT, OWN), True),  # begun before it had a floating address
        (tcp("10.0.0.12", FLOATING, "10.0.0.11", OWN), True),
        (tcp("10.0.0.12", "10.1.0.1", "10.1.0.1", "10.0.0.12"), True),
    ],
)
def test_what_would_be_otherwise_now_is_known(text: str, expected: bool) -> None:
    found = parse(text)
    assert found is not None
    assert is_so(found, NOW) is expected


def test_a_connection_is_named_as_it_was_begun() -> None:
    found = parse(tcp(CLIENT, FLOATING, "10.0.0.11", CLIENT))
    assert found is not None
    ends = f"--orig-src {CLIENT} --orig-dst {FLOATING}"
    assert line(found) == f"-D -f ipv4 -p tcp {ends} --orig-port-src 4000 --orig-port-dst 80"
    echo = parse(
        f"icmp 1 29 src={CLIENT} dst={FLOATING} type=8 code=0 id=7 src=10.0.0.11 dst={CLIENT} type=0 code=0 id=7"
    )
    assert echo is not None
    assert line(echo) == f"-D -f ipv4 -p icmp {ends}"
    assert parse("conntrack v1.4.7 (conntrack-tools): 0 flow entries have been shown.") is None


def test_an_address_is_announced_as_a_question_and_as_an_answer() -> None:
    found = list(frames("fa:16:3e:00:00:01", "203.0.113.50"))
    assert [frame[20:22] for frame in found] == [b"\0\1", b"\0\2"]
    for frame in found:
        assert frame[:6] == b"\xff" * 6
        assert frame[6:12] == frame[22:28] == bytes.fromhex("fa163e000001")
        assert frame[28:32] == frame[38:42] == bytes([203, 0, 113, 50])
