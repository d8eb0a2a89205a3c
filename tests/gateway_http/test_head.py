"""Which request heads are taken, and how the others are refused."""

from __future__ import annotations

import pytest

from gateway.http.errors import Refusal
from gateway.http.head import CHUNKED, RequestHead, parse_head
from gateway.http.limits import Limits
from gateway.http.reader import RequestReader

LIMITS = Limits()


def parse(text: str, limits: Limits = LIMITS) -> RequestHead:
    return parse_head(text.encode("latin-1"), limits)


def refusal(raw: bytes, limits: Limits = LIMITS) -> int:
    """The status with which a reader refuses these bytes; 0 if it does not."""
    reader = RequestReader(limits)
    reader.feed(raw)
    try:
        while reader.next_head() is not None:
            while not reader.body_complete:
                if not reader.take_body() and not reader.body_complete:
                    return 0
    except Refusal as refusal:
        return refusal.status
    return 0


def test_a_request_is_read_whole() -> None:
    head = parse(
        "PUT /v1/a%20b?x=1&y HTTP/1.1\r\nHost: h:80\r\nX-Meta-Key:  a b \t\r\nContent-Length: 5\r\nEmpty:\r\n\r\n"
    )
    assert head.method == "PUT"
    assert head.raw_path == b"/v1/a%20b"
    assert head.query == b"x=1&y"
    assert head.headers == [
        (b"host", b"h:80"),
        (b"x-meta-key", b"a b"),
        (b"content-length", b"5"),
        (b"empty", b""),
    ]
    assert head.length == 5
    assert head.keep_alive
    assert not head.http10


def test_bytes_beyond_ascii_in_a_target_are_as_if_escaped() -> None:
    head = parse("GET /v1/\xc3\xa9\xff?x=\xe9 HTTP/1.0\r\n\r\n")
    assert (head.raw_path, head.query, head.http10) == (b"/v1/%C3%A9%FF", b"x=%E9", True)


def test_a_host_may_be_named_in_utf8() -> None:
    assert parse("GET / HTTP/1.1\r\nHost: \xc3\xa9.example:80\r\n\r\n").headers == [(b"host", b"\xc3\xa9.example:80")]


@pytest.mark.parametrize("method", ["POST", "PUT", "FROB"])
@pytest.mark.parametrize("word", ["é", "Ünï-☃", "~é~", "中"])
@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_names_of_extension_fields_may_be_in_any_script(method: str, word: str, charset: str) -> None:
    raw = word.encode(charset, "ignore") + b"\xff"
    head = parse_head(
        b"%b /\xe9 HTTP/1.1\r\nA: 1\r\nX-Object-Meta-%b:  v\xe9: w \r\nHost: h\r\n"
        b"x-%b:\r\nContent-Length: 5\r\nB: ~\r\n\r\n" % (method.encode(), raw, raw),
        LIMITS,
    )
    assert (head.method, head.raw_path, head.length) == (method, b"/%E9", 5)
    assert head.headers == [
        (b"a", b"1"),
        (b"x-object-meta-" + raw.lower(), b"v\xe9: w"),
        (b"host", b"h"),
        (b"x-" + raw.lower(), b""),
        (b"content-length", b"5"),
        (b"b", b"~"),
    ]


HOSTILE_NAMES = [
    "X\xe9: y",
    "\xe9: y",
    "\xe9X-A: y",
    "\xa0X-A: y",
    "Content-Length\xe9: 5",
    "Content-Length\xa0: 5",
    "Content-Length\x85: 5",
    "\xa0Content-Length: 5",
    "Content\xe2\x80\x90Length: 5",
    "Transfer-Encoding\xa0: chunked",
    "Tran\xc5\xbffer-Encoding: chunked",
    "Ho\xffst: b",
    "X-\xe9 : y",
    "X-\xe9\t: y",
    "X-\xe9 z: y",
    "X- \xe9: y",
    "X-\xe9\x00: y",
    "X-\x01\xe9: y",
    "X-\xe9\x7f: y",
    "X-\xe9(: y",
    'X-\xe9": y',
    "X-\xe9",
    "X-\xe9\r: y",
    "X-\xe9\nContent-Length: 5",
    "X-\xe9: y\r\n z",
    " X-\xe9: y",
    "X-\xe9: y\x01",
    "X-\xe9: y\r\nY\xe9: z",
    "X-\xe9: y\r\nContent-Length : 5",
]


@pytest.mark.parametrize("line", HOSTILE_NAMES)
def test_bytes_beyond_ascii_in_a_name_let_nothing_else_through(line: str) -> None:
    assert refusal(f"POST /x HTTP/1.1\r\nHost: a\r\n{line}\r\n\r\n".encode("latin-1")) == 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 3\r\n", 400),
        ("Content-Length: +3\r\n", 400),
        ("Host: b\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 501),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Expect: a miracle\r\n", 417),
        ("X: " + "y" * 17000 + "\r\n", 431),
        ("X-" + "\xe9" * 17000 + ": y\r\n", 431),
        ("X-\xe9: y\r\n" * 200, 431),
    ],
)
def test_a_name_beyond_ascii_changes_nothing_of_what_else_is_refused(fields: str, status: int) -> None:
    assert refusal(f"POST /x HTTP/1.1\r\nHost: a\r\nX-\xe9: y\r\n{fields}\r\n".encode("latin-1")) == status


def test_a_name_beyond_ascii_names_no_field_that_has_its_stand_in() -> None:
    head = parse("POST /x HTTP/1.1\r\nHost: a\r\nX-\xe9: 1\r\nX-~: 2\r\nContent-Length: 3\r\n\r\n")
    assert head.headers[1:3] == [(b"x-\xe9", b"1"), (b"x-~", b"2")]
    assert head.length == 3


@pytest.mark.parametrize("method", ["FROB", "get", "P", "!#$", "POSTS"])
def test_any_token_is_a_method_and_changes_nothing_of_the_framing(method: str) -> None:
    head = parse(f"{method} /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert (head.method, head.raw_path, head.length) == (method, b"/a", CHUNKED)
    with pytest.raises(Refusal) as refused:
        parse(f"{method} /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n")
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("line", "fields", "keep_alive"),
    [
        ("GET / HTTP/1.1", "Host: a\r\n", True),
        ("GET / HTTP/1.1", "Host: a\r\nConnection: keep-alive, Close\r\n", False),
        ("GET / HTTP/1.1", "Host: a\r\nConnection: x\r\nConnection: close\r\n", False),
        ("GET / HTTP/1.1", "Host: a\r\nConnection: close\r\nConnection: keep-alive\r\n", False),
        ("GET / HTTP/1.0", "", False),
        ("GET / HTTP/1.0", "Connection: Keep-Alive\r\n", True),
        ("GET / HTTP/1.0", "Connection: keep-alive\r\nConnection: close\r\n", False),
    ],
)
def test_keep_alive(line: str, fields: str, keep_alive: bool) -> None:
    assert parse(f"{line}\r\n{fields}\r\n").keep_alive is keep_alive


def test_chunked_and_expectation() -> None:
    head = parse("PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n\r\n")
    assert head.length == CHUNKED
    assert head.expects_continue
    assert not parse("PUT /x HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n").expects_continue


@pytest.mark.parametrize(
    ("target", "raw_path", "query"),
    [
        ("http://a/b?c", b"/b", b"c"),
        ("HTTPS://A", b"/", b""),
        ("http://a?q", b"/", b"q"),
        ("//x/y", b"//x/y", b""),
        ("/a?b?c", b"/a", b"b?c"),
        ("/%zz", b"/%zz", b""),
    ],
)
def test_targets(target: str, raw_path: bytes, query: bytes) -> None:
    head = parse(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head.raw_path, head.query) == (raw_path, query)


def test_asterisk_and_upgrades() -> None:
    assert parse("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").raw_path == b"*"
    head = parse("GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n")
    assert head.headers[-1] == (b"x", b"y")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "COPY", "PATCH"])
def test_methods_of_the_object_and_control_apis(method: str) -> None:
    assert parse(f"{method} /x HTTP/1.1\r\nHost: a\r\n\r\n").method == method


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("CONNECT a:443 HTTP/1.1", 501),
        ("G@T / HTTP/1.1", 400),
        ("GET / HTTP/2.0", 505),
        ("GET / HTTP/1.2", 505),
        ("GET / HTTP/0.9", 505),
        ("PRI * HTTP/2.0", 505),
        ("GET / HTTP/11", 400),
        ("GET / http/1.1", 400),
        ("GET / ICE/1.0", 400),
        ("GET /", 400),
        ("GET", 400),
        ("GET  / HTTP/1.1", 400),
        ("GET /  HTTP/1.1", 400),
        (" GET / HTTP/1.1", 400),
        ("GET /a b HTTP/1.1", 400),
        ("GET /a\tb HTTP/1.1", 400),
        ("GET /a\x00b HTTP/1.1", 400),
        ("GET /\x7f HTTP/1.1", 400),
        ("GET /\xff b HTTP/1.1", 400),
        ("GET /\xff\x01 HTTP/1.1", 400),
        ("FROB /\x01 HTTP/1.1", 400),
        ("FROB /#b HTTP/1.1", 400),
        ("GET /a#b HTTP/1.1", 400),
        ("GET a HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET http:///x HTTP/1.1", 400),
        ("GET http://b/x HTTP/1.1", 400),
        ("GET http://u@a/x HTTP/1.1", 400),
        ("GET ftp://a/x HTTP/1.1", 400),
        ("GET http://\xff/x HTTP/1.1", 400),
    ],
)
def test_request_lines_that_are_refused(line: str, status: int) -> None:
    assert refusal(f"{line}\r\nHost: a\r\n\r\n".encode("latin-1")) == status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("", 400),
        ("Host: a\r\nHost: a\r\n", 400),
        ("Host: a\r\nhost: b\r\n", 400),
        ("Host:\r\n", 400),
        ("Host: a b\r\n", 400),
        ("Host: a/b\r\n", 400),
        ("Host: \xc3\xa9/b\r\n", 400),
        ("Host: \xc3\r\n", 400),
        ("Host: u@a\r\n", 400),
        ("Host: a,b\x80\r\n", 400),
        ("Host: a:x\r\n", 400),
        ("Host: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: gzip\r\nContent-Length: 3\r\n", 400),
        ("Host: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n", 400),
        ("Host: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n", 400),
        ("Host: a\r\nContent-Length: 3, 3\r\n", 400),
        ("Host: a\r\nContent-Length: +3\r\n", 400),
        ("Host: a\r\nContent-Length: -3\r\n", 400),
        ("Host: a\r\nContent-Length: 3 3\r\n", 400),
        ("Host: a\r\nContent-Length: 0x3\r\n", 400),
        ("Host: a\r\nContent-Length: 3_0\r\n", 400),
        ("Host: a\r\nContent-Length: \xb2\r\n", 400),
        ("Host: a\r\nContent-Length:\r\n", 400),
        ("Host: a\r\nContent-Length: 9223372036854775808\r\n", 400),
        ("Host: a\r\nContent-Length: 18446744073709551615\r\n", 400),
        ("Host: a\r\nContent-Length: 18446744073709551619\r\n", 400),
        ("Host: a\r\nContent-Length: 00000000000000000000000003\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: gzip\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: identity\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: chunked, gzip\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: chunked, chunked\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: xchunked\r\n", 501),
        ("Host: a\r\nTransfer-Encoding: \x0bchunked\r\n", 400),
        ("Host: a\r\nTransfer-Encoding:\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
        ("Host: a\r\nTransfer-Encoding : chunked\r\n", 400),
        ("Host: a\r\nContent-Length : 3\r\n", 400),
        ("Host: a\r\n Content-Length: 3\r\n", 400),
        ("Host: a\r\nX: y\r\n z\r\n", 400),
        ("Host: a\r\nX: y\r\n\tz\r\n", 400),
        ("Host: a\r\nX: y\nContent-Length: 3\r\n", 400),
        ("Host: a\r\nX: y\rContent-Length: 3\r\n", 400),
        ("Host: a\nX: y\r\n", 400),
        ("Host: a\r\nX: y\r\r\n", 400),
        ("Host: a\r\nX: \x00\r\n", 400),
        ("Host: a\r\nX: \x01\r\n", 400),
        ("Host: a\r\nX: \x7f\r\n", 400),
        ("Host: a\r\nX\x00: y\r\n", 400),
        ("Host: a\r\nX\xe9: y\r\n", 400),
        ("Host: a\r\nX y: z\r\n", 400),
        ("Host: a\r\n: z\r\n", 400),
        ("Host: a\r\nnothing\r\n", 400),
        ("Host: a\r\nExpect: a miracle\r\n", 417),
    ],
)
def test_fields_that_are_refused(fields: str, status: int) -> None:
    assert refusal(f"POST /x HTTP/1.1\r\n{fields}\r\n".encode("latin-1")) == status


def test_transfer_encoding_in_http_1_0_is_refused() -> None:
    assert refusal(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400


def test_ninety_metadata_fields_are_taken() -> None:
    fields = "".join(f"X-Object-Meta-{n:0100}: {'v' * 256}\r\n" for n in range(90))
    assert len(parse(f"POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n").headers) == 91
    assert parse(f"POST /x HTTP/1.1\r\nHost: a\r\nX: {'v' * 8192}\r\n\r\n").headers[1][1] == b"v" * 8192


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /" + b"x" * 17000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"x" * 17000, 414),
        (b"x" * 17000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 17000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 201 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 201, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 70 + b"\r\n", 431),
    ],
)
def test_what_is_too_long(raw: bytes, status: int) -> None:
    assert refusal(raw) == status


def head_of(*, line: int = 0, fields: int = 0, field: int = 0, head: int = 0) -> bytes:
    """A request whose line, number of fields, longest field, or whole head has just this length."""
    start = b"GET / HTTP/1.1"
    start = start.replace(b"/ ", b"/" + b"x" * (line - len(start)) + b" ") if line else start
    lines = [b"Host: a"] + [b"X: y"] * (fields - 1 if fields else 1)
    if field:
        lines.append(b"N: " + b"v" * (field - 1))
    missing = head - len(b"\r\n".join([start, *lines, b"", b""]))
    if head:
        lines.append(b"L: " + b"v" * (missing - len(b"L: \r\n")))
    return b"\r\n".join([start, *lines, b"", b""])


@pytest.mark.parametrize(
    ("bound", "status"),
    [
        ({"line": LIMITS.request_line}, 414),
        ({"fields": LIMITS.fields}, 431),
        ({"field": LIMITS.field_bytes}, 431),
        ({"head": 12_000}, 431),
    ],
    ids=["request line", "fields", "one field", "head"],
)
def test_each_limit_is_the_last_that_is_taken(bound: dict[str, int], status: int) -> None:
    limits = Limits(head_bytes=12_000) if "head" in bound else LIMITS
    (name, most), *_ = bound.items()
    assert refusal(head_of(**bound), limits) == 0
    assert refusal(head_of(**{name: most + 1}), limits) == status


@pytest.mark.parametrize(
    ("name", "cut", "status"), [("line", 4, 414), ("fields", 2, 431), ("head", 2, 431), ("head", 1, 431)]
)
def test_a_head_that_is_under_way_has_the_same_limits(name: str, cut: int, status: int) -> None:
    """What may still become a good head is waited for, up to its last byte."""
    limits = Limits(request_line=1000, fields=20, head_bytes=3000)
    most = {"line": 1000, "fields": 20, "head": 3000}[name]
    assert refusal(head_of(**{name: most})[:-cut], limits) == 0
    too_long = head_of(**{name: most + 1 + (cut if name == "head" else 0)})[:-cut]
    assert refusal(too_long, limits) == status


def test_a_body_over_the_limit_is_refused() -> None:
    limits = Limits(max_body=10)
    assert refusal(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", limits) == 413
    chunked = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert refusal(chunked + b"6\r\n123456\r\n5\r\n12345\r\n", limits) == 413


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00",
        b"\r\n\r\n",
        b" ",
        b"\xff\xfe",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\rHost",
        b"hello\r\n",
        b"SSH-2.0-x\r\n",
    ],
)
def test_what_cannot_become_a_request_is_refused_at_once(raw: bytes) -> None:
    assert refusal(raw) == 400


def test_one_empty_line_before_a_request_is_tolerated() -> None:
    reader = RequestReader(LIMITS)
    reader.feed(b"\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    head = reader.next_head()
    assert head is not None
    assert head.raw_path == b"/x"
