"""What is kept of nodes and tokens, and what is refused as a name, an address or a token."""

from __future__ import annotations

import datetime

import pytest

from drystone.cluster_commands import parse_time
from drystone.join_tokens import TOKEN_PREFIX, Token, is_of_token, make_token, parse_token
from drystone.node_records import (
    AUTHORITY_CODEC,
    LIFE_CODEC,
    NODE_CODEC,
    Life,
    NodeRecord,
    State,
    check_name,
    split_address,
)
from store.core.clock import Clock
from store.core.entropy import SystemRandom
from store.core.errors import DamageError, InvalidError
from store.registry import Span, memory_registry
from store.wire.authority import make_authority

NODE = NodeRecord("10.0.0.1:7400", 1, 2, "m1", State.DRAINING, "5f" * 20, 1_700_000_000_000_001)


class Ahead(Clock):
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def wall_us(self) -> int:
        return int(self.now * 1e6)

    def monotonic(self) -> float:
        return self.now


def test_records_are_read_as_they_were_written() -> None:
    assert NODE_CODEC.decode(NODE_CODEC.encode(NODE)) == NODE
    life = Life(b"l" * 16, "1.2")
    assert LIFE_CODEC.decode(LIFE_CODEC.encode(life)) == life
    authority = make_authority("c", datetime.datetime.now(datetime.UTC))
    assert AUTHORITY_CODEC.decode(AUTHORITY_CODEC.encode(authority)) == authority


def test_a_state_that_is_not_known_is_damage() -> None:
    packed = NODE_CODEC.encode(NODE).replace(b"draining", b"dreaming")
    with pytest.raises(DamageError):
        NODE_CODEC.decode(packed)


@pytest.mark.parametrize("name", ["", "N1", "a.b", "-a", "a-", "a" * 23, "a_b", "é", "a\n"])
def test_what_cannot_stand_in_a_certificate_is_no_name(name: str) -> None:
    with pytest.raises(InvalidError):
        check_name(name)


def test_names_that_are() -> None:
    for name in ("n1", "a", "rack-3-left", "a" * 22):
        check_name(name)


@pytest.mark.parametrize(
    "address", ["", "host", "host:", ":7400", "host:x", "host:0", "host:65536", "0.0.0.0:1", "[::]:1"]
)
def test_an_address_that_others_cannot_dial_is_refused(address: str) -> None:
    with pytest.raises(InvalidError):
        split_address(address)


def test_addresses_that_are() -> None:
    assert split_address("10.0.0.1:7400") == ("10.0.0.1", 7400)
    assert split_address("[fd00::1]:7400") == ("fd00::1", 7400)
    assert split_address("node.example:1") == ("node.example", 1)


async def test_a_token_is_typed_as_it_was_printed_and_kept_as_its_hash() -> None:
    authority = make_authority("c", datetime.datetime.now(datetime.UTC)).certificate
    registry = memory_registry(Ahead())
    token = await make_token(registry, authority, 60, SystemRandom())
    assert parse_token(f" {token}\n") == token
    assert is_of_token(authority, token)
    assert not is_of_token(make_authority("c", datetime.datetime.now(datetime.UTC)).certificate, token)
    (kept,) = await registry.range(Span.prefix(TOKEN_PREFIX))
    assert token.secret not in kept.key + kept.value
    assert token.secret.hex().encode() not in kept.key + kept.value


async def test_a_token_goes_when_its_time_is_over() -> None:
    clock = Ahead()
    registry = memory_registry(clock)
    await make_token(registry, make_authority("c", datetime.datetime.now(datetime.UTC)).certificate, 60, SystemRandom())
    clock.now = 59
    assert await registry.range(Span.prefix(TOKEN_PREFIX))
    clock.now = 61
    assert not await registry.range(Span.prefix(TOKEN_PREFIX))


@pytest.mark.parametrize("text", ["", "-", "a-b", "00" * 16, "00" * 16 + "-" + "00" * 15, "00" * 15 + "-" + "00" * 16])
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(InvalidError, match="copy the whole line"):
        parse_token(text)


def test_tokens_differ() -> None:
    assert str(Token(b"\1" * 16, "ab" * 16)) == "01" * 16 + "-" + "ab" * 16


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)])
def test_times(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds
