"""The handshake, pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.nbd import protocol
from gateway.nbd.negotiation import (
    Abort,
    Action,
    Bounds,
    ListExports,
    LookAtExport,
    Negotiation,
    OpenExport,
    Reply,
    StartTls,
    Tls,
)
from gateway.nbd.protocol import Info, Option, OptionReply, ProtocolError, TransmissionFlag
from tests.nbd.client import Answer, context_data, go_data, option, string

FLAGS = protocol.CLIENT_FLAGS.pack(3)
SIZE = 10 * 1024 * 1024
WRITABLE = (
    TransmissionFlag.HAS_FLAGS
    | TransmissionFlag.SEND_FLUSH
    | TransmissionFlag.SEND_FUA
    | TransmissionFlag.SEND_TRIM
    | TransmissionFlag.SEND_WRITE_ZEROES
    | TransmissionFlag.CAN_MULTI_CONN
    | TransmissionFlag.SEND_CACHE
    | TransmissionFlag.SEND_FAST_ZERO
)


@dataclass
class Driver:
    """Answers what a negotiation asks: there is one export, `disk`."""

    negotiation: Negotiation
    read_only: bool = False
    sent: bytes = b""
    actions: list[Action] = field(default_factory=list)
    final: bool = False

    def feed(self, data: bytes) -> None:
        self.negotiation.feed(data)
        while not self.final and (action := self.negotiation.next_action()) is not None:
            self.actions.append(action)
            match action:
                case Reply(data) | StartTls(data) | Abort(data):
                    self.sent += data
                case ListExports():
                    self.sent += self.negotiation.listed(["disk", "ärger"])
                case OpenExport("disk") | LookAtExport("disk"):
                    self.sent += self.negotiation.opened(SIZE, read_only=self.read_only)
                    self.final = isinstance(action, OpenExport)
                case OpenExport(name) | LookAtExport(name):
                    self.sent += self.negotiation.not_opened(OptionReply.ERR_UNKNOWN, f"no {name}")

    @property
    def answers(self) -> list[Answer]:
        return answers_of(self.sent)


def answers_of(data: bytes) -> list[Answer]:
    found = []
    while data:
        magic, number, kind, length = protocol.OPTION_REPLY.unpack_from(data)
        assert magic == 0x3E889045565A9
        found.append(Answer(number, kind, data[20 : 20 + length]))
        data = data[20 + length :]
    return found


def said(*options: bytes, tls: Tls = Tls.NONE, listing: bool = False, read_only: bool = False) -> Driver:
    driver = Driver(Negotiation(tls, listing=listing), read_only)
    driver.feed(FLAGS + b"".join(options))
    return driver


def test_the_greeting_is_fixed_newstyle() -> None:
    assert Negotiation.greeting == b"NBDMAGICIHAVEOPT\0\3"


def test_go_tells_size_flags_and_block_sizes() -> None:
    driver = said(option(Option.GO, go_data("disk")))
    export = struct.pack(">HQH", 0, SIZE, WRITABLE)
    block_size = struct.pack(">HIII", 3, 1, 4096, 32 * 1024 * 1024)
    assert driver.answers == [(7, 3, export), (7, 3, block_size), (7, 1, b"")]
    assert driver.final


def test_info_does_not_begin_transmission_and_tells_the_name_where_it_is_wanted() -> None:
    driver = said(option(Option.INFO, go_data("disk", Info.NAME)))
    assert (Option.INFO, OptionReply.INFO, b"\0\1disk") in driver.answers
    assert driver.actions == [LookAtExport("disk")]
    assert not driver.final


def test_a_read_only_export_says_so_and_offers_no_changes() -> None:
    export = said(option(Option.GO, go_data("disk")), read_only=True).answers[0].data
    flags = TransmissionFlag(struct.unpack(">HQH", export)[2])
    assert TransmissionFlag.READ_ONLY in flags
    assert TransmissionFlag.SEND_FLUSH in flags
    for flag in (TransmissionFlag.SEND_TRIM, TransmissionFlag.SEND_WRITE_ZEROES, TransmissionFlag.SEND_FAST_ZERO):
        assert flag not in flags


def test_df_is_offered_with_structured_replies() -> None:
    driver = said(option(Option.STRUCTURED_REPLY), option(Option.GO, go_data("disk")))
    assert driver.answers[0] == (Option.STRUCTURED_REPLY, OptionReply.ACK, b"")
    assert driver.answers[1].data == struct.pack(">HQH", 0, SIZE, WRITABLE | TransmissionFlag.SEND_DF)
    assert driver.negotiation.agreement().structured


def test_an_unknown_export_is_refused_and_the_client_may_go_on() -> None:
    driver = said(option(Option.GO, go_data("nix")), option(Option.GO, go_data("disk")))
    assert driver.answers[0] == (Option.GO, OptionReply.ERR_UNKNOWN, b"no nix")
    assert driver.final


@pytest.mark.parametrize(("flags", "zeroes"), [(1, 124), (3, 0)])
def test_export_name(flags: int, zeroes: int) -> None:
    driver = Driver(Negotiation())
    driver.feed(protocol.CLIENT_FLAGS.pack(flags) + option(Option.EXPORT_NAME, b"disk") + b"first request")
    assert driver.sent == struct.pack(">QH", SIZE, WRITABLE) + bytes(zeroes)
    assert driver.negotiation.agreement() == (False, False, b"first request")


@pytest.mark.parametrize("name", [b"nix", b"a\0", b"\xff", b"n" * 4097])
def test_export_name_that_cannot_be_ends_the_connection(name: bytes) -> None:
    with pytest.raises(ProtocolError):
        said(option(Option.EXPORT_NAME, name))


def test_names_are_told_only_where_that_is_wished() -> None:
    assert said(option(Option.LIST)).answers == [(Option.LIST, OptionReply.ACK, b"")]
    listed = said(option(Option.LIST), listing=True).answers
    assert [answer.data for answer in listed] == [string("disk"), string("ärger"), b""]
    assert [answer.kind for answer in listed] == [OptionReply.SERVER, OptionReply.SERVER, OptionReply.ACK]


def test_abort_is_answered() -> None:
    driver = said(option(Option.ABORT))
    assert driver.answers == [(Option.ABORT, OptionReply.ACK, b"")]
    assert isinstance(driver.actions[0], Abort)


@pytest.mark.parametrize("number", [0, 4, 11, 12, 2**32 - 1])
def test_unknown_options_are_refused_and_skipped(number: int) -> None:
    driver = said(option(number, b"whatever it is"), option(Option.GO, go_data("disk")))
    assert driver.answers[0][:2] == (number, OptionReply.ERR_UNSUP)
    assert driver.final


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (Option.LIST, b"x"),
        (Option.STRUCTURED_REPLY, b"x"),
        (Option.STARTTLS, b"x"),
        (Option.GO, b""),
        (Option.GO, b"\xff\xff\xff\xffdisk"),
        (Option.GO, go_data("disk") + b"x"),
        (Option.GO, go_data("disk", 1)[:-1]),
        (Option.GO, go_data("a\0b")),
        (Option.GO, struct.pack(">I", 1) + b"\xff" + b"\0\0"),
        (Option.INFO, go_data("n" * 4097)),
        (Option.SET_META_CONTEXT, context_data("disk", "base:allocation")),
        (Option.LIST_META_CONTEXT, context_data("disk")),
    ],
)
def test_malformed_options_are_refused(number: int, data: bytes) -> None:
    driver = said(option(number, data), option(Option.GO, go_data("disk")))
    assert driver.answers[0][:2] == (number, OptionReply.ERR_INVALID)
    assert driver.answers[0].data
    assert driver.final


def test_base_allocation_is_set() -> None:
    driver = said(
        option(Option.STRUCTURED_REPLY),
        option(Option.SET_META_CONTEXT, context_data("disk", "x-other:y", "base:allocation")),
        option(Option.GO, go_data("disk")),
    )
    assert driver.answers[1] == (10, OptionReply.META_CONTEXT, struct.pack(">I", 1) + b"base:allocation")
    assert driver.answers[2] == (10, OptionReply.ACK, b"")
    assert driver.negotiation.agreement().allocation


@pytest.mark.parametrize("queries", [(), ("base:",), ("qemu:dirty-bitmap:x",), ("base:allocations",)])
def test_what_is_not_base_allocation_sets_nothing_and_replaces_what_was_set(queries: tuple[str, ...]) -> None:
    driver = said(
        option(Option.STRUCTURED_REPLY),
        option(Option.SET_META_CONTEXT, context_data("disk", "base:allocation")),
        option(Option.SET_META_CONTEXT, context_data("disk", *queries)),
        option(Option.GO, go_data("disk")),
    )
    assert driver.answers[3] == (10, OptionReply.ACK, b"")
    assert not driver.negotiation.agreement().allocation


def test_a_context_of_another_export_does_not_count() -> None:
    driver = said(
        option(Option.STRUCTURED_REPLY),
        option(Option.SET_META_CONTEXT, context_data("other", "base:allocation")),
        option(Option.GO, go_data("disk")),
    )
    assert driver.final
    assert not driver.negotiation.agreement().allocation


@pytest.mark.parametrize(
    ("queries", "found"),
    [((), True), (("base:",), True), (("base:allocation",), True), (("qemu:",), False)],
)
def test_contexts_are_listed(queries: tuple[str, ...], found: bool) -> None:
    data = context_data("disk", *queries)
    driver = said(
        option(Option.STRUCTURED_REPLY), option(Option.LIST_META_CONTEXT, data), option(Option.GO, go_data("disk"))
    )
    contexts = [answer.data for answer in driver.answers if answer.kind == OptionReply.META_CONTEXT]
    assert contexts == [bytes(4) + b"base:allocation"] * found
    assert not driver.negotiation.agreement().allocation


@pytest.mark.parametrize(
    "data",
    [
        protocol.CLIENT_FLAGS.pack(4),
        protocol.CLIENT_FLAGS.pack(2**31),
        FLAGS + b"GET / HTTP/1.1\r\n\r\n",
        FLAGS + protocol.OPTION.pack(protocol.IHAVEOPT, Option.GO, 16 * 1024 + 1),
        FLAGS + protocol.OPTION.pack(protocol.IHAVEOPT, 99, 2**32 - 1),
        FLAGS + option(Option.LIST) * 65,
    ],
)
def test_what_ends_the_connection(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        Driver(Negotiation()).feed(data)


def test_as_many_options_as_are_allowed() -> None:
    driver = Driver(Negotiation(bounds=Bounds(option_bytes=8, options=2)))
    driver.feed(FLAGS + option(99, bytes(8)) + option(Option.LIST))
    assert len(driver.answers) == 2
    with pytest.raises(ProtocolError):
        driver.feed(option(Option.LIST))


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (Option.LIST, b""),
        (Option.INFO, go_data("disk")),
        (Option.GO, go_data("disk")),
        (Option.STRUCTURED_REPLY, b""),
        (Option.SET_META_CONTEXT, context_data("disk", "base:allocation")),
        (77, b""),
    ],
)
def test_before_tls_everything_is_refused_where_it_is_required(number: int, data: bytes) -> None:
    driver = said(option(number, data), tls=Tls.REQUIRED, listing=True)
    assert [answer[:2] for answer in driver.answers] == [(number, OptionReply.ERR_TLS_REQD)]
    assert not driver.final
    assert not any(isinstance(action, OpenExport | LookAtExport | ListExports) for action in driver.actions)


def test_before_tls_one_may_leave() -> None:
    assert isinstance(said(option(Option.ABORT), tls=Tls.REQUIRED).actions[0], Abort)


def test_export_name_before_tls_ends_the_connection() -> None:
    with pytest.raises(ProtocolError):
        said(option(Option.EXPORT_NAME, b"disk"), tls=Tls.REQUIRED)


def test_a_client_of_the_old_newstyle_gets_nothing_where_tls_is_required() -> None:
    with pytest.raises(ProtocolError):
        Driver(Negotiation(Tls.REQUIRED)).feed(protocol.CLIENT_FLAGS.pack(2))


def test_tls_begins_once() -> None:
    driver = said(option(Option.STARTTLS), tls=Tls.REQUIRED)
    assert isinstance(driver.actions[0], StartTls)
    driver.feed(option(Option.STARTTLS))
    driver.feed(option(Option.GO, go_data("disk")))
    assert driver.answers[0] == (Option.STARTTLS, OptionReply.ACK, b"")
    assert driver.answers[1][:2] == (Option.STARTTLS, OptionReply.ERR_INVALID)
    assert driver.final


def test_nothing_that_was_said_in_the_clear_counts_under_tls() -> None:
    with pytest.raises(ProtocolError):
        said(option(Option.STARTTLS), option(Option.GO, go_data("disk")), tls=Tls.REQUIRED)


def test_where_there_is_no_tls() -> None:
    driver = said(option(Option.STARTTLS), option(Option.GO, go_data("disk")))
    assert driver.answers[0][:2] == (Option.STARTTLS, OptionReply.ERR_POLICY)
    assert driver.final


OPTIONS = st.one_of(
    st.builds(option, st.integers(0, 15), st.binary(max_size=40)),
    st.sampled_from(
        [
            option(Option.STRUCTURED_REPLY),
            option(Option.LIST),
            option(Option.INFO, go_data("disk", 1, 2, 3)),
            option(Option.GO, go_data("nix")),
            option(Option.SET_META_CONTEXT, context_data("disk", "base:allocation")),
            option(Option.LIST_META_CONTEXT, context_data("disk")),
        ]
    ),
)


@given(options=st.lists(OPTIONS, max_size=6), sizes=st.lists(st.integers(1, 50), min_size=1), listing=st.booleans())
def test_however_the_bytes_come_the_answers_are_the_same(options: list[bytes], sizes: list[int], listing: bool) -> None:
    data = FLAGS + b"".join(options) + option(Option.GO, go_data("disk")) + b"rest"

    def run(pieces: list[bytes]) -> object:
        driver = Driver(Negotiation(listing=listing))
        try:
            for piece in pieces:
                driver.feed(piece)
        except ProtocolError as error:
            return str(error), driver.sent
        return driver.sent, driver.actions, driver.negotiation.agreement()

    pieces = []
    at = turn = 0
    while at < len(data):
        pieces.append(data[at : at + sizes[turn % len(sizes)]])
        at += sizes[turn % len(sizes)]
        turn += 1
    assert run(pieces) == run([data])
