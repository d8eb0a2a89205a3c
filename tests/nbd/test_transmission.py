"""Requests and replies, pure."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.nbd.protocol import Command, CommandFlag, Error, ProtocolError
from gateway.nbd.transmission import (
    Request,
    Requests,
    done_reply,
    error_reply,
    read_reply,
    refusal,
    status_reply,
)
from store.blocks.disk import Extent, ExtentKind
from tests.nbd.client import chunks_of, request

MIB = 1024 * 1024


def made(command: int, offset: int = 0, length: int = 0, flags: int = 0) -> Request:
    return Request(command, flags, 7, offset, length)


def take_all(requests: Requests, pieces: list[bytes]) -> list[tuple[Request, bytes]]:
    """As a connection does it."""
    found = []
    head: Request | None = None
    for piece in pieces:
        requests.feed(piece)
        while True:
            if head is None:
                head = requests.next_head()
            if head is None:
                break
            payload = requests.payload(head.length) if head.command == Command.WRITE else b""
            if payload is None:
                break
            found.append((head, bytes(payload)))
            head = None
    return found


REQUESTS = st.builds(
    request,
    st.sampled_from([0, 1, 1, 3, 4, 6, 7, 99]),
    st.integers(0, 2**64 - 1),
    st.just(0),
    cookie=st.integers(0, 2**64 - 1),
    flags=st.integers(0, 2**16 - 1),
    data=st.just(b""),
)
WRITES = st.builds(request, st.just(1), st.integers(0, 2**64 - 1), data=st.binary(min_size=1, max_size=100))


@given(st.lists(REQUESTS | WRITES, max_size=8), st.lists(st.integers(1, 70), min_size=1))
def test_however_the_bytes_come_the_requests_are_the_same(sent: list[bytes], sizes: list[int]) -> None:
    data = b"".join(sent)
    pieces = []
    at = turn = 0
    while at < len(data):
        pieces.append(data[at : at + sizes[turn % len(sizes)]])
        at += sizes[turn % len(sizes)]
        turn += 1
    whole = Requests()
    split = Requests()
    expected = take_all(whole, [data])
    assert take_all(split, pieces) == expected
    assert len(expected) == len(sent)
    for (head, payload), raw in zip(expected, sent, strict=True):
        fields = struct.unpack(">IHHQQI", raw[:28])
        assert (head.flags, head.command, head.cookie, head.offset, head.length) == fields[1:]
        assert payload == raw[28:]
    assert not split.partial


def test_a_gap_is_filled_in_place_and_what_is_behind_it_is_the_next_request() -> None:
    requests = Requests()
    requests.feed(request(Command.WRITE, data=b"abcdef")[:-4])
    head = requests.next_head()
    assert head is not None
    assert requests.payload(6) is None
    assert requests.partial
    gap = requests.gap()
    assert gap is not None
    assert len(gap) == 4
    gap[:2] = b"cd"
    requests.filled(2)
    assert requests.payload(6) is None
    requests.feed(b"ef" + request(Command.FLUSH))
    assert requests.payload(6) == b"abcdef"
    assert requests.gap() is None
    following = requests.next_head()
    assert following is not None
    assert following.command == Command.FLUSH
    assert not requests.partial


def test_what_was_fed_is_not_copied() -> None:
    data = request(Command.WRITE, data=bytes(4096))
    requests = Requests()
    requests.feed(data)
    requests.next_head()
    payload = requests.payload(4096)
    assert isinstance(payload, memoryview)
    assert payload.obj is data


def test_a_wrong_magic_ends_the_connection() -> None:
    requests = Requests()
    requests.feed(b"\x25\x60\x95\x14" + bytes(24))
    with pytest.raises(ProtocolError):
        requests.next_head()


def test_a_write_may_have_32_mib() -> None:
    requests = Requests()
    requests.feed(request(Command.WRITE, length=32 * MIB))
    assert requests.next_head() is not None
    requests = Requests()
    requests.feed(request(Command.WRITE, length=32 * MIB + 1))
    with pytest.raises(ProtocolError):
        requests.next_head()


SIZE = 64 * MIB


def refused(
    asked: Request, *, read_only: bool = False, structured: bool = True, allocation: bool = True
) -> Error | None:
    return refusal(asked, SIZE, read_only=read_only, structured=structured, allocation=allocation)


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (Command.READ, Error.EINVAL),
        (Command.CACHE, Error.EINVAL),
        (Command.BLOCK_STATUS, Error.EINVAL),
        (Command.WRITE, Error.ENOSPC),
        (Command.TRIM, Error.ENOSPC),
        (Command.WRITE_ZEROES, Error.ENOSPC),
    ],
)
def test_beyond_the_end(command: int, error: Error) -> None:
    assert refused(made(command, SIZE - 1, 1)) is None
    assert refused(made(command, SIZE - 1, 2)) is error
    assert refused(made(command, 2**64 - 1, 1)) is error


def test_long_reads_are_refused_and_long_zeroes_are_not() -> None:
    assert refused(made(Command.READ, 0, 32 * MIB)) is None
    assert refused(made(Command.READ, 0, 32 * MIB + 1)) is Error.EINVAL
    for command in (Command.TRIM, Command.WRITE_ZEROES, Command.CACHE, Command.BLOCK_STATUS):
        assert refused(made(command, 0, SIZE)) is None


def test_a_read_only_export_takes_no_changes() -> None:
    for command in (Command.WRITE, Command.TRIM, Command.WRITE_ZEROES):
        assert refused(made(command, 0, 1), read_only=True) is Error.EPERM
    for command in (Command.READ, Command.CACHE, Command.BLOCK_STATUS):
        assert refused(made(command, 0, 1), read_only=True) is None
    assert refused(made(Command.FLUSH), read_only=True) is None


ALLOWED = {
    Command.READ: {CommandFlag.FUA, CommandFlag.DF},
    Command.WRITE: {CommandFlag.FUA},
    Command.FLUSH: {CommandFlag.FUA},
    Command.TRIM: {CommandFlag.FUA},
    Command.CACHE: {CommandFlag.FUA},
    Command.WRITE_ZEROES: {CommandFlag.FUA, CommandFlag.NO_HOLE, CommandFlag.FAST_ZERO},
    Command.BLOCK_STATUS: {CommandFlag.FUA, CommandFlag.REQ_ONE},
}


@pytest.mark.parametrize("command", ALLOWED)
def test_flags_are_allowed_where_they_mean_something(command: Command) -> None:
    length = 0 if command is Command.FLUSH else 1
    for bit in range(16):
        expected = None if 1 << bit in ALLOWED[command] else Error.EINVAL
        assert refused(made(command, 0, length, flags=1 << bit)) is expected, (command, bit)


def test_df_needs_structured_replies_and_block_status_a_context() -> None:
    assert refused(made(Command.READ, 0, 1, CommandFlag.DF), structured=False) is Error.EINVAL
    assert refused(made(Command.BLOCK_STATUS, 0, 1), allocation=False) is Error.EINVAL
    assert refused(made(Command.BLOCK_STATUS, 0, 0)) is Error.EINVAL


def test_other_nonsense() -> None:
    assert refused(made(99)) is Error.EINVAL
    assert refused(made(Command.FLUSH, 1, 0)) is Error.EINVAL
    assert refused(made(Command.FLUSH, 0, 1)) is Error.EINVAL


def test_replies() -> None:
    asked = Request(Command.READ, 0, 0x0102030405060708, 4096, 6)
    cookie = asked.cookie.to_bytes(8, "big")
    assert b"".join(done_reply(asked)) == bytes.fromhex("67446698 00000000") + cookie
    assert b"".join(read_reply(asked, [b"abc", memoryview(b"def")], structured=False)) == (
        bytes.fromhex("67446698 00000000") + cookie + b"abcdef"
    )
    assert b"".join(read_reply(asked, [b"abc", b"def"], structured=True)) == (
        bytes.fromhex("668e33ef 0001 0001") + cookie + bytes.fromhex("0000000e 0000000000001000") + b"abcdef"
    )
    assert b"".join(error_reply(asked, Error.ENOSPC, "full", structured=False)) == (
        bytes.fromhex("67446698 0000001c") + cookie
    )
    assert b"".join(error_reply(asked, Error.ENOSPC, "full", structured=True)) == (
        bytes.fromhex("668e33ef 0001 8001") + cookie + bytes.fromhex("0000000a 0000001c 0004") + b"full"
    )


def test_a_read_of_nothing_has_no_data_chunk() -> None:
    (chunk,), _ = chunks_of(b"".join(read_reply(made(Command.READ), [], structured=True)))
    assert (chunk.kind, chunk.flags, chunk.data) == (0, 1, b"")


def test_a_long_message_is_cut_between_characters() -> None:
    (chunk,), _ = chunks_of(b"".join(error_reply(made(0), Error.EIO, "ä" * 3000 + "b", structured=True)))
    assert chunk.data.decode() == "ä" * 2048


def test_neighbours_of_one_state_are_one_extent() -> None:
    extents = [
        Extent(4096, ExtentKind.DATA),
        Extent(8192, ExtentKind.DATA),
        Extent(4096, ExtentKind.ZERO),
        Extent(1, ExtentKind.HOLE),
        Extent(2, ExtentKind.HOLE),
    ]
    (chunk,), _ = chunks_of(b"".join(status_reply(made(Command.BLOCK_STATUS), extents)))
    assert (chunk.kind, chunk.flags) == (5, 1)
    assert struct.unpack(">7I", chunk.data) == (1, 12288, 0, 4096, 2, 3, 3)
