"""What goes over the wire for what the application says."""

from __future__ import annotations

from array import array

import pytest

from gateway.http.asgi import Buffer
from gateway.http.errors import ResponseError
from gateway.http.response import ResponseWriter, plain_answer

DATE = b"Date: today\r\n"
Headers = list[tuple[bytes, bytes]]


def respond(
    *pieces: Buffer,
    status: int = 200,
    headers: Headers | None = None,
    head_only: bool = False,
    http10: bool = False,
    keep_alive: bool = True,
    keep_alive_said: bool = False,
) -> tuple[bytes, bytes, ResponseWriter]:
    writer = ResponseWriter(head_only=head_only, http10=http10, keep_alive_said=keep_alive_said)
    writer.start(status, headers or [], date=DATE, keep_alive=keep_alive)
    wire = b""
    for number, piece in enumerate(pieces, 1):
        wire += b"".join(writer.body(piece, number < len(pieces)))
    head, _, body = wire.partition(b"\r\n\r\n")
    return head, body, writer


def test_a_response_in_one_piece_gets_its_length() -> None:
    head, body, writer = respond(b"hello", headers=[(b"x-a", b"b")])
    assert head == b"HTTP/1.1 200 OK\r\nX-A: b\r\nDate: today\r\nContent-Length: 5"
    assert body == b"hello"
    assert writer.complete
    assert writer.keep_alive


def test_head_and_body_leave_together() -> None:
    writer = ResponseWriter(head_only=False, http10=False)
    writer.start(200, [], date=DATE)
    payload = bytes(100)
    parts = writer.body(payload, False)
    assert len(parts) == 2
    assert parts[1] is payload


def test_a_response_of_unknown_length_is_chunked() -> None:
    head, body, _ = respond(b"abc", b"", b"0123456789abcdef", b"")
    assert b"Transfer-Encoding: chunked" in head
    assert body == b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
    assert respond(b"", b"x")[1] == b"1\r\nx\r\n0\r\n\r\n"


def test_http_1_0_gets_no_chunks() -> None:
    head, body, writer = respond(b"abc", b"def", http10=True)
    assert b"transfer-encoding" not in head
    assert b"Connection: close" in head
    assert body == b"abcdef"
    assert not writer.keep_alive
    assert b"Connection: keep-alive" in respond(b"abc", http10=True, keep_alive_said=True)[0]


def test_buffers_of_every_kind() -> None:
    for data in (b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), memoryview(array("H", [25185, 25699]))):
        assert respond(data)[1] == b"abcd"
        assert respond(data, b"")[1] == b"4\r\nabcd\r\n0\r\n\r\n"


def test_head_keeps_the_length_and_has_no_body() -> None:
    head, body, writer = respond(b"", headers=[(b"Content-Length", b"1234")], head_only=True)
    assert b"Content-Length: 1234" in head
    assert not body
    assert writer.complete
    assert b"Content-Length: 5" in respond(b"hello", head_only=True)[0]
    head, body, _ = respond(b"abc", b"def", head_only=True)
    assert not body
    assert b"content-length" not in head


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_body(status: int) -> None:
    head, body, writer = respond(b"surplus", status=status, headers=[(b"content-length", b"7")])
    assert not body
    assert (b"Content-Length" in head) is (status == 304)
    assert b"chunked" not in respond(b"", b"", status=status)[0]
    assert writer.complete


def test_framing_belongs_to_the_server() -> None:
    headers = [
        (b"transfer-encoding", b"gzip"),
        (b"Keep-Alive", b"x"),
        (b"date", b"yesterday"),
        (b"connection", b"close"),
    ]
    head, _, writer = respond(b"x", headers=headers)
    assert head == b"HTTP/1.1 200 OK\r\nDate: yesterday\r\nContent-Length: 1\r\nConnection: close"
    assert not writer.keep_alive


def test_unknown_statuses_have_no_phrase() -> None:
    assert respond(b"", status=498)[0].startswith(b"HTTP/1.1 498 \r\n")


@pytest.mark.parametrize(
    ("pieces", "length"),
    [([b"abc"], b"2"), ([b"abc"], b"4"), ([b"a", b"bcd", b""], b"3"), ([b"ab", b""], b"3")],
)
def test_a_body_that_breaks_its_promise_raises(pieces: list[bytes], length: bytes) -> None:
    with pytest.raises(ResponseError, match="content-length"):
        respond(*pieces, headers=[(b"content-length", length)])


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"a\r\nset-cookie: b"),
        (b"x", b"a\nb"),
        (b"x", b"a\rb"),
        (b"x\r\ny", b"a"),
        (b"x", b"a\0"),
        (b"date", b"a\r\nx: y"),
        (b"content-length", b"+1"),
        (b"content-length", b""),
    ],
)
def test_responses_cannot_be_split(field: tuple[bytes, bytes]) -> None:
    with pytest.raises(ResponseError):
        respond(b"x", headers=[field])


def test_messages_out_of_order_raise() -> None:
    writer = ResponseWriter(head_only=False, http10=False)
    with pytest.raises(ResponseError):
        writer.body(b"", False)
    with pytest.raises(ResponseError):
        writer.start(100, [], date=DATE)
    writer.start(200, [], date=DATE)
    with pytest.raises(ResponseError):
        writer.start(200, [], date=DATE)
    writer.body(b"", False)
    with pytest.raises(ResponseError):
        writer.body(b"", False)
    with pytest.raises(ResponseError):
        respond(b"x", headers=[(b"content-length", b"1"), (b"content-length", b"2")])


def test_the_servers_own_answers() -> None:
    answer = plain_answer(431, "too long", date=DATE)
    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"Connection: close" in answer
    assert answer.endswith(b"\r\n\r\ntoo long\n")
    assert plain_answer(400, "x", date=DATE, head_only=True).endswith(b"\r\n\r\n")


def test_a_length_of_nothing_may_be_stated_without_content() -> None:
    head, body, _ = respond(b"", status=204, headers=[(b"content-length", b"0")])
    assert b"Content-Length: 0" in head
    assert body == b""
    head, _, _ = respond(b"", status=204, headers=[(b"content-length", b"5")])
    assert b"content-length" not in head


def test_a_connection_that_is_kept_is_said_to_be_where_the_client_said_so() -> None:
    assert b"connection" not in respond(b"x")[0]
    assert b"Connection: keep-alive" in respond(b"x", keep_alive_said=True)[0]
    assert b"Connection: close" in respond(b"x", keep_alive=False, keep_alive_said=True)[0]
