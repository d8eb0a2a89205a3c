"""Reading: ranges and conditions."""

from __future__ import annotations

import email
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.objects import ranges as byte_ranges
from gateway.swift.protocol import ranges
from tests.gateway_swift.client import Answer, Client

SMALL = bytes(range(200))
LARGE = bytes(i * 31 % 251 for i in range(2_500_000))


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def data(request: pytest.FixtureRequest) -> bytes:
    value: bytes = request.param
    return value


async def put(client: Client, data: bytes) -> Client:
    await client("PUT", "c")
    assert (await client("PUT", "c/o", {"Content-Type": "x/y"}, data)).status == 201
    return client


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [("0-9", 0, 10), ("5-", 5, None), ("-7", -7, None), ("0-99999999", 0, None), ("-99999999", 0, None), ("3-3", 3, 4)],
)
async def test_one_range(client: Client, data: bytes, asked: str, start: int, stop: int | None) -> None:
    await put(client, data)
    answer = await client("GET", "c/o", {"Range": f"bytes={asked}"})
    first, last = slice(start, stop).indices(len(data))[:2]
    assert (answer.status, answer.body) == (206, data[start:stop])
    assert answer["content-range"] == f"bytes {first}-{last - 1}/{len(data)}"
    assert answer["content-type"] == "x/y"
    answer = await client("HEAD", "c/o", {"Range": f"bytes={asked}"})
    assert (answer.status, answer["content-length"]) == (200, str(len(data)))


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0", "bytes=99999999-999999999,99999998-"])
async def test_ranges_outside(client: Client, data: bytes, asked: str) -> None:
    await put(client, data)
    answer = await client("GET", "c/o", {"Range": asked})
    assert (answer.status, answer["content-range"]) == (416, f"bytes */{len(data)}")
    assert answer.body.startswith(b"<html>")


@pytest.mark.parametrize("asked", ["", "bytes", "bytes=", "bytes=a-b", "bytes=5-2", "lines=0-1", "bytes=-", "bytes=1"])
async def test_ranges_that_cannot_be_read(client: Client, asked: str) -> None:
    await put(client, SMALL)
    answer = await client("GET", "c/o", {"Range": asked})
    assert (answer.status, answer.body) == (200, SMALL)


async def test_an_empty_object_has_no_ranges(client: Client) -> None:
    await put(client, b"")
    assert (await client("GET", "c/o", {"Range": "bytes=0-"})).status == 416
    assert (await client("GET", "c/o", {"Range": "bytes=-5"})).status == 200


def parts(answer: Answer) -> list[Message]:
    whole = b"Content-Type: " + answer["content-type"].encode() + b"\r\n\r\n" + answer.body
    found = email.message_from_bytes(whole).get_payload()
    assert isinstance(found, list)
    return [part for part in found if isinstance(part, Message)]


async def test_several_ranges(client: Client, data: bytes) -> None:
    await put(client, data)
    answer = await client("GET", "c/o", {"Range": "bytes=0-4, 10-19,-3"})
    assert answer.status == 206
    assert answer["content-type"].startswith("multipart/byteranges;boundary=")
    assert answer.whole
    found = parts(answer)
    assert [part["content-range"] for part in found] == [
        f"bytes 0-4/{len(data)}",
        f"bytes 10-19/{len(data)}",
        f"bytes {len(data) - 3}-{len(data) - 1}/{len(data)}",
    ]
    assert {part["content-type"] for part in found} == {"x/y"}
    for piece in (data[:5], data[10:20], data[-3:]):
        assert b"\r\n\r\n" + piece + b"\r\n" in answer.body
    answer = await client("GET", "c/o", {"Range": "bytes=0-4,99999999-"})
    assert (answer.status, answer.body) == (206, data[:5])


async def test_too_many_ranges(client: Client) -> None:
    await put(client, SMALL)
    many = ",".join(f"{i * 2}-{i * 2}" for i in range(51))
    assert (await client("GET", "c/o", {"Range": f"bytes={many}"})).status == 416
    assert (await client("GET", "c/o", {"Range": "bytes=0-50,1-51,2-52,3-53"})).status == 416
    descending = ",".join(f"{i * 2}-{i * 2}" for i in reversed(range(8)))
    assert (await client("GET", "c/o", {"Range": f"bytes={descending}"})).status == 416


@given(st.text(alphabet=st.sampled_from(list("bytes=0123456789-, é")), max_size=40) | st.text(max_size=40))
def test_any_header_can_be_read(value: str) -> None:
    asked = ranges.parse(value)
    for size in (0, 1, 10, 10**12):
        for start, stop in byte_ranges.fit(asked or [], size):
            assert 0 <= start <= stop <= size


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=6), st.integers(1, 60))
def test_the_frame_is_as_long_as_it_says(pairs: list[tuple[int, int]], size: int) -> None:
    asked: byte_ranges.Asked = [(min(pair), max(pair)) for pair in pairs]
    fitted = byte_ranges.fit(asked, size)
    frame = ranges.Multipart(b"b", b"x/y", size, fitted)
    body = b"".join(frame.head(start, stop) + b"." * (stop - start) + b"\r\n" for start, stop in fitted) + frame.tail
    assert len(body) == frame.length


async def test_conditions(client: Client, data: bytes) -> None:
    await put(client, data)
    seen = await client("HEAD", "c/o")
    etag, date = seen["etag"], seen["last-modified"]
    past, future = "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 06 Nov 2093 08:49:37 GMT"
    for method in ("GET", "HEAD"):
        for headers, status in (
            ({"If-Match": etag}, 200),
            ({"If-Match": f'"{etag}"'}, 200),
            ({"If-Match": f'"x", "{etag}"'}, 200),
            ({"If-Match": "*"}, 200),
            ({"If-Match": "x"}, 412),
            ({"If-None-Match": etag}, 304),
            ({"If-None-Match": "*"}, 304),
            ({"If-None-Match": "x"}, 200),
            ({"If-Modified-Since": past}, 200),
            ({"If-Modified-Since": date}, 304),
            ({"If-Modified-Since": future}, 304),
            ({"If-Modified-Since": "nonsense"}, 200),
            ({"If-Unmodified-Since": past}, 412),
            ({"If-Unmodified-Since": date}, 200),
            ({"If-Unmodified-Since": future}, 200),
            ({"If-Match": etag, "If-Unmodified-Since": past}, 412),
        ):
            answer = await client(method, "c/o", headers)
            assert answer.status == status, headers
            assert answer["etag"] == etag
            if status != 200:
                assert answer.body == b""
    assert (await client("GET", "c/none", {"If-Match": "*"})).status == 412
    assert (await client("HEAD", "c/none", {"If-Match": "x"})).status == 404


async def test_a_range_of_what_was_seen_before(client: Client) -> None:
    await put(client, SMALL)
    seen = await client("HEAD", "c/o")
    for tag, status in (
        (f'"{seen["etag"]}"', 206),
        (seen["etag"], 206),
        (seen["last-modified"], 206),
        ('"other"', 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
    ):
        answer = await client("GET", "c/o", {"Range": "bytes=0-1", "If-Range": tag})
        assert answer.status == status


async def test_writing_under_conditions(client: Client) -> None:
    await client("PUT", "c")
    assert (await client("PUT", "c/o", {"If-None-Match": "*"}, b"1")).status == 201
    assert (await client("PUT", "c/o", {"If-None-Match": "*"}, b"2")).status == 412
    assert (await client("PUT", "c/o", {"If-None-Match": "*"}, b"2" * 100_000)).status == 412
    assert (await client("PUT", "c/o", {"If-None-Match": "etag"}, b"2")).status == 400
    etag = (await client("HEAD", "c/o"))["etag"]
    assert (await client("PUT", "c/o", {"If-Match": "other"}, b"3")).status == 412
    assert (await client("PUT", "c/o", {"If-Match": f'"{etag}"'}, b"3")).status == 201
    assert (await client("DELETE", "c/o", {"If-Match": etag})).status == 412
    assert (await client("GET", "c/o")).body == b"3"
    assert (await client("DELETE", "c/o", {"If-Match": "*"})).status == 204
    assert (await client("DELETE", "c/o", {"If-Match": "*"})).status == 412
    assert (await client("PUT", "c/o", {"If-Match": "*"})).status == 412


async def test_a_body_that_cannot_be_kept_is_not_read(client: Client) -> None:
    await client.fill("c", ["o"])
    headers = {"If-None-Match": "*", "Content-Length": "1000000"}
    answer = await client("PUT", "c/o", headers, [None])
    assert answer.status == 412
