"""Bodies, pipelines, and that it does not matter how bytes are split on their way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.http.errors import Refusal
from gateway.http.limits import Limits
from gateway.http.reader import RequestReader

LIMITS = Limits()
CHUNKED = b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

Event = tuple[str, bytes]


def events_of(pieces: list[bytes], limits: Limits = LIMITS) -> list[Event]:
    """What a connection would see: heads, merged bodies, ends; and the refusal that ends it."""
    reader = RequestReader(limits)
    events: list[Event] = []
    in_body = False
    try:
        for piece in pieces:
            reader.feed(piece)
            while True:
                if not in_body:
                    head = reader.next_head()
                    if head is None:
                        break
                    events.append((head.method, head.raw_path + b"?" + head.query))
                    events.extend(("field", name + b"=" + value) for name, value in head.headers)
                    in_body = True
                    events.append(("body", b""))
                data = reader.take_body()
                events[-1] = ("body", events[-1][1] + data)
                if reader.body_complete:
                    in_body = False
                elif not data:
                    break
            assert reader.buffered <= limits.head_bytes + len(piece)
    except Refusal as refusal:
        events.append(("refused", b"%d" % refusal.status))
    return events


def body_of(raw: bytes, limits: Limits = LIMITS) -> Event:
    return events_of([CHUNKED + raw], limits)[-1]


def test_a_body_of_announced_length_ends_there() -> None:
    raw = b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" + b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n"
    events = events_of([raw])
    assert ("body", b"hello") in events
    assert ("GET", b"/b?") in events


def test_a_read_that_is_all_body_is_not_copied() -> None:
    reader = RequestReader(LIMITS)
    reader.feed(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n")
    reader.next_head()
    piece = bytes(1000)
    reader.feed(piece)
    assert reader.take_body() is piece


def test_chunks_of_one_read_are_merged() -> None:
    assert body_of(b"3\r\nabc\r\n00A;ext=1\r\n0123456789\r\n0\r\n\r\n") == ("body", b"abc0123456789")
    assert body_of(b"1\r\na\r\n0\r\nETag: x\r\nY:\r\n\r\n") == ("body", b"a")


def test_many_small_chunks_come_in_parts() -> None:
    reader = RequestReader(LIMITS)
    reader.feed(CHUNKED + b"1\r\nx\r\n" * 2000 + b"0\r\n\r\n")
    reader.next_head()
    sizes = []
    while not reader.body_complete:
        sizes.append(len(reader.take_body()))
    assert sum(sizes) == 2000
    assert max(sizes) <= 128


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1_0\r\n",
        b"g\r\n",
        b"1\n",
        b"1\rx",
        b"1;\x00\r\n",
        b"1;a\nb\r\n",
        b"1;a\rb\r\n",
        b"11111111111111111\r\n",
        b"ffffffffffffffff\r\n",
        b"1;" + b"x" * 300,
        b"1;" + b"x" * 300 + b"\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n",
        b"3\r\nabc\rx",
        b"3\r\nabc0\r\n\r\n",
        b"0\r\nX\r\n\r\n",
        b"0\r\n X: y\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\nX: \x00\r\n\r\n",
        b"0\r\nX: a\nb\r\n\r\n",
    ],
)
def test_bad_chunks_are_refused(raw: bytes) -> None:
    assert body_of(raw) == ("refused", b"400")


def test_endless_trailers_are_refused() -> None:
    assert body_of(b"0\r\n" + b"X: y\r\n" * 2000) == ("refused", b"431")


def test_the_next_head_waits_for_the_body() -> None:
    reader = RequestReader(LIMITS)
    reader.feed(CHUNKED)
    assert reader.next_head() is not None
    with pytest.raises(RuntimeError):
        reader.next_head()


name = st.from_regex(rb"X-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", fullmatch=True)
value = st.from_regex(rb"([!-~\x80-\xff]([\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?)?", fullmatch=True)
path = st.from_regex(rb"/[A-Za-z0-9%._~/-]{0,30}(\?[A-Za-z0-9=&%]{0,20})?", fullmatch=True)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    lines = [b"%s %s HTTP/1.1" % (draw(st.sampled_from([b"GET", b"PUT", b"POST"])), draw(path)), b"Host: a"]
    lines += [
        b"%s:%s%s" % (n, draw(st.sampled_from([b"", b" ", b"\t "])), v)
        for n, v in draw(st.lists(st.tuples(name, value), max_size=4))
    ]
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    payload = b""
    if kind == "length":
        payload = draw(st.binary(max_size=80))
        lines.append(b"Content-Length: %d" % len(payload))
    elif kind == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        for chunk in draw(st.lists(st.binary(min_size=1, max_size=40), max_size=4)):
            extension = draw(st.sampled_from([b"", b";a", b";b=c"]))
            payload += b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk)
        payload += b"0\r\n" + draw(st.sampled_from([b"", b"T: u\r\n", b"T: u\r\nV: w\r\n"])) + b"\r\n"
    return draw(st.sampled_from([b"", b"\r\n"])) + b"\r\n".join(lines) + b"\r\n\r\n" + payload


def split(raw: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return [raw[a:b] for a, b in pairwise(places)]


@given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(0, 5000), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_split_of_valid_requests_gives_the_same_events(stream: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(stream)
    whole = events_of([raw])
    assert "refused" not in [kind for kind, _ in whole]
    assert sum(kind == "body" for kind, _ in whole) == len(stream)
    assert events_of(split(raw, cuts)) == whole
    assert events_of([raw[i : i + 1] for i in range(len(raw))]) == whole


alphabet = st.sampled_from(
    [b"GET ", b"PUT ", b"/", b"*", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b":",
     b";", b"0", b"5", b"Host: a\r\n", b"Content-Length: 3\r\n", b"Content-Length: 4\r\n",
     b"Transfer-Encoding: chunked\r\n", b"\x00", b"\xff", b"abc", b"0\r\n\r\n", b"3\r\nabc\r\n", b"http://",
     b"Connection: close\r\n", b"Expect: x\r\n"]
)  # fmt: skip
garbage = st.lists(alphabet, max_size=25).map(b"".join) | st.binary(max_size=200)


@given(garbage, st.lists(st.integers(0, 500), max_size=6))
@example(b"\r\n\r\n", [1])
@settings(max_examples=300, deadline=None)
def test_garbage_is_refused_cleanly_and_splits_change_nothing_that_was_accepted(raw: bytes, cuts: list[int]) -> None:
    """Bytes that arrive earlier may be refused earlier and under another number, but never mean something else."""
    whole, parts = events_of([raw]), events_of(split(raw, cuts))
    if whole and whole[-1][0] == "refused":
        assert parts[-1][0] == "refused" or parts == whole[: len(parts)]
    else:
        assert parts == whole
